package adaptive

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

func TestStreak_IsLongerWhereFailuresAreNoSurprise(t *testing.T) {
	for _, c := range []struct{ success, failure, want uint64 }{
		{0, 0, 3},
		{1000, 0, 3},
		{1000, 10, 3},
		{9, 1, 3},
		{4, 2, 6}, // 2 of 7 to the power of 5.5 is 1 in a thousand
		{1, 1, 7},
		{100, 100, 10},
		{50, 150, 24},
		{0, 100, 694},
	} {
		require.Equal(t, c.want, Streak(ledger.Counts{Success: c.success, Failure: c.failure}), "%+v", c)
	}
}

func TestKnow_LearnsWhatWasBefore(t *testing.T) {
	l := newLaw()
	s := mixed(30, 10)
	s.Before.Rejected = 20
	l.Look(start, s)
	require.InDelta(t, (30+2.0/3)/41, l.ratio, 1e-12)
	require.InDelta(t, 20, l.asks*second, 1e-9)
	require.InDelta(t, 10, l.served*second, 1e-9)
	require.EqualValues(t, 10*ms, l.usual)
	l.Look(start, Seen{})
	require.InDelta(t, prior, l.ratio, 1e-12)
	require.InDelta(t, 20, l.asks*second, 1e-9, "over no time, nothing is known")
	require.EqualValues(t, 10*ms, l.usual, "no latency is no news")
	l.Look(start, Seen{BeforeFor: 1})
	require.Zero(t, l.asks)
}

func TestAlarm_BeginsASuspicionOnce(t *testing.T) {
	l := newLaw()
	l.Alarm(start, healthy(100), "3 failures in a row")
	require.Equal(t, Suspect, l.Phase())
	require.Equal(t, "3 failures in a row", l.Cause())
	require.EqualValues(t, 3, l.barren)
	require.Zero(t, l.RejectRatio(), "nothing is rejected on suspicion")
	c := ask(t, l, start)
	l.Alarm(start, healthy(100), "4 failures in a row")
	require.Equal(t, "3 failures in a row", l.Cause())
	require.Same(t, c, ask(t, l, start))
}

func TestLook_TroubleIsMoreFailuresThanAreAcceptedAndNoCoincidence(t *testing.T) {
	for _, c := range []struct {
		accept                   float64
		success, failure, flight uint64
		want                     Phase
	}{
		{0.6, 51, 49, 0, Calm}, // 40 % and two standard errors of 4.9 %
		{0.6, 50, 50, 0, Paced},
		{0.6, 50, 50, 1, Calm}, // calls in flight may yet succeed
		{0.6, 0, 19, 0, Calm},  // too few calls
		{0.6, 0, 19, 1, Calm},
		{0.6, 0, 20, 0, Paced},
		{0.6, 7, 13, 0, Paced}, // of 20, more than 8 + 2·2.19
		{0.6, 8, 12, 0, Calm},
		{0.5, 40, 60, 0, Calm}, // 50 and two standard errors of 5
		{0.5, 39, 61, 0, Paced},
		{0.6, 100, 0, 0, Calm},
	} {
		l := newLaw(func(s *Settings) { s.Accept = c.accept })
		s := mixed(c.success, c.failure)
		s.Flight = c.flight
		l.Look(start, s)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
		require.Equal(t, start, l.Heard())
		if c.want == Paced {
			require.Equal(t, all, l.paced.level, "at first, all calls go out")
			require.Contains(t, l.Cause(), "calls failed")
			require.Zero(t, l.served)
		}
	}
	l := newLaw()
	l.Look(start, mixed(50, 100))
	require.Equal(t, "100 of 150 calls failed", l.Cause())
}

