// Package endpoint is the client middleware for any function of the shape
//
//	func(ctx context.Context, req any) (any, error)
//
// Take it for clients of Kratos v3 and of go-kit, and for functions of that shape of your
// own. For Kratos v2, take middleware/circuitbreaker, which is a thin layer on this
// package; for a function of another shape, take Do of the root package.
//
// The middleware keeps one breaker per key and asks it before each call. A rejected call
// fails with ErrNotAllowed of package errors, or with an error of the caller's own kind:
// see [WithRejection]. After an allowed call, the middleware tells the breaker what the
// error says about the backend.
//
// The package links no Kratos.
package endpoint

import (
	"context"
	"errors"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

var errNilContext = errors.New("endpoint: the context is nil")

// Option configures [New].
type Option func(*options)

type options struct {
	admit    adapter.Admit
	key      func(ctx context.Context, req any) (transport, key string, ok bool)
	classify breaker.Classifier
	reply    func(ctx context.Context, req, reply any, err error) breaker.Outcome
	fallback func(ctx context.Context, req any, rejected error) (any, error)
	reject   func(*breaker.RejectedError) error
	notSent  func(ctx context.Context, err error) bool
}

// WithGroup takes the breakers from g, which other clients, metrics and people
// may share. The default is a group of its own with breakers from
// sre.NewBreaker. It panics if g is nil. Of WithGroup, WithCircuitBreaker
// and WithRules the last one counts.
func WithGroup[B breaker.CircuitBreaker](g *group.Group[B]) Option {
	admit := adapter.Of("endpoint", g)
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
		panic("endpoint: WithCircuitBreaker: the factory is nil")
	}
	return func(o *options) { o.admit = adapter.Made("endpoint", factory) }
}

// WithRules takes the breakers, and what errors mean to them, from rules that
// may change while calls run: package config loads them from a file. A rule that
// says what errors mean counts before [WithReplyClassifier] and [WithClassifier].
// It panics if rules is nil.
func WithRules(rules breaker.Rules) Option {
	admit := adapter.By("endpoint", rules)
	return func(o *options) { o.admit = admit }
}

// WithClassifier sets what an error says about the backend; the default is
// Classify of package errors. What a cancellation by the caller means is not asked
// of c: see breaker.OutcomeOf. It panics if c is nil.
func WithClassifier(c breaker.Classifier) Option {
	if c == nil {
		panic("endpoint: WithClassifier: the classifier is nil")
	}
	return func(o *options) { o.classify = c }
}

// WithReplyClassifier sets what the reply and the error of a call say together,
// for backends that answer well and put a code into the reply. It comes before
// [WithClassifier], and may pass on what it does not know to Classify of package
// errors. As there, what a cancellation means is not asked of c. It panics if c is
// nil.
func WithReplyClassifier(c func(ctx context.Context, req, reply any, err error) breaker.Outcome) Option {
	if c == nil {
		panic("endpoint: WithReplyClassifier: the classifier is nil")
	}
	return func(o *options) { o.reply = c }
}

// WithFallback sets what answers for a rejected call, and only for that: a call
// that was made keeps its error. The error that the caller would have got is
// rejected. It panics if f is nil.
func WithFallback(f func(ctx context.Context, req any, rejected error) (any, error)) Option {
	if f == nil {
		panic("endpoint: WithFallback: the function is nil")
	}
	return func(o *options) { o.fallback = f }
}

// WithRejection makes the error of a rejected call with f, so that it is of the
// caller's own kind; the default is NotAllowed of package errors. Other breakers
// around this one know that nothing was sent if it wraps the rejection and has no code
// of Kratos or gRPC, if it embeds the rejection, or if it has the code 503, the reason
// CIRCUITBREAKER and the rejection as its cause. An error with another code counts by
// that, whatever its cause: mark it with breaker.NotSent. It panics if f is nil.
func WithRejection(f func(*breaker.RejectedError) error) Option {
	if f == nil {
		panic("endpoint: WithRejection: the function is nil")
	}
	return func(o *options) { o.reject = f }
}

// WithNotSent sets who knows, from the context, that the call with an error never
// left the process: as if the error was marked by breaker.NotSent, which is simpler
// where it can be had. Classifiers see it so marked. It panics if f is nil.
func WithNotSent(f func(ctx context.Context, err error) bool) Option {
	if f == nil {
		panic("endpoint: WithNotSent: the function is nil")
	}
	return func(o *options) { o.notSent = f }
}

// New returns the middleware. The breakers live in it: handlers that are wrapped by
// the same one share the breakers, and two results of New share none. To look at
// them, make the group yourself and pass it to [WithGroup].
//
// The key of a call is what its breaker is found by, and transport, "http", "grpc"
// or another word, is for [WithRules]. A call for which key returns false passes
// through. If key panics, so does the call, before it is made.
//
// A handler that panics counts as a failure, and the panic goes on. Calls whose
// caller cancelled them, or made them with a context that had ended, are ignored.
// Around a call that succeeds nothing is allocated. New panics if key or an option
// is nil, and what it returns does if the handler is.
func New[H ~func(context.Context, any) (any, error)](key func(ctx context.Context, req any) (transport, key string, ok bool), opts ...Option) func(H) H {
	if key == nil {
		panic("endpoint: New: the function of the key is nil")
	}
	o := new(options)
	for _, opt := range opts {
		if opt == nil {
			panic("endpoint: New: nil Option")
		}
		opt(o)
	}
	if o.admit == nil {
		o.admit = adapter.Default()
	}
	o.key = key // so that the closure of a handler, which Kratos makes for each call, is small
	return func(handler H) H {
		if handler == nil {
			panic("endpoint: the handler is nil")
		}
		return func(ctx context.Context, req any) (any, error) {
			if ctx == nil {
				return nil, errNilContext
			}
			kind, key, ok := o.key(ctx, req)
			if !ok {
				return handler(ctx, req)
			}
			p, rule, err := o.admit(kind, key)
			if err != nil {
				return o.rejected(ctx, req, key, err)
			}
			settled := false
			defer func() {
				if !settled { // a panic or Goexit, of a classifier too
					p.DoneWith(breaker.Result{Outcome: breaker.Failure, Err: err})
				}
			}()
			late := adapter.TooLate(ctx)
			reply, err := handler(ctx, req)
			if err == nil && rule == nil && o.classify == nil && o.reply == nil { // nearly every call
				settled = true
				p.Done(breaker.Success)
				return reply, nil
			}
			result := o.resultOf(ctx, late, req, reply, err, rule)
			result.Err = err
			settled = true
			adapter.Settle(p, result)
			return reply, err
		}
	}
}

func (o *options) resultOf(ctx context.Context, late bool, req, reply any, err error, rule breaker.Classifier) breaker.Result {
	if o.notSent != nil && err != nil && o.notSent(ctx, err) {
		err = breaker.NotSent(err)
	}
	switch {
	case rule != nil:
		return adapter.Result(ctx, late, err, rule)
	case o.reply != nil:
		return adapter.ResultBy(ctx, late || adapter.Gone(ctx), late, err, func(err error) breaker.Outcome { return o.reply(ctx, req, reply, err) })
	}
	return adapter.Result(ctx, late, err, o.classify)
}

func (o *options) rejected(ctx context.Context, req any, key string, err error) (any, error) {
	rejection := breaker.AsRejected(key, err)
	err = cberrors.NotAllowed(rejection)
	if o.reject != nil {
		err = o.reject(rejection)
	}
	if o.fallback != nil {
		return o.fallback(ctx, req, err)
	}
	return nil, err
}
