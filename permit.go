package breaker

import (
	"sync/atomic"
	"time"
)

// Permit is the right to make one call. It is a small value that can be copied
// and passed to another goroutine. The zero Permit belongs to no breaker and
// settles nothing.
type Permit struct {
	settler Settler
	ticket  Ticket
}

// Done settles the permit: it tells the breaker how the call ended. Only the
// first Done of a permit and its copies counts. A late one, from an earlier
// state of a breaker that has such states, is counted in its totals and moves
// nothing else; the ones of sre and Adapt count however late they are. A value
// that is none of the three outcomes counts as [Failure].
//
// A permit that is never settled stays in flight for ever, and its breaker is
// never idle; only a probe is given up after its lease. [Do] settles whatever
// happens.
func (p Permit) Done(o Outcome) {
	if p.settler != nil {
		p.settler.Settle(p.ticket, o)
	}
}

// DoneWith is Done for a caller who knows more than the outcome. A breaker that
// has no use for the rest takes the outcome.
func (p Permit) DoneWith(r Result) {
	if s, ok := p.settler.(ResultSettler); ok {
		s.SettleResult(p.ticket, r)
		return
	}
	p.Done(r.Outcome)
}

// Result is how a call ended, and what a breaker may want to know besides.
type Result struct {
	Outcome Outcome
	// Err is the error of the call, or nil. After a panic it is nil.
	Err error
	// RetryAfter is how long the backend asked to be left alone, if that is
	// known without a look into Err; otherwise 0.
	RetryAfter time.Duration
	// NotSent says that the call never left the process, so its duration says
	// nothing about the backend. An ignored call that was sent counts by its
	// duration, as its breaker decides: a backend that hangs is left by callers who
	// lose patience.
	NotSent bool
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

// ResultSettler is a Settler that wants the whole result.
type ResultSettler interface {
	Settler
	// SettleResult is called by Permit.DoneWith, as Settle is by Permit.Done.
	SettleResult(t Ticket, r Result)
}

// NewPermit returns a permit that is settled with s. It does not allocate.
func NewPermit(s Settler, t Ticket) Permit {
	return Permit{settler: s, ticket: t}
}
