package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// flow is calls at even intervals through a law that is in trouble. Each takes the
// same time.
type flow struct {
	l     *Law
	now   int64
	every int64 // ns between two calls
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
	at              []int64 // when calls went out
	d               int64
}

func (f flowed) perSecond(n int) float64 { return float64(n) / (float64(f.d) / float64(sec)) }

// during lets calls flow for d, or until the law is calm. up says whether a call
// succeeds that begins now.
func (f *flow) during(d int64, up func(now int64) bool) (w flowed) {
	from, end := f.now, f.now+d
	for ; f.now < end && f.l.Phase() != Calm; f.now += f.every {
		f.settle()
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
		w.at = append(w.at, f.now)
		if ok {
			w.ok++
		}
		f.flight = append(f.flight, flying{f.now + f.takes, c, ok})
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
		tokens = min(rate/10, tokens+float64(now-last)/float64(sec)*rate)
		last = now
		if tokens < 1 {
			return false
		}
		tokens--
		return true
	}
}

func always(int64) bool { return true }
func never(int64) bool  { return false }

// random returns pseudo-random numbers, the same in each run.
func random() func() float64 {
	x := uint64(1)
	return func() float64 {
		x = x*6364136223846793005 + 1442695040888963407
		return float64(x>>11) / (1 << 53)
	}
}

// inTrial returns a flow of so many calls a second, of which too many have failed.
func inTrial(rate uint64) *flow {
	l := newLaw(func(s *Settings) { s.Random = random() })
	seen := healthy(rate)
	seen.Window.Failure = max(20, seen.Window.Success)
	l.Look(start, seen)
	return &flow{l: l, now: start, every: sec / int64(rate), takes: 5 * ms}
}

// inRamp returns a flow of so many calls a second, after an outage.
func inRamp(t *testing.T, rate uint64) *flow {
	l := fell(rate, func(s *Settings) { s.Random = random() })
	now := l.NextProbe()
	l.Succeed(now+5*ms, ask(t, l, now), true)
	require.Equal(t, Paced, l.Phase())
	return &flow{l: l, now: now + 5*ms, every: sec / int64(rate), takes: 5 * ms}
}

func TestTrial_EndsWithLettingGoIfAPartIsBroken(t *testing.T) {
	for _, rate := range []uint64{50, 200, 1000} {
		f := inTrial(rate)
		require.True(t, f.l.paced.trial)
		require.Positive(t, f.l.RejectRatio())
		i := 0
		f.during(30*sec, func(int64) bool { i++; return i%2 == 0 })
		require.Equal(t, Calm, f.l.Phase(), rate)
		require.Equal(t, "fewer calls do not help", f.l.Cause())
		require.Less(t, f.now-start, 10*sec)
	}
}

func TestTrial_EndsWithPacingIfThereIsTooMuchToDo(t *testing.T) {
	for _, rate := range []uint64{100, 200, 1000} {
		f := inTrial(rate)
		up := capacity(float64(rate) / 2)
		for f.l.paced.trial && f.now < start+10*sec {
			f.during(50*ms, up)
		}
		require.Equal(t, Paced, f.l.Phase(), rate)
		require.Equal(t, "successes do not depend on the number of calls", f.l.Cause())
		require.InEpsilon(t, float64(rate)/2, f.l.paced.level*float64(sec), 0.4)
	}
}

func TestTrial_EndsWhenCallsSucceedAgain(t *testing.T) {
	f := inTrial(200)
	f.during(10*sec, always)
	require.Equal(t, Calm, f.l.Phase())
	require.Equal(t, "calls succeed again", f.l.Cause())
	require.Less(t, f.now-start, 5*sec)
}

func TestTrial_EndsAfterAWhileIfThereAreTooFewCalls(t *testing.T) {
	f := inTrial(1)
	i := 0
	f.during(40*sec, func(int64) bool { i++; return i%2 == 0 })
	require.Equal(t, Calm, f.l.Phase())
	require.InDelta(t, 20, (f.now-start)/sec, 4)
}

func TestTrial_SeesABackendThatDies(t *testing.T) {
	f := inTrial(200)
	f.during(sec, never)
	require.Equal(t, Down, f.l.Phase())
	require.Less(t, f.now-start, sec+ms)
}

// pacing returns a pace of 100 calls a second.
func pacing() *paced {
	return &paced{level: 100 / float64(sec), gain: 1, next: start, due: start, room: math.Inf(1)}
}

func TestPace_CallsAreEvenlySpaced(t *testing.T) {
	p := pacing()
	c := &Cohort{from: start, to: open}
	var at []int64
	for now := start; now < start+sec; now += ms / 4 {
		if p.allows(now, c, 4000/float64(sec), middle) {
			at = append(at, now)
		}
	}
	require.InDelta(t, 100, len(at), 2)
	for i := 1; i < len(at); i++ {
		require.InDelta(t, 10*ms, at[i]-at[i-1], float64(ms+ms/4), i)
	}
}

func TestPace_CatchesUpAfterIdling(t *testing.T) {
	p := pacing()
	c := &Cohort{from: start, to: open}
	for idle, want := range map[int64]int{500 * ms: 50, 10 * sec: 200} {
		p.due, p.next = start, start
		now, n := start+idle, 0
		for range 1000 {
			if p.allows(now, c, 4000/float64(sec), middle) {
				n++
			}
		}
		require.InDelta(t, want, n, 3, "what was due in so long a time, up to two seconds")
		require.False(t, p.allows(now+ms, c, 4000/float64(sec), middle))
		require.True(t, p.allows(now+20*ms, c, 4000/float64(sec), middle))
	}
}

