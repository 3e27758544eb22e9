package scoreboard

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestField_MeasuresAreThoseOfATraceDrawnByHand(t *testing.T) {
	bins := func(c count) (bins []count) {
		for range 101 {
			bins = append(bins, c)
		}
		return bins
	}
	tr := &trace{
		load: load{rate: 100},
		bins: bins(count{offered: 10, allowed: 4, useful: 3}),
		none: &trace{bins: bins(count{offered: 10, allowed: 10, useful: 6})},
		column: column{
			capacity: 40, up: every(5, 0, second, 2*second), down: every(5, second, second, 2*second),
		},
	}
	require.InDelta(t, 0.5, besideNone(0, 10*second)(tr), 1e-9)
	require.InDelta(t, 0.75, ofColumnsCapacity(0, 10*second)(tr), 1e-9)
	require.InDelta(t, 1, allowedOfCapacity(0, 10*second)(tr), 1e-9)
	require.InDelta(t, 0.4, columnsSent(tr), 1e-9)
	require.InDelta(t, 0.5, columnsUpTime(tr), 1e-9)
	require.InDelta(t, 600, rejectedCalls(0, 10*second)(tr), 1e-9)
	tr.bins[52].allowed = 9
	require.InDelta(t, 1.25, peak(40, 0, 10*second)(tr), 1e-9)
}

func TestField_ARejectionIsHonestIfTheNextCallIsAllowedWhenItSays(t *testing.T) {
	tr := &trace{
		load:  load{rate: 1000},
		calls: []call{{at: second}, {at: 3 * second}},
		rejections: []rejection{
			{2 * second, time.Second},         // right
			{2100 * ms, 870 * ms},             // 30 ms too soon
			{2200 * ms, 700 * ms},             // 100 ms too soon
			{2300 * ms, 710 * ms},             // 10 ms too late
			{2400 * ms, 0},                    // says nothing
			{3500 * ms, 500 * ms}, {4000, ms}, // nothing follows the one, the other is of another time
		},
	}
	require.InDelta(t, 2.0/5, honest(2*second, 4*second)(tr), 1e-9)
}

func TestField_TheWorstOfTheSeedsIsTheValue(t *testing.T) {
	require.InDelta(t, 1, measure{worst: true, reach: atLeast(1)}.combine([]float64{3, 1, 2}), 0)
	require.InDelta(t, 3, measure{worst: true, reach: atMost(1)}.combine([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2, measure{worst: true}.combine([]float64{3, 1, 2}), 0)
	require.InDelta(t, math.Inf(1), measure{worst: true, reach: atMost(1)}.combine([]float64{3, math.Inf(1), 2}), 0)
}

func TestField_TheSameSeedGivesTheSameRunAndAllPoliciesMeetTheSameCalls(t *testing.T) {
	for _, name := range []string{"L1a", "L3b", "L4a", "L10b", "L13a", "L15"} {
		w := scenarioNamed(name).columns[0].world
		once, again, other := w.runs(t, ours, 1), w.runs(t, ours, 1), w.runs(t, ours, 2)
		require.Equal(t, once.bins, again.bins)
		require.Equal(t, once.calls, again.calls)
		require.NotEqual(t, once.calls, other.calls)
		alone := w.runs(t, none, 1)
		for i := range once.bins {
			require.Equal(t, alone.bins[i].offered, once.bins[i].offered)
		}
	}
}
