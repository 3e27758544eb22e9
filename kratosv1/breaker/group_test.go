package breaker_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	root "github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/kratosv1/breaker"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

func seconds(n int) breaker.Duration { return breaker.Duration(time.Duration(n) * time.Second) }

// TestReload_ReachesABreakerThatIsJustMade races the first Get of a key with a
// Reload.
func TestReload_ReachesABreakerThatIsJustMade(t *testing.T) {
	for range 3000 {
		g := breaker.NewGroup(nil)
		var ready atomic.Int32
		meet := func() {
			ready.Add(1)
			for ready.Load() < 2 {
				runtime.Gosched()
			}
		}
		var b breaker.Breaker
		var wg sync.WaitGroup
		wg.Go(func() {
			meet()
			b = g.Get("a")
		})
		meet()
		g.Reload(&breaker.Config{Window: seconds(60), SwitchOff: true})
		wg.Wait()
		require.NoError(t, b.Allow())
		require.Equal(t, time.Minute, snapshot(b).Window.Length)
		require.Equal(t, root.ForceClosed, snapshot(b).Mode)
	}
}

func TestReload_ReachesABreakerThatOnlyItsHolderKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(nil, breaker.WithLimit(1))
		held := g.Get("a")
		for range 2 { // once to see who is not asked for, once to let it go
			time.Sleep(11 * time.Minute)
			g.Get("b")
		}
		require.NotSame(t, held, g.Get("a"), "it is no longer in the group")
		g.Reload(&breaker.Config{Window: seconds(60), SwitchOff: true})
		require.NoError(t, held.Allow())
		require.Equal(t, time.Minute, snapshot(held).Window.Length)
		require.Equal(t, root.ForceClosed, snapshot(held).Mode)
		g.Reload(&breaker.Config{})
		p, err := held.(root.Acquirer).Acquire()
		require.NoError(t, err)
		p.Done(root.Success)
		require.Equal(t, root.Auto, snapshot(held).Mode)
	})
}

func TestReload_ReachesTheBreakerOfTheKeysBeyondTheLimit(t *testing.T) {
	g := breaker.NewGroup(nil, breaker.WithLimit(1))
	g.Get("a")
	beyond := g.Get("b")
	require.Same(t, beyond, g.Get("c"))
	g.Reload(&breaker.Config{Window: seconds(60)})
	require.Equal(t, time.Minute, snapshot(beyond).Window.Length)
	require.Equal(t, root.Keys{Held: 1, Limit: 1, Overflows: 2}, g.Keys())
}

func TestReload_WithWhatIsThereChangesNothing(t *testing.T) {
	c := &breaker.Config{K: 2, Window: seconds(60), Bucket: 7, Request: 9}
	g := breaker.NewGroup(c)
	b := g.Get("a")
	mark(b, 3, 2)
	before := snapshot(b)
	g.Reload(c)
	require.Equal(t, before, snapshot(b))
}

func TestReload_OfAnOpenBreakerLeavesItOpen(t *testing.T) {
	for name, opts := range map[string][]breaker.Option{"classic": nil, "adaptive": {breaker.WithAdaptive()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := breaker.NewGroup(nil, opts...)
				b := g.Get("a")
				for range 100 {
					time.Sleep(2 * time.Millisecond)
					mark(b, 0, 10)
				}
				require.Equal(t, root.Open, snapshot(b).State)
				for _, c := range []breaker.Config{{Request: 1e9, K: 100}, {Window: seconds(1)}, {Bucket: 3}, {}} {
					g.Reload(&c)
					require.Equal(t, root.Open, snapshot(b).State)
					require.Positive(t, rejects(b, 100))
				}
			})
		})
	}
}

