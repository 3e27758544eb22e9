package sre

// CertainlyAllows reports whether the next call is allowed without a look at
// the window. It must never be while the window says otherwise.
func (b *Breaker) CertainlyAllows() bool { return b.budget.left() }
