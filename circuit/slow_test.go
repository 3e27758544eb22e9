package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

const (
	slowThreshold = 100 * time.Millisecond
	slowPeriod    = 10 * time.Second
)

// slowBreaker opens when half of at least 4 calls within 10 s take 100 ms.
func slowBreaker(opts ...circuit.Option) *circuit.Breaker {
	return circuit.NewBreaker(append(opts, circuit.WithSlowCallRate(slowThreshold, 0.5, 4, slowPeriod))...)
}

func slowAcquire(t *testing.T, b *circuit.Breaker) breaker.Permit {
	t.Helper()
	p, err := b.Acquire()
	require.NoError(t, err)
	return p
}

// slowCalls makes calls at once that take so long.
func slowCalls(t *testing.T, b *circuit.Breaker, n int, took time.Duration, o breaker.Outcome) {
	t.Helper()
	var permits []breaker.Permit
	for range n {
		permits = append(permits, slowAcquire(t, b))
	}
	time.Sleep(took)
	for _, p := range permits {
		p.Done(o)
	}
}

func TestSlowCallRate_ACallIsSlowFromTheThresholdOn(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		slow uint64
		want breaker.State
	}{
		{slowThreshold - time.Nanosecond, 0, breaker.Closed},
		{slowThreshold, 4, breaker.Open},
	} {
		synctest.Test(t, func(t *testing.T) {
			var window breaker.Window
			b := slowBreaker(circuit.WithListener(func(e breaker.Event) { window = e.Snapshot.Window }))
			slowCalls(t, b, 4, c.took, breaker.Success)
			require.Equal(t, c.want, b.Snapshot().State)
			require.Equal(t, c.slow, b.Snapshot().Window.Slow)
			require.Equal(t, c.slow, window.Slow)
		})
	}
}

func TestSlowCallRate_ABackendThatHangsOpensTheBreakerBeforeItsFirstAnswer(t *testing.T) {
	for name, ask := range map[string]func(*circuit.Breaker) error{
		"Acquire": func(b *circuit.Breaker) error {
			p, err := b.Acquire()
			if err == nil {
				p.Done(breaker.Ignored)
			}
			return err
		},
		"Allow": (*circuit.Breaker).Allow,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := slowBreaker()
				for range 4 {
					slowAcquire(t, b)
				}
				time.Sleep(slowThreshold - time.Nanosecond)
				require.NoError(t, ask(b))
				time.Sleep(time.Nanosecond)
				require.Equal(t, breaker.Closed, b.Snapshot().State, "reading changes nothing")
				require.EqualValues(t, 4, b.Snapshot().Window.Slow)
				var rejected *breaker.RejectedError
				require.ErrorAs(t, ask(b), &rejected)
				require.Equal(t, breaker.ReasonOpen, rejected.Reason())
				s := b.Snapshot()
				require.Equal(t, "4 of 4 calls within 10s were slow", s.Cause)
				require.Zero(t, s.Totals.Failure+s.Totals.Success, "nobody has answered")
				require.EqualValues(t, 4, s.Totals.InFlight)
			})
		})
	}
}

func TestSlowCallRate_NoticesEachCallInFlightWhenItBecomesSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		const apart = slowThreshold / 10
		for range 4 {
			slowAcquire(t, b)
			time.Sleep(apart)
		}
		time.Sleep(slowThreshold - 4*apart)
		for range 3 {
			require.NoError(t, b.Allow())
			time.Sleep(apart)
		}
		require.Error(t, b.Allow(), "the fourth is slow now")
	})
}

func TestSlowCallRate_FewerCallsThanMinCallsDoNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		for range 3 {
			slowAcquire(t, b)
		}
		time.Sleep(slowThreshold)
		fourth := slowAcquire(t, b)
		fourth.Done(breaker.Success) // the fourth call: three of four are slow
		require.Error(t, b.Allow())
	})
}

func TestSlowCallRate_OpensWithTheSuccessThatReachesMinCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		slowCalls(t, b, 2, slowThreshold, breaker.Success)
		slowCalls(t, b, 1, 0, breaker.Success)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		slowCalls(t, b, 1, 0, breaker.Success)
		require.Equal(t, "2 of 4 calls within 10s were slow", b.Snapshot().Cause)
	})
}

func TestSlowCallRate_AShareBelowTheRatioDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		slowCalls(t, b, 5, 0, breaker.Success)
		slowCalls(t, b, 4, slowThreshold, breaker.Success)
		require.NoError(t, b.Allow(), "4 of 9")
		slowCalls(t, b, 1, slowThreshold, breaker.Success)
		require.Error(t, b.Allow(), "5 of 10")
	})
}

func TestSlowCallRate_ASlowSuccessIsNoFailureForOtherRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(
			circuit.WithConsecutiveFailures(2),
			circuit.WithFailureRate(0.5, 3, slowPeriod),
			circuit.WithSlowCallRate(slowThreshold, 1, 100, slowPeriod),
		)
		slowCalls(t, b, 1, 0, breaker.Failure)
		slowCalls(t, b, 5, slowThreshold, breaker.Success)
		slowCalls(t, b, 1, 0, breaker.Failure)
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Equal(t, breaker.Window{Length: slowPeriod, Success: 5, Failure: 2, Slow: 5}, s.Window)
		slowCalls(t, b, 1, slowThreshold, breaker.Failure)
		require.Equal(t, "2 failures in a row", b.Snapshot().Cause, "a slow failure is one")
	})
}

