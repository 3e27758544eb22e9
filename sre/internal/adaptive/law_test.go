package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the tests begin: late, so that nothing is 0 by chance.
const start = 100 * sec

// The random numbers of the tests.
func lowest() float64  { return 0 }
func middle() float64  { return 0.5 }
func highest() float64 { return math.Nextafter(1, 0) }

// newLaw returns a law with the defaults of the breaker.
func newLaw(change ...func(*Settings)) *Law {
	s := Settings{Accept: 0.6, Enough: 20, Probe: 900 * ms, MaxProbe: 900 * ms, Window: 3 * sec, Random: middle}
	for _, f := range change {
		f(&s)
	}
	return New(s)
}

// healthy is a window of calls that all succeed, so many per second, in 10 ms.
func healthy(rate uint64) Seen {
	c := ledger.Counts{Success: 3 * rate}
	return Seen{
		Window: c, Before: c, BeforeFor: 3 * sec,
		Last: ledger.Counts{Success: rate}, LastFor: sec, Latency: float64(10 * ms),
	}
}

// suspecting returns a law that suspects since start what served 100 calls a second.
func suspecting(change ...func(*Settings)) *Law {
	l := newLaw(change...)
	l.Alarm(start, healthy(100), "3 failures in a row")
	return l
}

// fell returns a law of an outage that began at start, with so many calls a second
// before.
func fell(rate uint64, change ...func(*Settings)) *Law {
	l := newLaw(change...)
	l.Alarm(start, healthy(rate), "3 failures in a row")
	l.fall(start, "put down")
	return l
}

// ask asks for a call that must be allowed.
func ask(t require.TestingT, l *Law, now int64) *Cohort {
	c, allowed := l.Ask(now)
	require.True(t, allowed)
	require.NotNil(t, c)
	return c
}

func TestNew_ALawIsCalmAndStampsNothing(t *testing.T) {
	l := newLaw()
	c, allowed := l.Ask(start)
	require.True(t, allowed)
	require.Nil(t, c)
	require.Zero(t, l.RejectRatio())
	require.Zero(t, l.NotBefore())
	require.Zero(t, l.NextProbe())
	for _, end := range []func(){
		func() { l.Succeed(start, nil, true) },
		func() { l.Fail(start, nil, true) },
		func() { l.Ignore(start, nil, false, true) },
		func() { l.Answer(start, nil) },
		func() { l.Rejected(100) },
	} {
		end()
		require.Equal(t, Calm, l.Phase())
	}
}

func TestForget_AMinuteWithoutACallIsTheEndOfAnyPhase(t *testing.T) {
	for name, p := range map[string]func(*Law){
		"suspect": func(*Law) {},
		"down":    func(l *Law) { l.fall(start, "put down") },
		"trial":   func(l *Law) { l.try(start, "put into a trial") },
		"ramp":    func(l *Law) { l.recover(start) },
	} {
		t.Run(name, func(t *testing.T) {
			l := suspecting()
			p(l)
			was := l.Phase()
			require.NotEqual(t, Calm, was)
			require.Equal(t, was, l.PhaseAt(start+60*sec))
			require.Equal(t, Calm, l.PhaseAt(start+60*sec+1))
			require.Equal(t, was, l.Phase(), "looking changes nothing")
			c, allowed := l.Ask(start + 60*sec + 1)
			require.True(t, allowed)
			require.Nil(t, c)
			require.Equal(t, Calm, l.Phase())
			require.Equal(t, "no call for a minute", l.Cause())
		})
	}
}

func TestForget_ALongProbeIntervalIsRememberedTwice(t *testing.T) {
	l := fell(100, func(s *Settings) { s.Probe, s.MaxProbe = 50*sec, 50*sec })
	require.Equal(t, 100*sec, l.Forgets())
	require.Equal(t, Down, l.PhaseAt(start+100*sec))
	require.Equal(t, Calm, l.PhaseAt(start+100*sec+1))
}

func TestTune_AShorterIntervalDoesNotWaitForALongerOne(t *testing.T) {
	l := fell(100, func(s *Settings) { s.Probe, s.MaxProbe = 50*sec, 50*sec })
	now := l.NextProbe()
	ask(t, l, now)
	require.Equal(t, now+50*sec, l.NextProbe())
	s := l.Settings
	s.Probe, s.MaxProbe = sec, sec
	l.Tune(now, s, false)
	require.Equal(t, now+sec, l.NextProbe())
	s.Probe = 50 * sec
	l.Tune(now, s, false)
	require.Equal(t, now+sec, l.NextProbe(), "what was planned stays")
	require.Equal(t, start, l.Since())
	l.Tune(now, s, true)
	require.Equal(t, now, l.Since(), "the window was emptied")
}

