package adaptive

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flow is calls at even intervals through a law that is in trouble. Each takes the
// same time.
type flow struct {
	l     *Law
	now   int64
	every int64 // ns between two calls, or two bursts of them
	burst int   // calls at once
	takes int64

	flight []flying
}

type flying struct {
	ends  int64
	stamp *Cohort
	ok    bool
}

// flowed is what became of the calls of a time.
type flowed struct {
	asked, sent, ok int
	d               int64
}

func (f flowed) perSecond(n int) float64 { return float64(n) / (float64(f.d) / second) }

// during lets calls flow for d, or until the law is calm. up says whether a call
// succeeds that begins now.
func (f *flow) during(d int64, up func(now int64) bool) (w flowed) {
	from, end := f.now, f.now+d
	for ; f.now < end && f.l.Phase() != Calm; f.now += f.every {
		f.settle()
		for range max(1, f.burst) {
			if f.l.Phase() == Calm {
				break
			}
			w.asked++
			c, allowed := f.l.Ask(f.now)
			if !allowed {
				continue
			}
			ok := up(f.now)
			w.sent++
			if ok {
				w.ok++
			}
			f.flight = append(f.flight, flying{f.now + f.takes, c, ok})
		}
	}
	w.d = f.now - from
	return w
}

func (f *flow) settle() {
	for len(f.flight) > 0 && f.flight[0].ends <= f.now {
		c := f.flight[0]
		f.flight = f.flight[1:]
		if c.ok {
			f.l.Succeed(c.ends, c.stamp, true)
		} else {
			f.l.Fail(c.ends, c.stamp, true)
		}
	}
}

// capacity serves so many calls a second, a tenth of a second's at once. It has had
// too much to do for long.
func capacity(rate float64) func(int64) bool {
	tokens, last := 0.0, start
	return func(now int64) bool {
		tokens = min(rate/10, tokens+float64(now-last)/second*rate)
		last = now
		if tokens < 1 {
			return false
		}
		tokens--
		return true
	}
}

// part serves each second call.
func part() func(int64) bool {
	i := 0
	return func(int64) bool { i++; return i%2 == 0 }
}

func always(int64) bool { return true }
func never(int64) bool  { return false }

// inTry returns a flow of so many calls a second, of which too many have failed.
func inTry(t *testing.T, rate uint64) *flow {
	l := newLaw()
	seen := healthy(rate)
	seen.Window.Failure = max(20, 2*seen.Window.Success)
	l.Look(start, seen)
	require.Equal(t, Paced, l.Phase())
	return &flow{l: l, now: start, every: sec / int64(rate), takes: 5 * ms}
}

// inRamp returns a flow of so many calls a second, after an outage.
func inRamp(t *testing.T, rate uint64) *flow {
	l := fell(rate)
	now := l.NextProbe()
	l.Succeed(now+5*ms, ask(t, l, now), true)
	require.Equal(t, Paced, l.Phase())
	return &flow{l: l, now: now + 5*ms, every: sec / int64(rate), takes: 5 * ms}
}

func TestTry_FirstAllCallsGoOut(t *testing.T) {
	f := inTry(t, 200)
	w := f.during(150*ms, capacity(100))
	require.Equal(t, w.asked, w.sent)
	require.Zero(t, f.l.NotBefore()-start)
	f.during(400*ms, capacity(100))
	require.False(t, math.IsInf(f.l.paced.level, 0), "then it is known what becomes of them")
	require.GreaterOrEqual(t, f.l.paced.ref.n, 32.0)
	require.False(t, f.l.paced.ramp())
}

func TestTry_AReferenceTakes32CallsAndAsManyAsAreEnough(t *testing.T) {
	for _, c := range []struct {
		enough uint64
		n      float64
		known  bool
	}{{1, 31, false}, {1, 32, true}, {32, 32, true}, {33, 32, false}, {100, 99, false}, {100, 100, true}} {
		l := suspecting(func(s *Settings) { s.Enough = c.enough })
		l.try(start, "too many failed")
		require.InDelta(t, 1.16, l.paced.gain, 1e-12)
		l.paced.free = tally{n: c.n - 1, ok: 9, done: 10, t: 0.9 * second}
		l.judge(start+sec, &Cohort{epoch: l.epoch, from: start, to: start + sec/10, asked: 1, sent: 1, ok: 1, done: 1})
		require.Equal(t, Paced, l.Phase())
		p := l.paced
		if !c.known {
			require.Equal(t, all, p.level, "%+v", c)
			require.Zero(t, p.ref)
			require.Equal(t, tally{c.n, 10, 11, second}, p.free)
			continue
		}
		require.InDelta(t, 11, p.level*second, 1e-9, "%+v: the pace is what was delivered", c)
		require.Equal(t, tally{c.n, 10, 11, second}, p.ref)
		require.Zero(t, p.free)
		require.Zero(t, p.low)
		require.InDelta(t, 1+1/math.Sqrt(8), p.gain, 1e-12)
		require.Equal(t, 1, p.wait)
	}
}

func TestFloor_IsOneCallInTwoSecondsOr3PercentOfThoseThatAreAskedFor(t *testing.T) {
	for asks, want := range map[float64]float64{0: 0.5, 16: 0.5, 17: 0.51, 100: 3, 10000: 300} {
		l := suspecting()
		l.try(start, "too many failed")
		l.asks = asks / second
		l.paced.free = tally{n: 100, ok: 0, t: second}
		l.finish(start)
		require.InDelta(t, want, l.paced.level*second, 1e-9, "after a reference")
		l.settle()
		require.InDelta(t, want, l.paced.level*second, 1e-9, "after a hold of which nothing came")
	}
}

