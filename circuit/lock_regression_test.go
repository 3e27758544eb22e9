package circuit

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

func acquire(t *testing.T, b *Breaker, n int) []breaker.Permit {
	t.Helper()
	permits := make([]breaker.Permit, n)
	for i := range permits {
		p, err := b.Acquire()
		require.NoError(t, err)
		permits[i] = p
	}
	return permits
}

// With more calls in flight than a ledger has slots, each success took the lock
// of the breaker.
func TestRegression_SuccessesTookTheLockWithManyCallsInFlight(t *testing.T) {
	b := NewBreaker()
	permits := acquire(t, b, 100)
	done := make(chan struct{})
	b.cold.mu.Lock()
	go func() {
		defer close(done)
		for _, p := range permits {
			p.Done(breaker.Success)
		}
	}()
	<-done // or for ever
	b.cold.mu.Unlock()
	require.Equal(t, breaker.Totals{Offered: 100, Allowed: 100, Success: 100}, b.Snapshot().Totals)
}

func TestRegression_AllowTookTheLockIfSlowCallsCount(t *testing.T) {
	b := NewBreaker(WithSlowCallRate(time.Hour, 0.5, 10, time.Minute))
	require.NoError(t, b.Allow())
	done := make(chan error)
	b.cold.mu.Lock()
	go func() { done <- b.Allow() }()
	require.NoError(t, <-done) // or never
	b.cold.mu.Unlock()
}

// Growing the places for timed calls copied all of them for each new one: 4 GB
// for the 16 385th call.
func TestRegression_PlacesForTimedCallsGrewInQuadraticTime(t *testing.T) {
	const calls = 20_000
	b := NewBreaker(WithSlowCallRate(time.Hour, 0.5, 10, time.Minute))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	permits := acquire(t, b, calls)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(calls*500))
	require.EqualValues(t, calls, b.Snapshot().Totals.InFlight)
	for _, p := range permits {
		p.Done(breaker.Success)
	}
	require.Equal(t, breaker.Totals{Offered: calls, Allowed: calls, Success: calls}, b.Snapshot().Totals)
}

// A probe of Allow began before it was let through, if Allow had to wait for the
// lock. So its lease could end before one that began earlier, and was not noticed.
func TestRegression_AProbeOfAllowBeganBeforeItWasLetThrough(t *testing.T) {
	b := NewBreaker()
	b.HalfOpen()
	done := make(chan error)
	b.cold.mu.Lock()
	go func() { done <- b.Allow() }()
	for began := b.now(); b.now() < began+int64(10*time.Millisecond); {
		runtime.Gosched() // it waits now, or will see nothing of this
	}
	released := b.now()
	b.cold.mu.Unlock()
	require.NoError(t, <-done)
	require.GreaterOrEqual(t, b.cold.machine.probes.running[0].began, released)
}

// With the options that it has, calls in flight must not take the lock.
func TestReconfigure_WithTheSameOptionsChangesNothing(t *testing.T) {
	opts := []Option{
		WithFailureCount(3, 10), WithFailureRate(0.5, 10, time.Minute), WithSlowCallRate(time.Second, 0.5, 10, time.Hour),
		WithProbes(2, 3), WithBackoff(2, time.Hour), WithJitter(0.5), WithRetryAfter(time.Minute, nil),
	}
	b := NewBreaker(append(opts, WithName("users"), WithListener(func(breaker.Event) {}))...)
	before := b.published.Load()
	b.Reconfigure(opts...)
	require.Same(t, before, b.published.Load())
	b.Reconfigure(opts[1:]...)
	require.NotSame(t, before, b.published.Load())
}
