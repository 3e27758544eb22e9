package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

func TestT31_ReconfigureLeavesAnOpenBreakerOpenForAsLongAsItWasTo(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"a shorter delay":  {circuit.WithDelay(time.Nanosecond)},
		"no delay":         {circuit.WithDelay(0)},
		"a longer delay":   {circuit.WithDelay(time.Hour)},
		"other rules":      {circuit.WithFailureRate(0.5, 1000, time.Minute), circuit.WithSlowCallRate(time.Second, 0.5, 1, time.Second)},
		"no other options": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []breaker.Event
				b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(10*time.Second),
					circuit.WithBackoff(2, time.Hour), circuit.WithListener(func(e breaker.Event) { told = append(told, e) }))
				callTimes(t, b, 1, breaker.Failure)
				time.Sleep(10 * time.Second)
				callTimes(t, b, 1, breaker.Failure) // the second opening
				time.Sleep(time.Second)
				before := b.Snapshot()
				require.EqualValues(t, 2, before.Openings)
				require.Equal(t, 19*time.Second, before.RetryAfter)
				for range 3 {
					b.Reconfigure(opts...)
					require.Equal(t, before, b.Snapshot())
				}
				require.Equal(t, 19*time.Second, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
				time.Sleep(19*time.Second - 1)
				requireRejected(t, b, breaker.ReasonOpen)
				time.Sleep(time.Nanosecond)
				callTimes(t, b, 1, breaker.Ignored)
				requireState(t, breaker.HalfOpen, b)
				require.Len(t, told, 4)
			})
		})
	}
}

func TestReconfigure_TheNextDelayIsTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Second))
		for range 3 {
			callTimes(t, b, 1, breaker.Failure)
			time.Sleep(time.Second)
		}
		b.Reconfigure(circuit.WithDelay(time.Second), circuit.WithBackoff(10, time.Hour), circuit.WithProbeLease(time.Minute))
		callTimes(t, b, 1, breaker.Failure)
		require.Equal(t, 1000*time.Second, b.Snapshot().RetryAfter, "the fourth opening")
		time.Sleep(1000 * time.Second)
		mustAcquire(t, b)
		b.Reconfigure(circuit.WithDelay(7*time.Second), circuit.WithProbeLease(time.Minute))
		time.Sleep(time.Minute)
		require.Equal(t, 7*time.Second, b.Snapshot().RetryAfter, "of a probe that was lost")
	})
}

func TestReconfigure_NothingAHalfOpenBreakerIsToldMakesItStay(t *testing.T) {
	probes := func(successes, of int, more ...circuit.Option) []circuit.Option {
		return append(more, circuit.WithProbes(successes, of), circuit.WithDelay(time.Minute))
	}
	asRate := func(n int) []circuit.Option {
		return []circuit.Option{circuit.WithFailureRate(0.5, n, time.Hour), circuit.WithProbesAsInClosed(), circuit.WithDelay(time.Minute)}
	}
	for _, c := range []struct {
		name      string
		from, to  []circuit.Option
		ok, fails int
		running   int
		want      breaker.State
		room      int // for probes then
	}{
		{"enough successes now", probes(5, 5), probes(2, 5), 2, 0, 0, breaker.Closed, 0},
		{"more than enough", probes(5, 5), probes(1, 1), 4, 0, 1, breaker.Closed, 0},
		{"enough failures now", probes(3, 9), probes(3, 9, circuit.WithProbeFailures(2)), 2, 2, 3, breaker.Open, 0},
		{"all that there may be have failed", probes(1, 9), probes(1, 3), 0, 3, 0, breaker.Open, 0},
		{"all that there may be, and neither is enough", probes(9, 12), probes(4, 5), 3, 2, 0, breaker.Open, 0},
		{"as the rate wants it, and closes", asRate(9), asRate(3), 2, 1, 0, breaker.Closed, 0},
		{"as the rate wants it, and opens", asRate(9), asRate(3), 1, 2, 0, breaker.Open, 0},
		{"a rate that waits for all of them", probes(3, 9), asRate(4), 1, 2, 1, breaker.HalfOpen, 0},
		{"as many as there may be run", probes(3, 9), probes(3, 3), 1, 0, 4, breaker.HalfOpen, 0},
		{"a lower limit", probes(3, 9), probes(3, 9, circuit.WithProbeLimit(1)), 1, 1, 3, breaker.HalfOpen, 0},
		{"a higher limit", probes(3, 9, circuit.WithProbeLimit(2)), probes(3, 9, circuit.WithProbeLimit(4)), 1, 1, 2, breaker.HalfOpen, 2},
		{"more probes", probes(2, 2), probes(2, 9), 1, 0, 1, breaker.HalfOpen, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(c.from...)
				b.HalfOpen()
				callTimes(t, b, c.ok, breaker.Success)
				callTimes(t, b, c.fails, breaker.Failure)
				var running []breaker.Permit
				for range c.running {
					running = append(running, mustAcquire(t, b))
				}
				requireState(t, breaker.HalfOpen, b)
				before := b.Snapshot()
				b.Reconfigure(c.to...)
				s := b.Snapshot()
				require.Equal(t, c.want.String(), s.State.String())
				require.Equal(t, before.Totals, s.Totals)
				if c.want != breaker.HalfOpen {
					require.Equal(t, "the results of the probes", s.Cause)
					require.Equal(t, c.want == breaker.Open, s.RetryAfter == time.Minute)
					for _, p := range running {
						p.Done(breaker.Failure) // late
					}
					require.Equal(t, c.want.String(), b.Snapshot().State.String())
					require.Zero(t, b.Snapshot().Totals.InFlight)
					return
				}
				require.Equal(t, before.Window, s.Window)
				var more []breaker.Permit
				for range c.room {
					more = append(more, mustAcquire(t, b))
				}
				requireRejected(t, b, breaker.ReasonProbeLimit)
				for _, p := range append(running, more...) {
					p.Done(breaker.Ignored) // no result: another one takes the place
				}
				for i := 0; b.Snapshot().State == breaker.HalfOpen; i++ {
					require.Less(t, i, 10)
					callTimes(t, b, 1, breaker.Success)
				}
			})
		})
	}
}

