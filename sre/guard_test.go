package sre

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// put puts b into a phase, as the end of a call does.
func put(b *Breaker, p phase) {
	now := b.window.Now()
	g := b.guardFor()
	g.mu.Lock()
	g.heard = now
	switch p {
	case trial:
		g.become(trial, now, "put into a trial")
		g.dithers, g.share = true, dithered
	case shedding:
		g.shed(now, "put into shedding", true)
	case down:
		g.streak.from = now
		g.become(down, now, "put down")
		g.plan(now, b.random)
	}
	b.decided(now, g)
	g.mu.Unlock()
	b.deliver()
}

// phaseOf returns the phase that b is in, and requires what must hold whenever
// nobody is deciding.
func phaseOf(t *testing.T, b *Breaker) phase {
	g := b.guarded()
	if g == nil {
		return calm
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	require.Equal(t, g.phase != calm, g.alert.Load())
	if g.phase != calm {
		require.False(t, b.budget.left(), "%v: calls are allowed unasked", g.phase)
	}
	return g.phase
}

func TestGuard_ThereIsNoneAfterScatteredFailures(t *testing.T) {
	b := NewBreaker()
	mark := func(outcomes ...breaker.Outcome) {
		for _, o := range outcomes {
			p, err := b.Acquire()
			require.NoError(t, err)
			p.Done(o)
		}
	}
	for range 300 {
		mark(breaker.Failure, breaker.Failure, breaker.Success, breaker.Failure, breaker.Ignored, breaker.Success, breaker.Success)
	}
	require.Nil(t, b.control.Load(), "neither a guard nor anything else")
	mark(breaker.Failure, breaker.Failure)
	require.Nil(t, b.guarded())
	mark(breaker.Failure)
	require.NotNil(t, b.guarded())
	require.EqualValues(t, 3, b.guarded().streak.n, "the two before it were not forgotten")
}

func TestGuard_HealthyCallsDoNotTouchIt(t *testing.T) {
	b := NewBreaker()
	for range 3 {
		b.MarkFailed()
	}
	g := b.guarded()
	require.NotNil(t, g)
	g.mu.Lock() // whoever needs the guard hangs now
	defer g.mu.Unlock()
	for range 1000 {
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(breaker.Success)
		require.NoError(t, b.Allow())
		b.MarkSuccess()
	}
}

func TestGuard_ResetMakesAnyPhaseCalm(t *testing.T) {
	for _, p := range []phase{calm, trial, shedding, down} {
		t.Run(p.String(), func(t *testing.T) {
			var events []breaker.Event
			b := NewBreaker(WithListener(func(e breaker.Event) { events = append(events, e) }))
			put(b, p)
			require.Equal(t, p, phaseOf(t, b))
			require.Equal(t, p != calm, b.Snapshot().State == breaker.Open)
			b.Reset()
			require.Equal(t, calm, phaseOf(t, b))
			require.True(t, b.CertainlyAllows())
			require.Zero(t, b.Snapshot().RejectRatio)
			require.Equal(t, breaker.Closed, b.Snapshot().State)
			require.True(t, b.Idle())
			if p == calm {
				require.Empty(t, events)
				return
			}
			require.Len(t, events, 2)
			require.Equal(t, "reset", events[1].Cause)
			require.Equal(t, "reset", b.Snapshot().Cause)
			for range minStreak - 1 { // the streak of before is forgotten, too
				b.MarkFailed()
			}
			require.Equal(t, calm, phaseOf(t, b))
		})
	}
}

func TestGuard_ResetForgetsAStreakThatHasNoGuardYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
		b.MarkFailed()
		b.MarkFailed()
		b.Reset()
		for range minStreak - 1 {
			time.Sleep(50 * time.Millisecond)
			b.MarkFailed()
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		b.MarkFailed()
		require.Equal(t, breaker.Open, b.Snapshot().State)
	})
}

func TestGuard_AModeOverrulesAnyPhaseAndLeavesItAlone(t *testing.T) {
	for _, p := range []phase{trial, shedding, down} {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// With the highest number, a trial rejects each call.
				b := NewBreaker(WithRandom(highest))
				put(b, p)
				ask := func() error {
					permit, err := b.Acquire()
					permit.Done(breaker.Ignored)
					return err
				}
				_ = ask() // shedding begins with a probe
				b.guarded().credit = 0
				for _, m := range []breaker.Mode{breaker.ForceClosed, breaker.DryRun} {
					b.SetMode(m)
					before := b.Snapshot().Totals
					for range 100 {
						require.NoError(t, ask())
					}
					after := b.Snapshot()
					require.Equal(t, before.Allowed+100, after.Totals.Allowed)
					require.Equal(t, breaker.Open, after.State)
					require.Zero(t, after.RejectRatio)
					if m == breaker.DryRun {
						require.Equal(t, before.WouldReject+100, after.Totals.WouldReject)
					}
				}
				b.SetMode(breaker.ForceOpen)
				for range 100 {
					require.ErrorContains(t, ask(), "forced open")
				}
				require.EqualValues(t, 1, b.Snapshot().RejectRatio)
				b.SetMode(breaker.Auto)
				require.Equal(t, p, phaseOf(t, b))
				require.ErrorContains(t, ask(), "throttled")
				require.Positive(t, b.Snapshot().RejectRatio)
			})
		})
	}
}

