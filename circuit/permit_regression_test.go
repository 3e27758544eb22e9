package circuit_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The TestT.. tests are regressions for the traps that other breakers fell into, here
// those about permits and probes. Without a test are
//
//   - T15, of breakers that share their state: this one shares it with nobody.
//   - T23, of breakers that are restored from a file: this one cannot be.
//   - T26 to T30, of groups and of reloading, and T32 to T37, of transports: they
//     belong to the packages of those. T31 is with the tests of Reconfigure.

func TestT01_NoWayForAProbeToEndKeepsItsPlace(t *testing.T) {
	const delay, lease = 10 * time.Second, 3 * time.Second
	run := func(f func(context.Context) error, opts ...breaker.Option) func(t *testing.T, b *circuit.Breaker) {
		return func(_ *testing.T, b *circuit.Breaker) {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { _ = recover() }()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				_ = breaker.Run(context.WithValue(ctx, cancelKey{}, cancel), b, f, opts...)
			}()
			<-ended
		}
	}
	ok := func(context.Context) error { return nil }
	for _, c := range []struct {
		name  string
		probe func(t *testing.T, b *circuit.Breaker)
		room  time.Duration // after which there is room for another probe
	}{
		{"ignored", func(_ *testing.T, b *circuit.Breaker) { _ = callOnce(b, breaker.Ignored) }, 0},
		{"cancelled by the caller", run(func(ctx context.Context) error {
			ctx.Value(cancelKey{}).(context.CancelFunc)()
			return ctx.Err()
		}), 0},
		{"ignored by the classifier", run(ok, breaker.WithClassifier(func(error) breaker.Outcome { return breaker.Ignored })), 0},
		{"marked as ignored", func(t *testing.T, b *circuit.Breaker) {
			require.NoError(t, b.Allow())
			b.MarkIgnored()
		}, 0},
		{"failed", run(func(context.Context) error { return errBackend }), delay},
		{"panic", run(func(context.Context) error { panic("boom") }), delay},
		{"Goexit", run(func(context.Context) error {
			abruptEnds[1].end()
			return nil
		}), delay},
		{"panic of the classifier", run(ok, breaker.WithClassifier(func(error) breaker.Outcome { panic("boom") })), delay},
		{"Goexit of the classifier", run(ok, breaker.WithClassifier(func(error) breaker.Outcome {
			abruptEnds[1].end()
			return breaker.Success
		})), delay},
		{"an outcome that is none", func(_ *testing.T, b *circuit.Breaker) { _ = callOnce(b, 77) }, delay},
		{"never settled", func(t *testing.T, b *circuit.Breaker) { mustAcquire(t, b) }, lease + delay},
		{"never marked", func(t *testing.T, b *circuit.Breaker) { require.NoError(t, b.Allow()) }, lease + delay},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithDelay(delay), circuit.WithProbeLease(lease))
				b.HalfOpen()
				for range 3 { // again and again
					c.probe(t, b)
					if c.room > 0 {
						time.Sleep(c.room - time.Nanosecond)
						_, err := b.Acquire()
						require.Error(t, err)
						time.Sleep(time.Nanosecond)
					}
					requireState(t, breaker.HalfOpen, b)
				}
				callTimes(t, b, 1, breaker.Success)
				requireState(t, breaker.Closed, b)
				require.Zero(t, b.Snapshot().Totals.InFlight)
			})
		})
	}
}

type cancelKey struct{}

// The probes of WithProbesAsInClosed with a rate are judged when the last one
// has ended, and the last one may be lost.
func TestT01_ALostProbeIsTheLastOneThatTheVerdictWaitsFor(t *testing.T) {
	for lost := 1; lost <= 5; lost++ {
		t.Run(fmt.Sprintf("%d of 5 lost", lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithFailureRate(0.5, 5, time.Minute), circuit.WithProbesAsInClosed(),
					circuit.WithProbeLease(time.Second), circuit.WithDelay(time.Hour))
				b.HalfOpen()
				for range lost {
					mustAcquire(t, b) // and forgotten
				}
				callTimes(t, b, 5-lost, breaker.Success)
				requireState(t, breaker.HalfOpen, b)
				time.Sleep(time.Second)
				want := breaker.Closed
				if lost*2 >= 5 {
					want = breaker.Open
				}
				requireState(t, want, b)
				err := callOnce(b, breaker.Success)
				require.Equal(t, want == breaker.Closed, err == nil)
				requireState(t, want, b)
				require.Zero(t, b.Snapshot().Totals.InFlight)
			})
		})
	}
}