func TestSwitchOff_LeavesAModeThatSomebodyElseSet(t *testing.T) {
	on, off := &breaker.Config{}, &breaker.Config{SwitchOff: true}
	newBreaker := func(c *breaker.Config) (*breaker.Group, root.Controller) {
		g := breaker.NewGroup(c)
		return g, g.Get("a").(root.Controller)
	}
	mode := func(b root.Controller) root.Mode { return b.Snapshot().Mode }

	g, b := newBreaker(on) // set before it is switched off
	b.SetMode(root.ForceOpen)
	g.Reload(off)
	require.Equal(t, root.ForceOpen, mode(b))
	g.Reload(on)
	require.Equal(t, root.ForceOpen, mode(b))

	g, b = newBreaker(off) // set while it is switched off
	b.SetMode(root.DryRun)
	g.Reload(on)
	require.Equal(t, root.DryRun, mode(b))
	b.SetMode(root.ForceClosed)
	g.Reload(on)
	require.Equal(t, root.ForceClosed, mode(b), "nobody has switched it off")

	g, b = newBreaker(off) // for a time
	b.SetModeFor(root.ForceClosed, time.Hour)
	g.Reload(on)
	require.Equal(t, root.ForceClosed, mode(b))
	require.NotZero(t, b.Snapshot().ModeUntil)

	g, b = newBreaker(off) // taken back by hand: the next Reload says again what is wanted
	b.SetMode(root.Auto)
	g.Reload(off)
	require.Equal(t, root.ForceClosed, mode(b))
	g.Reload(on)
	require.Equal(t, root.Auto, mode(b))
}

func TestSwitchOff_DoesNotKeepABreakerFromMakingRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(&breaker.Config{SwitchOff: true}, breaker.WithLimit(1))
		g.Get("a").MarkFailed()
		require.Equal(t, root.ForceClosed, snapshot(g.Get("b")).Mode)
		time.Sleep(11 * time.Minute)
		g.Get("b")
		time.Sleep(11 * time.Minute)
		require.Equal(t, "b", snapshot(g.Get("b")).Name)

		b := g.Get("b").(root.Controller)
		b.SetMode(root.ForceOpen) // this one would be lost
		for range 3 {
			time.Sleep(11 * time.Minute)
			require.Empty(t, snapshot(g.Get("c")).Name, "it is that of the keys beyond the limit")
		}
	})
}

func TestGroup_IsASource(t *testing.T) {
	g := breaker.NewGroup(nil, breaker.WithLimit(2))
	g.Get("a").MarkSuccess()
	g.Get("b").MarkFailed()
	g.Get("c").MarkFailed()
	got := map[string]root.Snapshot{}
	for l := range root.Sources(g, breaker.NewGroup(nil)).Breakers() {
		_, controls := l.Breaker.(root.Controller)
		require.True(t, controls)
		require.Equal(t, l.Key == "", l.Overflow)
		require.Equal(t, l.Key, l.Breaker.Snapshot().Name)
		got[l.Key] = l.Breaker.Snapshot()
	}
	require.Len(t, got, 3)
	require.EqualValues(t, 1, got["a"].Totals.Success)
	require.EqualValues(t, 1, got["b"].Totals.Failure)
	require.EqualValues(t, 1, got[""].Totals.Failure)
}

func TestGroup_ItsBreakersServeTheMiddlewareToo(t *testing.T) {
	g := breaker.NewGroup(nil)
	require.NotNil(t, circuitbreaker.Client(circuitbreaker.WithGroup(group.NewKeyed(g.Get))))
}

func TestNewGroup_RefusesImpossibleOptions(t *testing.T) {
	require.PanicsWithValue(t, "kratosv1/breaker: NewGroup: nil Option", func() { breaker.NewGroup(nil, nil) })
	require.PanicsWithValue(t, "kratosv1/breaker: WithClassifier: the classifier is nil", func() { breaker.WithClassifier(nil) })
	require.PanicsWithValue(t, "kratosv1/breaker: WithListener: the listener is nil", func() { breaker.WithListener(nil) })
	require.PanicsWithValue(t, "kratosv1/breaker: WithLimit(0): want a number in [1, 9223372036854775807]", func() { breaker.NewGroup(nil, breaker.WithLimit(0)) })
}

func TestWithClassifier_SaysWhatTheErrorsOfGoAre(t *testing.T) {
	g := breaker.NewGroup(nil, breaker.WithClassifier(func(err error) root.Outcome {
		if err == errDown {
			return root.Ignored
		}
		return root.Failure
	}))
	require.Same(t, errDown, g.Go("a", func() error { return errDown }, nil))
	require.NoError(t, g.Go("a", func() error { return nil }, nil))
	require.Equal(t, root.Totals{Offered: 2, Allowed: 2, Failure: 1, Ignored: 1}, snapshot(g.Get("a")).Totals)
}

