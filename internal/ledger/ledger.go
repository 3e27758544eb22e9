// Package ledger counts what becomes of the calls of one breaker.
//
// It hands out tickets, each of which can be settled once, and knows how many
// are out. It counts successes, failures, ignored outcomes and rejections
// since the breaker's creation. Nothing is ever reset, so nothing is ever lost.
package ledger

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// A ticket is a word and the value that the word had when the ticket was taken.
// While it is out, the busy bit is set besides. The word is a slot of the ledger
// or, when many tickets are out, one from a pool, where the bit stays as it is.
// Its bits, from the top:
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
// enough to be inlined, by little; if it fails, there is Take.
func (l *Ledger) TryTake() (word *atomic.Uint64, ticket uint64, ok bool) {
	word = &l.first.slot[0]
	if more := l.more.Load(); more != nil { // as in lane, but cheaper for the inliner
		word = &more.place[uintptr(unsafe.Pointer(&ok))>>blockBits*more.spread.Load()>>laneShift].slot[0]
	}
	ticket = word.Load()
	return word, ticket, ticket&busy == 0 && word.CompareAndSwap(ticket, ticket|busy)
}

// Take hands out a ticket after TryTake did not.
func (l *Ledger) Take() (word *atomic.Uint64, ticket uint64) {
	a := l.lane()
	before := a.slot[0].Load()
	word, ticket, ok := a.take()
	// If the slot does not change, it is that of a call that takes its time.
	if l.more.Load() == nil || a.slot[0].Load() != before {
		l.contended()
	}
	if !ok {
		return l.takePooled()
	}
	return word, ticket
}

func (a *lane) take() (word *atomic.Uint64, ticket uint64, ok bool) {
	for i := range a.slot {
		word = &a.slot[i]
		if w := word.Load(); w&busy == 0 && word.CompareAndSwap(w, w|busy) {
			return word, w, true
		}
	}
	return nil, 0, false
}

func (l *Ledger) takePooled() (word *atomic.Uint64, ticket uint64) {
	l.extra.Add(1)
	word = pool.Get().(*atomic.Uint64)
	return word, word.Load()
}

// TrySettle settles most tickets, as Settle does. It is small enough to be
// inlined; if it fails, there is Settle.
func TrySettle(word *atomic.Uint64, ticket, success uint64) bool {
	return ticket&successMask < full && word.CompareAndSwap(ticket|busy, ticket+serialOne+success)
}

// Settle takes a ticket back and reports whether it was out. If it was, and
// only then, it counts success, which is 1 or 0, and leaves it to the caller to
// count anything else.
func (l *Ledger) Settle(word *atomic.Uint64, ticket, success uint64) bool {
	if ticket&successMask < full {
		return TrySettle(word, ticket, success)
	}
	if ticket&successMask < pooled {
		if !word.CompareAndSwap(ticket|busy, ticket+serialOne) {
			return false
		}
	} else {
		if !word.CompareAndSwap(ticket, ticket+serialOne) {
			return false
		}
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
	if count := &l.lane().success; met(count, count.Load(), 1) {
		l.contended()
	}
}

// met adds n to count, and reports whether somebody has changed it since it was
// seen.
func met(count *atomic.Uint64, seen, n uint64) bool {
	if count.CompareAndSwap(seen, seen+n) {
		return false
	}
	count.Add(n)
	return true
}

// Ignore counts an ignored outcome.
func (l *Ledger) Ignore() { l.ignored.Add(1) }
