// Package grpc guards the calls and streams of a gRPC client: it has interceptors that
// ask a breaker before each of them.
//
//	conn, err := grpc.NewClient(target,
//		grpc.WithTransportCredentials(insecure.NewCredentials()),
//		grpc.WithChainUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(breakers))),
//		grpc.WithChainStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))),
//	)
//
// Take both for a client of grpc-go, with one group of breakers. A client of Kratos takes
// middleware/circuitbreaker for its calls, and the interceptor for its streams: a
// middleware of Kratos sees the messages of a stream, and not how the stream ends.
//
// The interceptors keep one breaker for each target and method. A rejected call fails
// with an error that is ErrNotAllowed of package errors, of Kratos and of aegis, and a
// gRPC status with the code Unavailable; the backend is not called. After an allowed
// call, the interceptor tells the breaker what the error says about the backend.
//
// Retries that gRPC makes by itself are part of the call. Put a retrying interceptor
// before these ones, and let it not repeat a call for which errors.IsRejected is true.
package grpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/adapter"
	"github.com/kratos-breaker/breaker/internal/bounds"
)

// An interceptor must return errors that package status knows.
var (
	errNilContext  = status.Error(codes.Internal, "transport/grpc: the context is nil")
	errNilInvoker  = status.Error(codes.Internal, "transport/grpc: the invoker is nil")
	errNilStreamer = status.Error(codes.Internal, "transport/grpc: the streamer is nil")
	errNoStream    = status.Error(codes.Internal, "transport/grpc: the streamer returned neither a stream nor an error")
)

// Option configures [UnaryClientInterceptor] and [StreamClientInterceptor].
type Option func(*options)

type options struct {
	admit        adapter.Admit
	key          func(ctx context.Context, method string, cc *grpc.ClientConn) string
	classify     breaker.Classifier
	reply        func(ctx context.Context, req, reply any, err error) breaker.Outcome
	successAfter time.Duration // 0 for never
	panics       adapter.Panics
}

// WithGroup takes the breakers from g. Interceptors that have the same group,
// say the unary and the stream one of a client, share the breakers; so may
// metrics and people. The default is a group of its own for each interceptor,
// with breakers from sre.NewBreaker. It panics if g is nil. Of WithGroup,
// WithCircuitBreaker and WithRules the last one counts.
func WithGroup[B breaker.CircuitBreaker](g *group.Group[B]) Option {
	admit := adapter.Of("transport/grpc", g)
	return func(o *options) { o.admit = admit }
}

// WithCircuitBreaker makes the breaker of each key with factory, for each
// interceptor anew. It panics if factory is nil. The breakers of this module get
// permits; any other aegis breaker gets exactly one mark per call: MarkFailed
// after a failure or a rejection, MarkSuccess otherwise, except that an ignored
// outcome is told to MarkIgnored() if the breaker has it. A client makes the
// first breaker with itself and keeps it for the first key, so that a factory
// that passes an option out of its range panics there.
func WithCircuitBreaker[B breaker.CircuitBreaker](factory func() B) Option {
	if factory == nil {
		panic("transport/grpc: WithCircuitBreaker: the factory is nil")
	}
	return func(o *options) { o.admit = adapter.Made("transport/grpc", factory) }
}

// WithRules takes the breakers, and what errors mean to them, from rules that
// may change while calls run: package config loads them from a file. The kind of
// transport that they see is "grpc", and what they match is the key: see
// [WithKey]. A rule that says what errors mean counts before [WithClassifier]. It
// panics if rules is nil.
func WithRules(rules breaker.Rules) Option {
	admit := adapter.By("transport/grpc", rules)
	return func(o *options) { o.admit = admit }
}

// WithKey sets the key that the breaker is found by. The default is the target
// as it was dialled and the method, with nothing in between, as in
// "dns:///payments:9000/payments.v1.Payments/Pay". Any string will do; the
// method alone is the key of the Kratos middleware. The function must not
// block. If it panics, so does the call, before it is made. WithKey panics if
// key is nil.
func WithKey(key func(ctx context.Context, method string, cc *grpc.ClientConn) string) Option {
	if key == nil {
		panic("transport/grpc: WithKey: the function is nil")
	}
	return func(o *options) { o.key = key }
}

// WithClassifier sets what an error says about the backend; the default is
// [errors.Classify]. What a cancellation by the caller means is not asked of c: see
// breaker.OutcomeOf. The end of a stream without an error is asked about with nil.
// For a stream c is called where the stream ends, which may be a goroutine of
// gRPC's: see [StreamClientInterceptor] for what becomes of a panic there. It panics
// if c is nil.
func WithClassifier(c breaker.Classifier) Option {
	if c == nil {
		panic("transport/grpc: WithClassifier: the classifier is nil")
	}
	return func(o *options) { o.classify = c }
}

