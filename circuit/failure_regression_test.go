package circuit

import (
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
