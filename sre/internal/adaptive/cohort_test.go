package adaptive

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOdds_TellTheSameNumberFromTheSameShare(t *testing.T) {
	full := tally{n: 200, ok: 100, t: float64(sec)}
	for name, c := range map[string]struct {
		b             tally
		least, atMost float64
	}{
		"half of the calls, and as many succeed":  {tally{n: 100, ok: 100, t: float64(sec)}, 20, 1000},
		"half of the calls, of which half do":     {tally{n: 100, ok: 50, t: float64(sec)}, -1000, -20},
		"as many calls, of which as many succeed": {full, -1e-9, 1e-9},
		"few calls tell little":                   {tally{n: 4, ok: 4, t: float64(sec) / 25}, 1, 5},
		"none at all":                             {tally{t: float64(sec)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			nats := odds(full, c.b)
			require.GreaterOrEqual(t, nats, c.least)
			require.LessOrEqual(t, nats, c.atMost)
		})
	}
	b := tally{n: 100, ok: 100, t: float64(sec)}
	require.Less(t, odds(tally{n: 10, ok: 5, t: float64(sec) / 20}, b), odds(full, b)/2, "it counts less where less is known")
}

func TestOdds_NothingIsEverQuiteCertain(t *testing.T) {
	none, all := tally{n: 1e6, ok: 0, t: float64(sec)}, tally{n: 1e6, ok: 1e6, t: float64(sec)}
	for _, x := range []float64{odds(none, all), odds(all, none), odds(none, none), odds(all, all)} {
		require.Less(t, x, 1e8)
		require.Greater(t, x, -1e8)
	}
}

func TestDelivered_AQueueOfCallsThatWaitForTooLongGetsLess(t *testing.T) {
	second := float64(sec)
	require.InDelta(t, 100, tally{n: 200, ok: 100, done: 100, t: second}.delivered()*second, 1e-9)
	require.InDelta(t, 120, tally{n: 200, ok: 100, done: 120, t: second}.delivered()*second, 1e-9, "what arrives counts")
	require.InDelta(t, 75, tally{n: 200, ok: 40, done: 100, t: second}.delivered()*second, 1e-9, "the queue must get shorter")
	require.Zero(t, tally{}.delivered())
}

func TestCohort_AnOutcomeCountsForTheCallsThatItsCallBeganWith(t *testing.T) {
	l := suspecting()
	first := ask(t, l, start)
	for range few - 1 {
		require.Same(t, first, ask(t, l, start))
	}
	second := ask(t, l, start+ms)
	require.NotSame(t, first, second)
	require.Equal(t, start+ms, first.to)
	l.Fail(start+2*ms, second, true)
	require.EqualValues(t, 1, second.failed)
	require.Zero(t, first.failed)
	require.EqualValues(t, few, first.pending())
	l.Fail(start+2*ms, nil, false)
	require.EqualValues(t, 1, first.failed, "without a stamp, it is taken for the oldest that is pending")
}

func TestCohort_TheStampOfAnEarlierPhaseIsOld(t *testing.T) {
	l := suspecting()
	c := ask(t, l, start)
	l.fall(start+ms, "put down")
	l.Succeed(start+2*ms, c, true)
	require.Equal(t, Down, l.Phase(), "it began before the outage")
	l.Fail(start+2*ms, c, true)
	require.Zero(t, c.failed)
}

func TestCohort_AnAnsweredStreamSucceedsOnce(t *testing.T) {
	l := suspecting()
	l.recover(start)
	c := ask(t, l, start)
	l.Answer(start+ms, c)
	require.EqualValues(t, 1, c.ok)
	require.Zero(t, c.pending())
	l.Succeed(start+2*ms, c, true)
	require.EqualValues(t, 1, c.ok)
	l.Answer(start+3*ms, nil) // of a call that began when all was well
	require.Equal(t, Paced, l.Phase())
}

func TestOverdue_IsFourTimesTheUsualAndAtLeastATenthOfASecond(t *testing.T) {
	l := newLaw()
	require.Equal(t, 2*sec, l.overdue(), "nothing is known")
	for usual, want := range map[int64]int64{ms: 100 * ms, 25 * ms: 100 * ms, 50 * ms: 200 * ms, sec: 4 * sec} {
		l.usual = float64(usual)
		require.Equal(t, want, l.overdue())
	}
	l.usual = float64(10 * ms)
	c := &Cohort{from: start, to: open}
	require.False(t, l.isOverdue(c, start+200*ms), "it may have begun just now")
	require.True(t, l.isOverdue(c, start+200*ms+1))
	c.to = start + 50*ms
	require.False(t, l.isOverdue(c, start+150*ms))
	require.True(t, l.isOverdue(c, start+150*ms+1))
}
