package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

func TestReconfigure_APermitIsSettledUnderWhateverRulesFollow(t *testing.T) {
	sets := map[string][]circuit.Option{
		"defaults":        nil,
		"last calls":      {circuit.WithFailureCount(50, 100)},
		"a rate":          {circuit.WithFailureRate(0.9, 50, time.Second)},
		"slow calls":      {circuit.WithSlowCallRate(100*time.Millisecond, 0.9, 50, time.Second)},
		"more slow calls": {circuit.WithSlowCallRate(200*time.Millisecond, 0.9, 50, time.Minute)},
	}
	for was, from := range sets {
		for is, to := range sets {
			t.Run(was+", "+is, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := circuit.NewBreaker(from...)
					var permits []breaker.Permit
					for range 20 {
						permits = append(permits, mustAcquire(t, b))
					}
					b.Reconfigure(to...)
					require.Equal(t, breaker.Totals{Offered: 20, Allowed: 20, InFlight: 20}, b.Snapshot().Totals)
					for i, p := range permits {
						p.Done([]breaker.Outcome{breaker.Success, breaker.Failure, breaker.Success, breaker.Ignored, breaker.Success}[i%5])
						p.Done(breaker.Failure) // void
					}
					s := b.Snapshot()
					require.Equal(t, breaker.Totals{Offered: 20, Allowed: 20, Success: 12, Failure: 4, Ignored: 4}, s.Totals)
					require.Equal(t, breaker.Window{Length: s.Window.Length, Success: 12, Failure: 4}, s.Window, "they count")
				})
			})
		}
	}
}

func TestReconfigure_CallsInFlightAreTimedIfTheyWereWhenTheyBegan(t *testing.T) {
	off := circuit.WithConsecutiveFailures(100)
	on := func(threshold time.Duration) circuit.Option {
		return circuit.WithSlowCallRate(threshold, 0.5, 4, slowPeriod)
	}
	for _, c := range []struct {
		name   string
		before circuit.Option
		after  []circuit.Option // each after another 100 ms
		slow   uint64
	}{
		{"on", off, []circuit.Option{on(100 * time.Millisecond)}, 0},
		{"off", on(50 * time.Millisecond), []circuit.Option{off}, 0},
		{"off and on", on(50 * time.Millisecond), []circuit.Option{off, on(150 * time.Millisecond)}, 3},
		{"on and off and on", off, []circuit.Option{on(100 * time.Millisecond), off, on(time.Millisecond)}, 0},
		{"a lower threshold", on(time.Second), []circuit.Option{on(100 * time.Millisecond)}, 3},
		{"a higher threshold", on(50 * time.Millisecond), []circuit.Option{on(101 * time.Millisecond)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(c.before)
				var permits []breaker.Permit
				for range 3 {
					permits = append(permits, mustAcquire(t, b))
				}
				for _, after := range c.after {
					time.Sleep(100 * time.Millisecond)
					b.Reconfigure(after)
				}
				require.Equal(t, c.slow, b.Snapshot().Window.Slow, "in flight")
				for _, p := range permits {
					p.Done(breaker.Success)
				}
				require.Equal(t, c.slow, b.Snapshot().Window.Slow, "and when they ended")
				require.Equal(t, breaker.Totals{Offered: 3, Allowed: 3, Success: 3}, b.Snapshot().Totals)
				callTimes(t, b, 1, breaker.Success)
				require.Equal(t, c.slow == 3, b.Snapshot().State == breaker.Open, "3 of 4")
			})
		})
	}
}

func TestReconfigure_TheNextCallLooksForOnesInFlightThatAreSlowNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithSlowCallRate(time.Hour, 0.5, 4, slowPeriod))
		for range 4 {
			mustAcquire(t, b)
		}
		time.Sleep(time.Second)
		require.NoError(t, b.Allow()) // it has looked
		b.Reconfigure(circuit.WithSlowCallRate(time.Second, 0.5, 4, slowPeriod))
		requireState(t, breaker.Closed, b)
		require.Error(t, b.Allow())
		require.Equal(t, "4 of 4 calls within 10s were slow", b.Snapshot().Cause)
	})
}

func TestReconfigure_AProbeIsSlowByTheNewThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			opts []circuit.Option
			want breaker.State
		}{
			{nil, breaker.Closed},
			{[]circuit.Option{circuit.WithSlowCallRate(2*time.Second, 0.5, 4, slowPeriod)}, breaker.Closed},
			{[]circuit.Option{circuit.WithSlowCallRate(time.Second, 0.5, 4, slowPeriod)}, breaker.Open},
		} {
			b := circuit.NewBreaker(circuit.WithSlowCallRate(time.Minute, 0.5, 4, slowPeriod))
			b.HalfOpen()
			probe := mustAcquire(t, b)
			time.Sleep(time.Second)
			b.Reconfigure(c.opts...)
			probe.Done(breaker.Success)
			requireState(t, c.want, b)
		}
	})
}

func TestReconfigure_RejectionsByAllowAreMarkedAsTheNewOptionsHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker()
		b.SetMode(breaker.ForceOpen)
		require.Error(t, b.Allow())
		b.MarkFailed() // the rejection's
		b.Reconfigure(circuit.WithUnmarkedRejections())
		require.Error(t, b.Allow())
		b.MarkFailed() // of a call
		require.Equal(t, breaker.Totals{Offered: 3, Allowed: 1, Rejected: 2, Failure: 1}, b.Snapshot().Totals)
		b.Reconfigure()
		require.Error(t, b.Allow())
		b.MarkFailed()
		require.Equal(t, breaker.Totals{Offered: 4, Allowed: 1, Rejected: 3, Failure: 1}, b.Snapshot().Totals)
	})
}

// Functions may be replaced while one of them runs.
func TestReconfigure_AFunctionThatRunsDecidesNothingByRulesThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *circuit.Breaker
		asked := 0
		b = circuit.NewBreaker(circuit.WithOpenWhen(0, func(circuit.Counts) bool {
			b.Reconfigure(circuit.WithOpenWhen(time.Minute, func(c circuit.Counts) bool {
				asked++
				return c.Failure == 1
			}))
			return true
		}))
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Closed, b)
		require.Zero(t, asked)
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Open, b)
		require.Equal(t, 1, asked)
	})
}

func TestReconfigure_AnOpeningThatAsksForItsDelayGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		var b *circuit.Breaker
		b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithListener(func(breaker.Event) { told++ }),
			circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
				b.Reconfigure(circuit.WithConsecutiveFailures(1), circuit.WithRetryAfter(time.Minute, nil))
				requireRejected(t, b, breaker.ReasonOpen)
				return 7 * time.Second
			}))
		callTimes(t, b, 1, breaker.Failure)
		require.Equal(t, 7*time.Second, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
		require.Equal(t, 1, told)
		time.Sleep(7 * time.Second)
		mustAcquire(t, b).DoneWith(breaker.Result{Outcome: breaker.Failure, RetryAfter: 9 * time.Second})
		require.Equal(t, 9*time.Second, b.Snapshot().RetryAfter)
	})
}

func TestReconfigure_LeavesTheClosedPathFreeOfAllocations(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithSlowCallRate(time.Minute, 0.5, 100, time.Hour))
	b.Reconfigure(circuit.WithFailureRate(0.5, 100, time.Hour), circuit.WithFailureCount(3, 100))
	callTimes(t, b, 10, breaker.Success)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = callOnce(b, breaker.Success) }))
	b.Reconfigure(circuit.WithSlowCallRate(time.Minute, 0.5, 100, time.Hour))
	callTimes(t, b, 10, breaker.Success)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = callOnce(b, breaker.Success) }))
}
