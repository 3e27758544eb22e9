package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// probing lets the next n probes fail at once, and returns how long each of them was
// waited for. Meanwhile 100 calls a second are rejected.
func probing(t *testing.T, l *Law, n int) (waits []int64) {
	now := l.Heard()
	last := now
	for range n {
		// Callers call all the time, or the outage would be over.
		for next := l.NextProbe(); now < next; {
			_, allowed := l.Ask(now)
			require.False(t, allowed)
			step := min(next-now, sec)
			l.Rejected(uint64(step / (10 * ms)))
			now += step
		}
		waits = append(waits, now-last)
		last = now
		l.Fail(now, ask(t, l, now), true)
		require.Equal(t, Down, l.Phase())
	}
	return waits
}

func TestDown_RejectsAllButProbes(t *testing.T) {
	l := fell(100)
	require.EqualValues(t, 1, l.RejectRatio())
	require.Equal(t, l.NextProbe(), l.NotBefore())
	for range 20 {
		now := l.NextProbe()
		_, allowed := l.Ask(now - 1)
		require.False(t, allowed)
		c := ask(t, l, now)
		_, allowed = l.Ask(now)
		require.False(t, allowed)
		l.Fail(now+ms, c, true)
		require.Equal(t, Down, l.Phase())
		require.LessOrEqual(t, len(l.cohorts), few)
	}
	require.Len(t, l.cohorts, few)
}

func TestDown_TheFirstProbeWaitsABriefTimeOrTheInterval(t *testing.T) {
	for probe, want := range map[int64]int64{900 * ms: 140 * ms, 140 * ms: 140 * ms, 50 * ms: 50 * ms} {
		l := fell(100, func(s *Settings) { s.Probe = probe })
		require.Equal(t, start+want, l.NextProbe())
	}
}

func TestDown_BacksOffFromABriefWaitToTheInterval(t *testing.T) {
	waits := probing(t, fell(100), 10)
	require.Equal(t, 140*ms, waits[0])
	for i, got := range waits {
		want := min(float64(900*ms), float64(140*ms)*math.Pow(1.4, float64(i)))
		require.InDelta(t, want, float64(got), 1, i)
	}
	require.Equal(t, 900*ms, waits[9])
}

func TestDown_AProbeThatIsPendingDelaysTheNextOneToTheInterval(t *testing.T) {
	l := fell(100)
	now := l.NextProbe()
	c := ask(t, l, now)
	require.Equal(t, now+900*ms, l.NextProbe())
	l.Fail(now+500*ms, c, true)
	require.Equal(t, now+500*ms, l.NextProbe(), "its wait is over already")
	c = ask(t, l, now+500*ms)
	require.Equal(t, now+1400*ms, l.NextProbe())
	l.Fail(now+501*ms, c, true)
	require.InDelta(t, now+774400*ms/1000, l.NextProbe(), 1, "it is 140·1.4² ms since that probe went out")
}

func TestDown_AProbeIsOneOfNineCallsUpToEightSeconds(t *testing.T) {
	for _, c := range []struct {
		rate  uint64
		probe int64
		want  int64
	}{
		{100, 900 * ms, 900 * ms},
		{10, 900 * ms, 900 * ms},
		{3, 900 * ms, 3 * sec},
		{2, 900 * ms, 4500 * ms},
		{1, 900 * ms, 8 * sec},
		{0, 900 * ms, 900 * ms}, // nobody knows
		{1, 10 * sec, 10 * sec},
		{100, 100 * ms, 100 * ms},
	} {
		l := fell(c.rate, func(s *Settings) { s.Probe, s.MaxProbe = c.probe, c.probe })
		require.InDelta(t, c.want, l.wait(start, true), 2, "%+v", c)
	}
}

