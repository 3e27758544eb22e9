package circuit_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// ruleSets open at different times, with every kind of rule.
var ruleSets = [][]circuit.Option{
	{circuit.WithDelay(0)},
	{circuit.WithFailureCount(3, 10), circuit.WithDelay(0)},
	{circuit.WithFailureCount(5, 10), circuit.WithProbes(2, 4), circuit.WithProbeLease(time.Hour), circuit.WithDelay(time.Millisecond)},
	{circuit.WithFailuresInPeriod(4, 10*time.Millisecond), circuit.WithDelay(100 * time.Microsecond), circuit.WithUnmarkedRejections()},
	{circuit.WithFailureRate(0.4, 5, 10*time.Millisecond), circuit.WithFailureRate(0.2, 20, 50*time.Millisecond), circuit.WithDelay(0)},
	{circuit.WithSlowCallRate(20*time.Microsecond, 0.3, 5, 10*time.Millisecond), circuit.WithDelay(0)},
	{circuit.WithSlowCallRate(time.Millisecond, 0.3, 5, 20*time.Millisecond), circuit.WithConsecutiveFailures(3), circuit.WithDelay(0)},
	{
		circuit.WithOpenWhen(10*time.Millisecond, func(c circuit.Counts) bool { return c.Failure > c.Success }),
		circuit.WithDelay(0), circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return time.Microsecond }),
	},
	{circuit.WithFailureRate(0.5, 4, 10*time.Millisecond), circuit.WithProbesAsInClosed(), circuit.WithDelay(0)},
}

// TestReconfigure_LosesNoCallAndNoEventUnderLoad changes the rules while calls
// are begun and end under them.
func TestReconfigure_LosesNoCallAndNoEventUnderLoad(t *testing.T) {
	const goroutines, calls = 8, 4000
	var told []breaker.Event
	b := circuit.NewBreaker(circuit.WithDelay(0), circuit.WithListener(func(e breaker.Event) { told = append(told, e) }))
	var want stressCount
	var callers, person sync.WaitGroup
	done := make(chan struct{})
	reconfigured := 0
	person.Go(func() {
		random := rand.New(rand.NewPCG(5, 5))
		for {
			select {
			case <-done:
				return
			default:
			}
			b.Reconfigure(ruleSets[random.IntN(len(ruleSets))]...)
			reconfigured++
			if s := b.Snapshot().Totals; s.Offered != s.Allowed+s.Rejected || s.Allowed != s.Success+s.Failure+s.Ignored+s.InFlight {
				t.Errorf("%+v", s)
				return
			}
			runtime.Gosched()
		}
	})
	for g := range goroutines {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(6, uint64(g)))
			for i := range calls {
				runtime.Gosched() // a rejection would leave a probe no time
				if i%8 > 0 {
					want.call(b, random)
				} else if b.Allow() == nil {
					b.MarkSuccess()
					want.success.Add(1)
				} else {
					want.rejected.Add(1) // and is not marked
				}
			}
		})
	}
	callers.Wait()
	close(done)
	person.Wait()
	require.Equal(t, breaker.Totals{
		Offered:  goroutines * calls,
		Allowed:  goroutines*calls - want.rejected.Load(),
		Rejected: want.rejected.Load(),
		Success:  want.success.Load(), Failure: want.failure.Load(), Ignored: want.ignored.Load(),
	}, b.Snapshot().Totals)
	b.Reset()
	last := breaker.Event{To: breaker.Closed}
	var changes breaker.Transitions
	for _, e := range told {
		changes[e.From][e.To]++
		require.Equal(t, last.To, e.From)
		require.Equal(t, changes, e.Snapshot.Transitions)
		require.False(t, e.At.Before(last.At), "%v after %v", e.At, last.At)
		last = e
	}
	require.Equal(t, breaker.Closed, last.To)
	require.Equal(t, changes, b.Snapshot().Transitions)
	t.Logf("%d rule sets, %d events", reconfigured, len(told))
	require.Greater(t, reconfigured, 100)
	require.Greater(t, len(told), 100)
}

// TestReconfigure_TheProbeLimitIsThatOfTheRulesInForce lets goroutines in as
// probes while the limit changes. After it has returned, nobody is let in by the
// one before.
func TestReconfigure_TheProbeLimitIsThatOfTheRulesInForce(t *testing.T) {
	const goroutines, calls = 8, 5000
	b := circuit.NewBreaker()
	b.HalfOpen()
	var changing sync.RWMutex // so that it is known which limit is in force
	var limit, running, admitted, full atomic.Int64
	limit.Store(1)
	var callers, person sync.WaitGroup
	done := make(chan struct{})
	person.Go(func() {
		random := rand.New(rand.NewPCG(7, 7))
		for {
			select {
			case <-done:
				return
			default:
			}
			n := 1 + random.IntN(goroutines-1)
			changing.Lock()
			b.Reconfigure(circuit.WithProbes(20, 20), circuit.WithProbeLimit(n))
			limit.Store(int64(n))
			changing.Unlock()
			runtime.Gosched()
		}
	})
	for range goroutines {
		callers.Go(func() {
			for range calls {
				changing.RLock()
				p, err := b.Acquire()
				n := int64(0)
				if err == nil {
					n = running.Add(1)
					admitted.Add(1)
				}
				most := limit.Load()
				changing.RUnlock()
				if n > most {
					t.Errorf("%d probes run, and %d may", n, most)
					return
				}
				if n == most {
					full.Add(1)
				}
				runtime.Gosched()
				if err == nil {
					running.Add(-1)
					p.Done(breaker.Ignored)
				}
			}
		})
	}
	callers.Wait()
	close(done)
	person.Wait()
	require.Greater(t, admitted.Load(), int64(1000))
	require.Positive(t, full.Load(), "the limit was reached")
	s := b.Snapshot()
	require.Equal(t, breaker.HalfOpen, s.State)
	require.EqualValues(t, goroutines*calls, s.Totals.Offered)
	require.EqualValues(t, admitted.Load(), s.Totals.Ignored)
}
