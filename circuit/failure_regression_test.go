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
	row := b.streak.fail(&b.ledger)
	require.True(t, b.mayOpen(0, row))
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
	require.EqualValues(t, 1, s.fail(&l))
}