func TestWithListener_IsToldOfEachBreaker(t *testing.T) {
	var told []string
	g := breaker.NewGroup(nil, breaker.WithListener(func(e root.Event) {
		told = append(told, e.Snapshot.Name+" "+e.To.String())
	}))
	for _, key := range []string{"a", "b"} {
		mark(g.Get(key), 0, 1000)
		require.Error(t, first(t, g.Get(key).Allow, nil))
	}
	require.Equal(t, []string{"a open", "b open"}, told)
}

// TestWithAdaptive_RecoversAsTheBreakersOfThisModuleDo makes a hundred calls a
// second, through an outage of ten seconds.
func TestWithAdaptive_RecoversAsTheBreakersOfThisModuleDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(nil, breaker.WithAdaptive())
		call := func(err error) (rejected bool) {
			time.Sleep(10 * time.Millisecond)
			return g.Go("a", func() error { return err }, func() error { return errDown }) != err
		}
		for range 500 {
			require.False(t, call(nil))
		}
		failed := 0
		for range 1000 {
			before := snapshot(g.Get("a")).Totals.Failure
			_ = call(context.DeadlineExceeded)
			failed += int(snapshot(g.Get("a")).Totals.Failure - before)
		}
		require.Less(t, failed, 60)
		healed, last := time.Now(), time.Now()
		for range 500 {
			if call(nil) {
				last = time.Now()
			}
		}
		require.LessOrEqual(t, last.Sub(healed), 2500*time.Millisecond)
	})
}

// TestGroup_TotalsAreExactWhileItIsReloaded calls in both ways from eight
// goroutines, while the config changes all the time.
func TestGroup_TotalsAreExactWhileItIsReloaded(t *testing.T) {
	for name, opts := range map[string][]breaker.Option{"classic": nil, "adaptive": {breaker.WithAdaptive()}} {
		t.Run(name, func(t *testing.T) {
			const goroutines, calls = 8, 4000
			keys := []string{"a", "b", "c"}
			g := breaker.NewGroup(nil, append(opts, breaker.WithLimit(2))...)
			var success, failure, rejected, ended atomic.Uint64
			var wg sync.WaitGroup
			for i := range goroutines {
				wg.Go(func() {
					defer ended.Add(1)
					r := rand.New(rand.NewPCG(6, uint64(i)))
					held := g.Get("a")
					for n := range calls {
						fails := n/500%2 == 0 && r.IntN(4) > 0
						if r.IntN(2) == 0 {
							switch b := held; {
							case b.Allow() != nil:
								rejected.Add(1)
							case fails:
								b.MarkFailed()
								failure.Add(1)
							default:
								b.MarkSuccess()
								success.Add(1)
							}
						} else {
							_ = g.Go(keys[r.IntN(len(keys))], func() error {
								if fails {
									failure.Add(1)
									return errDown
								}
								success.Add(1)
								return nil
							}, func() error {
								rejected.Add(1)
								return nil
							})
						}
						if r.IntN(8) == 0 {
							runtime.Gosched()
						}
					}
				})
			}
			configs := []breaker.Config{
				{},
				{K: 2},
				{Window: breaker.Duration(time.Millisecond)},
				{SwitchOff: true},
				{Request: 1, K: 1},
				{Bucket: 100},
				{SwitchOff: true, Window: seconds(3600)},
			}
			for range 2 {
				wg.Go(func() {
					for i := 0; ended.Load() < goroutines; i++ {
						g.Reload(&configs[i%len(configs)])
						runtime.Gosched()
					}
				})
			}
			wg.Wait()
			var sum root.Totals
			for l := range g.Breakers() {
				s := l.Breaker.Snapshot()
				sum.Success += s.Totals.Success
				sum.Failure += s.Totals.Failure
				sum.Rejected += s.Totals.Rejected
				require.Zero(t, s.Totals.InFlight)
			}
			require.Equal(t, []uint64{success.Load(), failure.Load(), rejected.Load()}, []uint64{sum.Success, sum.Failure, sum.Rejected})
			g.Reload(&breaker.Config{})
			for l := range g.Breakers() {
				require.Equal(t, root.Auto, l.Breaker.Snapshot().Mode, "the last one that was off is on again")
			}
		})
	}
}
