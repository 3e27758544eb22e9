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
	b.mu.Lock()
	go func() {
		defer close(done)
		for _, p := range permits {
			p.Done(breaker.Success)
		}
	}()
	<-done // or for ever
	b.mu.Unlock()
	require.Equal(t, breaker.Totals{Offered: 100, Allowed: 100, Success: 100}, b.Snapshot().Totals)
}

func TestRegression_AllowTookTheLockIfSlowCallsCount(t *testing.T) {
	b := NewBreaker(WithSlowCallRate(time.Hour, 0.5, 10, time.Minute))
	require.NoError(t, b.Allow())
	done := make(chan error)
	b.mu.Lock()
	go func() { done <- b.Allow() }()
	require.NoError(t, <-done) // or never
	b.mu.Unlock()
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
