package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOdds_TellTheSameNumberFromTheSameShare(t *testing.T) {
	for name, c := range map[string]struct {
		a, b tally
		want float64
	}{
		"half of the calls, and as many succeed":  {tally{n: 200, ok: 100, t: second}, tally{n: 100, ok: 100, t: second}, 44.06873},
		"half of the calls, of which half do":     {tally{n: 200, ok: 100, t: second}, tally{n: 100, ok: 50, t: second}, -71.69067},
		"as many calls, of which as many succeed": {tally{n: 200, ok: 100, t: second}, tally{n: 200, ok: 100, t: second}, 0},
		"few calls tell little":                   {tally{n: 200, ok: 100, t: second}, tally{n: 4, ok: 4, t: second / 25}, 2.59228},
		"few of them are known":                   {tally{n: 10, ok: 5, t: second / 20}, tally{n: 100, ok: 100, t: second}, 5.75305},
		"twice the calls, and as many succeed":    {tally{n: 100, ok: 100, t: second}, tally{n: 200, ok: 100, t: second}, 71.66074},
		"twice the calls, and all succeed":        {tally{n: 100, ok: 100, t: second}, tally{n: 200, ok: 200, t: second}, -46.20981},
		"four times the calls in two seconds":     {tally{n: 100, ok: 50, t: second}, tally{n: 400, ok: 50, t: 2 * second}, 21.60544},
		"none at all":                             {tally{n: 100, ok: 50, t: second}, tally{t: second}, 0},
	} {
		require.InDelta(t, c.want, odds(c.a, c.b), 1e-4, name)
	}
}

func TestOdds_NothingIsEverQuiteCertain(t *testing.T) {
	none, full := tally{n: 1e6, t: second}, tally{n: 1e6, ok: 1e6, t: second}
	for _, x := range []float64{odds(none, full), odds(full, none), odds(none, none), odds(full, full)} {
		require.Less(t, math.Abs(x), 1e8)
	}
	for p, want := range map[float64]float64{-1: 0.03, 0.02: 0.03, 0.04: 0.04, 0.96: 0.96, 0.98: 0.97, 7: 0.97} {
		require.InDelta(t, want, certain(p), 1e-12)
	}
}

func TestDelivered_IsWhatSucceededOrWhatArrivedIfThatIsMore(t *testing.T) {
	for _, c := range []struct{ ok, done, want float64 }{
		{100, 100, 100},
		{100, 120, 120}, // successes of the cohorts before arrive, too
		{120, 100, 120}, // not all of them have arrived in time
		{0, 100, 100},
	} {
		require.InDelta(t, c.want, tally{n: 200, ok: c.ok, done: c.done, t: second}.delivered()*second, 1e-9, "%+v", c)
	}
	require.Zero(t, tally{}.delivered())
}

func TestTally_AveragesOverWhatIsKept(t *testing.T) {
	a := tally{80, 40, 24, 16}
	a.add(tally{1, 2, 3, 4}, most)
	require.Equal(t, tally{71, 37, 24, 18}, a)
	require.InDelta(t, 37.0/71, a.ratio(), 1e-12)
	require.InDelta(t, 71.0/18, a.pace(), 1e-12)
	require.Zero(t, tally{}.ratio())
	require.Zero(t, tally{}.pace())
	c := &Cohort{from: start, to: open, sent: 3, ok: 2, done: 5}
	require.Equal(t, tally{3, 2, 5, float64(10 * ms)}, c.tally(start+10*ms))
	c.to = start + 4*ms
	require.Equal(t, tally{3, 2, 5, float64(4 * ms)}, c.tally(start+10*ms))
}

func TestCohort_PendingIsWhatHasNeitherEndedNorBeenAnswered(t *testing.T) {
	for want, c := range map[float64]Cohort{
		7: {sent: 10, ok: 1, failed: 2},
		5: {sent: 10, ok: 1, failed: 2, answered: 5},
		4: {sent: 10, ok: 4, failed: 2, answered: 5}, // some of them may be the same
		0: {sent: 1, failed: 3},
	} {
		require.EqualValues(t, want, c.pending())
	}
}

func TestCohort_AnOutcomeCountsForTheCallsThatItsCallBeganWith(t *testing.T) {
	l := suspecting()
	first := ask(t, l, start)
	require.Same(t, first, ask(t, l, start+17*ms))
	second := ask(t, l, start+17500*ms/1000)
	require.NotSame(t, first, second, "an eighth of the time after which a call is overdue")
	require.Equal(t, start+17500*ms/1000, first.to)
	l.Fail(start+20*ms, second, true)
	require.EqualValues(t, 1, second.failed)
	require.Zero(t, first.failed)
	require.EqualValues(t, 2, first.pending())
	require.EqualValues(t, 2, l.flight())
	l.Fail(start+20*ms, nil, false)
	require.EqualValues(t, 1, first.failed, "without a stamp, it is taken for the oldest that is pending")
}

