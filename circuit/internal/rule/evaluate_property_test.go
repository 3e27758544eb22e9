package rule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// What Evaluate promises is why most failures of a breaker ask no rule.
func TestRate_NothingFollowsBeforeAsManyFailuresAsItSaysWhateverSucceeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.OneOf(rapid.Uint64Range(0, 12), rapid.Uint64Range(0, 1_000_000_000))
		r := Rate{
			Ratio:    FractionOf(rapid.OneOf(rapid.Float64Range(1e-6, 1), rapid.SampledFrom([]float64{0.5, 1, 0.07, 1e-6})).Draw(t, "ratio")),
			MinCalls: rapid.OneOf(rapid.Uint64Range(1, 20), rapid.Uint64Range(1, 1_000_000_000)).Draw(t, "min calls"),
			Period:   time.Second,
		}
		c := ledger.Counts{Success: count.Draw(t, "successes"), Failure: count.Draw(t, "failures")}
		v, n := r.evaluate(c)
		if v != Stays {
			require.Zero(t, n)
			return
		}
		require.Positive(t, n)
		more := min(n, 1<<30)
		for range 5 {
			later := c
			later.Success += count.Draw(t, "more successes")
			later.Failure += rapid.Uint64Range(0, more-1).Draw(t, "more failures")
			v, _ := r.evaluate(later)
			require.Equal(t, Stays, v, "%+v", later)
		}
		if c.Success+c.Failure >= r.MinCalls && n == more {
			c.Failure += n
			v, _ := r.evaluate(c)
			require.Equal(t, Opens, v, "it need not be so careful: %+v", c)
		}
	})
}

func TestConsecutive_NothingFollowsBeforeAsManyFailuresAsItSays(t *testing.T) {
	r := Consecutive{Failures: 5}.Rule(Counters{})
	for row := range uint64(5) {
		v, n := r.Evaluate(Evidence{Row: row})
		require.Equal(t, Stays, v)
		require.Equal(t, 5-row, n)
	}
	v, n := r.Evaluate(Evidence{Row: 5})
	require.Equal(t, Opens, v)
	require.Zero(t, n)
}
