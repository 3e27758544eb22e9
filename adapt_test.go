package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

// rejected is the error of a breaker that is of no kind known here.
type rejectedByPolicy struct{ rule string }

func (e *rejectedByPolicy) Error() string { return "rule " + e.rule }

var errRejected = &rejectedByPolicy{"17"}

func TestAdapt_ReturnsABreakerAsItIs(t *testing.T) {
	b := sre.NewBreaker()
	require.Same(t, b, breaker.Adapt(b))
	adapted := breaker.Adapt(&breakertest.Trio{})
	require.Same(t, adapted, breaker.Adapt(adapted))
}

func TestAdapt_NilPanics(t *testing.T) {
	require.PanicsWithValue(t, "breaker: Adapt: the breaker is nil", func() { breaker.Adapt(nil) })
}

func TestAdapt_TellsExactlyOneMarkPerCall(t *testing.T) {
	for _, row := range []struct {
		outcome       breaker.Outcome
		plain, ignore string
	}{
		{breaker.Success, "MarkSuccess", "MarkSuccess"},
		{breaker.Failure, "MarkFailed", "MarkFailed"},
		{breaker.Ignored, "MarkSuccess", "MarkIgnored"},
		{breaker.Outcome(9), "MarkFailed", "MarkFailed"},
	} {
		t.Run(row.outcome.String(), func(t *testing.T) {
			plain, ignoring := &breakertest.Trio{}, &breakertest.IgnoringTrio{}
			for _, b := range []breaker.Breaker{breaker.Adapt(plain), breaker.Adapt(ignoring)} {
				p := breakertest.Acquire(t, b, 1)[0]
				p.Done(row.outcome)
				p.Done(row.outcome)
				breakertest.RequireTotals(t, b, totalsOfAny(row.outcome))
			}
			require.Equal(t, []string{"Allow", row.plain}, plain.Heard())
			require.Equal(t, []string{"Allow", row.ignore}, ignoring.Heard())
		})
	}
}

func totalsOfAny(o breaker.Outcome) breaker.Totals { return breakertest.Add(breaker.Totals{}, o) }

func TestAdapt_RejectionIsMarkedFailedOnceAndCountedAsRejectionOnly(t *testing.T) {
	plain, ignoring := &breakertest.Trio{}, &breakertest.IgnoringTrio{}
	for _, fake := range []interface {
		circuitbreaker.CircuitBreaker
		Heard() []string
		Reject(error)
	}{plain, ignoring} {
		b := breaker.Adapt(fake)
		fake.Reject(circuitbreaker.ErrNotAllowed)
		p, err := b.Acquire()
		require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
		p.Done(breaker.Success)
		require.Equal(t, []string{"Allow", "MarkFailed"}, fake.Heard())
		breakertest.RequireTotals(t, b, breaker.Totals{Rejected: 1})
	}
}

func TestAdapt_RealAegisOpensAndItsTotalsAddUp(t *testing.T) {
	b := breaker.Adapt(aegissre.NewBreaker(aegissre.WithWindow(longWindow)))
	calls, rejected := uint64(0), uint64(0)
	for rejected < 100 {
		err := breaker.Run(t.Context(), b, func(context.Context) error {
			calls++
			return errBackend
		})
		if errors.Is(err, circuitbreaker.ErrNotAllowed) {
			require.GreaterOrEqual(t, calls, uint64(100), "aegis opens at 100 calls at the earliest")
			rejected++
		}
		breakertest.RequireTotals(t, b, breaker.Totals{Failure: calls, Rejected: rejected})
		require.Less(t, calls, uint64(10_000))
	}
}

func TestAdapt_ForeignErrorStaysReachable(t *testing.T) {
	for name, foreign := range map[string]error{
		"as it is": errRejected,
		"wrapped":  fmt.Errorf("policy: %w", errRejected),
	} {
		t.Run(name, func(t *testing.T) {
			b := breaker.Adapt(&breakertest.Trio{Rejection: foreign})
			_, fromAcquire := b.Acquire()
			fromDo := breaker.Run(t.Context(), b, func(context.Context) error { panic("called") })
			for _, err := range []error{fromAcquire, b.Allow(), fromDo} {
				require.ErrorIs(t, err, errRejected)
				require.ErrorIs(t, err, foreign)
				var policy *rejectedByPolicy
				require.ErrorAs(t, err, &policy)
				require.Equal(t, "17", policy.rule)
				require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
				var rejected *breaker.RejectedError
				require.ErrorAs(t, err, &rejected)
				require.Equal(t, foreign, rejected.Unwrap())
				require.Equal(t, breaker.Open, rejected.State())
				require.Equal(t, breaker.ReasonUnknown, rejected.Reason())
				require.Zero(t, rejected.RetryAfter())
				require.Contains(t, err.Error(), "rule 17")
			}
		})
	}
}

func TestAdapt_ErrorOfAegisSaysNothingTwice(t *testing.T) {
	b := breaker.Adapt(&breakertest.Trio{Rejection: circuitbreaker.ErrNotAllowed})
	_, err := b.Acquire()
	require.EqualError(t, err, "circuit breaker rejected the call: unknown")
	require.NoError(t, errors.Unwrap(err))
}

