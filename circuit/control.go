package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/mode"
)

// SetMode sets who decides, until it is called again. It panics if m is none of
// the modes.
//
// In ForceClosed and DryRun, the breaker opens, probes and closes as in Auto.
// What it would reject is let through, and then counts in the totals only.
func (b *Breaker) SetMode(m breaker.Mode) {
	b.setMode(func(of mode.Breaker, now int64) *mode.Setting { return of.Always(now, m) })
}

// SetModeFor sets who decides for the time d, after which Auto follows. It
// panics if m is none of the modes or d is not positive.
func (b *Breaker) SetModeFor(m breaker.Mode, d time.Duration) {
	b.setMode(func(of mode.Breaker, now int64) *mode.Setting { return of.For(now, m, d) })
}

// setMode puts the setting that make returns in force.
func (b *Breaker) setMode(make func(of mode.Breaker, now int64) *mode.Setting) {
	c := b.cold
	c.mu.Lock()
	defer c.unlock(nil)
	now := b.now()
	set := make(mode.Breaker{Package: "circuit", Name: c.options.name, Made: b.base}, now)
	c.advance(now)
	c.mode.Set(set)
	c.publish()
}

// Open opens the breaker by hand, for the delay of [WithDelay] and
// [WithBackoff]. One that is open stays so for as long as it was to.
func (b *Breaker) Open() {
	b.byHand(func(c *cold, now int64) {
		if c.machine.state != breaker.Open {
			c.open(now, causeHand, nil)
		}
	})
}

// HalfOpen makes the breaker half-open by hand. One that is half-open stays as
// it is.
func (b *Breaker) HalfOpen() {
	b.byHand(func(c *cold, now int64) {
		if c.machine.state != breaker.HalfOpen {
			c.become(breaker.HalfOpen, now, causeHand)
		}
	})
}

// Close closes the breaker by hand. One that is closed stays as it is.
func (b *Breaker) Close() {
	b.byHand(func(c *cold, now int64) {
		if c.machine.state != breaker.Closed {
			c.become(breaker.Closed, now, causeHand)
		}
	})
}

// Reset closes the breaker and forgets all that it decided from. Totals and
// mode stay. The results of calls that are in flight then count in the totals
// only. Rejections by Allow that were not marked yet are still expected to be.
func (b *Breaker) Reset() {
	b.byHand(func(c *cold, now int64) { c.become(breaker.Closed, now, causeReset) })
}

func (b *Breaker) byHand(change func(c *cold, now int64)) {
	c := b.cold
	c.mu.Lock()
	defer c.unlock(nil)
	now := b.now()
	c.advance(now)
	if m := &c.machine; m.state == breaker.Open && now >= m.until {
		c.become(breaker.HalfOpen, m.until, causeDelay)
	}
	change(c, now)
}
