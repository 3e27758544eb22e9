package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

// Allow returns nil if a call may go out, and a *[breaker.RejectedError] if
// not.
func (b *Breaker) Allow() error {
	v := b.published.Load()
	if v.closed && !v.timedCalls {
		return nil
	}
	return b.allowSlow(v)
}

func (b *Breaker) allowSlow(v *published) error {
	c := b.cold
	now := b.now()
	switch {
	case v.closed && now < c.closed.calls.nextCheck.Load():
		return nil
	case v.rejects > 0 && now < v.rejects:
		b.rejectUnmarked(now, v.options)
		return v.rejection
	}
	var p breaker.Permit
	c.mu.Lock()
	defer c.unlock(&p)
	now = b.now() // it may have waited for the lock
	rejection := c.decide(now)
	switch {
	case rejection != nil && c.mode.LetsThrough(c.mode.Last()):
		return nil
	case rejection != nil:
		b.rejectUnmarked(now, c.options)
		return rejection
	case c.machine.state == breaker.HalfOpen:
		c.machine.probes.run(probe{anonymous: true}, now, c.options)
		p = breaker.NewPermit((*anonymous)(b), breaker.Ticket{})
	}
	return nil
}

// anonymous settles a probe that Allow let through, if Allow did not return.
type anonymous Breaker

func (a *anonymous) Settle(_ breaker.Ticket, o breaker.Outcome) { (*Breaker)(a).mark(o) }

func (b *Breaker) rejectUnmarked(now int64, o *options) {
	if o.unmarked {
		b.ledger.Reject()
		return
	}
	b.ledger.RejectUnmarked(now)
}

// MarkSuccess counts a successful call that Allow let through.
func (b *Breaker) MarkSuccess() {
	v := b.published.Load()
	if v.closed && (!v.metered || b.now() < b.due.Load()) {
		b.ledger.Succeed()
		if b.successMayOpen.Load() {
			b.cold.succeeded(v.generation)
		}
		return
	}
	b.mark(breaker.Success)
}

// MarkFailed counts a failed call that Allow let through, or a rejection by
// Allow that was not marked yet.
func (b *Breaker) MarkFailed() {
	if b.ledger.Unmarked() {
		if b.now()-b.ledger.LastUnmarked() > int64(time.Second) {
			b.ledger.AbandonUnmarked() // by a host that does not mark its rejections
		} else if b.ledger.Book() {
			return
		}
	}
	if v := b.published.Load(); v.unlocked && v.fail(breaker.Ticket{}, breaker.Result{Outcome: breaker.Failure}) {
		return
	}
	b.mark(breaker.Failure)
}

// MarkIgnored counts a call that Allow let through, whose outcome says nothing
// about the backend.
func (b *Breaker) MarkIgnored() {
	if b.published.Load().closed {
		b.ledger.Ignore()
		return
	}
	b.mark(breaker.Ignored)
}

func (b *Breaker) mark(o breaker.Outcome) {
	c := b.cold
	c.mu.Lock()
	defer c.unlock(nil)
	now := b.now()
	c.advance(now)
	r := breaker.Result{Outcome: o}
	if c.machine.probes.endAnonymous() {
		c.probed(now, r)
		return
	}
	c.record(now, c.machine.generation, r)
}
