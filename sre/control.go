package sre

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/notify"
)

// control is what most breakers have no need of, and no call of a healthy one
// touches. A breaker gets it with a name, a listener or random numbers, or when
// it first has failures in a row, rejects or is overruled.
type control struct {
	rejected  breaker.RejectedError // of every rejection; it has the name
	events    *notify.Queue[breaker.Event]
	random    func() float64 // nil: rand.Float64
	overruled atomic.Pointer[overruled]
	guard     atomic.Pointer[guard] // nil until needed
	postponed atomic.Pointer[options]
}

// overruled is made when somebody sets a mode for the first time.
type overruled struct {
	mode    atomic.Pointer[mode] // nil in Auto
	outside ledger.Ledger        // calls that the window knows nothing of, or only as rejected
	would   atomic.Uint64        // rejections that DryRun did not make
}

type mode struct {
	breaker.Mode
	until     int64                  // ns
	rejection *breaker.RejectedError // in ForceOpen
}

const never = math.MaxInt64

func (b *Breaker) controls() *control {
	if c := b.control.Load(); c != nil {
		return c
	}
	b.control.CompareAndSwap(nil, newControl(&options{}))
	return b.control.Load()
}

func newControl(o *options) *control {
	return &control{
		rejected: *breaker.NewRejectedError(o.name, breaker.Open, breaker.ReasonThrottled, time.Time{}, nil),
		events:   notify.New[breaker.Event](o.listeners),
		random:   o.random,
	}
}

// random returns a number in [0, 1).
func (b *Breaker) random() float64 {
	if c := b.control.Load(); c != nil && c.random != nil {
		return c.random()
	}
	return rand.Float64()
}

func (b *Breaker) overrule() *overruled {
	if c := b.control.Load(); c != nil {
		return c.overruled.Load()
	}
	return nil
}

// modeAt returns the mode, or nil in Auto. It changes nothing.
func (b *Breaker) modeAt(now int64) (*mode, *overruled) {
	o := b.overrule()
	if o == nil {
		return nil, nil
	}
	m := o.mode.Load()
	if m == nil || now >= m.until {
		return nil, o
	}
	return m, o
}

// forcedOpen reports whether there must be no budget, because of the mode. It
// may be out of date by a mode that has ended and that no call has met.
func (b *Breaker) forcedOpen() bool {
	o := b.overrule()
	if o == nil {
		return false
	}
	m := o.mode.Load()
	return m != nil && m.Mode == breaker.ForceOpen
}

// SetMode sets who decides, until it is called again. It panics if m is none of
// the modes.
//
// In ForceClosed and DryRun, the breaker opens and closes as in Auto. A call
// with a permit that it would reject is let through, and counts as rejected in
// the window and by its outcome in the totals. A call that asked with Allow has
// no identity: it counts by its mark. What ForceOpen rejects is in no window.
func (b *Breaker) SetMode(m breaker.Mode) { b.setMode("SetMode", m, never) }

// SetModeFor sets who decides for the time d, after which Auto follows. It
// panics if m is none of the modes or d is not positive.
func (b *Breaker) SetModeFor(m breaker.Mode, d time.Duration) {
	if d <= 0 {
		panic(fmt.Sprintf("sre: SetModeFor(%v, %v): want a duration above 0", m, d))
	}
	b.setMode("SetModeFor", m, d)
}

func (b *Breaker) setMode(method string, to breaker.Mode, d time.Duration) {
	if to > breaker.DryRun {
		panic(fmt.Sprintf("sre: %s(%v): want Auto, ForceOpen, ForceClosed or DryRun", method, to))
	}
	c := b.controls()
	if c.overruled.Load() == nil {
		c.overruled.CompareAndSwap(nil, &overruled{})
	}
	m := &mode{Mode: to, until: never}
	now := b.window.Now()
	var end time.Time
	if int64(d) < never-now {
		m.until = now + int64(d)
		end = b.window.Time(m.until)
	}
	switch to {
	case breaker.Auto:
		m = nil
	case breaker.ForceOpen:
		m.rejection = breaker.NewRejectedError(b.name(), breaker.Open, breaker.ReasonForcedOpen, end, nil)
	}
	c.overruled.Load().mode.Store(m)
	// With a budget nobody would ask for the mode. The next one is reckoned
	// after this, and knows it.
	b.budget.shut()
	b.assess(1)
}

// expire ends a mode whose time is over.
func (b *Breaker) expire(now int64) {
	if o := b.overrule(); o != nil {
		if m := o.mode.Load(); m != nil && now >= m.until && o.mode.CompareAndSwap(m, nil) {
			b.assess(1)
		}
	}
}

// Reset closes the breaker and forgets all that it decided from. Totals and
// mode stay. Rejections by Allow that were not marked yet are still expected to
// be.
func (b *Breaker) Reset() {
	now := b.window.Now()
	before := b.window.Counts(now, &b.ledger)
	b.window.Clear(now, &b.ledger, b.budget.shut)
	if g := b.guarded(); g != nil {
		g.mu.Lock()
		g.law, g.stamp = b.newLaw(), nil
		g.alert.Store(false)
		g.notBefore.Store(0)
		g.skipped.Store(0)
		g.rejection.Store(nil)
		b.recordState(now, 0, before, "reset")
		g.mu.Unlock()
	}
	b.ledger.ForgetRows()
	b.assess(1)
	b.recordState(now, 0, before, "reset")
	b.deliver()
}

// recordState writes down when the state changed, now that the share p of the
// calls is rejected, and adds the event.
func (b *Breaker) recordState(now int64, p float64, decidedFrom ledger.Counts, cause string) {
	last := b.changed()
	open := p > 0
	if last&1 != 0 == open {
		return
	}
	next := now << 1
	if open {
		next |= 1
	}
	c, g := b.controls(), b.guardFor()
	g.changing.Lock()
	defer g.changing.Unlock()
	if !g.change.CompareAndSwap(last, next) {
		return // somebody else has, and told it
	}
	g.lastCause.Store(&cause)
	changes := g.changes.Add(1)
	if c.events == nil {
		return
	}
	e := breaker.Event{From: breaker.Open, To: breaker.Closed, Cause: cause, At: b.window.Time(now)}
	if open {
		e.From, e.To = breaker.Closed, breaker.Open
	}
	e.Snapshot = b.snapshot(now, decidedFrom, p, changes)
	e.Snapshot.State, e.Snapshot.Since, e.Snapshot.Cause = e.To, e.At, cause
	c.events.Add(e)
}

// deliver tells the listeners of what was recorded. It is called when the call
// at hand is dealt with, for a listener may panic.
func (b *Breaker) deliver() {
	if c := b.control.Load(); c != nil {
		c.events.Deliver()
	}
}
