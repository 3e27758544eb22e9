package sre

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Snapshot returns a copy of the breaker's counts and what they mean now. The
// state is open while calls are rejected. The window and the totals are read one
// after the other, so that under load they may differ by the calls that end in
// between. It costs O(buckets), and changes nothing.
func (b *Breaker) Snapshot() breaker.Snapshot {
	now := b.window.Now()
	t := &b.lazy.peek().transitions
	changes := t.count.Load() // read first: those that come now may be missing, but none is seen too early
	recent := b.window.Counts(now, &b.ledger)
	status := b.law.Status(now, recent)
	s := b.describe(now, recent, status.RejectRatio, changes)
	s.Since = b.window.Time(status.Since)
	if s.Mode == breaker.Auto && status.Probe > now {
		s.RetryAfter = time.Duration(status.Probe - now)
	}
	if _, open := t.changed(); open == (s.State == breaker.Open) {
		if cause := t.cause.Load(); cause != nil {
			s.Cause = *cause
		}
	}
	return s
}

// describe makes a snapshot of when the window holds recent, the share p of
// the calls is rejected, and the state has changed so often.
func (b *Breaker) describe(now int64, recent ledger.Counts, p float64, changes uint64) breaker.Snapshot {
	s := breaker.Snapshot{
		Name:        b.lazy.peek().name(),
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
	b.lazy.peek().overruled.Load().At(now).Show(&s, now)
	return s
}

// record writes down when the state changed, now that the share p of the calls is
// rejected, and adds the event.
func (b *Breaker) record(now int64, p float64, decidedFrom ledger.Counts, cause string) {
	open := p > 0
	if _, was := b.lazy.peek().transitions.changed(); was == open {
		return
	}
	s := b.lazy.need()
	t := &s.transitions
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, was := t.changed(); was == open {
		return // somebody else has, and told it
	}
	e := breaker.Event{From: breaker.Open, To: breaker.Closed, Cause: cause, At: b.window.Time(now)}
	next := now << 1
	if open {
		e.From, e.To = breaker.Closed, breaker.Open
		next |= 1
	}
	t.last.Store(next)
	t.cause.Store(&cause)
	changes := t.count.Add(1)
	if s.events == nil {
		return
	}
	e.Snapshot = b.describe(now, decidedFrom, p, changes)
	e.Snapshot.State, e.Snapshot.Since, e.Snapshot.Cause = e.To, e.At, cause
	s.events.Add(e)
}

func (b *Breaker) totals() breaker.Totals {
	t := b.ledger.Totals()
	if o := b.lazy.peek().overruled.Load(); o != nil {
		return o.Totals(t)
	}
	return breaker.Totals(t)
}

// Idle reports whether nothing but totals would be lost with the breaker: it is
// in Auto and closed, its window is empty, and no permit is in flight. A group
// may then drop it and make another one later.
func (b *Breaker) Idle() bool {
	now := b.window.Now()
	// In this order, or a permit that is settled in between would be in neither.
	return b.lazy.peek().overruled.Load().At(now) == nil &&
		b.totals().InFlight == 0 && b.window.Counts(now, &b.ledger).Total() == 0 &&
		!b.law.Status(now, ledger.Counts{}).Busy
}
