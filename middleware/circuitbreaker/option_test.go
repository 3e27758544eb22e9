package circuitbreaker_test

import (
	"context"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

func TestOption_NilPanicsAtOnceAndSaysWhatIsNil(t *testing.T) {
	for want, f := range map[string]func(){
		"circuitbreaker: WithGroup: the group is nil":            func() { circuitbreaker.WithGroup[*sre.Breaker](nil) },
		"circuitbreaker: WithCircuitBreaker: the factory is nil": func() { circuitbreaker.WithCircuitBreaker[*sre.Breaker](nil) },
		"circuitbreaker: WithKey: the function is nil":           func() { circuitbreaker.WithKey(nil) },
		"circuitbreaker: WithClassifier: the classifier is nil":  func() { circuitbreaker.WithClassifier(nil) },
		"circuitbreaker: WithFallback: the function is nil":      func() { circuitbreaker.WithFallback(nil) },
		"circuitbreaker: Client: nil Option":                     func() { circuitbreaker.Client(nil) },
		"circuitbreaker: the handler is nil":                     func() { circuitbreaker.Client()(nil) },
		"group: the factory is nil":                              func() { group.NewGroup[*sre.Breaker](nil) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.Panics(t, func() {
		circuitbreaker.Client(circuitbreaker.WithKey(func(context.Context, any) string { return "" }), nil)
	})
}

func TestOption_NilContextIsAnErrorAndTakesNoPermit(t *testing.T) {
	var noContext context.Context
	var seen permits
	key := circuitbreaker.WithKey(func(context.Context, any) string { panic("asked for a key") })
	for _, opts := range [][]circuitbreaker.Option{{}, {circuitbreaker.WithGroup(single(&seen))}, {key}} {
		reply, err := circuitbreaker.Client(opts...)(mustNotBeCalled)(noContext, nil)
		require.EqualError(t, err, "endpoint: the context is nil")
		require.NotErrorIs(t, err, circuitbreaker.ErrNotAllowed)
		require.Nil(t, reply)
	}
	require.Zero(t, seen.issued)
}

func TestOption_FactoryThatReturnsNoBreakerPanicsWithTheOperation(t *testing.T) {
	for name, opt := range map[string]circuitbreaker.Option{
		"aegis' interface": circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker { return nil }),
		"our interface":    circuitbreaker.WithCircuitBreaker(func() breaker.Breaker { return nil }),
		"group":            circuitbreaker.WithGroup(group.NewGroup(func() aegis.CircuitBreaker { return nil })),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				require.PanicsWithValue(t, `circuitbreaker: the factory returned no breaker for "/test.Backend/Call"`, func() {
					_, _ = circuitbreaker.Client(opt)(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
				})
			}
		})
	}
}

func TestOption_SameOptionMakesBreakersOfItsOwnForEachClient(t *testing.T) {
	var made []*permits
	opt := circuitbreaker.WithCircuitBreaker(func() *permits {
		made = append(made, new(permits))
		return made[len(made)-1]
	})
	one, two := circuitbreaker.Client(opt), circuitbreaker.Client(opt)
	for _, m := range []middleware.Middleware{one, two} {
		_, err := m(answer(nil, nil))(clientContext(t.Context(), operation), nil)
		require.NoError(t, err)
	}
	require.Len(t, made, 2)
	for _, b := range made {
		require.Len(t, b.outcomes(), 1)
	}
}

func TestOption_DefaultBreakersOfTwoClientsAreApart(t *testing.T) {
	ctx := clientContext(t.Context(), operation)
	one, two := circuitbreaker.Client(), circuitbreaker.Client()
	breakertest.MustReject(t, func() bool {
		called := false
		_, _ = one(func(context.Context, any) (any, error) { called = true; return nil, errBackend })(ctx, nil)
		return !called
	})
	for range 12 { // with so few failures nothing opens it
		_, err := two(answer(nil, errBackend))(ctx, nil)
		require.Same(t, errBackend, err)
	}
}

// rules let b decide for every call.
type rules struct {
	b        *permits
	classify breaker.Classifier
}

func (r rules) Admit(string, string) (breaker.Permit, breaker.Classifier, error) {
	p, err := r.b.Acquire()
	return p, r.classify, err
}

func TestOption_ClassifierOfARuleCountsBeforeTheOther(t *testing.T) {
	says := func(o breaker.Outcome) breaker.Classifier { return func(error) breaker.Outcome { return o } }
	for _, c := range []struct {
		rule breaker.Classifier
		want breaker.Outcome
	}{
		{says(breaker.Failure), breaker.Failure},
		{nil, ignored},
	} {
		b := &permits{}
		m := circuitbreaker.Client(circuitbreaker.WithKey(func(context.Context, any) string { return operation }),
			circuitbreaker.WithClassifier(says(ignored)), circuitbreaker.WithRules(rules{b, c.rule}))
		_, _ = m(answer(nil, nil))(t.Context(), nil)
		_, _ = m(answer(nil, errBackend))(t.Context(), nil)
		require.Equal(t, []breaker.Outcome{c.want, c.want}, b.outcomes())
	}
}

func TestOption_ClassifierIsAskedOncePerAllowedCallAndNeverForARejection(t *testing.T) {
	b := &permits{}
	var asked []error
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)),
		circuitbreaker.WithClassifier(func(error) breaker.Outcome { panic("the last one counts") }),
		circuitbreaker.WithClassifier(func(err error) breaker.Outcome {
			asked = append(asked, err)
			return ignored
		}))
	ctx := clientContext(t.Context(), operation)
	_, _ = m(answer(nil, nil))(ctx, nil)
	_, _ = m(answer(nil, errBackend))(ctx, nil)
	b.reject(rejection())
	_, _ = m(mustNotBeCalled)(ctx, nil)
	require.Equal(t, []error{nil, errBackend}, asked)
	require.Equal(t, []breaker.Outcome{ignored, ignored}, b.outcomes())
}
