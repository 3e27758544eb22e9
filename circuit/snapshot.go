package circuit

import (
	"slices"
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
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	m := b.machine
	m.running, m.strays = slices.Clone(m.running), slices.Clone(m.strays)
	lost := m.derive(now, b.options.probes, b.ledger.Counts())
	s := b.snapshot(&m, now)
	s.Totals.InFlight -= lost
	s.Totals.Failure += lost
	return s
}

// snapshot describes m. The lock is held.
func (b *Breaker) snapshot(m *machine, now int64) breaker.Snapshot {
	s := breaker.Snapshot{
		Name: b.options.name, State: m.state, Since: b.time(m.since), Cause: m.cause,
		Window: b.window(m, now), Totals: b.totals(), Openings: m.openings,
		Transitions: m.transitions,
	}
	if b.mode != breaker.Auto && now < b.modeUntil {
		s.Mode, s.ModeUntil = b.mode, b.timeUnlessNever(b.modeUntil)
	}
	until := int64(0)
	switch m.state {
	case breaker.Closed:
		if b.machine.state == breaker.Closed { // otherwise derived: nothing has ended since
			s.ConsecutiveSuccesses, s.ConsecutiveFailures = b.streak.at(b.ledger.Counts().Success)
		}
	case breaker.HalfOpen:
		s.ConsecutiveSuccesses, s.ConsecutiveFailures = m.successes, m.faults
		if !b.options.probes.admits(m) {
			s.RejectRatio = 1
		}
	case breaker.Open:
		s.RejectRatio, until = 1, m.until
	}
	switch s.Mode {
	case breaker.ForceOpen:
		s.RejectRatio, until = 1, b.modeUntil
	case breaker.ForceClosed, breaker.DryRun:
		s.RejectRatio, until = 0, 0
	}
	if until != never {
		s.RetryAfter = time.Duration(max(0, until-now))
	}
	return s
}

// window returns the counts of the present state of m.
func (b *Breaker) window(m *machine, now int64) breaker.Window {
	switch m.state {
	case breaker.Open:
		return m.ended
	case breaker.HalfOpen:
		return m.window()
	}
	all := b.ledger.Counts()
	c := all.Sub(m.base)
	w := breaker.Window{Success: c.Success, Failure: c.Failure}
	if b.machine.state != breaker.Closed { // derived: nothing has ended since
		for _, meter := range b.meters {
			if meter.ledger == &b.ledger {
				w.Length = max(w.Length, meter.period)
			}
		}
		return w
	}
	for _, r := range b.recent {
		if n := uint64(r.span); r.kind == ofLast {
			ended := all.Success + all.Failure
			w.Failure = r.count(int64(ended))
			w.Success = min(n, ended-r.from) - w.Failure
		}
	}
	for _, meter := range b.meters {
		if meter.ledger == &b.ledger && meter.period > w.Length {
			c := meter.counts(now)
			w.Length, w.Success, w.Failure = meter.period, c.Success, c.Failure
		}
	}
	if b.slow != nil {
		overdue, _ := b.calls.overdue(now, m.generation, b.options.threshold)
		w.Slow = b.slow.counts(now).Failure + overdue
	}
	return w
}

func (b *Breaker) totals() breaker.Totals {
	t := b.ledger.Totals().Add(b.outside.Totals())
	if b.calls != nil {
		n := b.calls.inFlight()
		t = t.Add(ledger.Totals{Offered: n, Allowed: n, InFlight: n})
	}
	t.WouldReject = b.would.Load()
	return breaker.Totals(t)
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
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	return !slices.ContainsFunc(b.meters, func(m *meter) bool { return m.counts(now).Total() > 0 })
}
