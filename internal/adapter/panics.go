package adapter

import "sync/atomic"

// Panics keeps the panic of a function of the user's, as a listener or a classifier,
// that was called on a goroutine of the runtime's or of gRPC's. There it would end the
// process; here the next caller meets it.
type Panics struct{ caught atomic.Pointer[caught] }

type caught struct{ value any }

// Catch is to be deferred on such a goroutine. Of several panics before the next call
// it keeps the first.
func (p *Panics) Catch() {
	if v := recover(); v != nil {
		p.caught.CompareAndSwap(nil, &caught{v})
	}
}

// Throw panics with what was caught, if anything was, and forgets it.
func (p *Panics) Throw() {
	if p.caught.Load() == nil {
		return
	}
	if c := p.caught.Swap(nil); c != nil {
		panic(c.value)
	}
}
