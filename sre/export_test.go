package sre

import "github.com/kratos-breaker/breaker/sre/internal/adaptive"

// CertainlyAllows reports whether the next call is allowed without a look at
// the window. It must never be while the window says otherwise.
func (b *Breaker) CertainlyAllows() bool { return b.budget.left() }

// Phase returns what the law takes the backend for, and whether what calls look at
// agrees with it, as it must whenever nobody is deciding.
func (b *Breaker) Phase() (p adaptive.Phase, agrees bool) {
	d := (*guarded)(b).decision()
	if d == nil {
		return adaptive.Calm, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p = d.law.Phase()
	alert := p != adaptive.Calm
	unasked := alert && b.budget.left()
	return p, d.alert.Load() == alert && !unasked && d.notBefore.Load() == d.law.NotBefore()
}

// HasLazyState reports whether b has memory for what most breakers have no need of.
func (b *Breaker) HasLazyState() bool { return b.lazy.Load() != nil }

// HasGuard reports whether b has a guard.
func (b *Breaker) HasGuard() bool { return (*guarded)(b).decision() != nil }

// HoldGuard runs f while nobody else can use the guard.
func (b *Breaker) HoldGuard(f func()) {
	d := (*guarded)(b).decision()
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}
