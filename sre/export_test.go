package sre

import "github.com/kratos-breaker/breaker/sre/internal/adaptive"

// CertainlyAllows reports whether the next call is allowed without a look at
// the window. It must never be while the window says otherwise.
func (b *Breaker) CertainlyAllows() bool { return b.budget.left() }

// Phase returns what the law takes the backend for, and whether what calls look at
// agrees with it, as it must whenever nobody is deciding.
func (b *Breaker) Phase() (p adaptive.Phase, agrees bool) {
	g := b.guarded()
	if g == nil {
		return adaptive.Calm, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p = g.law.Phase()
	alert := p != adaptive.Calm
	unasked := alert && b.budget.left()
	return p, g.alert.Load() == alert && !unasked && g.notBefore.Load() == g.law.NotBefore()
}

// HasControl reports whether b has memory for what most breakers have no need of.
func (b *Breaker) HasControl() bool { return b.control.Load() != nil }

// HasGuard reports whether b has a guard.
func (b *Breaker) HasGuard() bool { return b.guarded() != nil }

// HoldGuard runs f while nobody else can use the guard.
func (b *Breaker) HoldGuard(f func()) {
	g := b.guarded()
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}
