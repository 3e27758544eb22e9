package sre_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

// TestGuard_AllPhasesUnderLoad lets 64 goroutines call at the same instants, so
// that they meet, while the backend goes through all kinds of trouble.
func TestGuard_AllPhasesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const goroutines = 64
		troubles := []struct {
			d       time.Duration
			percent int64 // that succeeds
		}{{2 * time.Second, 98}, {5 * time.Second, 40}, {2 * time.Second, 0}, {4 * time.Second, 100}, {3 * time.Second, 10}, {3 * time.Second, 97}}
		var percent atomic.Int64
		var want struct{ offered, success, failure, ignored, rejected atomic.Uint64 }
		var events []breaker.Event // of one goroutine at a time
		b := sre.NewBreaker(sre.WithListener(func(e breaker.Event) { events = append(events, e) }))
		ended := make(chan struct{})
		seen := map[adaptive.Phase]bool{}
		var wg, looker sync.WaitGroup
		looker.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(time.Millisecond):
					p, _ := b.Phase()
					seen[p] = true
					s := b.Snapshot()
					require.True(t, s.RejectRatio >= 0 && s.RejectRatio <= 1)
				}
			}
		})
		end := time.Duration(0)
		for _, x := range troubles {
			end += x.d
		}
		start := time.Now()
		percent.Store(troubles[0].percent)
		for i := range goroutines {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(3, uint64(i)))
				for time.Since(start) < end {
					time.Sleep(time.Duration(1+random.IntN(15)) * time.Millisecond)
					want.offered.Add(1)
					p, err := b.Acquire()
					if err != nil {
						want.rejected.Add(1)
						continue
					}
					time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
					switch n := random.Int64N(100); {
					case random.IntN(50) == 0:
						p.Done(breaker.Ignored)
						want.ignored.Add(1)
					case n < percent.Load():
						p.Done(breaker.Success)
						want.success.Add(1)
					default:
						p.Done(breaker.Failure)
						want.failure.Add(1)
					}
					p.Done(breaker.Success) // void by now
				}
			})
		}
		for _, x := range troubles {
			percent.Store(x.percent)
			time.Sleep(x.d)
		}
		wg.Wait()
		close(ended)
		looker.Wait()
		phaseOf(t, b)
		allowed := want.success.Load() + want.failure.Load() + want.ignored.Load()
		require.Equal(t, breaker.Totals{
			Offered: want.offered.Load(), Allowed: allowed, Rejected: want.rejected.Load(),
			Success: want.success.Load(), Failure: want.failure.Load(), Ignored: want.ignored.Load(),
		}, b.Snapshot().Totals)
		require.Equal(t, map[adaptive.Phase]bool{adaptive.Calm: true, adaptive.Suspect: true, adaptive.Down: true, adaptive.Paced: true}, seen)
		require.GreaterOrEqual(t, len(events), 4)
		state := breaker.Closed
		for _, e := range events {
			require.Equal(t, state, e.From)
			require.NotEqual(t, state, e.To)
			state = e.To
		}
	})
}

// TestGuard_ModesAndResetsMeetCalls changes everything at once, for whoever looks
// at races and locks.
func TestGuard_ModesAndResetsMeetCalls(t *testing.T) {
	var b *sre.Breaker
	var told atomic.Int64
	b = sre.NewBreaker(sre.WithWindow(10*time.Millisecond), sre.WithProbeInterval(10*time.Millisecond), sre.WithListener(func(breaker.Event) {
		told.Add(1)
		_ = b.Snapshot()
	}))
	var wg sync.WaitGroup
	var calls atomic.Uint64
	for i := range 16 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(i)))
			for n := range 4000 {
				calls.Add(1)
				if p, err := b.Acquire(); err == nil {
					o := breaker.Success
					if n/200%2 == 0 || random.IntN(10) == 0 {
						o = breaker.Failure
					}
					p.Done(o)
				}
				switch random.IntN(400) {
				case 0:
					b.Reset()
				case 1:
					b.SetMode(breaker.DryRun)
				case 2:
					b.SetModeFor(breaker.ForceOpen, time.Microsecond)
				case 3, 4:
					b.SetMode(breaker.Auto)
				}
				if n%64 == 0 {
					_, _ = b.Phase()
					_ = b.Idle()
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	b.SetMode(breaker.Auto)
	b.Reset()
	require.Positive(t, told.Load())
	require.Equal(t, adaptive.Calm, phaseOf(t, b))
	require.True(t, b.CertainlyAllows())
	s := b.Snapshot().Totals
	require.Equal(t, calls.Load(), s.Offered)
	require.Equal(t, s.Offered, s.Allowed+s.Rejected)
	require.Zero(t, s.InFlight)
}

// TestGuard_FailuresThatMeetAreAllTakenIn ends calls at once.
func TestGuard_FailuresThatMeetAreAllTakenIn(t *testing.T) {
	const goroutines, each, rounds = 8, 20, 100
	for range rounds {
		b := sre.NewBreaker()
		mark(b, 0, 3)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range goroutines {
			var permits []breaker.Permit
			for range each {
				p, err := b.Acquire()
				require.NoError(t, err)
				permits = append(permits, p)
			}
			wg.Go(func() {
				<-start
				for _, p := range permits {
					p.Done(breaker.Failure)
					if i == 0 {
						b.Snapshot()
						b.Idle()
					}
				}
			})
		}
		close(start)
		wg.Wait()
		require.Equal(t, adaptive.Down, phaseOf(t, b))
		require.EqualValues(t, 3+goroutines*each, b.Snapshot().Totals.Failure)
	}
}
