package ledger

import "sync/atomic"

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

// rejections returns those of the calling goroutine's processor.
func (l *Ledger) rejections() *rejections {
	_, s := l.both()
	return &s.rejections
}

// Reject counts a rejection and books it at once.
func (l *Ledger) Reject() {
	if booked := &l.rejections().booked; met(booked, booked.Load(), 1) {
		l.contended()
	}
}

// made returns the number of rejections that are booked and were made.
func (l *Ledger) made() (n uint64) {
	for s := range l.eachSide {
		n += s.booked.Load()
	}
	return n
}

// Overrule books a rejection that was not made: Counts has it, Totals has not.
func (l *Ledger) Overrule() { l.overruled.Add(1) }

// RejectUnmarked counts a rejection that the next MarkFailed books.
func (l *Ledger) RejectUnmarked(now int64) {
	r := l.rejections()
	r.last.Store(now)
	if met(&r.unmarked, r.unmarked.Load(), unmarkedOne) {
		l.contended()
	}
}

// MarkFailed books a rejection if one is unmarked, and counts a failure if none
// is: a host like Kratos' own middleware marks a failure after each Allow that
// rejected.
func (l *Ledger) MarkFailed() {
	if !l.Book() {
		l.AddFailure()
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
		for s := range l.eachSide {
			if f(&s.rejections) {
				return true
			}
		}
		if l.everUnmarked() == before {
			return false
		}
	}
}

func (l *Ledger) everUnmarked() (n uint64) {
	for s := range l.eachSide {
		n += s.unmarked.Load() >> unmarkedBits
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
	for s := range l.eachSide {
		at = max(at, s.last.Load())
	}
	return at
}

func (l *Ledger) unmarked() (n uint64) {
	for s := range l.eachSide {
		n += s.unmarked.Load() & unmarkedMask
	}
	return n
}

// AbandonUnmarked no longer expects the marks of the rejections so far. They
// stay counted, but are never booked.
func (l *Ledger) AbandonUnmarked() {
	for s := range l.eachSide {
		l.abandoned.Add(s.unmarked.And(^uint64(unmarkedMask)) & unmarkedMask)
	}
}

// Rejected returns the number of rejections that are booked.
func (l *Ledger) Rejected() uint64 { return l.made() + l.overruled.Load() }