func TestCohort_TheStampOfAnEarlierPhaseIsOld(t *testing.T) {
	l := suspecting()
	c := ask(t, l, start)
	l.fall(start+ms, "put down")
	l.Succeed(start+2*ms, c, true)
	l.Answer(start+2*ms, c)
	require.Equal(t, Down, l.Phase(), "it began before the outage")
	l.Fail(start+2*ms, c, true)
	l.Ignore(start+2*ms, c, true, false)
	require.Zero(t, c.failed)
	require.EqualValues(t, 1, c.sent)
	require.Equal(t, start+141*ms, l.NextProbe())
}

func TestCohort_ASuccessCountsWhereItArrivesAndWhereItBegan(t *testing.T) {
	l := suspecting()
	l.recover(start)
	first := ask(t, l, start)
	l.begin(start + 10*ms)
	l.Succeed(start+15*ms, first, true)
	require.EqualValues(t, 1, first.ok)
	require.EqualValues(t, 15*ms, first.took)
	require.Zero(t, first.done)
	require.EqualValues(t, 1, l.current().done)
	require.Equal(t, start+15*ms, l.alive)
}

func TestBegin_TheCallsThatAreAskedForAreAveragedOverSixteenSeconds(t *testing.T) {
	l := suspecting()
	l.current().asked = 100
	l.begin(start + 4*sec)
	require.InDelta(t, 100+(25-100)*4.0/20, l.asks*second, 1e-9)
	asks := l.asks
	l.current().asked = 7
	c := l.begin(start + 4*sec)
	require.InDelta(t, asks, l.asks, 0, "over no time, nothing is known")
	require.Equal(t, Cohort{epoch: l.epoch, from: start + 4*sec, to: open}, *c)
	require.Same(t, c, l.current())
}

func TestOverdue_IsFourTimesTheUsualAndAtLeast140Ms(t *testing.T) {
	l := newLaw()
	require.Equal(t, 2*sec, l.overdue(), "nothing is known")
	for usual, want := range map[int64]int64{ms: 140 * ms, 35 * ms: 140 * ms, 50 * ms: 200 * ms, sec: 4 * sec} {
		l.usual = float64(usual)
		require.Equal(t, want, l.overdue())
	}
	l.usual = float64(10 * ms)
	c := &Cohort{from: start, to: open}
	require.False(t, l.isOverdue(c, start+280*ms), "it may have begun just now")
	require.True(t, l.isOverdue(c, start+280*ms+1))
	require.False(t, c.isOver(start+280*ms+1, 140*ms))
	c.to = start + 50*ms
	require.False(t, l.isOverdue(c, start+190*ms))
	require.True(t, l.isOverdue(c, start+190*ms+1))
	require.True(t, c.isOver(start+190*ms+1, 140*ms))
}

func TestEvidence_WeighsWhatBecameOfTheCallsInARow(t *testing.T) {
	each, maybe := math.Log(3), math.Log(prior/0.03)
	for name, c := range map[string]struct {
		barren         float64
		cohorts        []*Cohort
		nats, failures float64
	}{
		"failures":                      {2, []*Cohort{{sent: 3, failed: 3}, {sent: 4, failed: 4}}, 9 * each, 9},
		"a pending call counts against": {0, []*Cohort{{sent: 1}, {sent: 9, failed: 9}}, 9*each - maybe, 9},
		"the newest may be left out":    {1, []*Cohort{{sent: 9, failed: 9}, {sent: 3, failed: 1}}, 10 * each, 10},
		"an overdue call has failed":    {0, []*Cohort{{sent: 4, failed: 1, from: -300 * ms, to: open}}, 4 * each, 4},
		"a success sets it to 0":        {5, []*Cohort{{sent: 5, failed: 5}, {sent: 2, ok: 1, failed: 1}, {sent: 2, failed: 2}}, 2 * each, 2},
		"and what is pending":           {5, []*Cohort{{sent: 9}, {sent: 2, ok: 1}, {sent: 2, failed: 2}}, 2 * each, 2},
		"so does an answer":             {5, []*Cohort{{sent: 2, answered: 1}}, 0, 0},
	} {
		l := newLaw()
		l.usual, l.barren, l.cohorts = float64(10*ms), c.barren, c.cohorts
		nats, failures := l.evidence(0)
		require.InDelta(t, c.nats, nats, 1e-9, name)
		require.InDelta(t, c.failures, failures, 1e-9, name)
	}
	for ratio, want := range map[float64]float64{1: math.Log(3), 0.5: math.Ln2, 0.01: -math.Log(0.97), 0: -math.Log(0.97)} {
		l := newLaw()
		l.ratio, l.barren = ratio, 1
		nats, _ := l.evidence(0)
		require.InDelta(t, want, nats, 1e-9, ratio)
	}
	l := newLaw()
	l.ratio, l.cohorts = 0.01, []*Cohort{{sent: 5}, {sent: 1, failed: 1}}
	nats, _ := l.evidence(0)
	require.InDelta(t, -math.Log(0.97), nats, 1e-9, "a pending call is no more likely to succeed in an outage")
}
