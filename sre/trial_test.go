package sre

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// lookAt looks at a window of which all is of the present phase.
func (d *decision) lookAt(now int64, success, failure uint64) {
	c := ledger.Counts{Success: success, Failure: failure}
	d.look(now, outlook{last: c, lastFor: sec, phase: c, phaseFor: sec, recent: c})
}

func TestLook_TroubleIsMoreFailuresThanAreAcceptedAndNoCoincidence(t *testing.T) {
	for _, c := range []struct {
		success, failure uint64
		want             phase
	}{
		{51, 49, calm},  // 40 % and two standard errors of 4.9 %
		{50, 50, trial}, // a little more
		{8, 11, calm},   // too few calls
		{7, 13, trial},  // of 20, more than 8 + 2·2.19
		{8, 12, calm},
		{19, 81, trial},    // 70 % and 2.5 standard errors of 4.58 % is 81.5
		{18, 82, shedding}, // no broken part explains this
		{0, 20, shedding},
		{0, 19, calm},
	} {
		d := decides()
		d.lookAt(begin, c.success, c.failure)
		require.Equal(t, c.want, d.phase, "%+v", c)
		if c.want != calm {
			require.Equal(t, fmt.Sprintf("%d of %d calls failed", c.failure, c.success+c.failure), d.cause)
		}
	}
}

func TestLook_RemembersTheTraffic(t *testing.T) {
	d := decides()
	d.look(begin, outlook{
		last: ledger.Counts{Success: 5, Failure: 4, Rejected: 3}, lastFor: 2 * sec,
		phase: ledger.Counts{Success: 90, Failure: 1}, phaseFor: 3 * sec,
	})
	require.InDelta(t, 6, d.rate*float64(sec), 1e-9)
	require.InDelta(t, 30, d.served*float64(sec), 1e-9)
}

func TestLook_PardonAndWarinessEndWhenTheyShould(t *testing.T) {
	for _, share := range []uint64{40, 0} {
		d := decides()
		d.pardoned = begin + 1
		d.lookAt(begin, share, 100-share)
		require.Equal(t, calm, d.phase)
		d.lookAt(begin+1, share, 100-share)
		require.NotEqual(t, calm, d.phase)
	}
	d := decides()
	d.wary = begin + 1
	d.lookAt(begin, 40, 60)
	require.Equal(t, shedding, d.phase, "soon after an outage, no trial is needed")
	require.True(t, d.afterwards)
	require.False(t, d.pure)
	d = decides()
	d.wary = begin
	d.lookAt(begin, 40, 60)
	require.Equal(t, trial, d.phase)
}

func TestLook_DisturbsNeitherSheddingNorAnOutage(t *testing.T) {
	for _, p := range []phase{shedding, down} {
		d := decides()
		d.become(p, begin, "")
		d.lookAt(begin, 0, 100)
		require.Equal(t, p, d.phase)
		require.Empty(t, d.cause)
	}
}

// runTrial runs stretches of a trial, in each of which as many calls are allowed
// and succeed as in points. It returns after how many the trial was over.
func runTrial(d *decision, points [][2]float64) int {
	d.become(trial, begin, "")
	now := begin
	for i, p := range points {
		if d.phase != trial {
			return i
		}
		d.learn(now, stretch{asked: p[0], allowed: p[0], ended: p[0], success: p[1]}, middle)
		now += d.turn
	}
	return len(points)
}

func TestTrial_LearnsWhetherFewerCallsHelp(t *testing.T) {
	var overloaded, broken, healed, still [][2]float64
	for i := range 30 {
		x := 1000.0
		if i%2 == 1 {
			x = 600
		}
		overloaded = append(overloaded, [2]float64{x, 300})
		broken = append(broken, [2]float64{x, x / 2})
		healed = append(healed, [2]float64{x, 0.81 * x})
		still = append(still, [2]float64{1000, 500})
	}

	d := decides()
	require.Equal(t, stretches, runTrial(d, overloaded))
	require.Equal(t, shedding, d.phase)
	require.Equal(t, "successes do not depend on the number of calls", d.cause)
	require.False(t, d.afterwards)

	d = decides()
	require.Equal(t, stretches, runTrial(d, broken))
	require.Equal(t, calm, d.phase)
	require.Equal(t, "fewer calls do not help", d.cause)
	require.Equal(t, d.since+20*sec, d.pardoned)

	d = decides()
	require.Equal(t, 4, runTrial(d, healed))
	require.Equal(t, calm, d.phase)
	require.Equal(t, "calls succeed again", d.cause)
	require.Zero(t, d.pardoned)

	d = decides()
	require.Len(t, still, runTrial(d, still), "without a difference there is nothing to learn")
	require.Equal(t, trial, d.phase)
	require.True(t, d.dithers)
}

func TestTrial_LetsFewerCallsThroughOnlyIfTheTrafficHardlyVaries(t *testing.T) {
	d := decides()
	runTrial(d, [][2]float64{{1000, 500}})
	require.False(t, d.dithers, "one stretch says nothing")
	require.Zero(t, d.rejects())
	require.True(t, d.ask(begin, highest))

	runTrial(d, [][2]float64{{1000, 500}, {700, 400}, {1300, 450}})
	require.False(t, d.dithers, "it varies by a quarter")

	d.become(trial, begin, "")
	d.learn(begin, stretch{allowed: 1000, success: 500}, lowest)
	d.learn(begin, stretch{allowed: 1010, success: 500}, lowest)
	require.True(t, d.dithers)
	require.InDelta(t, 0.2, d.rejects(), 1e-9)
	require.InDelta(t, 0.6, d.share, 0)
	require.True(t, d.ask(begin, func() float64 { return 0.59 }))
	require.False(t, d.ask(begin, func() float64 { return 0.6 }))
	d.learn(begin, stretch{allowed: 600, success: 300}, middle)
	require.InDelta(t, 1, d.share, 0)
	require.True(t, d.ask(begin, highest))
}

