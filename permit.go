package breaker

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

// WantsAnswer reports whether the breaker wants to be told by [Permit.Answered].
func (p Permit) WantsAnswer() bool {
	_, wants := p.settler.(AnswerSettler)
	return wants
}

// Answered says that the backend has answered, and that the call goes on: the header of
// a response or the first message of a stream is there.
func (p Permit) Answered() {
	if w, ok := p.settler.(AnswerSettler); ok {
		w.Answered(p.ticket)
	}
}

// Resume says that the caller waits for the backend again. Each wait counts for
// itself: a call is as slow as the longest of them.
func (p Permit) Resume() {
	if w, ok := p.settler.(PauseSettler); ok {
		w.Resume(p.ticket)
	}
}
