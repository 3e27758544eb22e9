package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
)

// machine is which state a breaker is in. It is plain data: the breaker locks it. A
// copy of it can be moved on to see what the state is by now.
//
// Times are in nanoseconds since the breaker was made.
type machine struct {
	state       breaker.State
	generation  uint64 // of the state; a permit of another one moves nothing
	since       int64
	cause       string
	transitions breaker.Transitions

	until    int64          // when an open one becomes half-open
	openings uint64         // since it was last closed
	ended    breaker.Window // what the state before an open one had counted

	probes halfOpen
}

// enter begins a state, after one that had counted ended.
func (m *machine) enter(to breaker.State, at int64, cause string, ended breaker.Window) {
	if m.state != to {
		m.transitions[m.state][to]++
	}
	m.ended = ended
	if m.state == breaker.Open {
		m.ended = breaker.Window{}
	}
	m.state, m.since, m.cause = to, at, cause
	m.generation++
	m.probes.begin(0)
	if to == breaker.Closed {
		m.openings, m.until = 0, 0
	}
}

// open says for how long a breaker will be open that becomes so next.
func (m *machine) open(at int64, delay time.Duration) {
	m.openings++
	m.until = at + int64(delay)
}

// derive moves a copy on to the state of now, as calls would find it, and
// returns how many probes that calls have not met yet are lost by then.
func (m *machine) derive(now int64, p rule.Probes) (lost uint64) {
	count := func(p probe) {
		if !p.anonymous {
			lost++
		}
	}
	h := &m.probes
	for l, at, over, ok := h.takeFailed(now); ok; l, at, over, ok = h.takeFailed(now) {
		if over {
			count(l)
		}
		h.record(false)
		to := h.verdict(p)
		if to == breaker.HalfOpen {
			continue
		}
		if to == breaker.Open {
			m.open(at, h.ifLost)
		}
		m.enter(to, at, causeProbes, h.window())
	}
	for l, ok := h.takeStray(now); ok; l, ok = h.takeStray(now) {
		count(l)
	}
	if m.state == breaker.Open && now >= m.until {
		m.enter(breaker.HalfOpen, m.until, causeDelay, m.ended)
	}
	return lost
}

// The causes that have no numbers in them.
const (
	causeDelay  = "the delay has passed"
	causeProbes = "the results of the probes"
	causeHand   = "by hand"
	causeReset  = "reset"
)