func TestPace_AHigherCohortGoesOutFaster(t *testing.T) {
	p := pacing()
	p.gain = 2
	n := 0
	for now := start; now < start+sec; now += ms {
		if p.allows(now, &Cohort{from: start, to: open, high: true}, 4000/float64(sec), middle) {
			n++
		}
	}
	require.InDelta(t, 200, n, 4)
}

func TestPace_APaceOfTwiceTheCallsIsNoLimit(t *testing.T) {
	p := pacing()
	for range 100 {
		require.True(t, p.allows(start, &Cohort{}, 50/float64(sec), middle))
	}
}

func TestPace_CallsInFlightAreLimited(t *testing.T) {
	p := pacing()
	p.room, p.flight = 3, 3
	require.False(t, p.allows(start, &Cohort{}, 50/float64(sec), middle))
	p.flight = 2
	require.True(t, p.allows(start, &Cohort{}, 50/float64(sec), middle))
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
		require.Less(t, f.now-from, 6*sec)
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
	require.Less(t, f.l.paced.level*float64(sec), 300.0)
}

func TestHold_SettlesAtWhatTheBackendDelivers(t *testing.T) {
	for _, c := range []struct{ rate, capacity float64 }{{1000, 500}, {1000, 100}, {200, 50}, {100, 20}} {
		f := inTrial(uint64(c.rate))
		up := capacity(c.capacity)
		f.during(15*sec, up)
		w := f.during(30*sec, up)
		require.Equal(t, Paced, f.l.Phase(), "%+v", c)
		require.GreaterOrEqual(t, w.perSecond(w.ok), 0.9*c.capacity, "%+v", c)
		require.LessOrEqual(t, w.perSecond(w.sent), 1.35*c.capacity, "%+v", c)
	}
}

func TestHold_RisesWhenTheBackendCanDoMore(t *testing.T) {
	f := inTrial(1000)
	f.during(10*sec, capacity(100))
	require.Equal(t, Paced, f.l.Phase())
	up := capacity(400)
	f.during(10*sec, up)
	w := f.during(10*sec, up)
	require.GreaterOrEqual(t, w.perSecond(w.ok), 340.0)
}

func TestHold_FallsWhenTheBackendCanDoLess(t *testing.T) {
	f := inTrial(1000)
	f.during(10*sec, capacity(500))
	up := capacity(100)
	f.during(10*sec, up)
	w := f.during(10*sec, up)
	require.Equal(t, Paced, f.l.Phase())
	require.LessOrEqual(t, w.perSecond(w.sent), 160.0)
	require.GreaterOrEqual(t, w.perSecond(w.ok), 80.0)
}

func TestHold_EndsTwoSecondsAfterTheLastRejection(t *testing.T) {
	f := inTrial(1000)
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

func TestHold_WhatWasServedBeforeAnOutageIsRememberedForTheRamp(t *testing.T) {
	f := inTrial(1000)
	up := capacity(200)
	f.during(10*sec, up)
	for f.l.Phase() == Paced {
		f.during(10*ms, never)
	}
	require.Equal(t, Down, f.l.Phase())
	require.InEpsilon(t, 200, f.l.served*float64(sec), 0.3)

	f = inRamp(t, 100)
	f.during(sec, always) // nothing is rejected any more
	f.l.fall(f.now, "put down")
	require.InEpsilon(t, 100, f.l.served*float64(sec), 0.1)
}

func TestHold_SeekingMoreCostsLittle(t *testing.T) {
	f := inTrial(1000)
	up := capacity(500)
	f.during(15*sec, up)
	w := f.during(30*sec, up)
	require.Equal(t, Paced, f.l.Phase())
	require.LessOrEqual(t, float64(w.sent), 1.13*float64(w.ok))
	require.LessOrEqual(t, f.l.paced.gain, 1.4)
}

func TestHold_WhenAllCallsOfACohortFailItGoesBackToThePaceOfBefore(t *testing.T) {
	l := suspecting()
	l.pace(start, paced{level: 200 / float64(sec), gain: 2}, "put into a hold")
	l.paced.low = tally{n: 100, ok: 100, done: 100, t: float64(sec)}
	c := l.current()
	for range 20 {
		c.asked++
		c.sent++
		c.failed++
	}
	l.judge(start+100*ms, c)
	require.InDelta(t, 100, l.paced.level*float64(sec), 1e-9)
	require.EqualValues(t, 20, l.barren, "it may also be down")
	require.Less(t, l.paced.gain, 2.0)
}

func TestHold_ALateSuccessIsNoneInTime(t *testing.T) {
	l := suspecting()
	l.recover(start)
	c := ask(t, l, start)
	l.begin(start + 10*ms)
	l.Succeed(start+111*ms, c, true)
	require.EqualValues(t, 1, c.late)
	require.Zero(t, c.ok)
}

func TestPaced_TellsTheShareThatItRejects(t *testing.T) {
	l := suspecting()
	l.recover(start)
	l.paced.seen = Cohort{asked: 60, sent: 30}
	l.current().asked, l.current().sent = 40, 10
	require.InDelta(t, 0.6, l.RejectRatio(), 1e-9)
	l.current().sent = 70
	require.InDelta(t, 0.01, l.RejectRatio(), 1e-9, "it is open as long as it may reject")
}

func TestPaced_CallsThatWereRejectedUnaskedCount(t *testing.T) {
	l := suspecting()
	l.recover(start)
	ask(t, l, start)
	l.Rejected(9)
	require.InDelta(t, 0.9, l.RejectRatio(), 1e-9)
}
