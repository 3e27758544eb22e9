package circuit

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker"
)

// SetMode sets who decides, until it is called again. It panics if m is none of
// the modes.
//
// In ForceClosed and DryRun, the breaker opens, probes and closes as in Auto.
// What it would reject is let through, and then counts in the totals only.
func (b *Breaker) SetMode(m breaker.Mode) { b.setMode("SetMode", m, never) }

// SetModeFor sets who decides for the time d, after which Auto follows. It
// panics if m is none of the modes or d is not positive.
func (b *Breaker) SetModeFor(m breaker.Mode, d time.Duration) {
	if d <= 0 {
		panic(fmt.Sprintf("circuit: SetModeFor(%v, %v): want a duration above 0", m, d))
	}
	b.setMode("SetModeFor", m, d)
}

func (b *Breaker) setMode(method string, m breaker.Mode, d time.Duration) {
	if m > breaker.DryRun {
		panic(fmt.Sprintf("circuit: %s(%v): want Auto, ForceOpen, ForceClosed or DryRun", method, m))
	}
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	b.mode, b.modeUntil = m, never
	if int64(d) < never-now {
		b.modeUntil = now + int64(d)
	}
	b.publish()
}

// Open opens the breaker by hand, for the delay of [WithDelay] and
// [WithBackoff]. One that is open stays so for as long as it was to.
func (b *Breaker) Open() {
	b.byHand(func(now int64) {
		if b.machine.state != breaker.Open {
			b.open(now, causeHand, nil)
		}
	})
}

// HalfOpen makes the breaker half-open by hand. One that is half-open stays as
// it is.
func (b *Breaker) HalfOpen() {
	b.byHand(func(now int64) {
		if b.machine.state != breaker.HalfOpen {
			b.become(breaker.HalfOpen, now, causeHand)
		}
	})
}

// Close closes the breaker by hand. One that is closed stays as it is.
func (b *Breaker) Close() {
	b.byHand(func(now int64) {
		if b.machine.state != breaker.Closed {
			b.become(breaker.Closed, now, causeHand)
		}
	})
}

// Reset closes the breaker and forgets all that it decided from. Totals and
// mode stay. The results of calls that are in flight then count in the totals
// only. Rejections by Allow that were not marked yet are still expected to be.
func (b *Breaker) Reset() {
	b.byHand(func(now int64) { b.become(breaker.Closed, now, causeReset) })
}

func (b *Breaker) byHand(change func(now int64)) {
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	if m := &b.machine; m.state == breaker.Open && now >= m.until {
		b.become(breaker.HalfOpen, m.until, causeDelay)
	}
	change(now)
}
