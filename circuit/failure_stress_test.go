package circuit_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// atOnce calls each of the functions in a goroutine of its own, and returns when
// all have.
func atOnce(functions []func()) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, f := range functions {
		wg.Go(func() {
			<-start
			f()
		})
	}
	close(start)
	wg.Wait()
}

// TestBreaker_OpensWithTheFailureThatReachesARuleHoweverManyFailAtOnce ends just
// as many calls at once as the rule needs, or one failure fewer.
func TestBreaker_OpensWithTheFailureThatReachesARuleHoweverManyFailAtOnce(t *testing.T) {
	const calls, rounds = 16, 300
	for name, c := range map[string]struct {
		rule     circuit.Option
		failures int
	}{
		"in a row":         {circuit.WithConsecutiveFailures(calls), calls},
		"rate":             {circuit.WithFailureRate(0.5, calls, time.Hour), calls / 2},
		"of the last":      {circuit.WithFailureCount(calls/2, calls), calls / 2},
		"within":           {circuit.WithFailuresInPeriod(calls/2, time.Hour), calls / 2},
		"rate, few enough": {circuit.WithFailureRate(0.25, calls/4, time.Hour), calls / 2},
	} {
		t.Run(name, func(t *testing.T) {
			for round := range rounds {
				missing := round % 2 // failures
				if name == "rate, few enough" {
					missing = 0 // in some orders fewer would do
				}
				b := circuit.NewBreaker(c.rule)
				var ends []func()
				for i := range calls {
					outcome := breaker.Success
					if i < c.failures-missing {
						outcome = breaker.Failure
					} else if c.failures == calls {
						outcome = breaker.Ignored // a success would interrupt the row
					}
					p, err := b.Acquire()
					require.NoError(t, err)
					if i%2 == 0 && outcome == breaker.Failure {
						p.Done(breaker.Ignored)
						ends = append(ends, b.MarkFailed)
						continue
					}
					ends = append(ends, func() { p.Done(outcome) })
				}
				atOnce(ends)
				s := b.Snapshot()
				want := breaker.Open
				if missing > 0 {
					want = breaker.Closed
				}
				require.Equal(t, want, s.State)
				require.EqualValues(t, c.failures-missing, s.Totals.Failure)
				if c.failures == calls && missing > 0 {
					require.EqualValues(t, calls-1, s.ConsecutiveFailures)
				}
			}
		})
	}
}

// TestBreaker_CountsARowOfFailuresBetweenSuccessesThatCome counts rows while
// successes interrupt them: the last row is that of the failures after all else.
func TestBreaker_CountsARowOfFailuresBetweenSuccessesThatCome(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1e6))
	for range 200 {
		var mixed []func()
		for i := range 16 {
			mixed = append(mixed, func() {
				for range 5 {
					if i%4 == 0 {
						b.MarkSuccess()
					} else {
						b.MarkFailed()
					}
				}
			})
		}
		atOnce(mixed)
		b.MarkSuccess()
		atOnce([]func(){b.MarkFailed, b.MarkFailed, b.MarkFailed})
		s := b.Snapshot()
		require.EqualValues(t, 3, s.ConsecutiveFailures)
		require.Zero(t, s.ConsecutiveSuccesses)
	}
}
