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
		{100, 100, 10},
		{50, 150, 25}, // 0.75 to the power of 24 is 1 in a thousand
		{0, 100, 694},
	} {
		got := Streak(ledger.Counts{Success: c.success, Failure: c.failure})
		require.InDelta(t, float64(c.want), float64(got), float64(c.want)/20, "%+v", c)
	}
	require.Equal(t, uint64(3), Streak(ledger.Counts{Success: 1000}))
}

func TestAlarm_BeginsASuspicionOnce(t *testing.T) {
	l := newLaw()
	l.Alarm(start, healthy(100), "3 failures in a row")
	require.Equal(t, Suspect, l.Phase())
	require.Equal(t, "3 failures in a row", l.Cause())
	require.Zero(t, l.RejectRatio(), "nothing is rejected on suspicion")
	c := ask(t, l, start)
	l.Alarm(start, healthy(100), "4 failures in a row")
	require.Equal(t, "3 failures in a row", l.Cause())
	require.Same(t, c, ask(t, l, start))
}

// share3s is a window in which so many calls succeed and fail.
func share3s(success, failure uint64) Seen {
	s := healthy(100)
	s.Window = ledger.Counts{Success: success, Failure: failure}
	s.Before, s.Last = s.Window, s.Window
	s.LastFor = 3 * sec
	return s
}

func TestLook_TroubleIsMoreFailuresThanAreAcceptedAndNoCoincidence(t *testing.T) {
	for _, c := range []struct {
		success, failure, flight uint64
		want                     Phase
	}{
		{51, 49, 0, Calm}, // 40 % and two standard errors of 4.9 %
		{50, 50, 0, Paced},
		{50, 50, 10, Calm}, // calls in flight may yet succeed
		{8, 11, 0, Calm},   // too few calls
		{7, 13, 0, Paced},  // of 20, more than 8 + 2·2.19
		{8, 12, 0, Calm},
		{100, 0, 0, Calm},
	} {
		l := newLaw()
		s := share3s(c.success, c.failure)
		s.Flight = c.flight
		l.Look(start, s)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
		if c.want == Paced {
			require.True(t, l.paced.trial)
			require.Contains(t, l.Cause(), "calls failed")
		}
	}
}

func TestLook_WhatFailedAtOnceIsNoShareOfTheCalls(t *testing.T) {
	l := newLaw()
	s := healthy(10)
	s.Window.Failure = 100 // of 130 in 3 s
	s.Last, s.LastFor = ledger.Counts{Failure: 100}, 600*ms
	l.Look(start, s)
	require.Equal(t, Calm, l.Phase(), "100 broke together")
	s.Last = ledger.Counts{Failure: 20}
	l.Look(start+3*sec+1, s)
	require.Equal(t, Paced, l.Phase(), "it is longer ago than the window")
}

func TestLook_ASilenceThatIsNoChanceBeginsASuspicion(t *testing.T) {
	s := healthy(100)
	s.Silence = 100 * ms
	l := newLaw()
	l.Look(start, s)
	require.Equal(t, Calm, l.Phase(), "a call may take so long")
	s.Silence = 145 * ms
	l.Look(start, s)
	require.Equal(t, Suspect, l.Phase())
	require.Equal(t, "nothing succeeds any more", l.Cause())
	l = newLaw()
	few := healthy(10)
	few.Silence = sec
	l.Look(start, few)
	require.Equal(t, Calm, l.Phase(), "10 calls are no more than chance")
}

func TestLook_DisturbsNoOtherPhase(t *testing.T) {
	for name, p := range map[string]func(*Law){
		"suspect": func(*Law) {},
		"down":    func(l *Law) { l.fall(start, "put down") },
		"ramp":    func(l *Law) { l.recover(start) },
	} {
		l := suspecting()
		p(l)
		was, epoch := l.Phase(), l.epoch
		l.Look(start+ms, share3s(0, 100))
		require.Equal(t, was, l.Phase(), name)
		require.Equal(t, epoch, l.epoch, name)
	}
}

func TestLook_ASuspicionInWhichCallsSucceedMayBecomeATrial(t *testing.T) {
	l := suspecting()
	l.Look(start+140*ms, share3s(50, 100))
	require.Equal(t, Paced, l.Phase())
	l = suspecting()
	l.Look(start+140*ms, share3s(19, 100))
	require.Equal(t, Suspect, l.Phase(), "few succeed: it may be down")
	l = suspecting()
	_, _ = l.Ask(start + 100*ms)
	l.Look(start+140*ms+1, share3s(50, 100))
	require.Equal(t, Suspect, l.Phase(), "what succeeded is long ago")
}

func TestPardon_DoublesUpTo160Seconds(t *testing.T) {
	l := newLaw()
	now := start
	for _, want := range []int64{20, 40, 80, 160, 160} {
		l.try(now, "half of the calls failed")
		l.letGo(now, 0.5)
		require.Equal(t, Calm, l.Phase())
		require.Equal(t, "fewer calls do not help", l.Cause())
		l.Look(now+want*sec-1, share3s(50, 100))
		require.Equal(t, Calm, l.Phase())
		l.Look(now+want*sec, share3s(50, 100))
		require.Equal(t, Paced, l.Phase())
		now += want * sec
	}
}

func TestPardon_IsForNothingWorseThanWhatWasSeen(t *testing.T) {
	l := newLaw()
	l.letGo(start, 0.5)
	l.Look(start+sec, share3s(50, 100))
	require.Equal(t, Calm, l.Phase())
	l.Look(start+2*sec, share3s(20, 180))
	require.Equal(t, Paced, l.Phase())
}