// TestLaw_NeverLosesItsMind makes random histories, and requires of each step what
// no history may break.
func TestLaw_NeverLosesItsMind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLaw(func(s *Settings) {
			s.Accept = rapid.SampledFrom([]float64{1e-6, 0.6, 1}).Draw(t, "accept")
			s.Random = func() float64 { return rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "random") }
		})
		h := history{l: l, now: start}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				h.now += rapid.SampledFrom([]int64{1, ms, 50 * ms, 300 * ms, 2 * sec, 7 * sec, 70 * sec}).Draw(t, "by")
			},
			"ask": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{1, 9, 60}).Draw(t, "times")
				apart := rapid.SampledFrom([]int64{0, ms, 20 * ms}).Draw(t, "apart")
				for range n {
					h.now += apart
					h.ask(t)
				}
			},
			"end": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{1, 5, 60}).Draw(t, "times")
				o := rapid.IntRange(0, 4).Draw(t, "outcome")
				for range n {
					h.end(o, rapid.IntRange(0, max(0, len(h.flight)-1)).Draw(t, "which"))
				}
			},
			"mark": func(t *rapid.T) { // nobody asked
				n := rapid.SampledFrom([]int{1, 5, 60}).Draw(t, "times")
				o, old := rapid.IntRange(0, 3).Draw(t, "outcome"), rapid.Bool().Draw(t, "old")
				for range n {
					h.tell(o, nil, old)
				}
			},
			"reject": func(t *rapid.T) { l.Rejected(rapid.Uint64Range(0, 1000).Draw(t, "calls")) },
			"look":   func(t *rapid.T) { l.Look(h.now, drawSeen(t)) },
			"alarm":  func(t *rapid.T) { l.Alarm(h.now, drawSeen(t), "3 failures in a row") },
			"tune": func(t *rapid.T) {
				s := l.Settings
				s.Probe = rapid.Int64Range(1, 100*sec).Draw(t, "probe")
				s.MaxProbe = rapid.Int64Range(1, 100*sec).Draw(t, "max")
				l.Tune(h.now, s, rapid.Bool().Draw(t, "emptied"))
			},
			"": func(t *rapid.T) { requireSane(t, l) },
		})
		h.heal(t)
	})
}

// history is what a random test has done to a law.
type history struct {
	l      *Law
	now    int64
	flight []*Cohort // the stamps of calls
}

func (h *history) ask(t *rapid.T) {
	l := h.l
	was, calm, next := l.Phase(), l.PhaseAt(h.now) == Calm, l.NotBefore()
	gap := h.now - max(l.heard, l.called)
	c, allowed := l.Ask(h.now)
	switch {
	case calm:
		require.True(t, allowed)
		require.Nil(t, c)
	case was == Down && h.now < next && gap <= stale:
		require.False(t, allowed, "it is no time for a probe")
	}
	if allowed && l.Phase() != Calm {
		require.NotNil(t, c)
	}
	if allowed {
		h.flight = append(h.flight, c)
	}
}

func (h *history) end(outcome, which int) {
	if which < len(h.flight) {
		c := h.flight[which]
		if outcome == 4 { // a stream answers, and goes on
			if c != nil {
				h.l.Answer(h.now, c)
			}
			return
		}
		h.flight = append(h.flight[:which], h.flight[which+1:]...)
		h.tell(outcome, c, true)
	}
}

func (h *history) tell(outcome int, c *Cohort, known bool) {
	switch outcome {
	case 0:
		h.l.Succeed(h.now, c, known)
	case 1:
		h.l.Fail(h.now, c, known)
	default:
		h.l.Ignore(h.now, c, known, outcome == 2)
	}
}

// heal requires that the law becomes calm when each call succeeds from now on.
func (h *history) heal(t *rapid.T) {
	s := h.l.Settings
	s.Random, s.Probe, s.MaxProbe = middle, 900*ms, 900*ms
	h.l.Tune(h.now, s, false)
	for len(h.flight) > 0 {
		h.end(0, 0)
	}
	for end := h.now + 300*sec; h.now < end; h.now += 10 * ms {
		c, allowed := h.l.Ask(h.now)
		if allowed {
			h.l.Succeed(h.now+5*ms, c, true)
		}
		if h.l.Phase() == Calm {
			return
		}
	}
	t.Fatalf("it is not calm after 300 s of successes: phase %d, %q, %+v", h.l.Phase(), h.l.Cause(), h.l.paced)
}

func drawSeen(t *rapid.T) Seen {
	counts := func(name string) ledger.Counts {
		most := rapid.SampledFrom([]uint64{0, 10, 1000}).Draw(t, name)
		return ledger.Counts{
			Success: rapid.Uint64Range(0, most).Draw(t, "success"),
			Failure: rapid.Uint64Range(0, most).Draw(t, "failure"),
		}
	}
	time := func(name string) int64 {
		return rapid.SampledFrom([]int64{0, 1, 300 * ms, 3 * sec}).Draw(t, name)
	}
	return Seen{
		Window: counts("window"), Before: counts("before"), BeforeFor: time("beforeFor"), Silence: time("silence"),
		Last: counts("last"), LastFor: time("lastFor"), Flight: rapid.Uint64Range(0, 50).Draw(t, "flight"),
		Latency: rapid.SampledFrom([]float64{0, 1, 1e7, 5e9}).Draw(t, "latency"),
	}
}

func requireSane(t *rapid.T, l *Law) {
	p := &l.paced
	for name, x := range map[string]float64{
		"level": p.level, "gain": p.gain, "lean": p.lean, "part": p.part, "peak": p.peak, "ratio": l.ratio,
		"usual": l.usual, "served": l.served, "rate": l.rate, "asks": l.asks, "barren": l.barren, "spare": l.suspect.spare,
	} {
		require.False(t, math.IsNaN(x) || math.IsInf(x, 0), "%s is %v", name, x)
	}
	require.GreaterOrEqual(t, p.level, 0.0)
	require.True(t, l.ratio >= 0 && l.ratio <= 1, "%v", l.ratio)
	r := l.RejectRatio()
	require.True(t, r >= 0 && r <= 1, "%v", r)
	if l.phase == Calm {
		require.Zero(t, r)
		require.Zero(t, l.NotBefore())
		return
	}
	require.NotEmpty(t, l.Cause())
	require.NotEmpty(t, l.cohorts)
	require.LessOrEqual(t, len(l.cohorts), 10_000)
	for _, c := range l.cohorts {
		require.Equal(t, l.epoch, c.epoch)
		require.GreaterOrEqual(t, c.pending(), 0.0)
	}
}
