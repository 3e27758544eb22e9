package adaptive

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSuspect_EndsWithTheFirstStampedSuccess(t *testing.T) {
	l := suspecting()
	c := ask(t, l, start+ms)
	l.Fail(start+2*ms, ask(t, l, start+ms), true)
	require.Equal(t, Suspect, l.Phase())
	l.Succeed(start+3*ms, c, true)
	require.Equal(t, Calm, l.Phase())
	require.Equal(t, "calls succeed", l.Cause())
}

func TestSuspect_AnOldSuccessEndsNothing(t *testing.T) {
	l := suspecting()
	for at := start; at < start+100*ms; at += ms {
		l.Succeed(at, nil, true)
		require.Equal(t, Suspect, l.Phase())
	}
}

// oldFailures tells of n failures at each of the next ms, and returns after how many
// ms the backend is down, or 1000.
func oldFailures(l *Law, from int64, n int) int64 {
	for at := from; at < from+sec; at += ms {
		for range n {
			l.Fail(at, nil, true)
		}
		if l.Phase() == Down {
			return (at - from) / ms
		}
	}
	return 1000
}

func TestSuspect_OldFailuresCountNoFasterThanCallsAreMade(t *testing.T) {
	for _, c := range []struct{ rate, from, to int64 }{
		{500, 140, 140}, // they are enough long before
		{100, 140, 140}, // of 13 failures, 3 were there already
		{50, 200, 210},  // the tenth is due after 200 ms
		{20, 500, 510},
	} {
		l := newLaw()
		l.Alarm(start, healthy(uint64(c.rate)), "3 failures in a row")
		took := oldFailures(l, start, 50)
		require.GreaterOrEqual(t, took, c.from, "%+v", c)
		require.LessOrEqual(t, took, c.to, "%+v", c)
	}
}

func TestSuspect_AnOldSuccessResetsWhatOldFailuresHadPiledUp(t *testing.T) {
	l := suspecting()
	for at := start; at < start+90*ms; at += ms {
		l.Fail(at, nil, true)
	}
	require.EqualValues(t, 11, l.barren)
	l.Succeed(start+90*ms, nil, true)
	require.Zero(t, l.barren)
	took := oldFailures(l, start+91*ms, 50)
	require.Greater(t, took, int64(100), "13 of them are to come at 100 a second")
	require.LessOrEqual(t, took, int64(140))
}

func TestSuspect_MarksThatNobodyAskedForCountAtOnce(t *testing.T) {
	l := suspecting()
	for range 10 {
		l.Fail(start+140*ms, nil, false)
	}
	require.Equal(t, Down, l.Phase())
}

func TestSuspect_APauseOfOurOwnProcessProvesNothing(t *testing.T) {
	l := suspecting()
	var calls []*Cohort
	for range 12 {
		calls = append(calls, ask(t, l, start+ms))
	}
	// All of them time out while the process stands still.
	for _, c := range calls {
		l.Fail(start+sec, c, true)
	}
	require.Equal(t, Suspect, l.Phase())
	require.Zero(t, l.RejectRatio())
}

// stalled returns a law that hears of failures at start, of calls that take so
// long, after half a second in which nothing succeeded.
func stalled(rate uint64, usual int64) *Law {
	s := healthy(rate)
	s.Silence, s.Latency = 500*ms, float64(usual)
	l := newLaw()
	l.Alarm(start, s, "3 failures in a row")
	return l
}

func TestStall_TwoCallsAreTriedUntilTheyAreOverdue(t *testing.T) {
	l := stalled(100, 10*ms)
	ask(t, l, start)
	ask(t, l, start+ms)
	for at := start + 10*ms; at <= start+100*ms; at += 10 * ms {
		_, allowed := l.Ask(at)
		require.False(t, allowed)
		require.Equal(t, Suspect, l.Phase())
		require.Positive(t, l.RejectRatio())
	}
	l.Ask(start + 100*ms + 1)
	require.Equal(t, Down, l.Phase())
	require.Equal(t, "nothing succeeds any more", l.Cause())
}

func TestStall_EndsWhenOneOfTheTwoSucceeds(t *testing.T) {
	l := stalled(100, 10*ms)
	c := ask(t, l, start)
	ask(t, l, start)
	_, allowed := l.Ask(start + ms)
	require.False(t, allowed)
	l.Succeed(start+10*ms, c, true)
	require.Equal(t, Calm, l.Phase())
}

