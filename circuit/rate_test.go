package circuit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// TestFailureRate_DecidesExactly reaches each ratio from below, by one failure.
func TestFailureRate_DecidesExactly(t *testing.T) {
	for _, c := range []struct {
		ratio           float64
		failures, calls int
	}{
		{0.5, 100, 200}, {0.07, 7, 100}, {0.29, 29, 100}, {2.0 / 3, 200, 300}, {1.0 / 3, 34, 102}, {1, 50, 50}, {0.57, 57, 100},
	} {
		t.Run(fmt.Sprintf("%v of %d", c.ratio, c.calls), func(t *testing.T) {
			for failures, want := range map[int]breaker.State{c.failures - 1: breaker.Closed, c.failures: breaker.Open} {
				b := circuit.NewBreaker(circuit.WithFailureRate(c.ratio, c.calls, time.Hour))
				for i := range c.calls {
					p, err := b.Acquire()
					require.NoError(t, err)
					o := breaker.Success
					if i < failures {
						o = breaker.Failure
					}
					p.Done(o)
				}
				require.Equal(t, want, b.Snapshot().State, "%d of %d", failures, c.calls)
			}
		})
	}
}
