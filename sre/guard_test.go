package sre_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

// phases are the phases of trouble, by name.
var phases = map[string]struct {
	is    adaptive.Phase
	state breaker.State
}{
	"suspect": {adaptive.Suspect, breaker.Closed},
	"down":    {adaptive.Down, breaker.Open},
	"try":     {adaptive.Paced, breaker.Open},
	"ramp":    {adaptive.Paced, breaker.Open},
}

// phaseOf returns the phase that b is in, and requires what must hold whenever
// nobody is deciding.
func phaseOf(t require.TestingT, b *sre.Breaker) adaptive.Phase {
	p, agrees := b.Phase()
	require.True(t, agrees, "what calls look at differs from phase %d", p)
	return p
}

// lead leads a new b into a phase, with calls in a bubble.
func lead(t *testing.T, b *sre.Breaker, phase string) {
	switch phase {
	case "suspect":
		mark(b, 0, 3)
	case "down":
		mark(b, 0, 200)
	case "try":
		for n := 0; n < 500 && phaseOf(t, b) == adaptive.Calm; n++ {
			time.Sleep(5 * time.Millisecond)
			o := breaker.Failure // two in a row at most, which are no suspicion
			if n%3 == 0 {
				o = breaker.Success
			}
			require.True(t, callOnce(b, o))
		}
	case "ramp":
		lead(t, b, "down")
		time.Sleep(b.Snapshot().RetryAfter)
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(breaker.Success)
	}
	require.Equal(t, phases[phase].is, phaseOf(t, b), phase)
	require.Equal(t, phases[phase].state, b.Snapshot().State, phase)
}

// inPhases runs f for each phase, with a breaker that is in it.
func inPhases(t *testing.T, f func(t *testing.T, b *sre.Breaker, phase string), opts ...sre.Option) {
	for name := range phases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := sre.NewBreaker(opts...)
				lead(t, b, name)
				f(t, b, name)
			})
		})
	}
}

// callOnce asks for a call that ends so, and returns whether it was allowed.
func callOnce(b *sre.Breaker, o breaker.Outcome) bool {
	p, err := b.Acquire()
	p.Done(o)
	return err == nil
}

func TestGuard_ThereIsNoneAfterScatteredFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		mark := func(outcomes ...breaker.Outcome) {
			for _, o := range outcomes {
				require.True(t, callOnce(b, o))
			}
		}
		for range 300 {
			mark(breaker.Failure, breaker.Failure, breaker.Success, breaker.Failure, breaker.Ignored, breaker.Success, breaker.Success)
		}
		require.False(t, b.HasLazyState(), "neither a guard nor anything else")
		mark(breaker.Failure, breaker.Failure)
		require.False(t, b.HasGuard())
		mark(breaker.Failure)
		require.True(t, b.HasGuard())
		require.Equal(t, adaptive.Suspect, phaseOf(t, b))
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})
}

// TestGuard_WhereHalfOfTheCallsFailARowIsLonger: 9 failures in a row are one of
// 512, 10 are one of 1024.
func TestGuard_WhereHalfOfTheCallsFailARowIsLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker(sre.WithRequest(1e9))
		for n := range 1000 {
			time.Sleep(5 * time.Millisecond)
			o := breaker.Failure
			if n%2 == 1 {
				o = breaker.Success
			}
			require.True(t, callOnce(b, o))
		}
		mark(b, 0, 8)
		require.Equal(t, adaptive.Calm, phaseOf(t, b))
		mark(b, 0, 3)
		require.Equal(t, adaptive.Suspect, phaseOf(t, b))
	})
}

func TestGuard_HealthyCallsDoNotTouchIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "suspect")
		require.True(t, callOnce(b, breaker.Success))
		require.Equal(t, adaptive.Calm, phaseOf(t, b))
		b.HoldGuard(func() { // whoever needs the guard hangs now
			for range 1000 {
				require.True(t, callOnce(b, breaker.Success))
				require.NoError(t, b.Allow())
				b.MarkSuccess()
				require.True(t, callOnce(b, breaker.Failure), "a failure now and then")
				require.True(t, callOnce(b, breaker.Success))
			}
		})
	})
}