func TestGuard_AnIgnoredProbeSaysNothing(t *testing.T) {
	for name, ignore := range map[string]func(b *Breaker) bool{
		"permit": func(b *Breaker) bool {
			p, err := b.Acquire()
			p.Done(breaker.Ignored)
			return err == nil
		},
		"mark": func(b *Breaker) bool {
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
				b := NewBreaker()
				for range longStreak {
					b.MarkFailed()
				}
				require.Equal(t, down, phaseOf(t, b))
				probes := uint64(0)
				for range 1000 {
					time.Sleep(10 * time.Millisecond)
					if ignore(b) {
						probes++
					}
				}
				require.InDelta(t, 11, float64(probes), 4, "they are as rare as others")
				require.Equal(t, down, phaseOf(t, b))
				require.EqualValues(t, longStreak, b.guarded().streak.n)
				require.Equal(t, probes, b.Snapshot().Totals.Ignored)
				require.Equal(t, 1000-probes, b.Snapshot().Totals.Rejected)
			})
		})
	}
}

// TestGuard_AHostThatMarksOpensAndRecovers makes calls as Kratos' middleware
// does: it marks a failure after each rejection, too.
func TestGuard_AHostThatMarksOpensAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker()
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
			// 14 or 15 in 140 ms, and a probe each 0.9 s and some sooner.
			require.LessOrEqual(t, allowed, 15+18)
			require.Equal(t, breaker.Open, b.Snapshot().State)
			rejected := 0
			for range 300 {
				if !call(true) {
					rejected++
				}
			}
			require.LessOrEqual(t, rejected, 200)
			require.Equal(t, breaker.Closed, b.Snapshot().State)
		}
		want.Allowed = want.Success + want.Failure
		want.Offered = want.Allowed + want.Rejected
		require.Equal(t, want, b.Snapshot().Totals)
	})
}

func TestGuard_AListenerMayCallBackInEachPhase(t *testing.T) {
	for _, p := range []phase{trial, shedding, down} {
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *Breaker
				told := 0
				b = NewBreaker(WithListener(func(e breaker.Event) {
					told++
					require.Equal(t, e.To == breaker.Open, phaseOf(t, b) != calm)
					require.Equal(t, e.To, b.Snapshot().State)
					_ = b.Idle()
					for range 20 {
						if permit, err := b.Acquire(); err == nil {
							permit.Done(breaker.Failure)
						}
						if b.Allow() == nil {
							b.MarkSuccess()
						} else {
							b.MarkFailed()
						}
					}
					b.SetMode(breaker.DryRun)
					b.SetMode(breaker.Auto)
					if e.To == breaker.Open {
						b.Reset()
					}
				}))
				put(b, p)
				require.GreaterOrEqual(t, told, 2)
				require.Equal(t, calm, phaseOf(t, b))
				require.Zero(t, b.Snapshot().Totals.InFlight)
			})
		})
	}
}

func TestGuard_NoPathAllocates(t *testing.T) {
	call := func(b *Breaker, o breaker.Outcome) {
		if p, err := b.Acquire(); err == nil {
			p.Done(o)
		}
		if b.Allow() == nil {
			b.MarkIgnored()
		} else {
			b.MarkFailed()
		}
	}
	guarded, rejecting, busy := NewBreaker(), NewBreaker(), NewBreaker()
	for range 3 {
		guarded.MarkFailed()
	}
	require.NotNil(t, guarded.guarded())
	put(rejecting, down)
	put(busy, shedding)
	for name, f := range map[string]func(){
		"healthy, with a guard": func() { call(guarded, breaker.Success) },
		"failing now and then":  func() { call(guarded, breaker.Failure); call(guarded, breaker.Success) },
		"down":                  func() { call(rejecting, breaker.Failure) },
		"shedding":              func() { call(busy, breaker.Success); call(busy, breaker.Failure) },
		"snapshot":              func() { _, _ = rejecting.Snapshot(), rejecting.Idle() },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
	require.Equal(t, down, phaseOf(t, rejecting))
}