func TestTry_EndsAfterTwoSecondsAtTheShareThatIsAccepted(t *testing.T) {
	for _, c := range []struct {
		n, ok, t float64
		want     Phase
	}{
		{100, 59, 2, Paced},
		{100, 60, 2, Calm},
		{100, 60, 1.999, Paced},
		{19, 0, 3, Paced}, // so few calls tell nothing yet
	} {
		l := suspecting()
		l.try(start, "too many failed")
		l.paced.free = tally{n: c.n, ok: c.ok, t: c.t * second}
		l.finish(start + ms)
		require.Equal(t, c.want, l.Phase(), "%+v", c)
		if c.want == Paced {
			require.Equal(t, c.n < 32 || c.ok == 60, l.paced.level == all, "%+v", c)
		}
	}
	l := suspecting()
	l.pardoned = pardon{until: start + 2*longest, ratio: 0.5}
	l.try(start, "too many failed")
	l.paced.free = tally{n: 100, ok: 25, t: 2 * second}
	l.finish(start + longest)
	require.Equal(t, Calm, l.Phase(), "that is what was pardoned")
}

func TestTry_EndsAfterTwoSecondsIfCallsSucceedAfterAll(t *testing.T) {
	f := inTry(t, 200)
	w := f.during(10*sec, always)
	require.Equal(t, w.asked, w.sent)
	require.Equal(t, Calm, f.l.Phase())
	require.Equal(t, "nothing is rejected any more", f.l.Cause())
	require.GreaterOrEqual(t, f.now-start, 2*sec)
	require.Less(t, f.now-start, 2500*ms)
}

func TestTry_EndsWithAPardonIfAPartIsBroken(t *testing.T) {
	for _, rate := range []uint64{50, 200, 1000} {
		f := inTry(t, rate)
		f.during(30*sec, part())
		require.Equal(t, Calm, f.l.Phase(), rate)
		require.Equal(t, "fewer calls do not help", f.l.Cause())
		require.Less(t, f.now-start, 10*sec)
		require.Equal(t, max(20*sec, 8*(f.l.since-start)), f.l.pardoned.last)
		require.InDelta(t, 0.5, f.l.pardoned.ratio, 0.15)
	}
}

func TestTry_EndsWithAHoldIfThereIsTooMuchToDo(t *testing.T) {
	for _, rate := range []uint64{100, 200, 1000} {
		f := inTry(t, rate)
		up := capacity(float64(rate) / 2)
		f.during(3*sec, up)
		require.Equal(t, Paced, f.l.Phase(), rate)
		require.InEpsilon(t, float64(rate)/2, f.l.paced.level*second, 0.3, rate)
	}
}

func TestTry_SeesABackendThatDies(t *testing.T) {
	f := inTry(t, 200)
	f.during(sec, never)
	require.Equal(t, Down, f.l.Phase())
	require.Less(t, f.now-start, sec+ms)
}

// pacing returns a law at a pace of 100 calls a second, for callers who want 4000.
func pacing() *Law {
	l := suspecting()
	l.pace(start, &paced{level: 100 / second, gain: 2}, "put into a pace")
	l.asks, l.usual, l.paced.peak = 4000/second, float64(10*ms), all
	return l
}

func TestPace_CallsAreEvenlySpaced(t *testing.T) {
	l := pacing()
	var at []int64
	for now := start; now < start+sec; now += ms / 4 {
		if l.paced.allows(now, l) {
			at = append(at, now)
		}
	}
	require.InDelta(t, 100, len(at), 1)
	for i := 1; i < len(at); i++ {
		require.GreaterOrEqual(t, at[i]-at[i-1], 9*ms, i)
		require.LessOrEqual(t, at[i]-at[i-1], 10*ms+ms/4, i)
	}
}

func TestPace_MakesUpForACallThatCameLate(t *testing.T) {
	l := pacing()
	require.True(t, l.paced.allows(start, l))
	require.Equal(t, start+10*ms, l.NotBefore())
	require.False(t, l.paced.allows(start+10*ms-1, l))
	require.True(t, l.paced.allows(start+14*ms, l))
	require.Equal(t, start+23*ms, l.NotBefore(), "nine tenths of the time between two lie between them")
	require.True(t, l.paced.allows(start+23*ms, l))
	require.Equal(t, start+32*ms, l.NotBefore())
	require.True(t, l.paced.allows(start+32*ms, l))
	require.Equal(t, start+41*ms, l.NotBefore())
	require.True(t, l.paced.allows(start+41*ms, l))
	require.Equal(t, start+50*ms, l.NotBefore(), "now it is in step")
}

func TestPace_ACallMayBeTwoIntervalsLateAndIsStillSpaced(t *testing.T) {
	for late, want := range map[int64]int64{20 * ms: 29 * ms, 20*ms + 1: 0} {
		l := pacing()
		require.True(t, l.paced.allows(start+late, l))
		require.Equal(t, start+want, l.NotBefore())
		require.Equal(t, start+10*ms, l.paced.due)
	}
}

func TestPace_CatchesUpAfterIdling(t *testing.T) {
	for idle, want := range map[int64]int{500 * ms: 49, 10 * sec: 199} {
		l := pacing()
		now, n := start+idle, 0
		for range 1000 {
			if l.paced.allows(now, l) {
				n++
			}
		}
		require.InDelta(t, want, n, 1, "what was due in so long a time, up to two seconds")
		require.False(t, l.paced.allows(now+ms, l))
		require.True(t, l.paced.allows(now+9*ms, l))
	}
}

func TestPace_AHigherCohortGoesOutFaster(t *testing.T) {
	l := pacing()
	l.current().high = true
	n := 0
	for now := start; now < start+sec; now += ms {
		if l.paced.allows(now, l) {
			n++
		}
	}
	require.InDelta(t, 200, n, 4)
}

