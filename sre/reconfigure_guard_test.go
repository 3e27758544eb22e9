package sre

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

func TestReconfigure_WithWhatItIsChangesNothing(t *testing.T) {
	for name, opts := range map[string][]Option{
		"defaults": nil,
		"classic":  {Classic()},
		"all":      {WithSuccess(0.7), WithRequest(33), WithWindow(7 * time.Second), WithBucket(9), WithProbeInterval(time.Second), WithUnmarkedRejections()},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBreaker(opts...)
			for range 50 {
				b.MarkSuccess()
			}
			b.MarkFailed()
			settings, budget, before := b.settings.Load(), b.budget.word.Load(), b.Snapshot()
			b.Reconfigure(opts...)
			require.Same(t, settings, b.settings.Load())
			require.Equal(t, budget, b.budget.word.Load())
			require.Equal(t, before, b.Snapshot())
			require.Nil(t, b.lazy.Load(), "and it needs no memory")
		})
	}
}

func TestReconfigure_TheCommonSettingsAreShared(t *testing.T) {
	b, twin := NewBreaker(WithRequest(7)), NewBreaker()
	b.Reconfigure()
	require.Same(t, twin.settings.Load(), b.settings.Load())
}

// TestRegression_AGuardMadeDuringAReconfigurationKeptTheOldSettings races the
// first three failures with a Reconfigure.
func TestRegression_AGuardMadeDuringAReconfigurationKeptTheOldSettings(t *testing.T) {
	for range 3000 {
		b := NewBreaker()
		var start atomic.Int32
		meet := func() {
			start.Add(1)
			for start.Load() < 2 {
				runtime.Gosched()
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			meet()
			(*guarded)(b).needDecision()
		})
		meet()
		b.Reconfigure(WithSuccess(0.9), WithRequest(33), WithBucket(5), WithWindow(5*time.Second), WithProbeInterval(time.Second))
		wg.Wait()
		want, got := (*guarded)(b).tuning(), (*guarded)(b).decision().law.Settings
		want.Random, got.Random = nil, nil
		require.Equal(t, want, got)
	}
}

// reconfigurations are settings and shapes, of which a race may see any.
var reconfigurations = [][]Option{
	nil,
	{WithSuccess(0.9), WithRequest(10)},
	{WithWindow(time.Millisecond), WithBucket(10)},
	{WithWindow(time.Hour), WithBucket(1)},
	{WithWindow(20 * time.Microsecond), WithBucket(20), WithRequest(1)},
	{WithWindow(time.Second), WithProbeInterval(10 * time.Millisecond), WithUnmarkedRejections()},
}

// TestReconfigure_MeetsCalls reconfigures all the time while goroutines call: a
// healthy backend first, which no call must be kept from, and then a dead one,
// which must be found.
func TestReconfigure_MeetsCalls(t *testing.T) {
	for name, kind := range map[string][]Option{"adaptive": nil, "classic": {Classic()}} {
		t.Run(name, func(t *testing.T) {
			const goroutines, healthy, least = 8, 3000, 1500
			var events []breaker.Event // of one goroutine at a time
			b := NewBreaker(append(kind[:len(kind):len(kind)], WithListener(func(e breaker.Event) { events = append(events, e) }))...)
			var success, failure, rejected, ended atomic.Uint64
			var callers, others, well sync.WaitGroup
			well.Add(goroutines)
			deadline := time.Now().Add(20 * time.Second)
			for i := range goroutines {
				callers.Go(func() {
					defer ended.Add(1)
					random := rand.New(rand.NewPCG(5, uint64(i)))
					for range healthy {
						p, err := b.Acquire()
						require.NoError(t, err, "the backend is well")
						p.Done(breaker.Success)
						success.Add(1)
						if random.IntN(8) == 0 {
							runtime.Gosched()
						}
					}
					well.Done()
					well.Wait()
					for n := 0; (n < least || rejected.Load() == 0) && time.Now().Before(deadline); n++ {
						if p, err := b.Acquire(); err != nil {
							rejected.Add(1)
						} else {
							p.Done(breaker.Failure)
							failure.Add(1)
						}
						runtime.Gosched()
					}
				})
			}
			others.Go(func() { // reconfigures
				for i := 0; ended.Load() < goroutines; i++ {
					b.Reconfigure(append(kind[:len(kind):len(kind)], reconfigurations[i%len(reconfigurations)]...)...)
					runtime.Gosched()
				}
			})
			others.Go(func() { // looks
				var last breaker.Transitions
				for ended.Load() < goroutines {
					s := b.Snapshot()
					require.True(t, s.RejectRatio >= 0 && s.RejectRatio <= 1)
					require.Equal(t, s.Totals.Offered, s.Totals.Allowed+s.Totals.Rejected)
					require.Less(t, s.Window.Total(), uint64(1<<40), "torn")
					opened, closed := s.Transitions[breaker.Closed][breaker.Open], s.Transitions[breaker.Open][breaker.Closed]
					require.Equal(t, s.State == breaker.Open, opened == closed+1, "%+v", s.Transitions)
					require.LessOrEqual(t, closed, opened)
					require.GreaterOrEqual(t, opened+1, last[breaker.Closed][breaker.Open])
					last = s.Transitions
					runtime.Gosched()
				}
			})
			callers.Wait()
			others.Wait()
			require.Positive(t, rejected.Load(), "a dead backend was not found")
			s := b.Snapshot()
			require.Equal(t, breaker.Totals{
				Offered: success.Load() + failure.Load() + rejected.Load(), Allowed: success.Load() + failure.Load(),
				Success: success.Load(), Failure: failure.Load(), Rejected: rejected.Load(),
			}, s.Totals)
			var told breaker.Transitions
			state := breaker.Closed
			for _, e := range events {
				require.Equal(t, state, e.From)
				state = e.To
				told[e.From][e.To]++
				require.Equal(t, told, e.Snapshot.Transitions)
			}
			b.Reset()
			if state == breaker.Open {
				told[breaker.Open][breaker.Closed]++
			}
			require.Equal(t, told, b.Snapshot().Transitions)
			b.Reconfigure(kind...)
			require.Same(t, NewBreaker(kind...).settings.Load(), b.settings.Load())
			require.Equal(t, 3*time.Second, b.window.Length())
			require.True(t, b.CertainlyAllows())
		})
	}
}