// Another probe's result has ended the state before the lease of this one.
func TestT01_AForgottenProbeIsGivenUpAlthoughItsStateHasEnded(t *testing.T) {
	for _, other := range []breaker.Outcome{breaker.Success, breaker.Failure} {
		synctest.Test(t, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithProbes(1, 2), circuit.WithProbeFailures(1), circuit.WithDelay(0))
			b.HalfOpen()
			mustAcquire(t, b) // and forgotten
			callTimes(t, b, 1, other)
			time.Sleep(30 * time.Second)
			callTimes(t, b, 1, breaker.Success)
			requireState(t, breaker.Closed, b)
			require.Zero(t, b.Snapshot().Totals.InFlight)
			require.True(t, b.Idle())
		})
	}
}

func TestT02_ALostProbeThatReturnsTouchesNoPlaceOfAnother(t *testing.T) {
	for _, late := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		synctest.Test(t, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithProbes(2, 3), circuit.WithProbeLimit(1),
				circuit.WithProbeLease(time.Second))
			b.HalfOpen()
			lost := mustAcquire(t, b)
			time.Sleep(time.Second)
			second := mustAcquire(t, b) // in the place of the lost one, which failed
			requireState(t, breaker.HalfOpen, b)
			before := b.Snapshot()
			require.EqualValues(t, 1, before.Totals.Failure)
			lost.Done(late)
			require.Equal(t, before, b.Snapshot())
			requireRejected(t, b, breaker.ReasonProbeLimit)
			second.Done(breaker.Success)
			lost.Done(late)
			requireState(t, breaker.HalfOpen, b)
			callTimes(t, b, 1, breaker.Success)
			requireState(t, breaker.Closed, b)
			require.Equal(t, breaker.Totals{Offered: 4, Allowed: 3, Rejected: 1, Success: 2, Failure: 1}, b.Snapshot().Totals)
		})
	}
}

func TestT03_NoResultIsTooOldForTheStateThatItBeganIn(t *testing.T) {
	for name, rule := range map[string]circuit.Option{
		"in a row":     circuit.WithConsecutiveFailures(20),
		"of the last":  circuit.WithFailureCount(20, 20),
		"in a period":  circuit.WithFailuresInPeriod(20, 10*time.Millisecond),
		"rate":         circuit.WithFailureRate(0.5, 20, 10*time.Millisecond),
		"predicate":    circuit.WithOpenWhen(10*time.Millisecond, func(c circuit.Counts) bool { return c.Failure == 20 }),
		"slow calls":   circuit.WithSlowCallRate(time.Millisecond, 1, 20, 10*time.Millisecond),
		"after a mode": circuit.WithConsecutiveFailures(20),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(rule)
				var permits []breaker.Permit
				for range 20 {
					permits = append(permits, mustAcquire(t, b))
				}
				if name == "after a mode" {
					b.SetModeFor(breaker.ForceOpen, time.Minute)
				}
				time.Sleep(time.Hour) // many periods
				for i, p := range permits {
					if name != "slow calls" || i == 0 { // those count before they end
						requireState(t, breaker.Closed, b)
					}
					p.Done(breaker.Failure)
				}
				requireState(t, breaker.Open, b)
			})
		})
	}
}

func TestT04_ARowOfFailuresDoesNotWearOffWithTheBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(20), circuit.WithFailureRate(1, 1_000_000, 300*time.Millisecond))
		for i := range 19 {
			callTimes(t, b, 1, breaker.Failure)
			require.EqualValues(t, i+1, b.Snapshot().ConsecutiveFailures)
			time.Sleep(190 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		require.EqualValues(t, 19, b.Snapshot().ConsecutiveFailures)
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Open, b)
		require.Equal(t, "20 failures in a row", b.Snapshot().Cause)
	})
}

// TestT05_APermitOfAnotherStateMovesNothing settles permits at random times of
// random histories. One that an earlier state issued changes the totals only.
func TestT05_APermitOfAnotherStateMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) {
			type held struct {
				breaker.Permit
				state int
			}
			var permits []held
			state := 0 // its number
			b := circuit.NewBreaker(circuit.WithFailureCount(2, 3), circuit.WithProbes(2, 3),
				circuit.WithDelay(time.Second), circuit.WithProbeLease(5*time.Second),
				circuit.WithListener(func(breaker.Event) { state++ }))
			outcome := rapid.SampledFrom([]breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored})
			var want breaker.Totals
			t.Repeat(map[string]func(*rapid.T){
				"acquire": func(*rapid.T) {
					p, err := b.Acquire()
					want.Offered++
					if err != nil {
						want.Rejected++
						return
					}
					want.Allowed++
					permits = append(permits, held{p, state})
				},
				"settle": func(t *rapid.T) {
					if len(permits) == 0 {
						t.Skip("no permit is held")
					}
					i := rapid.IntRange(0, len(permits)-1).Draw(t, "permit")
					p := permits[i]
					permits = append(permits[:i], permits[i+1:]...)
					before, then := b.Snapshot(), state
					p.Done(outcome.Draw(t, "outcome"))
					after := b.Snapshot()
					before.Totals, after.Totals = breaker.Totals{}, breaker.Totals{}
					if p.state != then {
						require.Equal(t, before, after)
					}
				},
				"wait": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
				},
				"open":      func(*rapid.T) { b.Open() },
				"half-open": func(*rapid.T) { b.HalfOpen() },
				"close":     func(*rapid.T) { b.Close() },
				"reset": func(*rapid.T) {
					b.Reset()
					state++ // of a closed breaker, without an event
				},
			})
			for _, p := range permits {
				p.Done(breaker.Ignored)
			}
			got := b.Snapshot().Totals
			require.Equal(t, want.Offered, got.Offered)
			require.Equal(t, want.Allowed, got.Allowed)
			require.Equal(t, want.Rejected, got.Rejected)
			require.Zero(t, got.InFlight)
			require.Equal(t, got.Allowed, got.Success+got.Failure+got.Ignored)
		})
	})
}