func TestPace_CallersWhoDoNotUseItAreNotSpaced(t *testing.T) {
	l := pacing()
	l.paced.loose = true
	for range 100 {
		require.True(t, l.paced.allows(start+ms, l))
	}
	require.Equal(t, start+ms, l.paced.due, "and nothing is made up for")
	require.Equal(t, start, l.NotBefore())
	for asks, want := range map[float64]bool{49: true, 51: false} {
		l := pacing()
		l.asks = asks / second
		l.turn(start+sec, l.current())
		require.Equal(t, want, l.paced.loose, asks)
	}
}

func TestPace_CallsInFlightAreLimitedButInLooks(t *testing.T) {
	l := pacing()
	l.paced.peak = 100 / second // 100 a second for 10 ms, times four, and eight
	l.current().sent = 12
	require.False(t, l.paced.allows(start, l))
	l.current().sent = 11
	require.True(t, l.paced.allows(start, l))
	l.current().sent, l.current().high = 100, true
	require.True(t, l.paced.allows(start+sec, l))
}

func TestRound_LastsAsLongAsACallButNoBurst(t *testing.T) {
	l := newLaw()
	for usual, want := range map[int64]int64{0: 35 * ms, 35 * ms: 35 * ms, 50 * ms: 50 * ms, sec: 140 * ms} {
		l.usual = float64(usual)
		require.Equal(t, want, l.round())
	}
}

func TestIsFull_ACohortTellsEnoughAfterARoundWithCalls(t *testing.T) {
	slow := float64(100 * ms)
	for name, c := range map[string]struct {
		p     paced
		c     Cohort
		age   int64
		usual float64
		want  bool
	}{
		"two seconds are enough":          {paced{level: all}, Cohort{}, 2 * sec, 0, true},
		"less without a call are not":     {paced{gain: growth}, Cohort{}, 2*sec - 1, 0, false},
		"nor less than a round":           {paced{gain: growth}, Cohort{sent: 1}, 35*ms - 1, 0, false},
		"a round of a ramp":               {paced{level: 30 / second, gain: growth}, Cohort{sent: 1, high: true}, 35 * ms, 0, true},
		"a ramp waits for no call to end": {paced{level: 30 / second, gain: growth}, Cohort{sent: 1, high: true}, 35 * ms, slow, true},
		"but for three calls":             {paced{level: 28 / second, gain: growth}, Cohort{sent: 1, high: true}, 35 * ms, slow, false},
		"a hold lasts as long as a call":  {paced{level: 1000 / second}, Cohort{sent: 9}, 100 * ms, slow, true},
		"and not less":                    {paced{level: 1000 / second}, Cohort{sent: 9}, 100*ms - 1, slow, false},
		"a hold takes eight calls":        {paced{level: 80 / second}, Cohort{sent: 1}, 100 * ms, 0, true},
		"not seven":                       {paced{level: 80 / second}, Cohort{sent: 8}, 99 * ms, 0, false},
		"a try takes 32 that are asked":   {paced{level: all}, Cohort{asked: 32, sent: 1}, 35 * ms, 0, true},
		"and not 31":                      {paced{level: all}, Cohort{asked: 31, sent: 31}, sec, 0, false},
	} {
		l := suspecting()
		l.pace(start, &c.p, "put into a pace")
		l.usual = c.usual
		require.Equal(t, c.want, l.isFull(&c.c, c.age), name)
	}
}

func TestTurn_ALookComesAfterSomeRestsAndAtLeastEveryEightSeconds(t *testing.T) {
	l := pacing()
	now := start
	looks := func(n int) (got []int) {
		for i := range n {
			now += 100 * ms
			l.turn(now, l.current())
			if l.current().high {
				got = append(got, i)
				require.Equal(t, now, l.paced.looked)
			}
		}
		return got
	}
	require.Equal(t, []int{1, 3, 5}, looks(6))
	l.paced.rests = 4
	require.Equal(t, []int{1, 6, 11}, looks(12))
	l.paced.wait, l.paced.looked = 100, now
	now += 8*sec - 100*ms
	require.Empty(t, looks(1))
	require.Equal(t, []int{0}, looks(1))
	l.paced.level = all
	l.paced.looked = now - 100*sec
	require.Empty(t, looks(3), "when all calls go out, there are no more")
}

func TestTurn_ARampIsClockedByWhatArrives(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *Law)
		level  float64
		gain   float64
		ramp   bool
	}{
		"one of them may be luck":      {func(l *Law) { l.served = 0 }, 100, 3, true},
		"it never gets less":           {func(l *Law) { l.served, l.paced.level = 0, 200/second }, 200, 3, true},
		"it waits if more do not help": {func(l *Law) { l.served, l.paced.lean = 0, 0.1 }, 10, 3, true},
		"the pace of before":           {func(l *Law) { l.served = 250 / second }, 250, math.Sqrt(3), false},
		"not yet":                      {func(l *Law) { l.served = 301 / second }, 100, 3, true},
		"it was no limit":              {func(l *Law) { l.served, l.asks = 250/second, 280/second }, 100, 3, true},
		"it was one":                   {func(l *Law) { l.served, l.asks = 250/second, 290/second }, 250, math.Sqrt(3), false},
	} {
		l := pacing()
		l.paced = &paced{level: 10 / second, gain: growth, wait: 1, looked: start}
		l.current().done = 11
		c.change(l)
		l.turn(start+100*ms, l.current())
		require.InDelta(t, c.level, l.paced.level*second, 1e-9, name)
		require.InDelta(t, c.gain, l.paced.gain, 1e-12, name)
		require.Equal(t, c.ramp, l.paced.ramp(), name)
		require.Equal(t, c.ramp, l.current().high, name)
		require.InDelta(t, 110, l.paced.peak*second, 1e-9)
		l.turn(start+200*ms, l.current())
		require.InDelta(t, 110*0.875, l.paced.peak*second, 1e-9, "the peak is forgotten slowly")
	}
}