func TestDown_WaitsVaryBy15Percent(t *testing.T) {
	for _, x := range []struct {
		random func() float64
		factor float64
	}{{lowest, 0.85}, {middle, 1}, {highest, 1.15}} {
		l := fell(100, func(s *Settings) { s.Random = x.random })
		now := l.NextProbe()
		c := ask(t, l, now)
		require.InDelta(t, x.factor*float64(900*ms), l.NextProbe()-now, 1)
		l.Fail(now, c, true)
		require.InDelta(t, x.factor*1.4*float64(140*ms), l.NextProbe()-now, 1)
	}
}

func TestDown_ALongOutageIsProbedMoreRarely(t *testing.T) {
	for _, c := range []struct {
		rate           uint64
		age, max, want int64
	}{
		{100, 60 * sec, 30 * sec, 900 * ms},
		{100, 120 * sec, 30 * sec, 1800 * ms},
		{100, 1000 * sec, 30 * sec, 15 * sec},
		{100, 3000 * sec, 30 * sec, 30 * sec},
		{100, 3000 * sec, 900 * ms, 900 * ms},
		{1, 120 * sec, 30 * sec, 8 * sec}, // few calls
		{1, 900 * sec, 30 * sec, 13500 * ms},
		{1, 900 * sec, 10 * sec, 10 * sec},
		{1, 900 * sec, 8 * sec, 8 * sec},
		{1, 900 * sec, 5 * sec, 8 * sec},
	} {
		l := fell(c.rate, func(s *Settings) { s.MaxProbe = c.max })
		require.InDelta(t, c.want, l.wait(start+c.age, true), 2, "%+v", c)
		l.down.failed = 100
		require.InDelta(t, c.want, l.wait(start+c.age, false), 2, "%+v", c)
	}
	l := fell(100, func(s *Settings) { s.MaxProbe = 30 * sec })
	waits := probing(t, l, 400)
	require.Equal(t, 30*sec, waits[399])
}

func TestDown_AnIgnoredProbeSaysNothing(t *testing.T) {
	l := fell(100)
	waits := probing(t, l, 2)
	now := l.NextProbe()
	wait := now - l.Heard()
	for range 5 {
		l.Ignore(now, ask(t, l, now), true, true)
		require.Equal(t, now+wait, l.NextProbe(), "the next one is not later for it")
		now = l.NextProbe()
	}
	require.Greater(t, wait, waits[1])
	l.Ignore(now, nil, true, true)
	require.Equal(t, now, l.NextProbe(), "of a call that began before the outage")
}

func TestDown_AProbeThatWasNotSentIsMadeUpFor(t *testing.T) {
	l := fell(100)
	now := l.NextProbe()
	l.Ignore(now+ms, ask(t, l, now), true, false)
	require.Equal(t, now+ms, l.NextProbe())
	require.Zero(t, l.down.failed)
	l.Fail(now+ms, ask(t, l, now+ms), true)
	require.InDelta(t, now+197*ms, l.NextProbe(), 1)
}

func TestDown_AProbeThatIsIgnoredIsNoCallLessThanNone(t *testing.T) {
	l := fell(100)
	c := ask(t, l, start+140*ms)
	l.Ignore(start+140*ms, c, true, true)
	require.GreaterOrEqual(t, c.asked, 0.0)
	l.asks = 0
	l.begin(start + sec)
	require.GreaterOrEqual(t, l.asks, 0.0)
	l.recover(start + sec)
	require.LessOrEqual(t, l.RejectRatio(), 1.0)
}

func TestDown_AProbeFailsOnce(t *testing.T) {
	l := fell(100)
	c := ask(t, l, l.NextProbe())
	l.Fail(start+150*ms, c, true)
	require.EqualValues(t, 1, l.down.failed)
	require.InDelta(t, start+336*ms, l.NextProbe(), 1)
}

