// Package circuitbreaker is the client middleware for Kratos v2. It is a drop-in for
// kratos/v2/middleware/circuitbreaker: change the import line, and the program
// compiles and is guarded.
//
//	conn, err := kgrpc.DialInsecure(ctx,
//		kgrpc.WithEndpoint(endpoint),
//		kgrpc.WithMiddleware(circuitbreaker.Client()),
//	)
//
// Take it for every Kratos client over HTTP or gRPC. It is for calls: for streams take
// transport/grpc, for Client.Do of Kratos' HTTP client transport/http. For Kratos v3 take
// middleware/endpoint.
//
// The middleware keeps one breaker per operation and asks it before each call. A rejected
// call fails with 503 [ErrNotAllowed], and the backend is not called. After an allowed
// call, the middleware tells the breaker what the error says about the backend:
// [WithClassifier] changes that, and [WithGroup], [WithCircuitBreaker] and [WithRules] say
// which breakers there are.
package circuitbreaker

import (
	"context"
	"net/http"
	"strings"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/transport"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/adapter"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
)

// ErrNotAllowed is what a rejected call fails with: compare with errors.Is.
// Each caller gets a value of its own, with the *[breaker.RejectedError] in it.
// Assigning another value, or changing this one, changes no rejection: for that
// there is [WithFallback].
var ErrNotAllowed = kratoserrors.New(503, "CIRCUITBREAKER", "request failed due to circuit breaker triggered")

// Option configures [Client].
type Option func(*options)

type options struct {
	endpoint []endpoint.Option
	kinds    bool // whether the rules want to know the transport
	key      func(ctx context.Context, req any) string
}

func with(o endpoint.Option) Option {
	return func(os *options) { os.endpoint = append(os.endpoint, o) }
}

// WithGroup takes the breakers from g, which other clients, metrics and people
// may share. The default is a group of its own with breakers from
// sre.NewBreaker. It panics if g is nil. Of WithGroup, WithCircuitBreaker
// and WithRules the last one counts.
func WithGroup[B breaker.CircuitBreaker](g *group.Group[B]) Option {
	return with(endpoint.WithRules(adapter.Of("circuitbreaker", g)))
}

// WithCircuitBreaker makes the breaker of each operation with factory. It panics
// if factory is nil. The breakers of this module get permits; any other aegis
// breaker gets exactly one mark per call: MarkFailed after a failure or a
// rejection, MarkSuccess otherwise, except that an ignored outcome is told to
// MarkIgnored() if the breaker has it. A client makes the first breaker with
// itself and keeps it for the first key, so that a factory that passes an option
// out of its range panics there.
func WithCircuitBreaker[B breaker.CircuitBreaker](factory func() B) Option {
	if factory == nil {
		panic("circuitbreaker: WithCircuitBreaker: the factory is nil")
	}
	return func(o *options) {
		o.endpoint = append(o.endpoint, endpoint.WithRules(adapter.Made("circuitbreaker", factory)))
	}
}

// WithRules takes the breakers, and what errors mean to them, from rules that
// may change while calls run: package config loads them from a file. A rule that
// says what errors mean counts before [WithReplyClassifier] and [WithClassifier].
// It panics if rules is nil.
func WithRules(rules breaker.Rules) Option {
	admit := adapter.By("circuitbreaker", rules)
	return func(o *options) {
		o.endpoint, o.kinds = append(o.endpoint, endpoint.WithRules(admit)), true
	}
}

// WithKey sets the key that the breaker is found by; the default is the
// operation. Any string will do. It is also asked for calls that have no client
// transport in their context. If it panics, so does the call, before it is
// made. WithKey panics if key is nil.
func WithKey(key func(ctx context.Context, req any) string) Option {
	if key == nil {
		panic("circuitbreaker: WithKey: the function is nil")
	}
	return func(o *options) { o.key = key }
}

// WithClassifier sets what an error says about the backend; the default is
// errors.Classify. What a cancellation by the caller means is not asked of c: see
// breaker.OutcomeOf. It panics if c is nil.
func WithClassifier(c breaker.Classifier) Option {
	if c == nil {
		panic("circuitbreaker: WithClassifier: the classifier is nil")
	}
	return with(endpoint.WithClassifier(c))
}

// WithReplyClassifier sets what the reply and the error of a call say together,
// for backends that answer 200 and put a code into the reply. It comes before
// [WithClassifier], and may pass on what it does not know to errors.Classify. As
// there, what a cancellation means is not asked of c. It panics if c is nil.
func WithReplyClassifier(c func(ctx context.Context, req, reply any, err error) breaker.Outcome) Option {
	if c == nil {
		panic("circuitbreaker: WithReplyClassifier: the classifier is nil")
	}
	return with(endpoint.WithReplyClassifier(c))
}

// WithFallback sets what answers for a rejected call, and only for that: a call
// that was made keeps its error. The error that the caller would have got is
// rejected. It panics if f is nil.
//
// Kratos' clients look only at the error of a middleware. A nil error leaves
// the reply that the caller passed as it was.
func WithFallback(f func(ctx context.Context, req any, rejected error) (any, error)) Option {
	if f == nil {
		panic("circuitbreaker: WithFallback: the function is nil")
	}
	return with(endpoint.WithFallback(f))
}

// Client returns the middleware. The breakers live in it: clients that share
// the middleware share the breakers, and two results of Client share none. To
// look at them, make the group yourself and pass it to [WithGroup].
//
// A call without a client transport in its context has no operation and passes
// through, unless there is a WithKey. A handler that panics counts as a
// failure, and the panic goes on. Calls whose caller cancelled them, or made them
// with a context that had ended, are ignored; so are those for which Kratos found no
// node to send them to.
func Client(opts ...Option) middleware.Middleware {
	var o options
	for _, opt := range opts {
		if opt == nil {
			panic("circuitbreaker: Client: nil Option")
		}
		opt(&o)
	}
	guarded := endpoint.New[middleware.Handler](o.keyOf, append(o.endpoint, endpoint.WithNotSent(noNode))...)
	return func(handler middleware.Handler) middleware.Handler {
		if handler == nil {
			panic("circuitbreaker: the handler is nil")
		}
		return guarded(handler)
	}
}

func (o *options) keyOf(ctx context.Context, req any) (kind, key string, ok bool) {
	tr, ok := transport.FromClientContext(ctx)
	if ok && o.kinds {
		kind = string(tr.Kind())
	}
	switch {
	case o.key != nil:
		return kind, o.key(ctx, req), true
	case !ok:
		return "", "", false
	}
	return kind, operation(tr), true
}

// operation returns the operation of a call. Kratos' HTTP client takes the
// path for it if the call names none: then the path's template, if there is
// one, and anyway not the query, of which there is no end.
func operation(tr transport.Transporter) string {
	op := tr.Operation()
	h, ok := tr.(interface {
		PathTemplate() string
		Request() *http.Request
	})
	if !ok {
		return op
	}
	path, _, _ := strings.Cut(op, "?")
	template := h.PathTemplate()
	if template != op && template != "" && isPath(h.Request(), path) {
		return template
	}
	return path
}

func isPath(req *http.Request, path string) bool {
	if req == nil || req.URL == nil {
		return false
	}
	return req.URL.Path == path || req.URL.RawPath == path ||
		strings.Contains(path, "%") && req.URL.EscapedPath() == path
}
