package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Snapshot returns a copy of the breaker's state and counts. Nothing is
// changed, and no listener is told: a state that the passing of time has led to
// is shown as a call would find it; only calls in flight that have become slow
// open the breaker no sooner than the next call. The window is that of the longest period, or
// of the last n calls of [WithFailureCount], or else of the present state; an
// open breaker shows what it was opened from. ConsecutiveFailures stops at
// 16777215, far beyond what a rule can ask for. Snapshot takes the breaker's lock
// for a moment, in which it reads what the rules look at.
func (b *Breaker) Snapshot() breaker.Snapshot {
	c := b.cold
	c.mu.Lock()
	defer c.mu.Unlock()
	now := b.now()
	m := c.machine
	m.probes = m.probes.clone()
	lost := m.derive(now, c.options.probes)
	s := c.snapshot(&m, now)
	s.Totals.InFlight -= lost
	s.Totals.Failure += lost
	return s
}

// snapshot describes m, which may be what the present state has led to. The lock is
// held.
func (c *cold) snapshot(m *machine, now int64) breaker.Snapshot {
	s := breaker.Snapshot{
		Name: c.options.name, State: m.state, Since: c.owner.time(m.since), Cause: m.cause,
		Window: c.window(m, now), Totals: c.totals(), Openings: m.openings,
		Transitions: m.transitions,
	}
	switch m.state {
	case breaker.Closed:
		if c.machine.state == breaker.Closed { // otherwise derived: nothing has ended since
			s.ConsecutiveSuccesses, s.ConsecutiveFailures = c.closed.row()
		}
	case breaker.HalfOpen:
		s.ConsecutiveSuccesses, s.ConsecutiveFailures = m.probes.successes, m.probes.faults
		if !m.probes.admits(c.options.probes) {
			s.RejectRatio = 1
		}
	case breaker.Open:
		s.RejectRatio = 1
		if m.until != never {
			s.RetryAfter = time.Duration(max(0, m.until-now))
		}
	}
	c.mode.Last().Show(&s, now)
	return s
}

// window returns the counts of the present state of m.
func (c *cold) window(m *machine, now int64) breaker.Window {
	switch {
	case m.state == breaker.Open:
		return m.ended
	case m.state == breaker.HalfOpen:
		return m.probes.window()
	case c.machine.state != breaker.Closed: // derived
		return c.closed.emptyWindow(now)
	}
	return c.closed.window(now)
}

func (c *cold) totals() breaker.Totals {
	t := c.closed.ledger.Totals()
	if c.closed.calls != nil {
		n := c.closed.calls.inFlight()
		t = t.Add(ledger.Totals{Offered: n, Allowed: n, InFlight: n})
	}
	return c.mode.Totals(t)
}

// Idle reports whether little would be lost with the breaker: it is closed, in
// Auto, has no call in flight and none within its periods. A group may then drop
// it and make another one later, which does not know of failures that lie
// further back.
func (b *Breaker) Idle() bool {
	s := b.Snapshot()
	if s.State != breaker.Closed || s.Mode != breaker.Auto || s.Totals.InFlight > 0 {
		return false
	}
	b.cold.mu.Lock()
	defer b.cold.mu.Unlock()
	return b.cold.closed.rules.Empty(b.now())
}