func TestLook_ASilenceThatIsNoChanceBeginsASuspicion(t *testing.T) {
	for _, c := range []struct {
		rate    uint64
		silence int64
		want    Phase
	}{
		{100, 140 * ms, Calm}, // a call may take so long
		{100, 140*ms + 1, Suspect},
		{10, 1394 * ms, Calm}, // 13.8 calls, of which 98.9 % would succeed
		{10, 1396 * ms, Suspect},
	} {
		s := healthy(c.rate)
		s.Silence = c.silence
		l := newLaw()
		l.Look(start, s)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
		if c.want == Suspect {
			require.Equal(t, "nothing succeeds any more", l.Cause())
			require.Zero(t, l.barren)
			require.Equal(t, suspect{silent: true}, l.suspect)
		}
	}
}

func TestLook_DisturbsNoOtherPhase(t *testing.T) {
	for name, p := range phases {
		l := suspecting()
		p(l)
		was, epoch := l.Phase(), l.epoch
		l.Look(start+ms, mixed(0, 100))
		require.Equal(t, was, l.Phase(), name)
		require.Equal(t, epoch, l.epoch, name)
		require.Equal(t, start, l.Heard(), name)
	}
	l := suspecting()
	l.recover(start)
	l.Look(start+ms, mixed(50, 100))
	require.Equal(t, "a probe succeeded", l.Cause())
}

func TestLook_ASuspicionInWhichCallsSucceedMayBecomeAPace(t *testing.T) {
	for _, c := range []struct {
		at      int64
		success uint64
		want    Phase
	}{
		{140 * ms, 50, Paced},
		{140 * ms, 20, Paced},
		{140 * ms, 19, Suspect}, // few succeed: it may be down
		{140*ms + 1, 50, Suspect},
	} {
		l := suspecting()
		l.Look(start+c.at, mixed(c.success, 100))
		require.Equal(t, c.want, l.Phase(), "%+v", c)
	}
}

func TestPardon_DoublesUpTo160Seconds(t *testing.T) {
	l := newLaw()
	now := start
	for _, want := range []int64{20, 40, 80, 160, 160} {
		l.try(now, "half of the calls failed")
		l.pardon(now, 0.5)
		require.Equal(t, Calm, l.Phase())
		require.Equal(t, "fewer calls do not help", l.Cause())
		l.Look(now+want*sec-1, mixed(50, 100))
		require.Equal(t, Calm, l.Phase())
		now += want * sec
		l.Look(now, mixed(50, 100))
		require.Equal(t, Paced, l.Phase())
	}
}

func TestPardon_LastsEightTimesAsLongAsFindingOutTookButNotForEver(t *testing.T) {
	for took, want := range map[int64]int64{
		0:           20 * sec,
		2500 * ms:   20 * sec,
		2501 * ms:   20*sec + 8*ms,
		10 * sec:    80 * sec,
		20 * sec:    160 * sec,
		20*sec + ms: 160 * sec,
	} {
		l := newLaw()
		l.try(start, "half of the calls failed")
		l.pardon(start+took, 0.5)
		require.Equal(t, want, l.pardoned.last, took)
		require.Equal(t, start+took+want, l.pardoned.until, took)
	}
	l := newLaw()
	l.pardoned.last = 30 * sec
	l.try(start, "half of the calls failed")
	l.pardon(start+7*sec, 0.5)
	require.Equal(t, 60*sec, l.pardoned.last, "twice the last one is more")
}

func TestPardon_IsForNothingWorseThanHalfOfWhatWasSeen(t *testing.T) {
	l := newLaw()
	require.InDelta(t, 0.6, l.accepts(start), 1e-12)
	l.try(start, "half of the calls failed")
	l.pardon(start, 0.5)
	require.InDelta(t, 0.25, l.accepts(start+20*sec-1), 1e-12)
	require.InDelta(t, 0.6, l.accepts(start+20*sec), 1e-12)
	l.Look(start+sec, mixed(50, 100))
	require.Equal(t, Calm, l.Phase())
	l.Look(start+2*sec, mixed(20, 180))
	require.Equal(t, Paced, l.Phase())
	l = newLaw(func(s *Settings) { s.Accept = 0.2 })
	l.pardon(start, 0.5)
	require.InDelta(t, 0.2, l.accepts(start), 1e-12, "nor is it stricter than ever")
}
