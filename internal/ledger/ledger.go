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

// A ticket is a word and the value that the word has while the ticket is out.
// The word is a slot of the ledger or, when many tickets are out, one from a
// pool. Its bits, from the top:
//
//	23 serial number, 1 busy, 40 successes settled through this slot
//
// So taking a ticket is one compare-and-swap, and settling it as a success is
// one more: it frees the slot, makes the ticket void, and counts, all at once.
// A void ticket could pass for one that is out only after a multiple of 2^23
// later tickets of its slot that settled no success.
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

// lane is a cache line that one processor can have for itself.
type lane struct {
	slot    [7]atomic.Uint64
	success atomic.Uint64 // successes that are in no slot
}

// lanes is how many a ledger gets besides its first when it is busy: when it
// has met two goroutines at once crowd times. Then processors no longer wait
// for each other's cache line, and there are slots for more tickets.
const (
	lanes = 8
	crowd = 1000
)

// Counts are calls that ended or were rejected, in a window or since the
// creation of a breaker.
type Counts struct{ Success, Failure, Rejected uint64 }

// Total returns Success + Failure + Rejected.
func (c Counts) Total() uint64 { return c.Success + c.Failure + c.Rejected }

// Sub returns c - d.
func (c Counts) Sub(d Counts) Counts {
	return Counts{c.Success - d.Success, c.Failure - d.Failure, c.Rejected - d.Rejected}
}

// Ledger is ready to use when zero. All methods are safe for concurrent use,
// lock-free, and do not allocate, but for the one time that a ledger turns out
// to be busy.
type Ledger struct {
	more  atomic.Pointer[[lanes]lane] // nil until busy
	first lane
	// The rest is off the path of a success.
	failure  atomic.Uint64
	ignored  atomic.Uint64
	rejected atomic.Uint64 // rejections that are booked
	owed     atomic.Int64  // rejections by Allow whose mark is still to come
	extra    atomic.Int64  // words from the pool that are out
	met      atomic.Int64  // goroutines that met another one on the first lane
}

// lane returns the lane for the calling goroutine.
func (l *Ledger) lane() *lane {
	more := l.more.Load()
	if more == nil {
		return &l.first
	}
	// Goroutines that run at the same time have different stacks. All that
	// hangs on the address is speed.
	var here byte
	return &more[uint64(uintptr(unsafe.Pointer(&here))>>11)*0x9E3779B97F4A7C15>>61]
}

// meet is called by a goroutine that met another one.
func (l *Ledger) meet() {
	if l.more.Load() == nil && l.met.Add(1) >= crowd {
		l.more.CompareAndSwap(nil, new([lanes]lane))
	}
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
	l.meet()
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
	l.lane().success.Add(success)
	if fromPool {
		l.extra.Add(-1)
		pool.Put(word)
	}
	return true
}

// Succeed counts a success that has no ticket.
func (l *Ledger) Succeed() {
	count := &l.lane().success
	if n := count.Load(); !count.CompareAndSwap(n, n+1) {
		l.meet()
		count.Add(1)
	}
}

// Fail counts a failure.
func (l *Ledger) Fail() { l.failure.Add(1) }

// Ignore counts an ignored outcome.
func (l *Ledger) Ignore() { l.ignored.Add(1) }

// Reject counts a rejection and books it at once.
func (l *Ledger) Reject() { l.rejected.Add(1) }

// Owe counts a rejection that the next FailOrBook books.
func (l *Ledger) Owe() { l.owed.Add(1) }

// FailOrBook counts a failure, or books a rejection if one is owed: a host
// like Kratos' own middleware marks a failure after each Allow that rejected.
func (l *Ledger) FailOrBook() {
	for {
		owed := l.owed.Load()
		if owed == 0 {
			l.Fail()
			return
		}
		if l.owed.CompareAndSwap(owed, owed-1) {
			l.Reject()
			return
		}
	}
}

// Booked returns the number of rejections that are booked.
func (l *Ledger) Booked() uint64 { return l.rejected.Load() }

// Counts returns the counts since creation, of rejections the booked ones.
// Each number only ever grows.
func (l *Ledger) Counts() Counts {
	var c Counts
	c.Success = l.first.successes()
	if more := l.more.Load(); more != nil {
		for i := range more {
			c.Success += more[i].successes()
		}
	}
	c.Failure = l.failure.Load()
	c.Rejected = l.rejected.Load()
	return c
}

// Totals has the fields of breaker.Totals.
type Totals struct {
	Offered, Allowed, Rejected uint64
	Success, Failure, Ignored  uint64
	InFlight                   uint64
}

// Totals returns what became of every call. Rejections count as soon as they
// are owed.
func (l *Ledger) Totals() Totals {
	c := l.Counts()
	t := Totals{
		Success:  c.Success,
		Failure:  c.Failure,
		Ignored:  l.ignored.Load(),
		Rejected: c.Rejected + uint64(l.owed.Load()),
		InFlight: l.first.busy() + uint64(l.extra.Load()),
	}
	if more := l.more.Load(); more != nil {
		for i := range more {
			t.InFlight += more[i].busy()
		}
	}
	t.Allowed = t.Success + t.Failure + t.Ignored + t.InFlight
	t.Offered = t.Allowed + t.Rejected
	return t
}

func (a *lane) successes() uint64 {
	n := a.success.Load()
	for i := range a.slot {
		n += a.slot[i].Load() & successMask
	}
	return n
}

func (a *lane) busy() (n uint64) {
	for i := range a.slot {
		if a.slot[i].Load()&busy != 0 {
			n++
		}
	}
	return n
}
