// Package ledger counts what becomes of the calls of one breaker.
//
// It hands out tickets, each of which can be settled once, and knows how many
// are out. It counts successes, failures, ignored outcomes and rejections
// since the breaker's creation. Nothing is ever reset, so nothing is ever lost.
package ledger

import (
	"sync"
	"sync/atomic"
)

// A ticket is a word and the value that the word has while the ticket is out.
// The word is a slot of the ledger or, when many tickets are out, one from a
// pool. Its bits, from the top:
//
//	23 serial number, 1 busy, 40 successes settled through this slot
//
// So taking a ticket is one compare-and-swap, and settling it as a success is
// one more: it frees the slot, makes the ticket void, and counts, all at once.
// A void ticket could pass for one that is out only after a multiple of 2^23
// later tickets of its word, none of which it counted a success for.
const (
	busy        = 1 << 40
	serialOne   = 1 << 41
	successMask = 1<<40 - 1

	// A slot stops counting at full; words from the pool never count.
	full   = successMask - 1
	pooled = successMask
)

var pool = sync.Pool{New: func() any {
	word := new(atomic.Uint64)
	word.Store(pooled)
	return word
}}

// Ledger is ready to use when zero. All methods are safe for concurrent use and
// take no lock. It allocates its further lanes once, and words for the pool when
// more tickets are out than ever before.
type Ledger struct {
	more  atomic.Pointer[room] // nil until contended
	first lane
	// The rest is off the path of a success.
	side        side
	ignored     atomic.Uint64
	overruled   atomic.Uint64 // rejections that were not made
	abandoned   atomic.Uint64 // rejections that were never marked
	extra       atomic.Int32  // words from the pool that are out
	contentions atomic.Int32
}

// TryTake hands out a ticket from the slot that is most often free. It is small
// enough to be inlined; if it fails, there is Take.
func (l *Ledger) TryTake() (word *atomic.Uint64, ticket uint64, ok bool) {
	word = &l.lane().slot[0]
	w := word.Load()
	return word, w | busy, w&busy == 0 && word.CompareAndSwap(w, w|busy)
}

// Take hands out a ticket after TryTake did not.
func (l *Ledger) Take() (word *atomic.Uint64, ticket uint64) {
	l.contended()
	a := l.lane()
	for i := range a.slot {
		s := &a.slot[i]
		if w := s.Load(); w&busy == 0 && s.CompareAndSwap(w, w|busy) {
			return s, w | busy
		}
	}
	return l.takePooled()
}

func (l *Ledger) takePooled() (word *atomic.Uint64, ticket uint64) {
	l.extra.Add(1)
	word = pool.Get().(*atomic.Uint64)
	return word, word.Load() | busy
}

// TrySettle settles most tickets, as Settle does. It is small enough to be
// inlined; if it fails, there is Settle.
func TrySettle(word *atomic.Uint64, ticket, success uint64) bool {
	return ticket&successMask < full && word.CompareAndSwap(ticket, ticket+serialOne-busy+success)
}

// Settle takes a ticket back and reports whether it was out. If it was, and
// only then, it counts success, which is 1 or 0, and leaves it to the caller to
// count anything else.
func (l *Ledger) Settle(word *atomic.Uint64, ticket, success uint64) bool {
	if ticket&successMask < full {
		return TrySettle(word, ticket, success)
	}
	next := ticket&^busy + serialOne
	fromPool := ticket&successMask == pooled
	if fromPool {
		ticket &^= busy // only slots need the mark
	}
	if !word.CompareAndSwap(ticket, next) {
		return false
	}
	if fromPool {
		l.extra.Add(-1) // before it counts: see Totals
		pool.Put(word)
	}
	if success > 0 {
		l.lane().success.Add(success)
	}
	return true
}

// Succeed counts a success that has no ticket.
func (l *Ledger) Succeed() {
	count := &l.lane().success
	if n := count.Load(); !count.CompareAndSwap(n, n+1) {
		l.contended()
		count.Add(1)
	}
}

// Ignore counts an ignored outcome.
func (l *Ledger) Ignore() { l.ignored.Add(1) }