func TestGuard_ResetMakesAnyPhaseCalm(t *testing.T) {
	var events []breaker.Event
	inPhases(t, func(t *testing.T, b *sre.Breaker, phase string) {
		inFlight, err := b.Acquire()
		if err != nil {
			require.Equal(t, "down", phase)
		}
		b.Reset()
		require.Equal(t, adaptive.Calm, phaseOf(t, b))
		require.True(t, b.CertainlyAllows())
		s := b.Snapshot()
		require.Zero(t, s.RejectRatio)
		require.Zero(t, s.RetryAfter)
		require.Equal(t, breaker.Closed, s.State)
		inFlight.Done(breaker.Failure)
		if phases[phase].state == breaker.Open {
			last := events[len(events)-1]
			require.Equal(t, breaker.Closed, last.To)
			require.Equal(t, "reset", last.Cause)
			require.Equal(t, "reset", s.Cause)
		}
		mark(b, 0, 1) // with the one in flight it is the second in a row
		require.Equal(t, adaptive.Calm, phaseOf(t, b), "the row of before is forgotten, too")
		require.True(t, callOnce(b, breaker.Success))
		time.Sleep(4 * time.Second)
		require.True(t, b.Idle())
	}, sre.WithListener(func(e breaker.Event) { events = append(events, e) }))
}

func TestGuard_ResetForgetsARowThatHasNoGuardYet(t *testing.T) {
	b := sre.NewBreaker()
	mark(b, 0, 2)
	b.Reset()
	mark(b, 0, 2)
	require.False(t, b.HasGuard())
	mark(b, 0, 1)
	require.Equal(t, adaptive.Suspect, phaseOf(t, b))
}

func TestGuard_AModeOverrulesAnyPhaseAndLeavesItAlone(t *testing.T) {
	inPhases(t, func(t *testing.T, b *sre.Breaker, phase string) {
		for _, m := range []breaker.Mode{breaker.ForceClosed, breaker.DryRun} {
			b.SetMode(m)
			before := b.Snapshot().Totals
			for range 100 {
				require.True(t, callOnce(b, breaker.Ignored))
			}
			after := b.Snapshot()
			require.Equal(t, before.Allowed+100, after.Totals.Allowed)
			require.Equal(t, phases[phase].state, after.State)
			require.Zero(t, after.RejectRatio)
			if m == breaker.DryRun && phase == "down" {
				require.Equal(t, before.WouldReject+100, after.Totals.WouldReject)
			}
		}
		b.SetMode(breaker.ForceOpen)
		for range 100 {
			require.False(t, callOnce(b, breaker.Ignored))
		}
		require.EqualValues(t, 1, b.Snapshot().RejectRatio)
		b.SetMode(breaker.Auto)
		require.Equal(t, phases[phase].is, phaseOf(t, b))
		require.Equal(t, phases[phase].state == breaker.Open, b.Snapshot().RejectRatio > 0)
	}, sre.WithRandom(func() float64 { return 0.999 }))
}

func TestGuard_AnIgnoredProbeSaysNothing(t *testing.T) {
	for name, ignore := range map[string]func(b *sre.Breaker) bool{
		"permit": func(b *sre.Breaker) bool { return callOnce(b, breaker.Ignored) },
		"mark": func(b *sre.Breaker) bool {
			if b.Allow() != nil {
				b.MarkFailed() // the rejection's
				return false
			}
			b.MarkIgnored()
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := sre.NewBreaker()
				lead(t, b, "down")
				before := b.Snapshot().Totals
				probes := uint64(0)
				for range 100 { // less than the minute after which they get rarer
					time.Sleep(10 * time.Millisecond)
					if ignore(b) {
						probes++
					}
				}
				require.Positive(t, probes)
				require.LessOrEqual(t, probes, uint64(8), "one each 140 ms at most")
				require.Equal(t, adaptive.Down, phaseOf(t, b))
				after := b.Snapshot().Totals
				require.Equal(t, probes, after.Ignored)
				require.Equal(t, before.Rejected+100-probes, after.Rejected)
			})
		})
	}
}