func TestRamp_ABackendThatIsWellGetsAllCallsSoon(t *testing.T) {
	for _, rate := range []uint64{10, 100, 1000} {
		f := inRamp(t, rate)
		from := f.now
		f.during(2*sec, always)
		w := f.during(500*ms, always)
		require.GreaterOrEqual(t, float64(w.sent), 0.95*float64(w.asked), rate)
		f.during(10*sec, always)
		require.Equal(t, Calm, f.l.Phase(), rate)
		require.Equal(t, "nothing is rejected any more", f.l.Cause())
		require.Greater(t, f.now-from, 2*sec, "two seconds without a rejection")
		require.Less(t, f.now-from, 7*sec)
	}
}

func TestRegression_ARampOfWorkersThatCallInBurstsStoodStillForEver(t *testing.T) {
	for _, every := range []int64{20 * ms, 50 * ms, 200 * ms} {
		f := inRamp(t, 440)
		f.burst, f.every = 22, every
		from := f.now
		f.during(30*sec, always)
		require.Equal(t, Calm, f.l.Phase(), every)
		require.Less(t, f.now-from, 10*sec)
	}
}

func TestRamp_FromAPaceOfFewCallsASecondToAllOfThem(t *testing.T) {
	for _, level := range []float64{0.5, 3, 10} {
		l := suspecting()
		l.pace(start, &paced{level: level / second, gain: growth}, "put into a ramp")
		f := flow{l: l, now: start, every: 10 * ms, takes: 5 * ms}
		f.during(60*sec, always)
		require.Equal(t, Calm, l.Phase(), level)
		require.Less(t, f.now-start, 40*sec)
	}
}

func TestRamp_ABackendThatDiesAgainIsDown(t *testing.T) {
	f := inRamp(t, 200)
	f.during(300*ms, always)
	from := f.now
	for f.l.Phase() == Paced && f.now < from+5*sec {
		f.during(10*ms, never)
	}
	require.Equal(t, Down, f.l.Phase())
	require.Less(t, f.now-from, sec)
}

func TestRamp_GrowsNoFurtherThanWhatIsDone(t *testing.T) {
	f := inRamp(t, 1000)
	f.during(3*sec, capacity(100))
	require.Equal(t, Paced, f.l.Phase(), "%s, though there is too much to do", f.l.Cause())
	require.Less(t, f.l.paced.level*second, 300.0)
}

func TestRamp_EndsAtThePaceOfBeforeTheOutage(t *testing.T) {
	f := inTry(t, 1000)
	up := capacity(200)
	f.during(10*sec, up)
	for f.l.Phase() == Paced {
		f.during(10*ms, never)
	}
	require.Equal(t, Down, f.l.Phase())
	require.InEpsilon(t, 200, f.l.served*second, 0.4)
	for f.l.Phase() == Down {
		f.during(10*ms, up)
	}
	w := f.during(5*sec, up)
	require.Less(t, w.perSecond(w.sent), 260.0)
	require.Greater(t, w.perSecond(w.ok), 160.0)
	require.False(t, f.l.paced.ramp())
}

func TestHold_SettlesAtWhatTheBackendDelivers(t *testing.T) {
	for _, c := range []struct{ rate, capacity float64 }{{1000, 500}, {1000, 100}, {200, 50}, {100, 20}} {
		f := inTry(t, uint64(c.rate))
		up := capacity(c.capacity)
		f.during(15*sec, up)
		w := f.during(30*sec, up)
		require.Equal(t, Paced, f.l.Phase(), "%+v", c)
		require.GreaterOrEqual(t, w.perSecond(w.ok), 0.9*c.capacity, "%+v", c)
		require.LessOrEqual(t, w.perSecond(w.sent), 1.25*c.capacity, "%+v", c)
	}
}

func TestHold_MoreIsServedWhenTheBackendCanDoMore(t *testing.T) {
	for seed := range uint64(16) {
		s := newPageTraffic(seed, 1000)
		s.run(20*time.Second, nil)
		s.backend = pageLimited(100, 10)
		s.run(20*time.Second, nil)
		require.Equal(t, Paced, s.law.Phase())
		s.backend = pageLimited(400, 40)
		s.run(10*time.Second, nil)
		s.clear()
		s.run(10*time.Second, nil)
		require.GreaterOrEqual(t, s.served, 3400, "seed %d", seed)
		// It was pardoned for minutes, and got 2.5 times what it could do.
		require.LessOrEqual(t, s.sent, 6000, "seed %d", seed)
	}
}

func TestHold_WithoutAReferenceRisesUntilAllCallsGoOut(t *testing.T) {
	f := inTry(t, 1000)
	f.during(10*sec, capacity(100))
	require.Equal(t, Paced, f.l.Phase())
	f.l.paced.ref = tally{}
	f.during(sec, always)
	w := f.during(sec, always)
	require.GreaterOrEqual(t, float64(w.sent), 0.95*float64(w.asked))
	f.during(10*sec, always)
	require.Equal(t, Calm, f.l.Phase())
	require.Equal(t, "nothing is rejected any more", f.l.Cause())
}

func TestHold_FallsWhenTheBackendCanDoLess(t *testing.T) {
	f := inTry(t, 1000)
	f.during(10*sec, capacity(500))
	up := capacity(100)
	f.during(10*sec, up)
	w := f.during(10*sec, up)
	require.Equal(t, Paced, f.l.Phase())
	require.LessOrEqual(t, w.perSecond(w.sent), 160.0)
	require.GreaterOrEqual(t, w.perSecond(w.ok), 80.0)
}

