// Package adapter is what the middleware and the transports have in common:
// how the breaker of a call is found and asked, and what its outcome is.
package adapter

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/fault"
	"github.com/kratos-breaker/breaker/sre"
)

// Admit asks the breaker of key, for a transport of the given kind, "http" or
// "grpc". The classifier is nil unless a rule has one.
type Admit func(transport, key string) (breaker.Permit, breaker.Classifier, error)

// Admit makes a breaker.Rules of it.
func (a Admit) Admit(transport, key string) (breaker.Permit, breaker.Classifier, error) {
	return a(transport, key)
}

// Default returns the Admit of a group of its own, with breakers from
// sre.NewBreaker that have the name of their key.
func Default() Admit {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	return func(_, key string) (breaker.Permit, breaker.Classifier, error) {
		p, err := g.Get(key).Acquire()
		return p, nil, err
	}
}

// Of returns the Admit of g, for the option WithGroup of the package pkg. It
// panics if g is nil.
func Of[B breaker.CircuitBreaker](pkg string, g *group.Group[B]) Admit {
	if g == nil {
		panic(pkg + ": WithGroup: the group is nil")
	}
	return func(_, key string) (breaker.Permit, breaker.Classifier, error) {
		p, err := acquire(pkg, key, g.Get(key))
		return p, nil, err
	}
}

// Made is [Of] a new group with the breakers of factory, which must not be nil. The
// first is made at once: see [Early].
func Made[B breaker.CircuitBreaker](pkg string, factory func() B) Admit {
	factory = Early(factory)
	return Of(pkg, group.NewKeyed(func(key string) B {
		b := factory()
		if isNil(b) {
			panic(noBreaker(pkg, key))
		}
		return b
	}))
}

// Early calls factory, so that it panics where a client is made and not in its first
// call, and returns a factory that begins with what it made.
func Early[B any](factory func() B) func() B {
	first := factory()
	var kept atomic.Pointer[B]
	kept.Store(&first)
	return func() B {
		if b := kept.Swap(nil); b != nil {
			return *b
		}
		return factory()
	}
}

// By returns the Admit of rules, for the option WithRules of the package pkg. It
// panics if rules is nil.
func By(pkg string, rules breaker.Rules) Admit {
	if isNil(rules) {
		panic(pkg + ": WithRules: the rules are nil")
	}
	if a, ok := rules.(Admit); ok {
		return a
	}
	return rules.Admit
}

func acquire(pkg, key string, b breaker.CircuitBreaker) (breaker.Permit, error) {
	if isNil(b) {
		panic(noBreaker(pkg, key))
	}
	if a, ok := b.(breaker.Acquirer); ok {
		return a.Acquire()
	}
	if err := b.Allow(); err != nil {
		b.MarkFailed() // as Kratos does: aegis breakers count their rejections by it
		return breaker.Permit{}, err
	}
	return breaker.NewPermit(foreign{b}, breaker.Ticket{}), nil
}

// isNil reports whether v is nothing, or a nil pointer.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}

func noBreaker(pkg, key string) string {
	return fmt.Sprintf("%s: the factory returned no breaker for %q", pkg, key)
}

// foreign is a breaker that has no permits. Settling it twice would mark it
// twice: an adapter settles once.
type foreign struct{ breaker.CircuitBreaker }

func (f foreign) Settle(_ breaker.Ticket, o breaker.Outcome) {
	i, ignores := f.CircuitBreaker.(interface{ MarkIgnored() })
	switch {
	case o == breaker.Ignored && ignores:
		i.MarkIgnored()
	case o == breaker.Ignored || o == breaker.Success:
		f.MarkSuccess()
	default:
		f.MarkFailed()
	}
}

// TooLate reports whether a call that begins now cannot reach the backend in
// time: its context has ended already.
func TooLate(ctx context.Context) bool { return ctx.Err() != nil }

// Gone reports whether the caller of a call with the context ctx has given it up.
func Gone(ctx context.Context) bool { return fault.Gone(ctx) }

// IsCause reports whether ctx has ended, and err is or wraps what it ended with.
func IsCause(ctx context.Context, err error) bool { return fault.IsCause(ctx, err) }

// Canceled reports whether there is a gRPC error in err that says so.
func Canceled(err error) bool { return fault.Canceled(err) }

// Result returns what the end of a call with the context ctx says about the
// backend, by classify or, if that is nil, by errors.Classify. A call that was
// TooLate when it began has failed by its caller.
func Result(ctx context.Context, late bool, err error, classify breaker.Classifier) breaker.Result {
	if classify == nil {
		classify = errors.Classify
	}
	return ResultBy(ctx, late || fault.Gone(ctx), late, err, classify)
}

// ResultBy is [Result] for outcomes that ask knows, of a call whose caller is to
// blame or not.
func ResultBy(ctx context.Context, blamed, late bool, err error, ask func(error) breaker.Outcome) breaker.Result {
	r := breaker.Result{Err: err, Outcome: fault.Decide(ctx, blamed, err, breaker.Success, breaker.Ignored, ask)}
	r.NotSent = r.Outcome == breaker.Ignored && (late || fault.NotSent(err) && !fault.IsCause(ctx, err))
	return r
}

// Settle takes a permit back, a success as cheaply as can be.
func Settle(p breaker.Permit, r breaker.Result) {
	if r.Outcome == breaker.Success && r.RetryAfter == 0 {
		p.Done(breaker.Success)
		return
	}
	p.DoneWith(r)
}
