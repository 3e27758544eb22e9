package sre

import (
	"fmt"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

// classic decides for a Breaker by [law.Classic]. It knows nothing but the window, so its
// state is what the window holds, and failures spend from the budget.
type classic Breaker

func (l *classic) Admit(now int64, _ bool) (breaker.Settler, bool) {
	p := l.note(now)
	return nil, p == 0 || l.lazy.peek().random() >= p
}

// Report takes a failure and a rejection for the same.
func (l *classic) Report(now int64, r law.Report) {
	if r.What != law.Failed && r.What != law.Rejected {
		return
	}
	left := l.budget.spend(1)
	if left > 0 {
		return
	}
	// A budget that would soon be used up again is not worth the reading of all buckets:
	// it stays negative until the next bucket.
	if left == 0 && (*Breaker)(l).assess(max(8, int64(l.window.Buckets()/4))) > 0 {
		return
	}
	l.note(now)
}

func (l *classic) Look(now int64) {
	if (*Breaker)(l).assess(1) > 0 {
		l.note(now)
	}
}

// Headroom returns after how many failures no part of the window that can be left over
// later would reject a call. What is counted from now on goes to the newest bucket,
// and the buckets expire from the oldest on; so what is left over always begins with one
// of today's buckets.
func (l *classic) Headroom() (int64, bool) {
	n, f := int64(budgetMax), l.settings.Load().Classic
	ok := l.window.Suffixes(&l.ledger, func(c ledger.Counts, _ int64) {
		n = min(n, wholeFailures(f.Headroom(c)))
	})
	return n, ok
}

func (l *classic) Status(now int64, recent ledger.Counts) law.Status {
	p := l.settings.Load().RejectRatio(recent)
	return law.Status{RejectRatio: p, Since: l.since(now, p > 0), Fixed: p > 0}
}

func (l *classic) Reset(now int64, before ledger.Counts) {
	(*Breaker)(l).record(now, 0, before, "reset")
}

func (l *classic) Tune(int64, bool) {}

// note writes down what the state is now, and returns the reject ratio.
func (l *classic) note(now int64) float64 {
	b, f := (*Breaker)(l), l.settings.Load().Classic
	c := b.window.Counts(now, &b.ledger)
	p := f.RejectRatio(c)
	if _, open := b.lazy.peek().transitions.changed(); open != (p > 0) {
		b.record(now, p, c, fmt.Sprintf("%d of %d calls within %v succeeded", c.Success, f.Total(c), b.window.Length()))
	}
	if p == 0 {
		b.adoptPostponed()
	}
	return p
}

// since returns when the state began. Usually a call saw the change and recorded it. If
// nobody has called since, the state may have changed when calls left the window.
func (l *classic) since(now int64, isOpen bool) int64 {
	since, open := l.lazy.peek().transitions.changed()
	changeTo := func(at int64, opens bool) {
		if since < at && at <= now && opens != open {
			since, open = at, opens
		}
	}
	f := l.settings.Load().Classic
	stable := l.window.Suffixes(&l.ledger, func(c ledger.Counts, oldestFrom int64) {
		changeTo(oldestFrom, f.RejectRatio(c) > 0)
	})
	changeTo(l.window.EmptyFrom(), false)
	if !stable || open != isOpen {
		return now // a mark has changed it, and no call has seen it yet
	}
	return since
}
