package circuit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The traps about thresholds.

// doneAtOnce makes calls that end at the same time.
func doneAtOnce(t *testing.T, b *circuit.Breaker, outcomes ...breaker.Outcome) {
	t.Helper()
	var permits []breaker.Permit
	for range outcomes {
		permits = append(permits, mustAcquire(t, b))
	}
	var wg sync.WaitGroup
	for i, o := range outcomes {
		wg.Go(func() { permits[i].Done(o) })
	}
	wg.Wait()
}

func TestT11_FailuresAtTheSameTimeDoNotStepOverTheThreshold(t *testing.T) {
	for name, rule := range map[string]circuit.Option{
		"in a row":    circuit.WithConsecutiveFailures(2),
		"of the last": circuit.WithFailureCount(2, 100),
		"in a period": circuit.WithFailuresInPeriod(2, time.Hour),
		"rate":        circuit.WithFailureRate(1, 2, time.Hour),
		"predicate":   circuit.WithOpenWhen(0, func(c circuit.Counts) bool { return c.Failure >= 2 }),
	} {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				b := circuit.NewBreaker(rule)
				doneAtOnce(t, b, breaker.Failure, breaker.Failure, breaker.Failure, breaker.Failure)
				s := b.Snapshot()
				require.Equal(t, breaker.Open, s.State)
				require.EqualValues(t, 1, s.Openings)
				require.EqualValues(t, 4, s.Totals.Failure)
			}
		})
	}
}

// A success can be the call that makes the rate count, and comes without a lock.
func TestT11_ASuccessAtTheTimeOfAFailureDoesNotHideTheRate(t *testing.T) {
	for range 2000 {
		b := circuit.NewBreaker(circuit.WithFailureRate(0.5, 4, time.Hour))
		doneAtOnce(t, b, breaker.Success, breaker.Failure, breaker.Success, breaker.Failure)
		requireState(t, breaker.Open, b)
	}
}

func TestT12_ARateIsComparedExactly(t *testing.T) {
	rate := func(r float64) circuit.Option { return circuit.WithFailureRate(r, 1, time.Hour) }
	for _, c := range []struct {
		name            string
		rule            func(calls int) circuit.Option
		failures, calls int
		want            breaker.State
	}{
		{"0.5", func(n int) circuit.Option { return circuit.WithFailureRate(0.5, n, time.Hour) }, 99, 200, breaker.Closed},
		{"0.5", func(n int) circuit.Option { return circuit.WithFailureRate(0.5, n, time.Hour) }, 100, 200, breaker.Open},
		{"50 %", func(n int) circuit.Option { return circuit.WithFailurePercent(50, n, time.Hour) }, 99, 200, breaker.Closed},
		{"50 %", func(n int) circuit.Option { return circuit.WithFailurePercent(50, n, time.Hour) }, 100, 200, breaker.Open},
		{"0.495", func(n int) circuit.Option { return circuit.WithFailureRate(0.495, n, time.Hour) }, 99, 200, breaker.Open},
		{"a third", func(n int) circuit.Option { return circuit.WithFailureRate(1.0/3, n, time.Hour) }, 333_333, 1_000_000, breaker.Closed},
		{"a third", func(n int) circuit.Option { return circuit.WithFailureRate(1.0/3, n, time.Hour) }, 100, 300, breaker.Open},
		{"1", func(n int) circuit.Option { return circuit.WithFailureRate(1, n, time.Hour) }, 999, 1000, breaker.Closed},
	} {
		t.Run(fmt.Sprintf("%d of %d at %s", c.failures, c.calls, c.name), func(t *testing.T) {
			require.Equal(t, c.want.String(), stateAfterRate(c.rule(c.calls), c.failures, c.calls).String())
		})
	}
	// Every percent, at the number of failures that is just enough.
	for p := 1; p <= 100; p++ {
		for _, rule := range []func(int) circuit.Option{
			func(n int) circuit.Option { return circuit.WithFailurePercent(p, n, time.Hour) },
			func(n int) circuit.Option { return circuit.WithFailureRate(float64(p)/100, n, time.Hour) },
		} {
			require.Equal(t, breaker.Open, stateAfterRate(rule(100), p, 100), "%d %%", p)
			require.Equal(t, breaker.Closed, stateAfterRate(rule(100), p-1, 100), "%d %%", p)
		}
	}
	b := circuit.NewBreaker(rate(1e-6))
	for range 1_000_000 {
		b.MarkSuccess()
	}
	callTimes(t, b, 1, breaker.Failure)
	requireState(t, breaker.Closed, b) // 1 of 1000001
}

// stateAfterRate returns the state after that many failures of that many calls,
// the failures first.
func stateAfterRate(rule circuit.Option, failures, calls int) breaker.State {
	b := circuit.NewBreaker(rule)
	for range failures {
		b.MarkFailed()
	}
	for range calls - failures {
		b.MarkSuccess()
	}
	return b.Snapshot().State
}
