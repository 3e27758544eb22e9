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
	for _, c := range []struct{ rate, want int64 }{
		{500, 140}, // they are enough long before
		{100, 140}, // of 13 failures, 3 were there already
		{50, 200},  // the tenth is due after 200 ms
		{20, 500},
		{0, 140}, // as if 13.8 calls were made in that time
	} {
		l := newLaw()
		l.Alarm(start, healthy(uint64(c.rate)), "3 failures in a row")
		require.InDelta(t, c.want, oldFailures(l, start, 50), 1, "%+v", c)
	}
}

func TestSuspect_AnOldSuccessResetsWhatOldFailuresHadPiledUp(t *testing.T) {
	l := suspecting()
	for at := start; at <= start+90*ms; at += ms {
		l.Fail(at, nil, true)
	}
	require.EqualValues(t, 3+9, l.barren)
	l.Succeed(start+90*ms, nil, true)
	require.Zero(t, l.barren)
	require.Equal(t, int64(220-91), oldFailures(l, start+91*ms, 50), "13 of them are to come at 100 a second")
}

func TestSuspect_MarksThatNobodyAskedForCountAtOnce(t *testing.T) {
	l := suspecting()
	for range 9 {
		l.Fail(start+140*ms, nil, false)
	}
	require.Equal(t, Suspect, l.Phase())
	l.Fail(start+140*ms, nil, false)
	require.Equal(t, Down, l.Phase())
}

func TestSuspect_APauseOfOurOwnProcessProvesNothing(t *testing.T) {
	for gap, want := range map[int64]Phase{140 * ms: Down, 141 * ms: Suspect, sec: Suspect} {
		l := suspecting()
		var calls []*Cohort
		for range 12 {
			calls = append(calls, ask(t, l, start+ms))
		}
		// All of them time out while the process stands still.
		for _, c := range calls {
			l.Fail(start+ms+gap, c, true)
		}
		require.Equal(t, want, l.Phase(), gap)
	}
}

func TestSuspect_AGapOfFewCallsIsNoPause(t *testing.T) {
	l := newLaw()
	l.Alarm(start, healthy(10), "3 failures in a row") // it takes 1.38 s to miss 13.8 calls
	epoch := l.epoch
	l.Ask(start + 1379*ms)
	require.Equal(t, epoch, l.epoch)
	l.Ask(start + 1379*ms + 1381*ms)
	require.Greater(t, l.epoch, epoch)
	require.Equal(t, Suspect, l.Phase())
}

