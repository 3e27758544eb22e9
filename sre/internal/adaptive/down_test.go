package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// probing lets the next n probes fail at once, and returns how long each of them was
// waited for.
func probing(t *testing.T, l *Law, n int) (waits []int64) {
	now := l.Heard()
	last := now
	for range n {
		// Callers call all the time, or the outage would be over.
		for next := l.NextProbe(); now < next; now = min(next, now+sec) {
			_, allowed := l.Ask(now)
			require.False(t, allowed)
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
	}
}

func TestDown_BacksOffFromABriefWaitToTheInterval(t *testing.T) {
	waits := probing(t, fell(100), 10)
	require.Equal(t, brief, waits[0])
	for i, got := range waits {
		want := min(float64(900*ms), float64(brief)*math.Pow(backoff, float64(i)))
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
}

func TestDown_AProbeIsOneOfNineCallsUpToFiveSeconds(t *testing.T) {
	for _, c := range []struct {
		rate  uint64
		probe int64
		want  int64
	}{
		{100, 900 * ms, 900 * ms},
		{10, 900 * ms, 900 * ms},
		{3, 900 * ms, 3 * sec},
		{2, 900 * ms, 4500 * ms},
		{1, 900 * ms, 5 * sec},
		{0, 900 * ms, 900 * ms}, // nobody knows
		{1, 7 * sec, 7 * sec},
		{100, 100 * ms, 100 * ms},
	} {
		l := fell(c.rate, func(s *Settings) { s.Probe, s.MaxProbe = c.probe, c.probe })
		now := l.NextProbe()
		ask(t, l, now)
		require.InDelta(t, c.want, l.NextProbe()-now, 2, "%+v", c)
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
		require.InDelta(t, x.factor*backoff*float64(140*ms), l.NextProbe()-now, 1)
	}
}

func TestDown_ALongOutageIsProbedMoreRarely(t *testing.T) {
	l := fell(100, func(s *Settings) { s.MaxProbe = 30 * sec })
	young, old, longest := 0, int64(0), int64(0)
	for range 400 {
		age := l.NextProbe() - start
		wait := probing(t, l, 1)[0]
		switch {
		case age <= 60*sec:
			require.LessOrEqual(t, wait, 900*ms)
			young++
		default:
			old, longest = age, max(longest, wait)
		}
	}
	require.Greater(t, young, 60)
	require.Greater(t, old, 2000*sec)
	require.Equal(t, 30*sec, longest)
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
	l.Fail(now+ms, ask(t, l, now+ms), true)
	require.Greater(t, l.NextProbe(), now+100*ms)
}

func TestDown_EndsWithTheSuccessOfAProbe(t *testing.T) {
	l := fell(100)
	l.Succeed(start+ms, nil, true)
	require.Equal(t, Down, l.Phase(), "the call began before the outage")
	now := l.NextProbe()
	l.Succeed(now+5*ms, ask(t, l, now), true)
	require.Equal(t, Paced, l.Phase())
	require.Equal(t, "a probe succeeded", l.Cause())
	require.Positive(t, l.RejectRatio())
	require.Zero(t, l.NextProbe())
}

func TestDown_AGapOfCallsEndsAnOutage(t *testing.T) {
	for _, c := range []struct {
		rate uint64
		gap  int64
		want Phase
	}{
		{100, 5 * sec, Down},
		{100, 5*sec + 1, Suspect},
		{1, 13 * sec, Down}, // 13 calls may be absent by chance
		{1, 14 * sec, Suspect},
		{0, 5*sec + 1, Suspect},
	} {
		l := fell(c.rate)
		_, _ = l.Ask(start + c.gap)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
		if c.want == Suspect {
			require.Equal(t, "nobody called for a while", l.Cause())
		}
	}
}

func TestDown_CallsThatWereRejectedUnaskedAreNoGap(t *testing.T) {
	l := fell(100, func(s *Settings) { s.Probe, s.MaxProbe = 20*sec, 20*sec })
	now := l.NextProbe()
	l.Fail(now, ask(t, l, now), true)
	for end := now + 18*sec; now < end; now += 300 * ms {
		l.Rejected(30)
		l.Look(now, healthy(100))
	}
	require.Equal(t, Down, l.Phase())
}
