package breaker

import "sync/atomic"

// Permit is the right to make one call. It is a small value that can be copied
// and passed to another goroutine. The zero Permit belongs to no breaker and
// settles nothing.
type Permit struct {
	settler Settler
	ticket  Ticket
}

// Done settles the permit: it tells the breaker how the call ended. Only the
// first Done of a permit and its copies counts. A breaker whose permits belong to
// a state may ignore those of an earlier one; the ones of sre and Adapt count
// however late they are. A value that is none of the three outcomes counts as
// [Failure].
//
// A permit that is never settled stays in flight for ever, and its breaker is
// never idle. [Do] settles whatever happens.
func (p Permit) Done(o Outcome) {
	if p.settler != nil {
		p.settler.Settle(p.ticket, o)
	}
}

// Ticket names one permit to the breaker that issued it. Nobody else looks
// into it.
type Ticket struct {
	// Word is where the breaker keeps the permit's state, or nil.
	Word *atomic.Uint64
	// Serial tells this permit from the others that use Word.
	Serial uint64
}

// Settler is the side of a breaker that takes permits back. It is only of
// interest to authors of breakers: see [NewPermit].
type Settler interface {
	// Settle is called by Permit.Done, possibly more than once for a ticket
	// and from several goroutines. It must count only the first call.
	Settle(t Ticket, o Outcome)
}

// NewPermit returns a permit that is settled with s. It does not allocate.
func NewPermit(s Settler, t Ticket) Permit {
	return Permit{settler: s, ticket: t}
}
