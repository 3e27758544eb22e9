package ledger

import "sync/atomic"

// A lane knows how many failures it has counted in a row, in one word: at the top
// the number of its successes at the last failure, modulo 2^40, and below it how
// many failures there were since it has that many. So a success breaks a row
// without writing anything but itself.

// Fail counts a failure and returns how many there are now in a row: since a
// success was counted through the same lane, or since ForgetRows. It tops out at
// 2^24-1. It takes no lock, and touches what belongs to the lane alone.
//
// A success of another lane breaks no row, so where there are more lanes, and
// the successes of the calling goroutine went through another one, the row is
// longer than it would be for the whole ledger. It is never longer than for the
// lane: a failure continues a row only if no success was counted in between.
//
// The lane is that of the calling goroutine, by its stack: of a call with a
// ticket, SettleFailure knows better.
func (l *Ledger) Fail() (inARow uint64) { return l.fail(l.both()) }

// SettleFailure takes a ticket back and reports whether it was out. If it was,
// and only then, it counts a failure as Fail does, in the lane that the ticket is
// from: where it would count a success of the ticket.
func (l *Ledger) SettleFailure(word *atomic.Uint64, ticket uint64) (inARow uint64, ok bool) {
	if !l.Settle(word, ticket, 0) {
		return 0, false
	}
	return l.fail(l.bothOf(word)), true
}

// AddFailure counts a failure that concerns no row: for who keeps rows of its own.
func (l *Ledger) AddFailure() { l.lane().failure.Add(1) }

func (l *Ledger) fail(a *lane, s *side) uint64 {
	a.failure.Add(1)
	for {
		// In this order: the successes that are found now are no fewer than those
		// that the word knows of.
		was := s.row.word.Load()
		row := a.successes()<<rowBits | 1
		if row>>rowBits == was>>rowBits {
			row = was&^rowMask | min(was&rowMask+1, rowMask)
		}
		if s.row.word.CompareAndSwap(was, row) {
			return row & rowMask
		}
		l.contended()
	}
}

// ForgetRows makes the next failure of each lane the first one of a row.
func (l *Ledger) ForgetRows() {
	for s := range l.eachSide {
		s.row.word.Store(0)
	}
}
