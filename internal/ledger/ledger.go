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

// lane is a cache line that one processor can have for itself.
type lane struct {
	slot    [7]atomic.Uint64
	success atomic.Uint64 // successes that are in no slot
}

// room holds further lanes, and as many cache lines for rejections.
type room struct {
	lane     [lanes]lane
	rejected [lanes]struct {
		rejections
		_ [40]byte
	}
}

// rejections are those of one processor or, before there is a room, of all.
type rejections struct {
	booked   atomic.Uint64
	unmarked atomic.Uint64 // that their mark will book; above unmarkedBits, how many ever, modulo 2^24
	last     atomic.Int64  // when the last one of them was
}

const (
	unmarkedBits = 40
	unmarkedMask = 1<<unmarkedBits - 1
	unmarkedOne  = 1<<unmarkedBits | 1
)

// A ledger gets more lanes once goroutines have met contentionLimit times on its
// first one. Then processors no longer wait for each other's cache line, and
// there are slots for more tickets.
const (
	lanes           = 8
	spread          = 0x9E3779B97F4A7C15 // of 2^64, the golden section
	contentionLimit = 1000
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

// Ledger is ready to use when zero. All methods are safe for concurrent use and
// take no lock. It allocates its further lanes once, and words for the pool when
// more tickets are out than ever before.
type Ledger struct {
	more  atomic.Pointer[room] // nil until contended
	first lane
	// The rest is off the path of a success.
	failure     atomic.Uint64
	ignored     atomic.Uint64
	rejected    rejections
	overruled   atomic.Uint64 // rejections that were not made
	abandoned   atomic.Uint64 // rejections that were never marked
	extra       atomic.Int32  // words from the pool that are out
	contentions atomic.Int32
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
	return &more.lane[uint64(uintptr(unsafe.Pointer(&here))>>11)*spread>>61]
}

// rejections returns those of the calling goroutine's processor.
func (l *Ledger) rejections() *rejections {
	more := l.more.Load()
	if more == nil {
		return &l.rejected
	}
	var here byte // as in lane
	return &more.rejected[uint64(uintptr(unsafe.Pointer(&here))>>11)*spread>>61].rejections
}

// eachRejections yields all rejections.
func (l *Ledger) eachRejections(yield func(*rejections) bool) {
	if !yield(&l.rejected) {
		return
	}
	if more := l.more.Load(); more != nil {
		for i := range more.rejected {
			if !yield(&more.rejected[i].rejections) {
				return
			}
		}
	}
}

// contended is called by a goroutine that met another one.
func (l *Ledger) contended() {
	if l.more.Load() == nil && l.contentions.Add(1) >= contentionLimit {
		l.more.CompareAndSwap(nil, new(room))
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
	l.lane().success.Add(success)
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

// Fail counts a failure.
func (l *Ledger) Fail() { l.failure.Add(1) }

// Ignore counts an ignored outcome.
func (l *Ledger) Ignore() { l.ignored.Add(1) }

// Reject counts a rejection and books it at once.
func (l *Ledger) Reject() {
	booked := &l.rejections().booked
	if n := booked.Load(); !booked.CompareAndSwap(n, n+1) {
		l.contended()
		booked.Add(1)
	}
}

// made returns the number of rejections that are booked and were made.
func (l *Ledger) made() (n uint64) {
	for r := range l.eachRejections {
		n += r.booked.Load()
	}
	return n
}

// Overrule books a rejection that was not made: Counts has it, Totals has not.
func (l *Ledger) Overrule() { l.overruled.Add(1) }

// RejectUnmarked counts a rejection that the next MarkFailed books.
func (l *Ledger) RejectUnmarked(now int64) {
	r := l.rejections()
	r.last.Store(now)
	if n := r.unmarked.Load(); !r.unmarked.CompareAndSwap(n, n+unmarkedOne) {
		l.contended()
		r.unmarked.Add(unmarkedOne)
	}
}

// MarkFailed books a rejection if one is unmarked, and counts a failure if none
// is: a host like Kratos' own middleware marks a failure after each Allow that
// rejected.
func (l *Ledger) MarkFailed() {
	if !l.Book() {
		l.Fail()
	}
}

// Book books a rejection if one is unmarked, and reports whether one was.
func (l *Ledger) Book() bool {
	if l.rejections().book() { // most probably that of the same goroutine
		return true
	}
	return l.find((*rejections).book)
}

// find reports whether f holds of rejections that are unmarked. While it looks,
// others may come where it has looked, and their marks book those where it has
// not: then it looks again.
func (l *Ledger) find(f func(*rejections) bool) bool {
	for {
		before := l.everUnmarked()
		for r := range l.eachRejections {
			if f(r) {
				return true
			}
		}
		if l.everUnmarked() == before {
			return false
		}
	}
}

func (l *Ledger) everUnmarked() (n uint64) {
	for r := range l.eachRejections {
		n += r.unmarked.Load() >> unmarkedBits
	}
	return n
}

func (r *rejections) book() bool {
	for {
		n := r.unmarked.Load()
		if n&unmarkedMask == 0 {
			return false
		}
		if r.unmarked.CompareAndSwap(n, n-1) {
			r.booked.Add(1)
			return true
		}
	}
}

// Unmarked reports whether a rejection is unmarked.
func (l *Ledger) Unmarked() bool {
	return l.find(func(r *rejections) bool { return r.unmarked.Load()&unmarkedMask > 0 })
}

// LastUnmarked returns the time of the last RejectUnmarked.
func (l *Ledger) LastUnmarked() (at int64) {
	for r := range l.eachRejections {
		at = max(at, r.last.Load())
	}
	return at
}

func (l *Ledger) unmarked() (n uint64) {
	for r := range l.eachRejections {
		n += r.unmarked.Load() & unmarkedMask
	}
	return n
}

// AbandonUnmarked no longer expects the marks of the rejections so far. They
// stay counted, but are never booked.
func (l *Ledger) AbandonUnmarked() {
	for r := range l.eachRejections {
		l.abandoned.Add(r.unmarked.And(^uint64(unmarkedMask)) & unmarkedMask)
	}
}

// Rejected returns the number of rejections that are booked.
func (l *Ledger) Rejected() uint64 { return l.made() + l.overruled.Load() }

// Unsuccessful returns the number of failures and of booked rejections.
func (l *Ledger) Unsuccessful() uint64 { return l.failure.Load() + l.Rejected() }

// Counts returns the counts since creation, of rejections the booked ones.
// Each number only ever grows.
func (l *Ledger) Counts() Counts {
	c := l.Ended()
	c.Rejected = l.Rejected()
	return c
}

// Ended returns Counts without the rejections.
func (l *Ledger) Ended() Counts {
	n := l.first.successes()
	if more := l.more.Load(); more != nil {
		for i := range more.lane {
			n += more.lane[i].successes()
		}
	}
	return Counts{Success: n, Failure: l.failure.Load()}
}

// Totals has the fields of breaker.Totals.
type Totals struct {
	Offered, Allowed, Rejected uint64
	Success, Failure, Ignored  uint64
	InFlight                   uint64
	WouldReject                uint64 // no ledger counts it
}

// Add returns t + u.
func (t Totals) Add(u Totals) Totals {
	return Totals{
		Offered:     t.Offered + u.Offered,
		Allowed:     t.Allowed + u.Allowed,
		Rejected:    t.Rejected + u.Rejected,
		Success:     t.Success + u.Success,
		Failure:     t.Failure + u.Failure,
		Ignored:     t.Ignored + u.Ignored,
		InFlight:    t.InFlight + u.InFlight,
		WouldReject: t.WouldReject + u.WouldReject,
	}
}

// Totals returns what became of every call. Rejections count before they are
// marked. A call that is being settled may be missing for a moment; none is ever
// counted twice.
func (l *Ledger) Totals() Totals {
	t := Totals{
		Failure: l.failure.Load(),
		Ignored: l.ignored.Load(),
		// In this order, or one that moves on between two looks counts twice.
		Rejected: l.abandoned.Load() + l.made() + l.unmarked(),
	}
	t.add(&l.first)
	if more := l.more.Load(); more != nil {
		for i := range more.lane {
			t.add(&more.lane[i])
		}
	}
	// Last: who settles a ticket from the pool takes it out of these first.
	t.InFlight += uint64(l.extra.Load())
	t.Allowed = t.Success + t.Failure + t.Ignored + t.InFlight
	t.Offered = t.Allowed + t.Rejected
	return t
}

// add looks at each slot once, or a call that is settled between two looks
// would be in neither sum.
func (t *Totals) add(a *lane) {
	t.Success += a.success.Load()
	for i := range a.slot {
		w := a.slot[i].Load()
		t.Success += w & successMask
		t.InFlight += w & busy / busy
	}
}

func (a *lane) successes() uint64 {
	n := a.success.Load()
	for i := range a.slot {
		n += a.slot[i].Load() & successMask
	}
	return n
}
