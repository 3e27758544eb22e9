package sre

import (
	"sync"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/mode"
)

// SetMode sets who decides, until it is called again. It panics if m is none of
// the modes.
//
// In ForceClosed and DryRun, the breaker opens and closes as in Auto. A call
// with a permit that it would reject is let through, and counts as rejected in
// the window and by its outcome in the totals. A call that asked with Allow has
// no identity: it counts by its mark. What ForceOpen rejects is in no window.
func (b *Breaker) SetMode(m breaker.Mode) {
	b.setMode(func(of mode.Breaker, now int64) *mode.Setting { return of.Always(now, m) })
}

// SetModeFor sets who decides for the time d, after which Auto follows. It
// panics if m is none of the modes or d is not positive.
func (b *Breaker) SetModeFor(m breaker.Mode, d time.Duration) {
	b.setMode(func(of mode.Breaker, now int64) *mode.Setting { return of.For(now, m, d) })
}

func (b *Breaker) setMode(make func(of mode.Breaker, now int64) *mode.Setting) {
	of := mode.Breaker{Package: "sre", Name: b.lazy.peek().name(), Made: b.window.Time(0)}
	set := make(of, b.window.Now())
	s := b.lazy.need()
	if s.overruled.Load() == nil {
		s.overruled.CompareAndSwap(nil, new(mode.Switch))
	}
	s.overruled.Load().Set(set)
	// With a budget nobody would ask for the mode. The next one is reckoned
	// after this, and knows it.
	b.budget.shut()
	b.assess(1)
}

// Reset closes the breaker and forgets all that it decided from. Totals and
// mode stay. Rejections by Allow that were not marked yet are still expected to
// be.
func (b *Breaker) Reset() {
	now := b.window.Now()
	before := b.window.Counts(now, &b.ledger)
	b.window.Clear(now, &b.ledger, b.budget.shut)
	b.law.Reset(now, before)
	b.ledger.ForgetRows()
	b.assess(1)
	b.lazy.peek().events.Deliver()
}

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
	if o.classic != b.settings.Load().classic {
		panic("sre: Reconfigure: Classic cannot change")
	}
	defer b.lazy.peek().events.Deliver() // of failures that were missed meanwhile
	reconfiguring.Lock()
	defer reconfiguring.Unlock()
	now := b.window.Now()
	if b.law.Status(now, b.window.Counts(now, &b.ledger)).Fixed {
		b.lazy.need().postponed.Store(&o)
		return
	}
	if s := b.lazy.Load(); s != nil {
		s.postponed.Store(nil)
	}
	b.adopt(&o)
}

// adopt makes the breaker what the options say.
func (b *Breaker) adopt(o *options) {
	to := o.shared()
	n, span := b.window.Shape()
	reshape := n != o.bucket || span != o.span()
	if *to == *b.settings.Load() && !reshape {
		return
	}
	now := b.window.Now()
	b.settings.Store(to)
	if reshape {
		b.window.Reshape(now, o.bucket, o.span(), &b.ledger, b.budget.shut)
	}
	b.law.Tune(now, reshape)
	// What the budget was reckoned from is void.
	b.budget.shut()
	b.assess(1)
}

// adoptPostponed does what Reconfigure left for when the breaker is closed.
func (b *Breaker) adoptPostponed() {
	s := b.lazy.peek()
	if s.postponed.Load() == nil {
		return
	}
	reconfiguring.Lock()
	defer reconfiguring.Unlock()
	if o := s.postponed.Swap(nil); o != nil {
		b.adopt(o)
	}
}