func TestHold_EndsTwoSecondsAfterTheLastRejection(t *testing.T) {
	f := inTry(t, 1000)
	up := capacity(200)
	f.during(10*sec, up)
	require.Equal(t, Paced, f.l.Phase())
	f.every = sec / 50 // fewer calls than it can do
	from := f.now
	f.during(20*sec, up)
	require.Equal(t, Calm, f.l.Phase())
	require.Equal(t, "nothing is rejected any more", f.l.Cause())
	require.GreaterOrEqual(t, f.now-from, 2*sec-100*ms)
	require.Less(t, f.now-from, 6*sec)
}

// judged is a cohort of a tenth of a second.
func judged(asked, sent, ok float64) *Cohort {
	return &Cohort{from: start, to: start + 100*ms, asked: asked, sent: sent, ok: ok, done: ok, failed: sent - ok}
}

func TestJudge_LearnsFromWhatSucceeds(t *testing.T) {
	l := pacing()
	l.ratio, l.barren = 0.5, 3
	c := judged(100, 16, 8)
	c.took = 8 * float64(2*ms)
	l.judge(start+sec, c)
	require.Zero(t, l.barren)
	require.InDelta(t, 0.5, l.ratio, 1e-12)
	require.InDelta(t, 6*ms, l.usual, 1, "half way from 10 to 2 ms")
	c = judged(100, 32, 32)
	c.took = 32 * float64(sec)
	l.judge(start+sec, c)
	require.InDelta(t, 0.75, l.ratio, 1e-12)
	require.InDelta(t, 6*ms, l.usual, 1, "it never grows")
	l.judge(start+sec, judged(100, 20, 0))
	l.judge(start+sec, judged(100, 5, 0))
	require.EqualValues(t, 25, l.barren)
	require.InDelta(t, 0.75, l.ratio, 1e-12, "it may be down")
}

// lasting is a cohort that began at start and lasted for so long.
func lasting(d int64, asked, sent, ok float64) *Cohort {
	c := judged(asked, sent, ok)
	c.to = c.from + d
	return c
}

func TestJudge_TwoSecondsOfCohortsOfWhichNothingIsRejectedEndThePace(t *testing.T) {
	for name, c := range map[string]struct {
		sent, ok float64
		last     int64
		phase    Phase
		level    float64 // of a pace
	}{
		"too soon":          {100, 100, sec - 1, Paced, 100},
		"it ends":           {100, 100, sec, Calm, 0},
		"one in eight is":   {87, 87, sec, Paced, 100},
		"seven of eight go": {87.5, 87.5, sec, Calm, 0},
		"too many fail":     {100, 59, sec, Paced, 59},
		"as many as may":    {100, 60, sec, Calm, 0},
	} {
		l := pacing()
		epoch := l.epoch
		l.judge(start+sec, lasting(sec, 100, c.sent, c.ok))
		l.judge(start+2*sec, lasting(c.last, 100, c.sent, c.ok))
		require.Equal(t, c.phase, l.Phase(), name)
		if c.phase == Calm {
			require.Equal(t, "nothing is rejected any more", l.Cause(), name)
			continue
		}
		require.Equal(t, epoch, l.epoch, name)
		if c.level == 59 {
			require.InDelta(t, 0.59, l.paced.ref.ratio(), 1e-9, "it is compared with that whether fewer calls help")
			c.level = max(59, nothing*4000)
		}
		require.InDelta(t, c.level, l.paced.level*second, 1e-9, name)
	}
	l := pacing()
	l.judge(start+2*sec, lasting(2*sec, 10, 9, 1))
	require.Equal(t, Calm, l.Phase(), "so few calls are no trouble")
	l = pacing()
	l.judge(start+2*sec, lasting(2*sec, 20, 20, 1))
	require.Equal(t, Paced, l.Phase(), "they are as many as are enough")
	l = pacing()
	l.judge(start+sec, judged(100, 100, 100))
	l.judge(start+sec, judged(100, 50, 50))
	require.Zero(t, l.paced.free, "a rejection begins the time anew")
}

func TestJudge_ACohortWithoutASuccessDecidesNothing(t *testing.T) {
	l := pacing()
	l.paced.free = tally{n: 100, ok: 10, t: 3 * second}
	l.judge(start+sec, judged(20, 20, 0))
	require.Equal(t, tally{120, 10, 0, 3.1 * second}, l.paced.free, "it counts for later")
	require.Zero(t, l.paced.ref, "and begins no hold")
	require.EqualValues(t, 20, l.barren, "whether it is an outage is told by this")

	for name, p := range map[string]paced{
		"settles no hold":   {lean: 5},
		"rises not":         {lean: -5},
		"settles no ramp":   {gain: growth, low: tally{n: 100, ok: 90, t: second}, lean: 5},
		"pardons not":       {ref: tally{n: 200, ok: 100, t: second}, low: tally{n: 200, ok: 100, t: 2 * second}},
		"drops no evidence": {ref: tally{n: 200, ok: 100, t: second}, low: tally{n: 200, ok: 200, t: 2 * second}},
	} {
		l := weighing(p)
		was := *l.paced
		l.weigh(start, p.gain == growth, tally{n: 2, t: second / 50})
		require.Equal(t, Paced, l.Phase(), name)
		require.Equal(t, was.ref, l.paced.ref, name)
		require.InDelta(t, 100, l.paced.level*second, 1e-9, name)
		require.InDelta(t, was.gain, l.paced.gain, 0, name)
		require.Equal(t, was.rests, l.paced.rests, name)
		l = weighing(p)
		l.weigh(start, p.gain == growth, tally{n: 2, ok: 1, t: second / 50})
		if l.phase == Paced {
			require.NotEqual(t, [4]float64{was.ref.n, 100 / second, was.gain, float64(was.rests)},
				[4]float64{l.paced.ref.n, l.paced.level, l.paced.gain, float64(l.paced.rests)}, "%s: one success is enough", name)
		}
	}
}