func TestDown_EndsWithTheSuccessOfAProbe(t *testing.T) {
	l := fell(100)
	l.Succeed(start+ms, nil, true)
	require.Equal(t, Down, l.Phase(), "the call began before the outage")
	now := l.NextProbe()
	l.Succeed(now+25*ms, ask(t, l, now), true)
	require.Equal(t, Paced, l.Phase())
	require.Equal(t, "a probe succeeded", l.Cause())
	require.Positive(t, l.RejectRatio())
	require.Zero(t, l.NextProbe())
	require.EqualValues(t, 25*ms, l.usual, "a backend that comes back is slow")
	l = fell(100)
	l.Succeed(start+141*ms, ask(t, l, start+140*ms), true)
	require.EqualValues(t, 10*ms, l.usual, "one quick call says little")
}

func TestDown_AnEarlierProbeMayBeTheOneThatSucceeds(t *testing.T) {
	l := fell(100)
	c := ask(t, l, l.NextProbe())
	ask(t, l, l.NextProbe())
	l.Succeed(l.Heard()+ms, c, true)
	require.Equal(t, Paced, l.Phase())
}

func TestDown_AGapOfCallsEndsAnOutage(t *testing.T) {
	for _, c := range []struct {
		rate uint64
		gap  int64 // since the next probe might have gone out
		want Phase
	}{
		{100, 8 * sec, Down},
		{100, 8*sec + 1, Suspect},
		{1, 13700 * ms, Down}, // 13 calls may be absent by chance
		{1, 13900 * ms, Suspect},
		{0, 8 * sec, Down},
		{0, 8*sec + 1, Suspect},
	} {
		l := fell(c.rate)
		l.suspect.spare = 7
		_, allowed := l.Ask(start + 140*ms + c.gap)
		require.True(t, allowed)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
		if c.want == Suspect {
			require.Equal(t, "nobody called for a while", l.Cause())
			require.Zero(t, l.RejectRatio())
		}
	}
}

func TestDown_CallsThatWereRejectedUnaskedAreNoGap(t *testing.T) {
	l := fell(100, func(s *Settings) { s.Probe, s.MaxProbe = 20*sec, 20*sec })
	now := l.NextProbe()
	l.Fail(now, ask(t, l, now), true)
	l.down.next = now + 20*sec
	for end := now + 20*sec; now < end; now += 300 * ms {
		l.Rejected(30)
		l.Look(now, healthy(100))
	}
	require.Equal(t, Down, l.Phase())
	ask(t, l, now)
	require.Equal(t, Down, l.Phase())
}

func TestFall_IsDatedFromNowOn(t *testing.T) {
	l := suspecting()
	l.down.failed = 9
	l.fall(start+5*sec, "put down")
	require.Equal(t, down{last: start + 5*sec, next: start + 5*sec + 140*ms}, l.down)
	require.Equal(t, start+5*sec, l.since)
	require.Nil(t, l.paced)
}

func TestFall_ThePaceOfAHoldIsWhatWasServed(t *testing.T) {
	for name, c := range map[string]struct {
		p    paced
		want float64
	}{
		"a hold":       {paced{level: 70 / second}, 70},
		"a ramp":       {paced{level: 70 / second, gain: growth}, 100},
		"all calls go": {paced{level: all}, 100},
	} {
		l := suspecting()
		l.pace(start, &c.p, "put into a pace")
		l.fall(start+ms, "put down")
		require.InDelta(t, c.want, l.served*second, 1e-9, name)
	}
}

func TestRegression_OldFailuresMadeProbesRarer(t *testing.T) {
	want := probing(t, fell(100), 4)
	l := fell(100)
	for range 50 {
		l.Fail(start+ms, nil, true) // they began before the outage
	}
	l.heard = start
	require.Equal(t, want, probing(t, l, 4))
}

func TestRegression_AnOldFailureBroughtASecondProbeForward(t *testing.T) {
	l := fell(100)
	now := l.NextProbe()
	ask(t, l, now)
	next := l.NextProbe()
	l.Fail(now+ms, nil, true)
	require.Equal(t, next, l.NextProbe(), "the probe is still pending")
}
