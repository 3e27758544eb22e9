package circuit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// failUnlocked counts failures as goroutines do that have not come to the lock yet.
func failUnlocked(t *testing.T, b *Breaker, n int) (row uint64) {
	t.Helper()
	for range n {
		came, inARow := b.published.Load().tryFail(b.now(), breaker.Ticket{})
		require.NotEqual(t, notCounted, came)
		row = inARow
	}
	return row
}

// How many failures may be quiet was reckoned from the row of one failure and from the
// count after others, so a row could be longer than the rule allows.
func TestRegression_FailuresThatCameWhileOneWaitedForTheLockWereQuiet(t *testing.T) {
	b := NewBreaker(WithConsecutiveFailures(1000))
	row := failUnlocked(t, b, 1)
	failUnlocked(t, b, 10)
	b.cold.failed(b.published.Load().generation, row, breaker.Result{Outcome: breaker.Failure})
	for range 988 {
		b.MarkFailed()
	}
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	b.MarkFailed()
	require.Equal(t, breaker.Open, b.Snapshot().State)
}

// A success knows nothing of the row of failures that came after it.
func TestRegression_ASuccessMadeTheFailuresAfterItQuiet(t *testing.T) {
	b := NewBreaker(WithConsecutiveFailures(5), WithFailureRate(0.9, 100, time.Hour))
	failUnlocked(t, b, 2)
	b.cold.succeeded(b.published.Load().generation)
	for range 2 {
		b.MarkFailed()
	}
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	b.MarkFailed()
	require.Equal(t, breaker.Open, b.Snapshot().State)
}
