package circuit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

func TestF37_OpenHalfOpenAndCloseWorkFromAnyState(t *testing.T) {
	states := []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open}
	to := func(b *circuit.Breaker, s breaker.State) {
		map[breaker.State]func(){breaker.Closed: b.Close, breaker.HalfOpen: b.HalfOpen, breaker.Open: b.Open}[s]()
	}
	for _, from := range states {
		for _, s := range states {
			t.Run(from.String()+" to "+s.String(), func(t *testing.T) {
				var changes []change
				b := circuit.NewBreaker(recordInto(&changes))
				to(b, from)
				requireStateOf(t, b, from)
				changes = nil
				to(b, s)
				requireStateOf(t, b, s)
				if from == s {
					require.Empty(t, changes)
					return
				}
				require.Equal(t, []change{{from, s}}, changes)
				require.Equal(t, "by hand", b.Snapshot().Cause)
			})
		}
	}
	t.Run("the delay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Minute),
				circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return 10 * time.Second }))
			b.Open()
			require.Equal(t, time.Minute, b.Snapshot().RetryAfter, "by hand, the fixed one")
			time.Sleep(20 * time.Second)
			b.Open()
			require.Equal(t, 40*time.Second, b.Snapshot().RetryAfter, "it runs on")
			b.Close()
			makeCalls(t, b, "F")
			time.Sleep(4 * time.Second)
			b.Open()
			require.Equal(t, 6*time.Second, b.Snapshot().RetryAfter, "it runs on")
			time.Sleep(6 * time.Second)
			b.Open()
			requireStateOf(t, b, breaker.Open) // it was half-open by then
			require.Equal(t, time.Minute, b.Snapshot().RetryAfter)
		})
	})
}

func TestF38_ABreakerSeesTheResultsOfAllWhoShareIt(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(4))
	require.Same(t, errDown, runErr(t.Context(), b, errDown))
	_, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 0, errDown })
	require.Same(t, errDown, err)
	makeCalls(t, b, "F")
	requireStateOf(t, b, breaker.Closed)
	require.NoError(t, b.Allow())
	b.MarkFailed()
	requireStateOf(t, b, breaker.Open)
	require.ErrorIs(t, runErr(t.Context(), b, nil), circuitbreaker.ErrNotAllowed)
	require.ErrorIs(t, b.Allow(), circuitbreaker.ErrNotAllowed)
	requireRejection(t, b, breaker.ReasonOpen)
}

func TestF39_NestedBreakersEachSeeTheErrorsThatTheyHandle(t *testing.T) {
	errA, errB := errors.New("a"), errors.New("b")
	type layer struct {
		*circuit.Breaker
		handles error
	}
	call := func(outer, inner layer, err error) error {
		return breaker.Run(t.Context(), outer, func(ctx context.Context) error {
			return runErr(ctx, inner, err, handle(isErr(inner.handles)))
		}, handle(isErr(outer.handles)))
	}
	for name, aInside := range map[string]bool{"a inside": true, "a outside": false} {
		for _, err := range []error{errA, errB} {
			t.Run(name+", error "+err.Error(), func(t *testing.T) {
				a := layer{circuit.NewBreaker(circuit.WithConsecutiveFailures(1)), errA}
				b := layer{circuit.NewBreaker(circuit.WithConsecutiveFailures(1)), errB}
				outer, inner := a, b
				if aInside {
					outer, inner = b, a
				}
				require.Same(t, err, call(outer, inner, err))
				for _, l := range []layer{a, b} {
					want := breaker.Closed
					if l.handles == err {
						want = breaker.Open
					}
					requireStateOf(t, l.Breaker, want)
				}
				require.ErrorIs(t, call(outer, inner, nil), circuitbreaker.ErrNotAllowed)
			})
		}
	}
	t.Run("the rejection of the inner one", func(t *testing.T) {
		inner, outer := circuit.NewBreaker(), circuit.NewBreaker()
		inner.Open()
		rejected := func(opts ...breaker.Option) {
			require.ErrorIs(t, breaker.Run(t.Context(), outer, func(ctx context.Context) error {
				return runErr(ctx, inner, nil)
			}, opts...), circuitbreaker.ErrNotAllowed)
		}
		rejected()
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Ignored: 1}, outer.Snapshot().Totals)
		rejected(handle(isErr(circuitbreaker.ErrNotAllowed)))
		require.Equal(t, breaker.Totals{Offered: 2, Allowed: 2, Ignored: 1, Failure: 1}, outer.Snapshot().Totals)
	})
}
