package adaptive

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// TestLaw_AnyHistoryHeals makes random histories, and requires of each step what no
// history may break, and that after it a backend that is well gets all calls. Calls of
// the history that are in flight at its end never end.
func TestLaw_AnyHistoryHeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLaw(func(s *Settings) {
			s.Accept = rapid.SampledFrom([]float64{1e-6, 0.6, 1}).Draw(t, "accept")
			s.Random = func() float64 { return rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "random") }
		})
		h := history{l: l, now: start}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				h.now += rapid.SampledFrom([]int64{1, ms, 50 * ms, 300 * ms, 2 * sec, 9 * sec, 70 * sec}).Draw(t, "by")
			},
			"ask": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{1, 9, 60}).Draw(t, "times")
				apart := rapid.SampledFrom([]int64{0, ms, 20 * ms}).Draw(t, "apart")
				for range n {
					h.now += apart
					h.ask(t)
				}
			},
			"serve": func(t *rapid.T) { // calls that end at once
				n := rapid.SampledFrom([]int{1, 9, 60}).Draw(t, "times")
				apart := rapid.SampledFrom([]int64{ms, 20 * ms}).Draw(t, "apart")
				o := rapid.IntRange(0, 4).Draw(t, "outcome")
				for range n {
					h.now += apart
					h.ask(t)
					h.end(o, len(h.flight)-1)
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
	c, allowed := l.Ask(h.now)
	switch {
	case calm:
		require.True(t, allowed)
		require.Nil(t, c)
	case was == Down && h.now < next:
		require.False(t, allowed, "it is no time for a probe")
	}
	require.Equal(t, h.now, l.Heard())
	require.Equal(t, allowed && l.Phase() != Calm, c != nil)
	if allowed {
		h.flight = append(h.flight, c)
	}
}

func (h *history) end(outcome, which int) {
	if which < 0 || which >= len(h.flight) {
		return
	}
	c := h.flight[which]
	if outcome == 4 { // a stream answers, and goes on
		h.l.Answer(h.now, c)
		return
	}
	h.flight = append(h.flight[:which], h.flight[which+1:]...)
	h.tell(outcome, c, true)
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

// heal requires that soon nothing is rejected when each call succeeds from now on.
func (h *history) heal(t *rapid.T) {
	s := h.l.Settings
	s.Random, s.Probe, s.MaxProbe = middle, 900*ms, 900*ms
	h.l.Tune(h.now, s, false)
	rejected := h.now
	for end := h.now + 120*sec; h.now < end && h.l.Phase() != Calm; h.now += 10 * ms {
		c, allowed := h.l.Ask(h.now)
		if allowed {
			h.l.Succeed(h.now+5*ms, c, true)
		} else {
			rejected = h.now
		}
	}
	require.Less(t, h.now-rejected, 120*sec)
	require.Equal(t, Calm, h.l.Phase(), "%q, %+v", h.l.Cause(), h.l.paced)
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
		Flight: rapid.Uint64Range(0, 50).Draw(t, "flight"), Latency: rapid.SampledFrom([]float64{0, 1, 1e7, 5e9}).Draw(t, "latency"),
	}
}

func requireSane(t *rapid.T, l *Law) {
	for name, x := range map[string]float64{
		"ratio": l.ratio, "usual": l.usual, "served": l.served, "asks": l.asks, "barren": l.barren, "spare": l.suspect.spare,
	} {
		require.False(t, math.IsNaN(x) || math.IsInf(x, 0) || x < 0, "%s is %v", name, x)
	}
	r := l.RejectRatio()
	require.True(t, r >= 0 && r <= 1, "%v", r)
	require.Equal(t, l.phase == Paced, l.paced != nil)
	if l.phase == Calm {
		require.Zero(t, r)
		require.Zero(t, l.NotBefore())
		return
	}
	if p := l.paced; p != nil {
		require.Greater(t, p.level, 0.0)
		for name, x := range map[string]float64{"gain": p.gain, "lean": p.lean, "peak": p.peak} {
			require.False(t, math.IsNaN(x) || math.IsInf(x, 0), "%s is %v", name, x)
		}
		require.GreaterOrEqual(t, p.gain, 1.0)
		require.LessOrEqual(t, p.gain, growth)
		require.LessOrEqual(t, len(l.cohorts), few)
	}
	require.NotEmpty(t, l.Cause())
	require.NotEmpty(t, l.cohorts)
	require.LessOrEqual(t, len(l.cohorts), 1000)
	for i, c := range l.cohorts {
		require.Equal(t, l.epoch, c.epoch)
		require.GreaterOrEqual(t, c.pending(), 0.0)
		require.GreaterOrEqual(t, c.asked, 0.0, "of cohort %d", i)
		require.Equal(t, i == len(l.cohorts)-1, c.to == open)
	}
}
