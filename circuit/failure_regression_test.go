package circuit

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// A failure that reached a rule was forgotten if options were replaced before it
// could open the breaker.
func TestRegression_AReconfigureDuringAFailureKeptTheBreakerClosed(t *testing.T) {
	b := NewBreaker(WithConsecutiveFailures(1))
	v := b.view.Load()
	r := breaker.Result{Outcome: breaker.Failure}
	// What count does, up to where it gives the lock back:
	b.mu.RLock()
	b.ledger.Fail()
	ended := b.ledger.Ended()
	row := b.streak.fail(ended.Success)
	require.True(t, b.mayOpen(0, row, ended))
	b.mu.RUnlock()
	b.Reconfigure(WithConsecutiveFailures(1), WithDelay(time.Minute))
	b.decideAfter(v, row, r)
	require.Equal(t, breaker.Open, b.Snapshot().State)
}

// A row of failures after half of 2^40 successes was waited for without end.
func TestRegression_AFailureAfterVeryManySuccessesDidNotReturn(t *testing.T) {
	var l ledger.Ledger
	l.Succeed()
	var s streak
	s.begin(1<<39 + 1) // as if 2^39 successes had come since
	require.EqualValues(t, 1, s.fail(l.Ended().Success))
}

// Each failure that met another one looked at all the successes again, so
// processors hindered each other. Now the order follows from what they found.
func TestStreak_AFailureThatFoundFewerSuccessesContinuesTheRowOfTheOther(t *testing.T) {
	var s streak
	s.begin(10)
	for i, c := range []struct{ success, row uint64 }{{10, 1}, {10, 2}, {12, 1}, {11, 2}, {12, 3}, {13, 1}} {
		require.Equal(t, c.row, s.fail(c.success), "failure %d", i)
	}
	s.begin(1<<40 - 1)
	require.EqualValues(t, 1, s.fail(1<<40+1), "the number of successes has no bound")
	require.EqualValues(t, 2, s.fail(1<<40-1))
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
			s := b.totals() // what a snapshot has, many times while the call ends
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
	b.mu.Lock()
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
	b.mu.Unlock()
	<-done
	require.EqualValues(t, 2, b.Snapshot().Totals.Ignored)
}
