package http

import (
	"net/http"
	"reflect"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

// Option configures [NewTransport].
type Option func(*options)

type options struct {
	admit    adapter.Admit
	key      func(*http.Request) string
	classify breaker.Classifier
	response func(*http.Response) breaker.Outcome
	body     bool // whether a call ends with the body of its response
	respond  bool // whether a rejection is a response
}

// WithGroup takes the breakers from g, which other clients, metrics and people
// may share. The default is a group of its own with breakers from
// sre.NewBreaker. It panics if g is nil. Of WithGroup, WithCircuitBreaker
// and WithRules the last one counts.
func WithGroup[B breaker.CircuitBreaker](g *group.Group[B]) Option {
	admit := adapter.Of("transport/http", g)
	return func(o *options) { o.admit = admit }
}

// WithCircuitBreaker makes the breaker of each key with factory. It panics if
// factory is nil. The breakers of this module get permits; any other aegis
// breaker gets exactly one mark per call: MarkFailed after a failure or a
// rejection, MarkSuccess otherwise, except that an ignored outcome is told to
// MarkIgnored() if the breaker has it. A client makes the first breaker with
// itself and keeps it for the first key, so that a factory that passes an option
// out of its range panics there.
func WithCircuitBreaker[B breaker.CircuitBreaker](factory func() B) Option {
	if factory == nil {
		panic("transport/http: WithCircuitBreaker: the factory is nil")
	}
	return func(o *options) { o.admit = adapter.Made("transport/http", factory) }
}

// WithRules takes the breakers, and what errors mean to them, from rules that
// may change while calls run: package config loads them from a file. A rule that
// says what errors mean counts before [WithClassifier] and
// [WithResponseClassifier]. It panics if rules is nil.
func WithRules(rules breaker.Rules) Option {
	admit := adapter.By("transport/http", rules)
	return func(o *options) { o.admit = admit }
}

// WithKey sets the key that the breaker is found by. The default is host and
// port of the request's URL in lower case, as "api.example.com:443", with the
// default port of http and https if it names none. Any string will do. The
// function must not change the request; if it panics, so does the call, before
// it is made. WithKey panics if key is nil.
func WithKey(key func(*http.Request) string) Option {
	if key == nil {
		panic("transport/http: WithKey: the function is nil")
	}
	return func(o *options) { o.key = key }
}

// WithClassifier sets what an error says about the backend, and a response: a
// classifier sees 1xx and 2xx as nil, and any other status, 3xx too, as the
// error that errors.FromHTTPStatus makes of it. What a cancellation by the caller
// means is not asked of c: see breaker.OutcomeOf. WithClassifier panics if c is nil.
func WithClassifier(c breaker.Classifier) Option {
	if c == nil {
		panic("transport/http: WithClassifier: the classifier is nil")
	}
	return func(o *options) { o.classify = c }
}

// WithResponseClassifier sets what a response says about the backend, for more
// than its status; errors stay with [WithClassifier]. It must neither read the
// body nor change anything. A Grpc-Status in the header is left to c, which sees it;
// one in the trailer, which has not come by then, counts with [WithBody] as it does
// without c. WithResponseClassifier panics if c is nil.
func WithResponseClassifier(c func(*http.Response) breaker.Outcome) Option {
	if c == nil {
		panic("transport/http: WithResponseClassifier: the function is nil")
	}
	return func(o *options) { o.response = c }
}

// WithBody makes a call end with the body of its response, and not with the
// header: so a body that breaks off, cannot be unpacked or does not arrive in
// time is a failure, and a breaker that looks at the time of a call sees all of
// it. A response that is no success by its header still ends with the header,
// and so does one without a body, a 101, and a 429 with Retry-After.
//
// The call ends once: when the body is read to its end (success), when reading
// fails (what the error says), or when the body is closed before (success: the
// caller had enough). If the context of the request ends while nobody reads, the
// call is ignored; so it is when the caller forgets the body, as long as the
// context does end. Until then the call is in flight, and may hold a probe.
//
// A breaker that looks at slow calls sees the time to the header, and each time that
// a Read waits for the backend, but not the caller's pauses; and of a stream, as of
// server-sent events, gRPC or Connect, the time to the header only.
//
// It costs four allocations for a response that has a body, and no goroutine.
func WithBody() Option { return func(o *options) { o.body = true } }

// WithResponse answers a rejected request with a response in place of an error:
// 503 with reason CIRCUITBREAKER in the JSON of a Kratos error, of which Kratos'
// client makes ErrNotAllowed, and with Retry-After in whole seconds if the
// breaker knows a time. A client that repeats requests by status and Retry-After
// then does so. It looks like the answer of a backend: an outer breaker, as in a
// middleware, would count it as a failure.
func WithResponse() Option { return func(o *options) { o.respond = true } }

func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