// An operator may have set a lease that is far too long.
func TestReconfigure_AShorterLeaseIsThatOfProbesInFlightToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbeLease(aDay), circuit.WithProbes(1, 3), circuit.WithProbeFailures(3))
		b.HalfOpen()
		for range 3 {
			mustAcquire(t, b) // and forgotten
			time.Sleep(time.Second)
		}
		requireRejected(t, b, breaker.ReasonProbeLimit)
		told := time.Now()
		b.Reconfigure(circuit.WithProbeLease(2*time.Second), circuit.WithProbes(1, 3), circuit.WithProbeFailures(3))
		s := b.Snapshot()
		require.Equal(t, breaker.Window{Failure: 2}, s.Window, "they began 3 s and 2 s ago")
		time.Sleep(time.Second)
		s = b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.Equal(t, told.Add(time.Second), s.Since)
		require.Equal(t, breaker.Totals{Offered: 4, Allowed: 3, Rejected: 1, Failure: 3}, s.Totals)
	})
}

// Its lease has ended, although no call has met that yet.
func TestReconfigure_AProbeThatIsLostStaysLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbeLease(time.Second))
		b.HalfOpen()
		probe := mustAcquire(t, b)
		time.Sleep(2 * time.Second)
		before := b.Snapshot()
		require.Equal(t, breaker.Open, before.State)
		b.Reconfigure(circuit.WithProbeLease(time.Minute))
		require.Equal(t, before, b.Snapshot())
		probe.Done(breaker.Success)
		require.Equal(t, before, b.Snapshot())
	})
}

func TestReconfigure_ALongerLeaseIsThatOfProbesInFlightToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbeLease(time.Second))
		b.HalfOpen()
		probe := mustAcquire(t, b)
		b.Reconfigure(circuit.WithProbeLease(time.Minute))
		time.Sleep(time.Minute - 1)
		requireState(t, breaker.HalfOpen, b)
		probe.Done(breaker.Success)
		requireState(t, breaker.Closed, b)
	})
}

func TestReconfigure_ModeNameAndListenersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		b := circuit.NewBreaker(circuit.WithName("users"), circuit.WithListener(func(e breaker.Event) {
			require.Equal(t, "users", e.Snapshot.Name)
			told++
		}))
		for _, m := range []breaker.Mode{breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun} {
			b.SetModeFor(m, time.Minute)
			before := b.Snapshot()
			b.Reconfigure(circuit.WithConsecutiveFailures(1), circuit.WithProbes(1, 2+told))
			require.Equal(t, before, b.Snapshot())
			time.Sleep(time.Minute)
			callTimes(t, b, 1, breaker.Failure)
			require.Equal(t, "users", theRejection(t, b, breaker.ReasonOpen).Name())
			b.Close()
		}
		require.Equal(t, 6, told)
	})
}
