package circuit

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// A failure that reached a rule was forgotten if options were replaced before it
// could open the breaker.
func TestRegression_AReconfigureDuringAFailureKeptTheBreakerClosed(t *testing.T) {
	b := NewBreaker(WithConsecutiveFailures(1))
	v := b.published.Load()
	// What fail does, up to where it takes the lock:
	came, row := v.tryFail(0, breaker.Ticket{})
	require.Equal(t, mayOpen, came)
	b.Reconfigure(WithConsecutiveFailures(1), WithDelay(time.Minute))
	b.cold.failed(v.generation, row, breaker.Result{Outcome: breaker.Failure})
	require.Equal(t, breaker.Open, b.Snapshot().State)
}

// An ignored call was counted among others than it had been in flight with, so
// that a snapshot could find it at both.
func TestRegression_AnIgnoredCallWasInFlightAndIgnoredAtOnce(t *testing.T) {
	b := NewBreaker()
	permits := make(chan breaker.Permit)
	go func() {
		for p := range permits {
			p.Done(breaker.Ignored)
		}
	}()
	defer close(permits)
	for i := range uint64(2000) {
		p, err := b.Acquire()
		require.NoError(t, err)
		permits <- p
		for ignored, looks := uint64(0), 0; ignored <= i; looks++ {
			s := b.cold.totals() // what a snapshot has, many times while the call ends
			require.LessOrEqual(t, s.Allowed, i+1, "%+v", s)
			ignored = s.Ignored
			if looks > 50 {
				runtime.Gosched()
			}
		}
	}
}

func TestBreaker_AnIgnoredCallOfAClosedBreakerTakesNoLock(t *testing.T) {
	b := NewBreaker(WithFailureRate(0.5, 10, time.Second))
	p, err := b.Acquire()
	require.NoError(t, err)
	b.cold.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Done(breaker.Ignored)
		b.MarkIgnored()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("waits for the lock")
	}
	b.cold.mu.Unlock()
	<-done
	require.EqualValues(t, 2, b.Snapshot().Totals.Ignored)
}