func TestStall_RejectsAtMostThreeTenthsOfASecondOfTraffic(t *testing.T) {
	for _, rate := range []uint64{100, 1000} {
		l := stalled(rate, 100*ms) // overdue after 400 ms
		rejected, late := 0, 0
		for i := range int64(rate) * 4 / 10 {
			_, allowed := l.Ask(start + i*sec/int64(rate))
			if !allowed {
				rejected++
			} else if rejected > 0 {
				late++
			}
			require.Equal(t, Suspect, l.Phase())
		}
		require.InDelta(t, 0.3*float64(rate), rejected, 1)
		require.Positive(t, late, "after that, all calls go out")
		require.Zero(t, l.RejectRatio())
	}
}

func TestStall_NeedsASilenceAndThreeFailures(t *testing.T) {
	s := healthy(100)
	s.Silence = 500 * ms
	l := newLaw()
	l.Look(start, s)
	require.Equal(t, Suspect, l.Phase())
	for i := range 3 {
		require.Zero(t, l.RejectRatio(), "after %d failures", i)
		ask(t, l, start)
		l.Fail(start, nil, true)
	}
	require.Positive(t, l.RejectRatio())
}

// failAt asks for n calls at once, and lets them fail at a time.
func failAt(t *testing.T, l *Law, n int, asked, ended int64) {
	var calls []*Cohort
	for range n {
		calls = append(calls, ask(t, l, asked))
	}
	for _, c := range calls {
		l.Fail(ended, c, true)
	}
}

func TestFall_NeedsFailuresThatAreNoCoincidenceAndASilence(t *testing.T) {
	for _, c := range []struct {
		n    int // more than 3
		at   int64
		want Phase
	}{
		{10, 140 * ms, Down}, // 13 of 1.1 nats each
		{9, 140 * ms, Suspect},
		{10, 140*ms - 1, Suspect},
		{70, 0, Suspect},
		{110, 0, Down}, // so many need no silence
	} {
		l := suspecting()
		failAt(t, l, c.n, start, start+c.at)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
	}
	l := suspecting()
	failAt(t, l, 10, start, start+140*ms)
	require.Equal(t, "13 failures in a row", l.Cause())
	require.EqualValues(t, 1, l.RejectRatio())
}

func TestFall_WhereHalfOfTheCallsFailMoreFailuresAreNeeded(t *testing.T) {
	for n, want := range map[int]Phase{16: Suspect, 18: Down} { // 0.69 nats each, of 20
		l := newLaw()
		l.Alarm(start, share3s(100, 100), "3 failures in a row")
		failAt(t, l, n, start, start+140*ms)
		require.Equal(t, want, l.Phase(), n)
	}
}

func TestFall_PendingCallsCountAgainstIt(t *testing.T) {
	l := suspecting()
	l.usual = float64(100 * ms)
	pending := ask(t, l, start) // of the first cohort
	failAt(t, l, 10, start, start+140*ms-1)
	l.Fail(start+140*ms, ask(t, l, start+140*ms-1), true)
	require.Equal(t, Suspect, l.Phase(), "one may yet succeed")
	failAt(t, l, 3, start+140*ms, start+140*ms)
	require.Equal(t, Down, l.Phase(), "four more are as likely as that")
	l.Succeed(start+141*ms, pending, true)
	require.Equal(t, Down, l.Phase(), "it came too late")
}

func TestFall_OverdueCallsCountAsFailed(t *testing.T) {
	l := suspecting()
	var at int64
	for at = start; l.Phase() == Suspect; at += ms {
		_, _ = l.Ask(at)
		require.Less(t, at, start+sec)
	}
	// The first 16 were asked for in 16 ms, and are overdue 100 ms later; the rest
	// is left out.
	require.InDelta(t, 140, (at-start)/ms, 2)
	require.Equal(t, Down, l.Phase())
}

func TestFall_ASlowBackendIsNotDown(t *testing.T) {
	l := stalled(100, 10*ms)
	l.suspect = suspect{}
	l.usual = float64(500 * ms)
	for at := start; at < start+2*sec; at += 10 * ms {
		_, _ = l.Ask(at)
		require.Equal(t, Suspect, l.Phase(), (at-start)/ms)
	}
}