// WithReplyClassifier sets what the reply and the error of a unary call say
// together, for backends that answer well and put a code into the reply. It comes
// before [WithClassifier], and may pass on what it does not know to
// [errors.Classify]. As there, what a cancellation means is not asked of c. On
// streams it has no effect. It panics if c is nil.
func WithReplyClassifier(c func(ctx context.Context, req, reply any, err error) breaker.Outcome) Option {
	if c == nil {
		panic("transport/grpc: WithReplyClassifier: the classifier is nil")
	}
	return func(o *options) { o.reply = c }
}

// WithStreamSuccessAfter makes a stream that has received a message a success
// once d has passed since it was opened, whatever happens to it then. Without it,
// a stream counts when it ends, so one that is open for hours is seen for hours
// by nobody, and fails if the server is restarted. The range is (0, 24h], the
// default never. On unary calls it has no effect.
//
// No timer runs: the success is counted with the first message that is received
// after d, or at the end of the stream. So a probe of a half-open breaker ends
// with such a message, and if none comes, by the breaker's lease. A stream that
// only sends counts at its end.
func WithStreamSuccessAfter(d time.Duration) Option {
	return func(o *options) {
		bounds.StreamSuccessAfter.Must(d)
		o.successAfter = d
	}
}

func newOptions(constructor string, opts []Option) *options {
	o := new(options)
	for _, opt := range opts {
		if opt == nil {
			panic("transport/grpc: " + constructor + ": nil Option")
		}
		opt(o)
	}
	if o.admit == nil {
		o.admit = adapter.Default()
	}
	if o.key == nil {
		o.key = newKeys().of
	}
	return o
}

// ask asks the breaker of a call.
func (o *options) ask(ctx context.Context, method string, cc *grpc.ClientConn) (breaker.Permit, breaker.Classifier, error) {
	o.panics.Throw()
	key := o.key(ctx, method, cc)
	p, rule, err := o.admit("grpc", key)
	if err != nil {
		return breaker.Permit{}, nil, errors.NotAllowedWithDetails(breaker.AsRejected(key, err))
	}
	return p, rule, nil
}

// classifier returns that of the rule, if it has one.
func (o *options) classifier(rule breaker.Classifier) breaker.Classifier {
	if rule != nil {
		return rule
	}
	return o.classify
}

// UnaryClientInterceptor returns an interceptor for unary calls. It panics if
// an option is nil or out of its range.
//
// An invoker that panics or ends its goroutine is a failure, and the panic goes
// on. A call whose connection was closed by its owner is ignored, as one whose
// caller gave up, and as one whose deadline had passed before it began. Around a
// call that succeeds nothing is allocated.
func UnaryClientInterceptor(opts ...Option) grpc.UnaryClientInterceptor {
	o := newOptions("UnaryClientInterceptor", opts)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, callOpts ...grpc.CallOption) error {
		switch {
		case ctx == nil:
			return errNilContext
		case invoker == nil:
			return errNilInvoker
		}
		p, rule, err := o.ask(ctx, method, cc)
		if err != nil {
			return err
		}
		settled := false
		defer func() {
			if !settled { // a panic or Goexit, of the classifier too
				p.DoneWith(breaker.Result{Outcome: breaker.Failure, Err: err})
			}
		}()
		late := adapter.TooLate(ctx)
		err = invoker(ctx, method, req, reply, cc, callOpts...)
		if err == nil && rule == nil && o.classify == nil && o.reply == nil { // nearly every call
			settled = true
			p.Done(breaker.Success)
			return nil
		}
		var result breaker.Result
		if rule == nil && o.reply != nil {
			result = resultOf(ctx, late, cc, err, func(err error) breaker.Outcome { return o.reply(ctx, req, reply, err) })
		} else {
			result = resultOfError(ctx, late, cc, err, o.classifier(rule))
		}
		settled = true
		adapter.Settle(p, result)
		return err
	}
}

// resultOfError returns what the end of a call over cc says, by classify or, if that
// is nil, by errors.Classify.
func resultOfError(ctx context.Context, late bool, cc *grpc.ClientConn, err error, classify breaker.Classifier) breaker.Result {
	if classify == nil {
		classify = errors.Classify
	}
	return resultOf(ctx, late, cc, err, classify)
}

func resultOf(ctx context.Context, late bool, cc *grpc.ClientConn, err error, ask func(error) breaker.Outcome) breaker.Result {
	blamed := late || adapter.Gone(ctx) || closedByOwner(cc, err)
	r := adapter.ResultBy(ctx, blamed, late, err, ask)
	if r.Outcome != breaker.Success && r.Outcome != breaker.Ignored {
		r.RetryAfter, _ = errors.RetryAfter(err)
	}
	return r
}

// closedByOwner reports whether err is the end of a call over a connection that
// was closed on this side. Its code is the one of a cancellation.
func closedByOwner(cc *grpc.ClientConn, err error) bool {
	return err != nil && cc != nil && cc.GetState() == connectivity.Shutdown && adapter.Canceled(err)
}