// Kratos' middleware calls MarkFailed after each rejection.
func TestT06_ARejectionIsNoFailure(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	b.HalfOpen()
	require.NoError(t, b.Allow())
	for range 10 {
		require.Error(t, b.Allow())
		b.MarkFailed()
		requireRejected(t, b, breaker.ReasonProbeLimit)
	}
	requireState(t, breaker.HalfOpen, b)
	b.MarkSuccess()
	requireState(t, breaker.Closed, b)
	b.Open()
	for range 10 {
		require.Error(t, b.Allow())
		b.MarkFailed()
	}
	b.Close()
	require.Zero(t, b.Snapshot().ConsecutiveFailures)
	require.Equal(t, breaker.Totals{Offered: 31, Allowed: 1, Success: 1, Rejected: 30}, b.Snapshot().Totals)
}

func TestT07_ResultsWithoutAProbeMakeNoRoomForMore(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(3, 3), circuit.WithConsecutiveFailures(100))
	var old []breaker.Permit
	for range 10 {
		old = append(old, mustAcquire(t, b))
	}
	b.HalfOpen()
	allowed := 0
	for i := range 10 {
		if _, err := b.Acquire(); err == nil {
			allowed++
		}
		old[i].Done(breaker.Success)
		b.MarkSuccess()
		b.MarkIgnored()
		if i%2 == 0 {
			b.MarkFailed()
		}
	}
	require.Equal(t, 3, allowed)
	requireState(t, breaker.HalfOpen, b)
	require.EqualValues(t, 3, b.Snapshot().Totals.InFlight)
}

func TestT08_ACallThatALaterStageRejectsGivesItsProbeBack(t *testing.T) {
	b := circuit.NewBreaker()
	b.HalfOpen()
	for range 5 {
		p := mustAcquire(t, b)
		requireRejected(t, b, breaker.ReasonProbeLimit)
		p.Done(breaker.Ignored) // e.g. by a rate limiter behind the breaker
	}
	outer, inner := circuit.NewBreaker(), circuit.NewBreaker()
	outer.HalfOpen()
	inner.Open()
	err := breaker.Run(t.Context(), outer, func(ctx context.Context) error {
		return breaker.Run(ctx, inner, func(context.Context) error { return nil })
	})
	require.ErrorAs(t, err, new(*breaker.RejectedError))
	for _, b := range []*circuit.Breaker{b, outer} {
		callTimes(t, b, 1, breaker.Success)
		requireState(t, breaker.Closed, b)
	}
}

func TestT09_AStampedeOnAHalfOpenBreakerGetsTheProbesAndNoMore(t *testing.T) {
	for range 200 {
		b := circuit.NewBreaker(circuit.WithDelay(0), circuit.WithProbes(5, 8), circuit.WithProbeLimit(3))
		b.Open() // the first caller makes it half-open
		var permits, marks atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if i%2 == 0 {
					if _, err := b.Acquire(); err == nil {
						permits.Add(1)
					}
				} else if b.Allow() == nil {
					marks.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 3, permits.Load()+marks.Load())
		require.EqualValues(t, permits.Load(), b.Snapshot().Totals.InFlight, "only permits are ever in flight")
	}
}

func TestT10_AnIgnoredProbeIsNeitherASuccessNorTheLastOne(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(2, 2))
	b.HalfOpen()
	callTimes(t, b, 1, breaker.Success)
	callTimes(t, b, 1000, breaker.Ignored)
	s := b.Snapshot()
	require.Equal(t, breaker.HalfOpen, s.State)
	require.EqualValues(t, 1, s.ConsecutiveSuccesses)
	require.EqualValues(t, 1000, s.Totals.Ignored)
	callTimes(t, b, 1, breaker.Success)
	requireState(t, breaker.Closed, b)
}
