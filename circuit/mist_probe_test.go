package circuit_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// waitForProbes opens b and sleeps until it is half-open.
func waitForProbes(t *testing.T, b *circuit.Breaker) {
	t.Helper()
	b.Open()
	requireStateOf(t, b, breaker.Open)
	time.Sleep(b.Snapshot().RetryAfter)
	requireStateOf(t, b, breaker.HalfOpen)
}

func TestM08_NoMoreProbesThanTheLimitRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 3)
		waitForProbes(t, b)
		running, release := 0, make(chan error)
		for range 3 {
			go func() {
				_ = breaker.Run(t.Context(), b, func(context.Context) error {
					running++ // they begin one by one, see Wait
					return <-release
				})
			}()
			synctest.Wait()
		}
		require.Equal(t, 3, running)
		err := breaker.Run(t.Context(), b, func(context.Context) error {
			t.Error("a fourth function ran")
			return nil
		})
		require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
		requireRejection(t, b, breaker.ReasonProbeLimit)
		for range 3 {
			release <- nil
		}
		synctest.Wait()
		requireStateOf(t, b, breaker.Closed)
	})
}

func TestM09_OneSuccessfulProbeClosesWhileOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 3)
		waitForProbes(t, b)
		probes := takePermits(t, b, 3)
		probes[1].Done(breaker.Success)
		requireStateOf(t, b, breaker.Closed)
		require.EqualValues(t, 2, b.Snapshot().Totals.InFlight)
	})
}

func TestM10_OneFailedProbeReopensForTheWholeDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 3, circuit.WithDelay(7*time.Second))
		waitForProbes(t, b)
		time.Sleep(time.Second)
		makeCalls(t, b, "F")
		requireStateOf(t, b, breaker.Open)
		require.Equal(t, 7*time.Second, b.Snapshot().RetryAfter)
		time.Sleep(7*time.Second - time.Nanosecond)
		requireRejection(t, b, breaker.ReasonOpen)
		time.Sleep(time.Nanosecond)
		takePermits(t, b, 1)
	})
}

func TestM11_AProbeThatFailsAfterAnotherOneClosedChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 2) // one failure of the closed state would open it
		waitForProbes(t, b)
		probes := takePermits(t, b, 2)
		probes[0].Done(breaker.Success)
		requireStateOf(t, b, breaker.Closed)
		probes[1].Done(breaker.Failure)
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Zero(t, s.ConsecutiveFailures)
		require.Zero(t, s.Window)
		require.EqualValues(t, 1, s.Totals.Failure)
	})
}

func TestM12_AProbeThatSucceedsAfterAnotherOneReopenedChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 2)
		waitForProbes(t, b)
		probes := takePermits(t, b, 2)
		probes[0].Done(breaker.Failure)
		requireStateOf(t, b, breaker.Open)
		probes[1].Done(breaker.Success)
		requireStateOf(t, b, breaker.Open)
		require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
		require.EqualValues(t, 1, b.Snapshot().Totals.Success)
	})
}

func TestM18_AProbeWhoseCallerLeavesGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 1)
		waitForProbes(t, b)
		left, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			require.Same(t, context.Canceled, runErr(left, b, context.Canceled))
			requireStateOf(t, b, breaker.HalfOpen)
		}
		require.NoError(t, runErr(t.Context(), b, nil))
		requireStateOf(t, b, breaker.Closed)
	})
}

func TestM19_AProbeThatPanicsOrEndsItsGoroutineHasFailedAndGivesItsPlaceBack(t *testing.T) {
	value := &struct{ name string }{"the value of the panic"}
	for name, end := range map[string]func(t *testing.T, run func(fn func())){
		"panic": func(t *testing.T, run func(func())) {
			defer func() { require.Same(t, value, recover()) }()
			run(func() { panic(value) })
		},
		"Goexit": func(_ *testing.T, run func(func())) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				run(runtime.Goexit)
			}()
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := func(b *circuit.Breaker) {
					end(t, func(fn func()) {
						_ = breaker.Run(t.Context(), b, func(context.Context) error { fn(); return nil })
						t.Error("Run returned")
					})
				}
				b := circuit.NewBreaker(circuit.WithProbes(2, 3), circuit.WithProbeLimit(1))
				waitForProbes(t, b)
				bad(b)
				require.Equal(t, breaker.Window{Failure: 1}, b.Snapshot().Window)
				makeCalls(t, b, "SS") // at once: no lease has to end before
				requireStateOf(t, b, breaker.Closed)

				b = mistLike(2, 1)
				bad(b)
				require.EqualValues(t, 1, b.Snapshot().ConsecutiveFailures, "closed, it counts, too")
				bad(b)
				requireStateOf(t, b, breaker.Open)
				time.Sleep(30 * time.Second)
				bad(b)
				requireStateOf(t, b, breaker.Open)
				require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
				time.Sleep(30 * time.Second)
				makeCalls(t, b, "S")
				requireStateOf(t, b, breaker.Closed)
			})
		})
	}
}

func TestM20_ACallFromTheClosedStateChangesNothingInTheHalfOpenOne(t *testing.T) {
	for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := mistLike(1, 1)
				late := takePermits(t, b, 2)
				waitForProbes(t, b)
				late[0].Done(o)
				requireStateOf(t, b, breaker.HalfOpen)
				probe := takePermits(t, b, 1)[0]
				late[1].Done(o)
				requireStateOf(t, b, breaker.HalfOpen)
				require.Zero(t, b.Snapshot().Window)
				requireRejection(t, b, breaker.ReasonProbeLimit)
				require.EqualValues(t, 1, b.Snapshot().Totals.InFlight)
				probe.Done(breaker.Success)
				requireStateOf(t, b, breaker.Closed)
			})
		})
	}
}

func TestM21_ALateFailureLeavesTheOpenStateAsItIsAndCountsInTheTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(2, 1)
		late := takePermits(t, b, 1)[0]
		makeCalls(t, b, "FF")
		time.Sleep(10 * time.Second)
		before := b.Snapshot()
		late.Done(breaker.Failure)
		after := b.Snapshot()
		require.EqualValues(t, 3, after.Totals.Failure)
		require.Equal(t, 20*time.Second, after.RetryAfter)
		before.Totals = after.Totals
		require.Equal(t, before, after)
	})
}

func TestM25_TheFallbackAnswersWhileEnoughProbesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 1)
		waitForProbes(t, b)
		takePermits(t, b, 1)
		v, err := breaker.Do(t.Context(), b, func(context.Context) (string, error) { return "fresh", nil },
			breaker.WithFallback(func(_ context.Context, rejected error) (string, error) {
				return rejected.Error(), nil
			}))
		require.NoError(t, err)
		require.Equal(t, "circuit breaker rejected the call: probe limit", v)
	})
}