func TestSlowCallRate_ASlowCallCountsHoweverItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		slowCalls(t, b, 10, slowThreshold-time.Nanosecond, breaker.Ignored)
		require.Equal(t, breaker.Window{Length: slowPeriod}, b.Snapshot().Window, "ignored in time, they are in no window")
		slowCalls(t, b, 3, slowThreshold, breaker.Ignored)
		require.EqualValues(t, 3, b.Snapshot().Window.Slow)
		slowCalls(t, b, 1, slowThreshold, breaker.Ignored)
		require.Equal(t, "4 of 4 calls within 10s were slow", b.Snapshot().Cause)
		require.Equal(t, breaker.Totals{Offered: 14, Allowed: 14, Ignored: 14}, b.Snapshot().Totals)
	})
}

func TestSlowCallRate_ASlowProbeHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
			b := slowBreaker()
			b.HalfOpen()
			slowCalls(t, b, 1, slowThreshold, o)
			s := b.Snapshot()
			require.Equal(t, breaker.Open, s.State)
			require.EqualValues(t, 1, s.Totals.Success+s.Totals.Failure+s.Totals.Ignored, "of the call, not of the probe")
			b.HalfOpen()
			slowCalls(t, b, 1, slowThreshold-time.Nanosecond, breaker.Success)
			require.Equal(t, breaker.Closed, b.Snapshot().State)
		}
	})
}

func TestSlowCallRate_SlowCallsLeaveTheWindowWithTheirPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		hanging := slowAcquire(t, b)
		slowCalls(t, b, 2, slowThreshold, breaker.Success)
		require.EqualValues(t, 3, b.Snapshot().Window.Slow)
		time.Sleep(slowPeriod)
		require.EqualValues(t, 1, b.Snapshot().Window.Slow, "the one in flight stays")
		slowCalls(t, b, 1, slowThreshold, breaker.Success)
		hanging.Done(breaker.Success)
		require.EqualValues(t, 2, b.Snapshot().Window.Slow, "it counts when it ended")
		slowCalls(t, b, 1, 0, breaker.Success)
		require.NoError(t, b.Allow(), "only three calls are within the period")
		slowCalls(t, b, 1, 0, breaker.Success)
		require.Error(t, b.Allow())
	})
}

func TestSlowCallRate_CallsOfAnEarlierStateDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		var old []breaker.Permit
		for range 10 {
			old = append(old, slowAcquire(t, b))
		}
		b.Reset()
		time.Sleep(slowThreshold)
		slowCalls(t, b, 4, 0, breaker.Success)
		require.Zero(t, b.Snapshot().Window.Slow)
		for _, p := range old {
			p.Done(breaker.Failure)
		}
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Equal(t, breaker.Window{Length: slowPeriod, Success: 4}, s.Window)
		require.Equal(t, breaker.Totals{Offered: 14, Allowed: 14, Success: 4, Failure: 10}, s.Totals)
	})
}

func TestSlowCallRate_AnOldPermitDoesNotSettleTheNextCallOfItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		const n = 100 // more than there are places at first
		var old, now []breaker.Permit
		for range n {
			old = append(old, slowAcquire(t, b))
		}
		require.EqualValues(t, n, b.Snapshot().Totals.InFlight)
		for _, p := range old {
			p.Done(breaker.Success)
		}
		for range n {
			now = append(now, slowAcquire(t, b))
		}
		for _, p := range old {
			p.Done(breaker.Failure)
		}
		require.Equal(t, breaker.Totals{Offered: 2 * n, Allowed: 2 * n, Success: n, InFlight: n}, b.Snapshot().Totals)
		for _, p := range now {
			p.Done(breaker.Ignored)
			p.Done(breaker.Failure)
		}
		require.Equal(t, breaker.Totals{Offered: 2 * n, Allowed: 2 * n, Success: n, Ignored: n}, b.Snapshot().Totals)
	})
}

func TestSlowCallRate_PlacesAreReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		permits := make([]breaker.Permit, 100)
		all := func() {
			for i := range permits {
				permits[i] = slowAcquire(t, b)
			}
			for _, p := range permits {
				p.Done(breaker.Success)
			}
		}
		all()
		require.Zero(t, testing.AllocsPerRun(100, all))
	})
}

// An ignored outcome began the bucket without a look at the rates, so the
// success after it was not judged.
func TestFailureRate_DecidesAfterASuccessThatFollowsAnIgnoredOneInANewBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker(circuit.WithFailureRate(0.5, 5, slowPeriod))
		slowCalls(t, b, 10, 0, breaker.Success)
		time.Sleep(slowPeriod / 2)
		slowCalls(t, b, 5, 0, breaker.Failure)
		require.Equal(t, breaker.Closed, b.Snapshot().State, "5 of 15")
		time.Sleep(slowPeriod / 2) // the successes have left the window
		slowCalls(t, b, 1, 0, breaker.Ignored)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		slowCalls(t, b, 1, 0, breaker.Success)
		require.Equal(t, "5 of 6 calls within 10s failed", b.Snapshot().Cause)
	})
}