// A client of 300 calls a second stayed at one call in two seconds for 50 s.
func TestRegression_AnOutageThatBeganWithinARampBecameAHold(t *testing.T) {
	for _, takes := range []int64{2 * ms, 20 * ms} {
		for after := 10 * ms; after < 500*ms; after += 10 * ms {
			f := inRamp(t, 300)
			f.takes = takes
			least := f.l.paced.level
			f.during(after, always)
			from := f.now
			for f.l.Phase() == Paced && f.now < from+5*sec {
				f.during(10*ms, never)
				require.True(t, f.l.Phase() == Down || f.l.paced.level >= least, after/ms)
			}
			require.Equal(t, Down, f.l.Phase(), after/ms)
			require.Less(t, f.now-from, 300*ms, after/ms)
			for f.l.Phase() == Down && f.now < from+5*sec {
				f.during(10*ms, always)
			}
			f.during(sec, always)
			w := f.during(sec, always)
			require.GreaterOrEqual(t, w.sent, 290, after/ms)
		}
	}
}

func TestJudge_ARampOfWhichNothingIsRejectedIsNotCompared(t *testing.T) {
	for pace, want := range map[float64]float64{11.6: 0, 11.7: 1} { // calls in 100 ms, at 100 a second before
		l := pacing()
		l.paced.gain, l.paced.low = growth, tally{n: 100, ok: 90, done: 90, t: second}
		l.judge(start+sec, judged(pace, pace, 1))
		require.Equal(t, want > 0, !l.paced.ramp(), pace)
	}
	l := pacing()
	l.paced.gain, l.paced.low = growth, tally{n: 100, ok: 90, done: 90, t: 1.1 * second}
	l.judge(start+sec, judged(12, 10, 1))
	require.False(t, l.paced.ramp(), "it was limited")
}

// weighing returns a law with what is known of a hold at 100 calls a second.
func weighing(p paced) *Law {
	l := suspecting()
	if p.level == 0 {
		p.level = 100 / second
	}
	p.gain = max(p.gain, 1.16)
	l.pace(start, &p, "put into a pace")
	return l
}

func TestWeigh_AReferenceTellsWhetherFewerCallsHelp(t *testing.T) {
	ref := tally{n: 200, ok: 100, t: second}
	for name, c := range map[string]struct {
		n      tally
		high   bool
		ref    tally
		phase  Phase
		forget bool
	}{
		"half of the calls, of which half do":  {tally{n: 100, ok: 50, t: second}, false, ref, Calm, false},
		"half of the calls, and as many":       {tally{n: 100, ok: 100, t: second}, false, ref, Paced, true},
		"too few to tell":                      {tally{n: 4, ok: 2, t: second / 25}, false, ref, Paced, false},
		"a look tells nothing":                 {tally{n: 100, ok: 50, t: second}, true, ref, Paced, false},
		"nor what is worse than the reference": {tally{n: 100, ok: 24, t: second}, false, ref, Paced, false},
		"half as good is worse":                {tally{n: 100, ok: 25, t: second}, false, ref, Paced, false},
		"more than that is not":                {tally{n: 100, ok: 26, t: second}, false, ref, Calm, false},
	} {
		l := weighing(paced{ref: c.ref})
		l.weigh(start, c.high, c.n)
		require.Equal(t, c.phase, l.Phase(), name)
		switch {
		case c.phase == Calm:
			require.InDelta(t, c.n.ratio(), l.pardoned.ratio, 1e-12)
		case c.forget:
			require.Zero(t, l.paced.ref, name)
		default:
			require.Equal(t, c.ref, l.paced.ref, name)
		}
	}
}

func TestWeigh_TheGainOfALookGrowsUpToTwo(t *testing.T) {
	l := weighing(paced{gain: 1.16})
	for _, want := range []float64{1.3456, 1.560896, 1.81063936, 2, 2} {
		l.weigh(start, true, tally{n: 1, ok: 1, t: second / 100})
		require.InDelta(t, want, l.paced.gain, 1e-9)
	}
	l.weigh(start, false, tally{n: 1, ok: 1, t: second / 100})
	require.InDelta(t, 2, l.paced.gain, 0)
	l.paced.gain = growth
	l.weigh(start, true, tally{n: 1, ok: 1, t: second / 100})
	require.InDelta(t, growth, l.paced.gain, 0, "not in a ramp")
}

func TestWeigh_AHoldComparesAllThatIsKnownOfTheSlowerPaceWithTheFasterOne(t *testing.T) {
	// Too alike to decide anything.
	low, high := tally{n: 80, ok: 80, done: 80, t: second}, tally{n: 96, ok: 88, done: 88, t: second}
	n := tally{n: 1, ok: 1, done: 1, t: second / 128}
	l := weighing(paced{low: low, high: high, lean: 99})
	l.weigh(start, true, n)
	require.Equal(t, tally{85, 78, 78, 0.875*second + second/128}, l.paced.high)
	require.Equal(t, low, l.paced.low)
	require.InDelta(t, odds(low, l.paced.high), l.paced.lean, 1e-12, "not a sum with what was before")
	l = weighing(paced{low: low, high: high})
	l.weigh(start, false, n)
	require.Equal(t, tally{71, 71, 71, 0.875*second + second/128}, l.paced.low)
	require.InDelta(t, odds(l.paced.low, high), l.paced.lean, 1e-12)
	require.NotZero(t, l.paced.lean)
	l = weighing(paced{low: high, high: low})
	l.weigh(start, false, n)
	require.InDelta(t, odds(low, l.paced.low), l.paced.lean, 1e-12, "by what went out, for callers need not use the pace")
	l = weighing(paced{})
	l.weigh(start, true, n)
	require.Zero(t, l.paced.lean, "with nothing there is no comparison")
}