func TestAdapt_RejectionOfAWrappedBreakerOfOursIsHandedOn(t *testing.T) {
	own := breaker.NewRejectedError("inner", breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, nil)
	for _, rejection := range []error{own, fmt.Errorf("inner: %w", own)} {
		b := breaker.Adapt(&breakertest.Trio{Rejection: rejection})
		_, err := b.Acquire()
		require.Same(t, own, err)
		require.Same(t, own, b.Allow())
	}
}

func TestAdapt_StateIsThatOfTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &breakertest.Trio{}
		made := time.Now()
		b := breaker.Adapt(fake)
		ask := func(acquire bool, rejection error) {
			fake.Reject(rejection)
			if !acquire {
				require.Equal(t, rejection == nil, b.Allow() == nil)
				return
			}
			p, err := b.Acquire()
			require.Equal(t, rejection == nil, err == nil)
			p.Done(breaker.Ignored)
		}
		requireState := func(state breaker.State, since time.Time) {
			t.Helper()
			s := b.Snapshot()
			require.Equal(t, state, s.State)
			require.WithinDuration(t, since, s.Since, 0)
			require.Zero(t, s.RetryAfter)
			require.Zero(t, s.Window)
		}
		requireState(breaker.Closed, made)
		for _, acquire := range []bool{true, false} {
			time.Sleep(time.Second)
			opened := time.Now()
			ask(acquire, circuitbreaker.ErrNotAllowed)
			requireState(breaker.Open, opened)
			time.Sleep(time.Second)
			ask(acquire, circuitbreaker.ErrNotAllowed)
			requireState(breaker.Open, opened)
			closed := time.Now()
			ask(acquire, nil)
			requireState(breaker.Closed, closed)
			time.Sleep(time.Second)
			ask(acquire, nil)
			requireState(breaker.Closed, closed)
		}
	})
}

func TestAdapt_MarksWithoutIdentityPassThroughAndAreCounted(t *testing.T) {
	fake := &breakertest.Trio{}
	b := breaker.Adapt(fake)
	require.NoError(t, b.Allow())
	b.MarkSuccess()
	require.NoError(t, b.Allow())
	b.MarkFailed()
	require.Equal(t, []string{"Allow", "MarkSuccess", "Allow", "MarkFailed"}, fake.Heard())
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 1})

	fake.Reject(circuitbreaker.ErrNotAllowed)
	require.Error(t, b.Allow())
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 1, Rejected: 1})
	b.MarkFailed()
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 1, Rejected: 1})
	require.Equal(t, []string{"Allow", "MarkFailed"}, fake.Heard())
	b.MarkFailed()
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 2, Rejected: 1})
}

func TestAdapt_BehindKratosMiddlewareBooksEachRejectionOnce(t *testing.T) {
	ctx := breakertest.ClientContext(t.Context(), "/helloworld.v1.Greeter/SayHello")
	for _, host := range []struct {
		name string
		make func() breaker.Breaker
	}{
		{"adapted fake", func() breaker.Breaker { return breaker.Adapt(&counting{rejectEvery: 3}) }},
		{"adapted aegis", unwilling[1].make},
		{"sre", unwilling[0].make},
	} {
		t.Run(host.name, func(t *testing.T) {
			b := host.make()
			want := b.Snapshot().Totals
			want = breaker.Totals{Failure: want.Failure, Rejected: want.Rejected}
			m := kratoscb.Client(kratoscb.WithCircuitBreaker(func() circuitbreaker.CircuitBreaker { return b }))
			for n := range 1000 {
				var end error
				if n%2 == 0 {
					end = context.DeadlineExceeded
				}
				called := false
				_, err := m(func(context.Context, any) (any, error) {
					called = true
					return nil, end
				})(ctx, nil)
				switch {
				case !called:
					require.Same(t, kratoscb.ErrNotAllowed, err)
					want.Rejected++
				case end != nil:
					want.Failure++
				default:
					want.Success++
				}
				breakertest.RequireTotals(t, b, want)
			}
			require.Greater(t, want.Rejected, uint64(300))
		})
	}
}

func TestAdapt_BehindKratosMiddlewareTheBreakerIsToldWhatKratosTells(t *testing.T) {
	ctx := breakertest.ClientContext(t.Context(), "/helloworld.v1.Greeter/SayHello")
	alone, adapted := &breakertest.Trio{}, &breakertest.Trio{}
	for _, step := range []struct {
		rejection, end error
	}{{nil, nil}, {nil, errBackend}, {circuitbreaker.ErrNotAllowed, nil}, {errRejected, nil}, {nil, nil}} {
		for fake, host := range map[*breakertest.Trio]circuitbreaker.CircuitBreaker{alone: alone, adapted: breaker.Adapt(adapted)} {
			fake.Reject(step.rejection)
			m := kratoscb.Client(kratoscb.WithCircuitBreaker(func() circuitbreaker.CircuitBreaker { return host }))
			_, _ = m(func(context.Context, any) (any, error) { return nil, step.end })(ctx, nil)
		}
		require.Equal(t, alone.Heard(), adapted.Heard())
	}
}
