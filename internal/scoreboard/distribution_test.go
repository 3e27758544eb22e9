package scoreboard

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type randSource = rand.Rand

func TestDistribution_EachHasItsMedianAndItsTail(t *testing.T) {
	const n = 20000
	quantile := func(d distribution, q float64) float64 {
		ids := rand.NewPCG(1, 1)
		var all []time.Duration
		for range n {
			all = append(all, d.draw(fate{id: ids.Uint64()}, askSuccess))
		}
		slices.Sort(all)
		return all[int(q*n)].Seconds()
	}
	for _, d := range []distribution{always(second), around(second), lognormally(second, 0.5), paretoFrom(second, 2)} {
		require.InEpsilon(t, d.typical().Seconds(), quantile(d, 0.5), 0.02, d)
	}
	require.InDelta(t, 1, quantile(always(second), 0.999), 0)
	require.InEpsilon(t, 0.5+0.5*2.9957, quantile(around(second), 0.95), 0.05)
	require.InEpsilon(t, 2.276, quantile(lognormally(second, 0.5), 0.95), 0.05) // e^(0.5 × 1.645)
	require.InEpsilon(t, 4.472, quantile(paretoFrom(second, 2), 0.95), 0.05)    // 0.05^(-1/2)
	require.GreaterOrEqual(t, quantile(paretoFrom(second, 2), 0), 1.0)
	require.Zero(t, distribution{}.draw(fate{id: 3}, askSuccess))
}

func TestFate_AnswersItsQuestionsIndependently(t *testing.T) {
	ids := rand.NewPCG(1, 1)
	var xy, xx, x, y float64
	const n = 10000
	for range n {
		f := fate{id: ids.Uint64()}
		a, b := f.uniform(askSuccess)-0.5, f.uniform(askFailure)-0.5
		xy, xx, x, y = xy+a*b, xx+a*a, x+a, y+b
		require.NotEqual(t, f.id, f.again().id)
	}
	require.InDelta(t, 0, xy/xx, 0.05)
	require.InDelta(t, 1.0/12, xx/n, 0.003)
	require.InDelta(t, 0, x/n, 0.01)
	require.InDelta(t, 0, y/n, 0.01)
}

func TestFate_LatenciesOfFailuresDoNotChangeThoseOfSuccesses(t *testing.T) {
	successes := func(bad distribution) (took []time.Duration) {
		w := &world{rate: 100, good: lognormally(20*ms, 0.5), bad: bad, faults: []fault{{kind: failing, share: 0.5, length: 5 * second}}}
		tr := w.runs(t, none, 1)
		for _, c := range tr.calls {
			if c.took < second {
				took = append(took, c.took)
			}
		}
		return took
	}
	require.Equal(t, successes(always(second)), successes(paretoFrom(second, 2)))
}