func TestWeigh_ARampAddsUpWhatEachCohortTellsBesideThoseBefore(t *testing.T) {
	low, high := tally{n: 80, ok: 80, done: 80, t: second}, tally{n: 160, ok: 80, done: 80, t: second}
	n := tally{n: 1, ok: 1, done: 1, t: second / 128}
	l := weighing(paced{low: low, high: high, gain: growth, lean: 0.25})
	l.weigh(start, true, n)
	require.InDelta(t, 0.25+odds(low, n), l.paced.lean, 1e-12)
	require.Equal(t, tally{71, 71, 71, 0.875*second + second/128}, l.paced.low)
	require.Equal(t, high, l.paced.high, "it has only one")
	l = weighing(paced{gain: growth})
	l.weigh(start, true, n)
	require.Zero(t, l.paced.lean, "the first one is compared with nothing")
}

func TestHold_ALookLetsThroughOneStandardDeviationMore(t *testing.T) {
	for _, c := range []struct{ rate, usual, want float64 }{
		{0.5, 0, 8}, // calls of a cohort at the lower pace
		{100, 35, 8},
		{400, 35, 14},
		{400, 100, 40},
		{10000, 1000, 1400},
	} {
		l := weighing(paced{level: c.rate / second, lean: 3, loose: true, high: tally{n: 1, t: 1}})
		l.usual = c.usual * float64(ms)
		known := tally{n: 5, ok: 5, t: second}
		l.hold(known)
		require.InDelta(t, 1+1/math.Sqrt(c.want), l.paced.gain, 1e-9, "%+v", c)
		require.Equal(t, known, l.paced.low)
		require.Zero(t, l.paced.high)
		require.Zero(t, l.paced.lean)
		require.False(t, l.paced.loose)
	}
}

func TestWeigh_ARampKeepsUpWithWhatWentOut(t *testing.T) {
	for name, c := range map[string]struct {
		n    tally
		lean float64
		want float64
	}{
		"some failed":         {tally{n: 20, ok: 19, t: second / 10}, 0, 200},
		"all succeeded":       {tally{n: 20, ok: 20, t: second / 10}, 0, 100},
		"it was less":         {tally{n: 5, ok: 4, t: second / 10}, 0, 100},
		"as long as it helps": {tally{n: 20, ok: 19, t: second / 10}, sway, 200},
	} {
		l := weighing(paced{gain: growth, lean: c.lean})
		l.weigh(start, true, c.n)
		require.InDelta(t, c.want, l.paced.level*second, 1e-9, name)
	}
	l := weighing(paced{gain: growth, lean: 2})
	l.weigh(start, true, tally{n: 20, ok: 19, done: 19, t: second / 10})
	require.InDelta(t, 190, l.paced.level*second, 1e-9, "it settles")
	require.False(t, l.paced.ramp())
}

func TestWeigh_APaceChangesWhenItSeemsBetter(t *testing.T) {
	n := tally{n: 1, ok: 1, done: 1, t: second / 100} // compared with nothing
	for lean, want := range map[float64]float64{1.73: 1, 1.72: 0, -0.86: 0, -0.87: -1} {
		l := weighing(paced{lean: lean, gain: 1.5})
		l.weigh(start, false, n)
		switch want {
		case 1:
			require.EqualValues(t, 2, l.paced.rests)
			require.Zero(t, l.paced.lean)
		case -1:
			require.InDelta(t, 150, l.paced.level*second, 1e-9)
			require.Zero(t, l.paced.lean)
		default:
			require.InDelta(t, lean, l.paced.lean, 0)
		}
	}
}

func TestSettle_KeepsToWhatIsDelivered(t *testing.T) {
	good, bad := tally{n: 100, ok: 87, done: 87, t: second}, tally{n: 100, ok: 86, done: 86, t: second}
	more := tally{n: 150, ok: 120, done: 120, t: second}
	for name, c := range map[string]struct {
		p     paced
		level float64
		low   tally
		ref   tally
	}{
		"a hold that does well":           {paced{low: good, high: more}, 100, good, tally{}},
		"a hold that does not":            {paced{low: bad, high: more}, 120, tally{}, tally{}},
		"a ramp":                          {paced{low: good, gain: growth}, 87, tally{}, good},
		"a ramp of which little is known": {paced{low: tally{n: 31, ok: 31, t: second}, gain: growth}, 31, tally{}, tally{}},
		"a ramp of which enough is":       {paced{low: tally{n: 32, ok: 32, t: second}, gain: growth}, 32, tally{}, tally{n: 32, ok: 32, t: second}},
		"nothing":                         {paced{}, 3, tally{}, tally{}}, // 3 % of 100 calls a second
	} {
		c.p.lean, c.p.gain = 5, max(c.p.gain, 1.9)
		l := weighing(c.p)
		l.settle()
		p := l.paced
		require.InDelta(t, c.level, p.level*second, 1e-9, name)
		require.Equal(t, c.low, p.low, name)
		require.Equal(t, c.ref, p.ref, name)
		require.Zero(t, p.high, name)
		require.Zero(t, p.lean, name)
		require.InDelta(t, 1+1/math.Sqrt(8), p.gain, 1e-12, name)
		require.False(t, p.ramp(), name)
	}
	l := weighing(paced{})
	for _, want := range []int{2, 4, 4} {
		l.settle()
		require.Equal(t, want, l.paced.rests, "looks become rarer")
	}
}

