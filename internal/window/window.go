// Package window keeps what a breaker counted within the last stretch of time.
package window

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Rolling is a window of n buckets of equal length over a [ledger.Ledger].
//
// The ledger only ever grows. The window remembers what it stood at when each
// of the last n buckets began; what happened within the window is the
// difference between now and then. Nothing is reset, so nothing can be lost or
// counted twice, and reading is O(1) in the number of buckets.
//
// Buckets begin at multiples of their length after the creation of the window.
// The newest bucket is always partial, so the window covers between n-1 and n
// bucket lengths.
//
// Whoever counts into the ledger must call [Rolling.Roll] before it if
// [Rolling.Due] says so. The methods take the time as an argument: nanoseconds
// since creation, from [Rolling.Now]. All are safe for concurrent use. None
// takes a lock; see Roll for the one case in which a goroutine waits.
type Rolling struct {
	base   time.Time
	until  atomic.Int64 // when the newest bucket ends
	starts []start      // starts[e % n]: what bucket e began with
	span   int64        // length of a bucket, ns

	// Buckets are numbered from 0. The newest one is newest; while a goroutine
	// writes down what it began with, rolling is already ahead of newest.
	newest  atomic.Int64
	rolling atomic.Int64
}

type start struct{ success, failure, rejected atomic.Uint64 }

func (s *start) load() ledger.Counts {
	return ledger.Counts{Success: s.success.Load(), Failure: s.failure.Load(), Rejected: s.rejected.Load()}
}

func (s *start) store(c ledger.Counts) {
	s.success.Store(c.Success)
	s.failure.Store(c.Failure)
	s.rejected.Store(c.Rejected)
}

// Init makes w a window of n buckets of length span that begins now. Both must
// be positive.
func (w *Rolling) Init(n int, span time.Duration) {
	w.base = time.Now()
	w.span = int64(span)
	w.starts = make([]start, n)
	w.until.Store(w.span)
}

// Length returns the length of the window.
func (w *Rolling) Length() time.Duration { return time.Duration(w.span * int64(len(w.starts))) }

// Buckets returns the number of buckets.
func (w *Rolling) Buckets() int { return len(w.starts) }

// Now returns the time since the window's creation in nanoseconds, from the
// monotonic clock.
func (w *Rolling) Now() int64 { return int64(time.Since(w.base)) }

// Time returns the wall-clock time of an instant of Now.
func (w *Rolling) Time(now int64) time.Time { return w.base.Add(time.Duration(now)) }

// Due reports whether Roll has to be called before something that happened at
// now is counted.
func (w *Rolling) Due(now int64) bool { return now >= w.until.Load() }

// Roll begins the bucket that now lies in, and reports whether it was this
// call that began it. Before it tries, it calls before: what was known of the
// window is about to be out of date.
//
// The ledger is read before the new bucket is announced. So a goroutine that
// finds it announced may count at once: what it counts is not part of what the
// bucket began with. Only if the announcer has been held up for so long that
// yet another bucket is due, the callers that find it due wait for it.
func (w *Rolling) Roll(now int64, l *ledger.Ledger, before func()) bool {
	e := now / w.span
	for {
		rolling := w.rolling.Load()
		if e <= rolling {
			return false
		}
		if newest := w.newest.Load(); newest != rolling {
			runtime.Gosched()
			continue
		}
		before()
		counts := l.Counts()
		if !w.rolling.CompareAndSwap(rolling, e) {
			continue
		}
		n := int64(len(w.starts))
		for b := max(rolling+1, e-n+1); b <= e; b++ {
			w.starts[b%n].store(counts)
		}
		w.until.Store((e + 1) * w.span)
		w.newest.Store(e)
		return true
	}
}

// Counts returns what was counted in the window that ends at now.
func (w *Rolling) Counts(now int64, l *ledger.Ledger) ledger.Counts {
	n := int64(len(w.starts))
	for {
		rolling, newest := w.rolling.Load(), w.newest.Load()
		oldest := rolling - n + 1 // of the buckets in the window
		if now >= w.until.Load() {
			oldest = max(oldest, now/w.span-n+1)
		}
		if oldest > newest {
			// All that is written down is too old; at most a bucket is just
			// being begun.
			return ledger.Counts{}
		}
		var then ledger.Counts
		if oldest > 0 {
			then = w.starts[oldest%n].load()
		}
		counts := l.Counts().Sub(then)
		// A start is overwritten only after rolling has moved.
		if w.rolling.Load() == rolling {
			return counts
		}
	}
}

// EmptyFrom returns the time from which on the window is empty if nothing more
// is counted.
func (w *Rolling) EmptyFrom() int64 { return (w.newest.Load() + int64(len(w.starts))) * w.span }

// Suffixes calls yield with what was counted since the beginning of each
// bucket of the window that ends with the newest one, oldest first, and with
// the time from which on that bucket is the oldest in the window. It costs
// O(n). It returns false, and what it yielded is void, if a bucket was begun
// meanwhile.
func (w *Rolling) Suffixes(l *ledger.Ledger, yield func(c ledger.Counts, oldestFrom int64)) bool {
	n := int64(len(w.starts))
	newest := w.newest.Load()
	counts := l.Counts()
	for b := max(0, newest-n+1); b <= newest; b++ {
		var then ledger.Counts
		if b > 0 {
			then = w.starts[b%n].load()
		}
		yield(counts.Sub(then), (b+n-1)*w.span)
	}
	return w.rolling.Load() == newest
}
