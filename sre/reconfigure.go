package sre

import (
	"sync"

	"github.com/kratos-breaker/breaker"
)

// reconfiguring is held by Reconfigure. It is one for all breakers, to save
// memory: rules are loaded by one goroutine anyway.
var reconfiguring sync.Mutex

// Reconfigure makes the breaker, from the next call on, what NewBreaker makes of
// the options: one that is not given takes its default. Counts are kept if the
// window keeps its length and its number of buckets; otherwise the window begins
// empty. Totals, mode and state stay, and permits stay valid. It panics, with
// nothing changed, where NewBreaker does, and if WithName, WithListener or
// WithRandom is given, or Classic to a breaker that is not, or the other way
// round: these cannot change.
//
// It never closes a breaker. A [Classic] one, the state of which is nothing but
// what its window holds, keeps what it decides by until it closes by itself.
func (b *Breaker) Reconfigure(opts ...Option) {
	o := newOptions("Reconfigure", opts)
	if o.name != "" || len(o.listeners) > 0 || o.random != nil {
		panic("sre: Reconfigure: WithName, WithListener and WithRandom cannot change")
	}
	if o.classic != b.throttle().classic {
		panic("sre: Reconfigure: Classic cannot change")
	}
	defer b.deliver() // of failures that were missed meanwhile
	reconfiguring.Lock()
	defer reconfiguring.Unlock()
	if c := b.control.Load(); c != nil {
		c.postponed.Store(nil)
	}
	if o.classic && b.Snapshot().State == breaker.Open {
		b.controls().postponed.Store(&o)
		return
	}
	b.adopt(&o)
}

// adopt makes the breaker what the options say.
func (b *Breaker) adopt(o *options) {
	t := o.throttle()
	n, span := b.window.Shape()
	reshape := n != o.bucket || span != o.span()
	if *t == *b.throttle() && !reshape {
		return
	}
	now := b.window.Now()
	b.settings.Store(t)
	if reshape {
		b.window.Reshape(now, o.bucket, o.span(), &b.ledger, b.budget.shut)
	}
	if g := b.guarded(); g != nil {
		g.mu.Lock()
		g.law.Tune(now, b.lawSettings(), reshape)
		b.decided(now, g)
		g.mu.Unlock()
	}
	// What the budget was reckoned from is void.
	b.budget.shut()
	b.assess(1)
}

// adoptPostponed does what Reconfigure left for when the breaker is closed.
func (b *Breaker) adoptPostponed() {
	c := b.control.Load()
	if c == nil || c.postponed.Load() == nil {
		return
	}
	reconfiguring.Lock()
	defer reconfiguring.Unlock()
	if o := c.postponed.Swap(nil); o != nil {
		b.adopt(o)
	}
}
