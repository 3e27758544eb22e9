package sre

import (
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

// Allow returns nil if a call may go out, and a *[breaker.RejectedError] if
// not.
func (b *Breaker) Allow() error {
	if b.budget.left() {
		return nil
	}
	return b.allowSlow()
}

func (b *Breaker) allowSlow() error {
	_, _, err := b.decide(false, !b.settings.Load().Unmarked)
	return err
}

// MarkSuccess counts a successful call.
func (b *Breaker) MarkSuccess() {
	now := b.window.Now()
	if !b.window.Due(now) && b.budget.left() { // nearly every call
		b.ledger.Succeed()
		return
	}
	b.rollIfDue(now)
	b.ledger.Succeed()
	b.law.Report(now, law.Report{What: law.Succeeded})
	b.lazy.peek().events.Deliver()
}

// MarkFailed counts a failed call, or a rejection by Allow that was not marked
// yet. For the decision of a [Classic] breaker both are the same.
func (b *Breaker) MarkFailed() {
	now := b.window.Now()
	b.rollIfDue(now)
	defer b.lazy.peek().events.Deliver()
	if !b.settings.Load().Unmarked {
		if o := b.lazy.peek().overruled.Load(); o != nil && b.confirms(&o.Outside, now) {
			return
		}
		if b.confirms(&b.ledger, now) {
			b.law.Report(now, law.Report{What: law.Rejected})
			return
		}
	}
	b.law.Report(now, law.Report{What: law.Failed, Row: b.ledger.Fail()})
}

// confirms books a rejection that l counts, if there is one that was not marked yet. A
// host that has marked none of them for a whole window does not mark rejections.
func (b *Breaker) confirms(l *ledger.Ledger, now int64) bool {
	if !l.Unmarked() {
		return false
	}
	if now-l.LastUnmarked() > int64(b.window.Length()) {
		l.AbandonUnmarked()
		return false
	}
	return l.Book()
}

// MarkIgnored counts a call whose outcome says nothing about the backend.
func (b *Breaker) MarkIgnored() {
	now := b.window.Now()
	b.rollIfDue(now)
	b.ledger.Ignore()
	b.law.Report(now, law.Report{What: law.Ignored})
	b.lazy.peek().events.Deliver()
}