func TestSuspect_ACohortLastsAnEighthOfTheTimeAfterWhichACallIsOverdue(t *testing.T) {
	for usual, want := range map[int64]int64{10 * ms: 17500 * ms / 1000, sec: 17500 * ms / 1000, 0: 17500 * ms / 1000} {
		l := suspecting()
		l.usual = float64(usual)
		ask(t, l, start)
		ask(t, l, start+want-1)
		require.Len(t, l.cohorts, 1, usual)
		ask(t, l, start+want)
		require.Len(t, l.cohorts, 2, usual)
	}
	l := suspecting()
	l.Ask(start + 100*ms)
	require.Len(t, l.cohorts, 1, "there is no call in it")
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

func TestStall_OneCallIsTriedUntilItIsOverdue(t *testing.T) {
	l := stalled(100, 10*ms)
	ask(t, l, start)
	for at := start + 10*ms; at <= start+140*ms; at += 10 * ms {
		_, allowed := l.Ask(at)
		require.False(t, allowed)
		require.Equal(t, Suspect, l.Phase())
		require.EqualValues(t, 1, l.RejectRatio())
	}
	l.Ask(start + 140*ms + 1)
	require.Equal(t, Down, l.Phase())
	require.Equal(t, "nothing succeeds any more", l.Cause())
}

func TestStall_WaitsForACall(t *testing.T) {
	l := stalled(100, 10*ms)
	ask(t, l, start+150*ms)
	require.Equal(t, Suspect, l.Phase())
}

func TestStall_AnotherCallIsTriedIfOneIsLost(t *testing.T) {
	l := stalled(100, 10*ms)
	c := ask(t, l, start)
	_, allowed := l.Ask(start + ms)
	require.False(t, allowed)
	l.Ignore(start+2*ms, c, true, true)
	ask(t, l, start+3*ms)
}

func TestStall_EndsWhenTheCallSucceeds(t *testing.T) {
	l := stalled(100, 10*ms)
	c := ask(t, l, start)
	_, allowed := l.Ask(start + ms)
	require.False(t, allowed)
	l.Succeed(start+10*ms, c, true)
	require.Equal(t, Calm, l.Phase())
	require.Zero(t, l.RejectRatio())
}

func TestStall_RejectsAtMost280MsOfTraffic(t *testing.T) {
	for _, rate := range []int64{100, 1000} {
		l := stalled(uint64(rate), 100*ms) // overdue after 400 ms
		rejected, late := int64(0), 0
		for i := range rate * 4 / 10 {
			_, allowed := l.Ask(start + i*sec/rate)
			if !allowed {
				rejected++
			} else if rejected > 0 {
				late++
			}
			require.Equal(t, Suspect, l.Phase())
		}
		require.InDelta(t, 28*rate/100, rejected, 1)
		require.Positive(t, late, "after that, all calls go out")
		require.Zero(t, l.RejectRatio())
	}
}

func TestStall_IsAnOutageOnceTheTriedCallIsOverdueThoughItsRejectionsAreUsedUp(t *testing.T) {
	l := stalled(100, 10*ms)
	ask(t, l, start)
	l.suspect.spare = 0
	ask(t, l, start+140*ms)
	require.Equal(t, Suspect, l.Phase(), "all calls go out until then")
	require.Len(t, l.cohorts, 1, "in one cohort")
	_, allowed := l.Ask(start + 140*ms + 1)
	require.False(t, allowed)
	require.Equal(t, Down, l.Phase())
}

// Four workers call again 10 ms after their last call ended or was rejected. Three
// of them soon use up what a stall may reject, and hang as the first one does.
func TestRegression_WorkersWhoUsedUpTheRejectionsOfAStallWereNeverFreed(t *testing.T) {
	l := stalled(36, 100*ms) // four workers, a call each in 110 ms
	const timeout = 2 * sec
	calls, rejected := 0, 0
	var stamps [4]*Cohort
	var next, ends [4]int64 // when a worker calls again, and when its call ends
	for now := start; now < start+10*sec; now += ms {
		for w := range stamps {
			switch {
			case stamps[w] != nil && now >= start+ends[w]:
				l.Fail(now, stamps[w], true)
				stamps[w], next[w] = nil, now-start+10*ms
			case stamps[w] == nil && now >= start+next[w]:
				c, allowed := l.Ask(now)
				if next[w] = now - start + 10*ms; !allowed {
					rejected++
					continue
				}
				calls++
				stamps[w], ends[w] = c, now-start+timeout
			}
		}
	}
	require.Equal(t, Down, l.Phase())
	require.LessOrEqual(t, calls, 4+12, "each of them hangs once, and then a probe in 0.9 s does")
	require.Greater(t, rejected, 1000)
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
	require.InDelta(t, 28, l.suspect.spare, 1e-9)
	l.suspect.spare = 1
	_, allowed := l.Ask(start + ms)
	require.False(t, allowed)
	l.Fail(start+ms, nil, true)
	require.Zero(t, l.suspect.spare, "it is granted once")
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

func TestSuspect_FallsByFailuresThatAreNoCoincidenceAndASilence(t *testing.T) {
	for _, c := range []struct {
		n    int // more than 3
		at   int64
		want Phase
	}{
		{10, 140 * ms, Down}, // 13 of 1.1 nats each
		{9, 140 * ms, Suspect},
		{10, 140*ms - 1, Suspect},
		{84, 0, Suspect},
		{85, 0, Down}, // a flood, seven times as much, needs no silence
	} {
		l := suspecting()
		failAt(t, l, c.n, start, start+c.at)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
	}
	l := suspecting()
	failAt(t, l, 10, start, start+140*ms)
	require.Equal(t, "13 failures in a row", l.Cause())
}

func TestSuspect_WhereHalfOfTheCallsFailMoreFailuresAreNeeded(t *testing.T) {
	for n, want := range map[int]Phase{16: Suspect, 17: Down} { // 0.69 nats each, of 20
		l := newLaw()
		l.Alarm(start, mixed(100, 100), "3 failures in a row")
		failAt(t, l, n, start, start+140*ms)
		require.Equal(t, want, l.Phase(), n)
	}
}

func TestSuspect_PendingCallsCountAgainstAnOutage(t *testing.T) {
	l := suspecting()
	l.usual = float64(100 * ms)
	pending := ask(t, l, start) // of the first cohort
	failAt(t, l, 10, start, start+140*ms)
	require.Equal(t, Suspect, l.Phase(), "one may yet succeed")
	failAt(t, l, 2, start+140*ms, start+140*ms)
	require.Equal(t, Suspect, l.Phase())
	failAt(t, l, 1, start+140*ms, start+140*ms)
	require.Equal(t, Down, l.Phase(), "three more are as likely as that")
	l.Succeed(start+141*ms, pending, true)
	require.Equal(t, Down, l.Phase(), "it came too late")
}

func TestSuspect_OverdueCallsCountAsFailed(t *testing.T) {
	l := suspecting()
	var at int64
	for at = start; l.Phase() == Suspect; at += ms {
		_, _ = l.Ask(at)
		require.Less(t, at, start+sec)
	}
	// 17 calls are in the first cohort, which ends after 17.5 ms and is overdue 140 ms
	// later; the rest is left out.
	require.InDelta(t, 158, (at-start)/ms, 2)
	require.Equal(t, Down, l.Phase())
}

func TestSuspect_ASlowBackendIsNotDown(t *testing.T) {
	l := suspecting()
	l.usual = float64(500 * ms)
	for at := start; at < start+2*sec; at += 10 * ms {
		_, _ = l.Ask(at)
		require.Equal(t, Suspect, l.Phase(), (at-start)/ms)
	}
}

func TestSuspect_ASuspicionWithoutAnEndStaysSmall(t *testing.T) {
	l := suspecting()
	for at := start; at < start+60*sec; at += 10 * ms {
		l.Ignore(at+9*ms, ask(t, l, at), true, true) // impatient callers
	}
	require.Equal(t, Suspect, l.Phase())
	require.Less(t, len(l.cohorts), 100)
}

func TestSuspect_CallersThatComeInBurstsSeeAnOutage(t *testing.T) {
	l := suspecting()
	for at := start + sec; at < start+30*sec && l.Phase() == Suspect; at += sec {
		failAt(t, l, 50, at, at+5*ms)
	}
	require.Equal(t, Down, l.Phase())
}
