// Package adapter is what the middleware and the transports have in common:
// how the breaker of a call is found and asked, and what its outcome is.
package adapter

import (
	"context"
	stderrors "errors"
	"fmt"
	"reflect"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

// Admit asks the breaker of key, for a transport of the given kind, "http" or
// "grpc". The classifier is nil unless a rule has one.
type Admit func(transport, key string) (breaker.Permit, breaker.Classifier, error)

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

// Made is [Of] a new group with the breakers of factory, which must not be nil.
func Made[B breaker.CircuitBreaker](pkg string, factory func() B) Admit {
	return Of(pkg, group.NewKeyed(func(key string) B {
		b := factory()
		if v := reflect.ValueOf(b); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			panic(noBreaker(pkg, key))
		}
		return b
	}))
}

// By returns the Admit of rules, for the option WithRules of the package pkg. It
// panics if rules is nil.
func By(pkg string, rules breaker.Rules) Admit {
	if v := reflect.ValueOf(rules); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic(pkg + ": WithRules: the rules are nil")
	}
	return rules.Admit
}

func acquire(pkg, key string, b breaker.CircuitBreaker) (breaker.Permit, error) {
	if a, ok := b.(breaker.Acquirer); ok {
		return a.Acquire()
	}
	if b == nil {
		panic(noBreaker(pkg, key))
	}
	if err := b.Allow(); err != nil {
		b.MarkFailed() // as Kratos does: aegis breakers count their rejections by it
		return breaker.Permit{}, err
	}
	return breaker.NewPermit(foreign{b}, breaker.Ticket{}), nil
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

// Outcome returns what the error of a call with the context ctx says about the
// backend, by classify or, if that is nil, by errors.ClassifyCall. A call that was
// TooLate when it began has failed by its caller: that its deadline passed counts
// as a cancellation.
func Outcome(ctx context.Context, late bool, err error, classify breaker.Classifier) breaker.Outcome {
	if late {
		err = errors.WithoutDeadline(ctx, err)
	}
	switch {
	case classify != nil:
		return classify(errors.WithoutCause(ctx, err))
	case err == nil:
		return breaker.Success
	case late && stderrors.Is(err, context.Canceled):
		return breaker.Ignored // whatever ended the context
	}
	return errors.ClassifyCall(ctx, err)
}
