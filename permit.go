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

// Pause says that the caller does not wait for the backend from now on, say since
// the header of a response or the first message of a stream is there: the life of a
// stream, and the caller's own pauses, say nothing about how fast a backend is. It
// reports whether the breaker looks at the duration of the call. If not, further
// calls of Pause and [Permit.Resume] change nothing.
func (p Permit) Pause() bool {
	w, ok := p.settler.(PauseSettler)
	return ok && w.Pause(p.ticket)
}

// Resume says that the caller waits for the backend again. Each wait counts for
// itself: a call is as slow as the longest of them.
func (p Permit) Resume() {
	if w, ok := p.settler.(PauseSettler); ok {
		w.Resume(p.ticket)
	}
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

// PauseSettler is a Settler that looks at how long calls take.
type PauseSettler interface {
	Settler
	// Pause is called by Permit.Pause, and returns what that does.
	Pause(t Ticket) bool
	// Resume is called by Permit.Resume, possibly without a Pause before. Both may
	// be called at the same time as Settle, and after it.
	Resume(t Ticket)
}

// NewPermit returns a permit that is settled with s. It does not allocate.
func NewPermit(s Settler, t Ticket) Permit {
	return Permit{settler: s, ticket: t}
}