func TestRise_GoesFurtherEachTimeUntilItIsARamp(t *testing.T) {
	high := tally{n: 150, ok: 150, done: 150, t: second}
	l := weighing(paced{gain: 1.5, high: high, lean: -2})
	l.paced.rests, l.paced.wait = 8, 5
	l.rise()
	p := l.paced
	require.InDelta(t, 150, p.level*second, 1e-9)
	require.InDelta(t, 2.25, p.gain, 1e-12)
	require.Equal(t, high, p.low)
	require.Zero(t, p.high)
	require.Zero(t, p.lean)
	require.Equal(t, 1, p.rests)
	require.Zero(t, p.wait)
	require.False(t, p.ramp())
	l.rise()
	require.InDelta(t, 337.5, p.level*second, 1e-9)
	require.InDelta(t, 3, p.gain, 1e-12)
	require.True(t, p.ramp())
	p.lean = -2
	l.rise()
	require.InDelta(t, 337.5, p.level*second, 1e-9, "a ramp is clocked by what arrives")
	require.Zero(t, p.lean)
}

func TestPaces_CohortsAreJudgedInTheirOrder(t *testing.T) {
	l := pacing()
	l.paced.gain = growth
	first := ask(t, l, start)
	second := ask(t, l, start+35*ms)
	require.NotSame(t, first, second)
	l.Fail(start+36*ms, second, true)
	require.Len(t, l.cohorts, 2)
	l.Fail(start+37*ms, first, true)
	require.Len(t, l.cohorts, 2, "it is judged when one hears of anything again")
	_, _ = l.Ask(start + 38*ms)
	require.Len(t, l.cohorts, 1, "the present one is not judged")
	require.Same(t, second, l.current())
	require.EqualValues(t, 1, l.barren)
}

func TestPaces_ACallThatNeverEndsIsOverdue(t *testing.T) {
	l := pacing()
	l.paced.gain = growth
	first := ask(t, l, start)
	ask(t, l, start+35*ms)
	l.Rejected(1)
	_, _ = l.Ask(start + 175*ms)
	require.Same(t, first, l.cohorts[0])
	_, _ = l.Ask(start + 175*ms + 1)
	require.NotSame(t, first, l.cohorts[0])
	require.EqualValues(t, 1, l.barren)
	for now := start + 176*ms; now < start+60*sec; now += 35 * ms {
		_, _ = l.Ask(now)
		require.LessOrEqual(t, len(l.cohorts), few)
	}
}

func TestPaces_ACohortWithoutACallTellsNothing(t *testing.T) {
	l := pacing()
	l.begin(start + ms)
	l.begin(start + 2*ms)
	was := *l.paced
	l.hear(start + 3*ms)
	require.Len(t, l.cohorts, 1)
	require.Equal(t, was, *l.paced)
}

func TestRecover_BeginsWithOneCallARound(t *testing.T) {
	l := fell(100)
	require.Greater(t, l.ratio, prior)
	l.usual = float64(50 * ms)
	l.recover(start + sec)
	p := l.paced
	require.InDelta(t, 20, p.level*second, 1e-9)
	require.InDelta(t, 3, p.gain, 0)
	require.True(t, p.ramp())
	require.True(t, l.current().high)
	require.InDelta(t, prior, l.ratio, 0)
	l.ratio = 0.3
	l.recover(start + sec)
	require.InDelta(t, 0.3, l.ratio, 0)
	for _, at := range []int64{p.next, p.due, p.looked} {
		require.Equal(t, start+sec, at)
	}
}

func TestRegression_CallsThatNeverEndBlockedTheRampForEver(t *testing.T) {
	l := suspecting()
	l.recover(start)
	for now := start; now < start+sec; now += 10 * ms {
		l.Ask(now) // none of them ends
		require.Equal(t, Paced, l.Phase())
	}
	for now := start + sec; now < start+120*sec; now += 10 * ms {
		c, allowed := l.Ask(now)
		if allowed {
			l.Succeed(now+5*ms, c, true)
		}
	}
	require.Equal(t, Calm, l.Phase())
}

func TestRegression_LostPermitsBlockedTheRampForEver(t *testing.T) {
	l := fell(100)
	now := l.NextProbe()
	l.Succeed(now+5*ms, ask(t, l, now), true)
	now += 5 * ms
	for i := 0; l.Phase() == Paced && now < start+300*sec; i++ {
		now += 10 * ms
		c, allowed := l.Ask(now)
		if allowed && i%10 != 0 { // one of ten streams never ends
			l.Succeed(now+5*ms, c, true)
		}
	}
	require.Equal(t, Calm, l.Phase(), "%+v", l.paced)
}

func TestRamp_StreamsThatAnswerAndGoOnAreServed(t *testing.T) {
	f := inRamp(t, 100)
	l, now, rejected := f.l, f.now, 0
	for ; l.Phase() != Calm && now < start+30*sec; now += 10 * ms {
		c, allowed := l.Ask(now)
		if !allowed {
			rejected++
		} else if c != nil {
			l.Answer(now+5*ms, c) // and it ends in an hour
		}
		require.NotEqual(t, Down, l.Phase())
	}
	require.Equal(t, Calm, l.Phase(), "%d of %d calls rejected", rejected, (now-f.now)/(10*ms))
	require.Less(t, now-f.now, 10*sec)
}

func TestRamp_AStreamThatFailsAmongThoseThatGoOnIsNoOutage(t *testing.T) {
	f := inRamp(t, 100)
	l := f.l
	for now, i := f.now, 0; l.Phase() != Calm && now < start+5*sec; now, i = now+10*ms, i+1 {
		c, allowed := l.Ask(now)
		if !allowed || c == nil {
			continue
		}
		l.Answer(now+5*ms, c)
		if i%5 == 0 {
			l.Fail(now+9*ms, c, true)
		}
		require.NotEqual(t, Down, l.Phase(), (now-f.now)/ms)
	}
}
