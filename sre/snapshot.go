package sre

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

// Snapshot returns a copy of the breaker's counts and what they mean now. The
// state is open while calls are rejected. The window and the totals are read one
// after the other, so that under load they may differ by the calls that end in
// between. It costs O(buckets), and changes nothing.
func (b *Breaker) Snapshot() breaker.Snapshot {
	now := b.window.Now()
	changes := uint64(0) // read first: those that come now may be missing, but none is seen too early
	g := b.guarded()
	if g != nil {
		changes = g.changes.Load()
	}
	recent := b.window.Counts(now, &b.ledger)
	if b.throttle().classic {
		s := b.snapshot(now, recent, b.throttle().rejectRatio(recent), changes)
		s.Since = b.window.Time(b.stateSince(now, s.State))
		s.Cause = b.cause(s.State)
		return s
	}
	last := b.changed()
	since, p, probe := last>>1, 0.0, int64(0)
	if g != nil {
		g.mu.RLock()
		if g.law.PhaseAt(now) == g.law.Phase() {
			p, probe = g.law.RejectRatio(), g.law.NextProbe()
		} else if last&1 != 0 {
			since = g.law.Heard() + g.law.Forgets()
		}
		g.mu.RUnlock()
	}
	s := b.snapshot(now, recent, p, changes)
	if s.Mode == breaker.Auto && probe > now {
		s.RetryAfter = time.Duration(probe - now)
	}
	s.Since = b.window.Time(since)
	s.Cause = b.cause(s.State)
	return s
}

// cause returns why the state began, if it is the one that was recorded last.
func (b *Breaker) cause(s breaker.State) string {
	if g := b.guarded(); g != nil && (s == breaker.Open) == (b.changed()&1 != 0) {
		if cause := g.lastCause.Load(); cause != nil {
			return *cause
		}
	}
	return ""
}

// snapshot describes the breaker when the window holds recent, the share p of
// the calls is rejected, and the state has changed so often.
func (b *Breaker) snapshot(now int64, recent ledger.Counts, p float64, changes uint64) breaker.Snapshot {
	s := breaker.Snapshot{
		Name:        b.name(),
		RejectRatio: p,
		Window: breaker.Window{
			Length:   b.window.Length(),
			Success:  recent.Success,
			Failure:  recent.Failure,
			Rejected: recent.Rejected,
		},
		Totals: b.totals(),
	}
	if p > 0 {
		s.State = breaker.Open
	}
	if open := changes%2 != 0; open != (p > 0) {
		changes++ // by one that no call has met yet
	}
	s.Transitions[breaker.Closed][breaker.Open] = (changes + 1) / 2
	s.Transitions[breaker.Open][breaker.Closed] = changes / 2
	if m, _ := b.modeAt(now); m != nil {
		s.Mode = m.Mode
		if m.until != never {
			s.ModeUntil = b.window.Time(m.until)
		}
		s.RejectRatio = 0
		if m.Mode == breaker.ForceOpen {
			s.RejectRatio = 1
			s.RetryAfter = m.rejection.RetryAfter()
		}
	}
	return s
}

func (b *Breaker) totals() breaker.Totals {
	o := b.overrule()
	if o == nil {
		return breaker.Totals(b.ledger.Totals())
	}
	t := b.ledger.Totals().Add(o.outside.Totals())
	t.WouldReject = o.would.Load()
	return breaker.Totals(t)
}

// stateSince returns when the state of a classic breaker began. Usually a call saw the change and
// recorded it. If nobody called since, the state may have changed when calls
// left the window.
func (b *Breaker) stateSince(now int64, state breaker.State) int64 {
	last := b.changed()
	since, open := last>>1, last&1 != 0
	changeTo := func(at int64, opens bool) {
		if since < at && at <= now && opens != open {
			since, open = at, opens
		}
	}
	stable := b.window.Suffixes(&b.ledger, func(c ledger.Counts, oldestFrom int64) {
		changeTo(oldestFrom, b.throttle().rejectRatio(c) > 0)
	})
	changeTo(b.window.EmptyFrom(), false)
	if !stable || open != (state == breaker.Open) {
		return now // a mark has changed it, and no call has seen it yet
	}
	return since
}

// Idle reports whether nothing but totals would be lost with the breaker: it is
// in Auto and closed, its window is empty, and no permit is in flight. A group
// may then drop it and make another one later.
func (b *Breaker) Idle() bool {
	now := b.window.Now()
	if m, _ := b.modeAt(now); m != nil {
		return false
	}
	if g := b.guarded(); g != nil {
		g.mu.RLock()
		isCalm := g.law.PhaseAt(now) == adaptive.Calm
		g.mu.RUnlock()
		if !isCalm {
			return false
		}
	}
	// In this order, or a permit that is settled in between would be in neither.
	return b.totals().InFlight == 0 && b.window.Counts(now, &b.ledger).Total() == 0
}