func TestTrial_AStretchLastsUntilEnoughCallsWereMade(t *testing.T) {
	for _, c := range []struct {
		asked float64
		ends  int64 // in buckets
	}{{10, 1}, {9, 10}, {0, 10}} {
		d := decides()
		d.become(trial, begin, "")
		d.now.asked = c.asked
		d.end(begin+c.ends*d.turn-1, middle)
		require.Zero(t, d.line.n)
		d.end(begin+c.ends*d.turn, middle)
		require.EqualValues(t, 1, d.line.n, "%+v", c)
		require.Equal(t, stretch{}, d.now)
	}
}

func TestDoubt_EndsSheddingThatDoesNotHelp(t *testing.T) {
	// Half of the calls failed. If shedding to a half helped, all would succeed.
	one := func(success float64) stretch {
		return stretch{asked: 200, allowed: 100, ended: 100, success: success}
	}
	for _, c := range []struct {
		name  string
		since int64
		this  stretch
		after bool
		want  phase
	}{
		{"as many fail as before", 1500 * ms, one(50), false, calm},
		{"it is too soon", 1500*ms - 1, one(50), false, shedding},
		{"few fail", 1500 * ms, one(85), false, shedding},
		{"the border is 71 %, less 1.5 standard errors", 1500 * ms, one(63), false, calm},
		{"a little more", 1500 * ms, one(64), false, shedding},
		{"hardly any call succeeds", 1500 * ms, one(11), false, shedding},
		{"little is shed", 1500 * ms, stretch{asked: 141, allowed: 100, ended: 100, success: 50}, false, shedding},
		{"too few have ended", 1500 * ms, stretch{asked: 14, allowed: 7, ended: 7, success: 3}, false, shedding},
		{"after an outage, a backend is slow", 7 * sec, one(50), true, shedding},
		{"but not for ever", 7 * sec, stretch{asked: 400, allowed: 100, ended: 100, success: 50}, true, calm},
		{"nor so soon", 7*sec - 1, stretch{asked: 400, allowed: 100, ended: 100, success: 50}, true, shedding},
	} {
		d := decides()
		d.before = 0.5
		d.shed(begin, "", c.after)
		d.doubt(begin+c.since, c.this)
		require.Equal(t, c.want, d.phase, c.name)
		if c.want == calm {
			require.Equal(t, "fewer calls do not help", d.cause, c.name)
			require.Equal(t, begin+c.since+20*sec, d.pardoned, c.name)
		}
	}
}

// TestTrial_DoubtComparesWithWhatTheTrialSaw asks what doubt compares with: what the trial saw, not
// the window before it, in which the backend may have been well for a while.
func TestTrial_DoubtComparesWithWhatTheTrialSaw(t *testing.T) {
	d := decides()
	d.before = 0.56
	points := [][2]float64{}
	for range 7 {
		points = append(points, [2]float64{1000, 300}, [2]float64{600, 300})
	}
	runTrial(d, points)
	require.Equal(t, shedding, d.phase)
	require.InDelta(t, 0.37, d.before, 0.02)
}

// A trial lets fewer calls through, of which more succeed. Taken for what the
// backend does at full load, the ratio of those that were let through made the
// breaker doubt that shedding helps, 1.5 s after it had begun.
func TestRegression_TheTrialsOwnRejectionsLookedAsIfSheddingDidNotHelp(t *testing.T) {
	d := decides()
	d.become(trial, begin, "")
	now := begin
	for i := 0; d.phase == trial; i++ {
		this := stretch{asked: 1000, allowed: 1000, ended: 1000, success: 500}
		if i%2 == 1 {
			this.allowed, this.ended = 600, 600
		}
		d.learn(now, this, middle)
		now += d.turn
	}
	require.Equal(t, shedding, d.phase)
	require.InDelta(t, 0.5, d.before, 1e-9)
}

func TestTrial_WhatNoBrokenPartExplainsIsShedBeforeTheSlopeIsKnown(t *testing.T) {
	d := decides()
	points := [][2]float64{}
	for range 10 {
		points = append(points, [2]float64{10, 1})
	}
	// 1 of 10 and 2 of 20 can be chance, 4 of 40 cannot.
	require.Equal(t, 4, runTrial(d, points))
	require.Equal(t, shedding, d.phase)
	require.Equal(t, "36 of 40 calls failed", d.cause)
	require.InDelta(t, 0.1, d.before, 1e-9)
}

func TestLine_FindsTheSlopeInPartsOfTheRatio(t *testing.T) {
	var l line
	for i := range 10 {
		x := float64(100 + 10*i)
		l.add(x, 20+x/4) // at the mean of 145, y is 56.25
	}
	slope, err := l.slope()
	require.InDelta(t, 0.25*145/56.25, slope, 1e-9)
	require.InDelta(t, math.Sqrt(56.25/4/(10*825))*145/56.25, err, 1e-9, "counts vary at least by a quarter of a Poisson process")

	for name, points := range map[string][][2]float64{
		"no difference":  {{5, 1}, {5, 3}},
		"no success":     {{5, 0}, {9, 0}},
		"nothing at all": {{0, 0}, {0, 0}},
	} {
		l = line{}
		for _, p := range points {
			l.add(p[0], p[1])
		}
		slope, err = l.slope()
		require.Zero(t, slope, name)
		require.True(t, math.IsInf(err, 1), name)
	}
}
