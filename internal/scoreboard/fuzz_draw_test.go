package scoreboard

import (
	"math"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

func TestFuzz_ASeedGivesAWorldAndAVerdict(t *testing.T) {
	for seed := range uint64(8) {
		require.Equal(t, drawWorld(seed), drawWorld(seed))
		var lines []string
		for range 2 {
			synctest.Test(t, func(*testing.T) {
				w := drawWorld(seed)
				lines = append(lines, judge(w, can(w, seed), ours, seed).String())
			})
		}
		require.Equal(t, lines[0], lines[1])
		require.NotEqual(t, drawWorld(seed).String(), drawWorld(seed+1).String())
	}
}

func TestFuzz_EachWorldBeginsAndEndsWell(t *testing.T) {
	kinds := map[faultKind]int{}
	for seed := range uint64(500) {
		w := drawWorld(seed)
		require.Equal(t, well, w.faults[0].kind)
		last := w.faults[len(w.faults)-1]
		require.Equal(t, fault{kind: well, length: healthAtEnd}, last)
		for _, f := range w.faults {
			require.Positive(t, f.length)
			require.Zero(t, f.length%bin, w)
			kinds[f.kind]++
		}
		require.True(t, w.workers > 0 && w.rate == 0 || w.rate > 0, w)
		require.Less(t, w.good.typical(), w.load().timeout, w)
	}
	for k := well; k <= cutting; k++ {
		require.Positive(t, kinds[k], k)
	}
}

func TestFuzz_EveryoneIsPerfectWhereThereIsNoFault(t *testing.T) {
	w := &world{rate: 50, good: around(20 * ms), faults: in10s(fault{kind: well, length: 10 * second}, fault{kind: well, length: healthAtEnd})}
	synctest.Test(t, func(*testing.T) {
		v := judge(w, can(w, 1), ours, 1)
		require.Equal(t, []float64{1, 1}, v.scores[1:])
		require.Zero(t, v.recovery)
		require.False(t, v.late || v.isBad())
	})
}

func TestFuzz_ScoresCompareWithWhatCanBeHad(t *testing.T) {
	most := count{allowed: 100, useful: 50}
	require.InDelta(t, 0.8, score(fault{kind: limiting}, count{useful: 40}, most), 1e-9)
	require.InDelta(t, 1, score(fault{kind: limiting}, count{useful: 60}, most), 1e-9)
	require.InDelta(t, 0.9, score(fault{kind: hanging}, count{allowed: 10}, most), 1e-9)
	require.True(t, math.IsNaN(score(fault{kind: refusing}, count{}, count{allowed: 19})))
	require.True(t, math.IsNaN(score(fault{kind: pausing}, count{}, most)))
}

// stuck opens at its fifth failure, for ever.
type stuck struct{ failures int }

func (s *stuck) Acquire() (breaker.Permit, error) {
	if s.failures >= 5 {
		return breaker.Permit{}, errRejected
	}
	return breaker.NewPermit(s, breaker.Ticket{}), nil
}

func (s *stuck) Settle(_ breaker.Ticket, o breaker.Outcome) {
	if o == breaker.Failure {
		s.failures++
	}
}

func TestFuzz_ABadWorldIsShrunkToOneThatIsSimpleAndStillBad(t *testing.T) {
	p := policy{name: "stuck", make: func(*randSource) breaker.Acquirer { return &stuck{} }}
	big := world{
		rate: 23.4, clients: 2, wave: wave{swing: 0.5, period: 7 * second}, retries: 1, delay: around(50 * ms),
		good: lognormally(31*ms, 0.3), bad: paretoFrom(5*ms, 2), timeout: 3 * second, patience: second,
		faults: in10s(
			fault{kind: losing, nodes: 4, dead: 1, length: 20 * second}, fault{kind: well, length: 20 * second},
			fault{kind: flapping, up: 1234 * ms, down: 2345 * ms, length: 20 * second}, fault{kind: well, length: healthAtEnd}),
	}
	var small [2]verdict
	for i := range small {
		synctest.Test(t, func(*testing.T) {
			w := big
			v := judge(&w, can(&w, 2), p, 2)
			require.True(t, v.isBad() && v.late, v)
			small[i] = shrunk(v, p)
		})
	}
	require.Equal(t, small[0].String(), small[1].String(), "the same each time")
	w := small[0].world
	require.True(t, small[0].isBad())
	require.Len(t, w.faults, 3)
	require.Equal(t, "20/s; successes take 30ms, failures 30ms, timeout 2s: well 10s → flap 1s up, 2s down 10s → well 35s", w.String())
}

func TestFuzz_AReportNamesTheWorst(t *testing.T) {
	bad := verdict{world: served10ms(), seed: 7, scores: []float64{math.NaN(), 0.1}, late: true, recovery: math.Inf(1)}
	good := verdict{world: served10ms(), seed: 8, scores: []float64{math.NaN(), 0.9}}
	bad.world.faults = []fault{{kind: well, length: second}, {kind: refusing, length: second}}
	good.world.faults = bad.world.faults
	sum := sumUp([]verdict{good, bad})
	require.InDelta(t, 0.5, sum.mean, 1e-9)
	require.Equal(t, 1, sum.poor)
	require.Equal(t, 1, sum.late)
	require.EqualValues(t, 7, sum.worst[0].seed)
	text := sum.report("x", 1)
	require.Contains(t, text, "seed 7: [– 0.10] recovery never, REJECTS 30 s AFTER HEALING: ")
	require.NotContains(t, text, "seed 8")
}