// TestGuard_AHostThatMarksOpensAndRecovers makes calls as Kratos' middleware
// does: it marks a failure after each rejection, too.
func TestGuard_AHostThatMarksOpensAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		var want breaker.Totals
		call := func(healthy bool) bool {
			time.Sleep(10 * time.Millisecond)
			switch {
			case b.Allow() != nil:
				b.MarkFailed()
				want.Rejected++
				return false
			case healthy:
				b.MarkSuccess()
				want.Success++
			default:
				b.MarkFailed()
				want.Failure++
			}
			return true
		}
		for range 3 {
			for range 300 {
				require.True(t, call(true))
			}
			allowed := 0
			for range 1000 {
				if call(false) {
					allowed++
				}
			}
			// Some 20 until it is seen, and a probe each 0.9 s and some sooner.
			require.LessOrEqual(t, allowed, 25+18)
			require.Equal(t, breaker.Open, b.Snapshot().State)
			rejected := 0
			for range 600 {
				if !call(true) {
					rejected++
				}
			}
			require.LessOrEqual(t, rejected, 250)
			require.Equal(t, breaker.Closed, b.Snapshot().State)
		}
		want.Allowed = want.Success + want.Failure
		want.Offered = want.Allowed + want.Rejected
		require.Equal(t, want, b.Snapshot().Totals)
	})
}

func TestGuard_AListenerMayCallBackInEachPhase(t *testing.T) {
	for _, phase := range []string{"down", "try", "ramp"} {
		t.Run(phase, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *sre.Breaker
				told := 0
				b = sre.NewBreaker(sre.WithListener(func(e breaker.Event) {
					told++
					require.Equal(t, e.To == breaker.Open, phaseOf(t, b) != adaptive.Calm)
					require.Equal(t, e.To, b.Snapshot().State)
					_ = b.Idle()
					for range 20 {
						callOnce(b, breaker.Ignored)
						if b.Allow() == nil {
							b.MarkIgnored()
						} else {
							b.MarkFailed()
						}
					}
					b.SetMode(breaker.DryRun)
					b.SetMode(breaker.Auto)
				}))
				lead(t, b, phase)
				require.Equal(t, 1, told)
				b.Reset()
				require.Equal(t, 2, told)
				require.Equal(t, adaptive.Calm, phaseOf(t, b))
				require.Zero(t, b.Snapshot().Totals.InFlight)
			})
		})
	}
}

func TestGuard_NoPathAllocatesButAStampPerCohort(t *testing.T) {
	call := func(b *sre.Breaker, o breaker.Outcome) {
		callOnce(b, o)
		if b.Allow() == nil {
			b.MarkIgnored()
		} else {
			b.MarkFailed()
		}
	}
	allocs := func(phase string, apart time.Duration, f func(b *sre.Breaker)) (n float64) {
		synctest.Test(t, func(t *testing.T) {
			b := sre.NewBreaker()
			if phase == "calm" {
				lead(t, b, "suspect")
				require.True(t, callOnce(b, breaker.Success))
			} else {
				lead(t, b, phase)
			}
			n = testing.AllocsPerRun(1000, func() {
				time.Sleep(apart)
				f(b)
			})
		})
		return n
	}
	require.Zero(t, allocs("calm", 0, func(b *sre.Breaker) { call(b, breaker.Success) }))
	require.Zero(t, allocs("calm", 0, func(b *sre.Breaker) { call(b, breaker.Failure); call(b, breaker.Success) }))
	require.Zero(t, allocs("down", 0, func(b *sre.Breaker) { call(b, breaker.Failure) }))
	require.Zero(t, allocs("down", 0, func(b *sre.Breaker) { _, _ = b.Snapshot(), b.Idle() }))
	require.Zero(t, allocs("ramp", 0, func(b *sre.Breaker) { call(b, breaker.Success) }))
	for _, phase := range []string{"down", "ramp", "try"} {
		// A cohort lasts 30 ms at least, and it and its stamp are two.
		require.LessOrEqual(t, allocs(phase, time.Millisecond, func(b *sre.Breaker) { call(b, breaker.Success) }), 1.0, phase)
	}
}
