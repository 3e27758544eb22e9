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
// takes a lock; see Roll for the one case in which a goroutine waits, besides a
// reader that meets a Clear.
type Rolling struct {
	base  time.Time
	frame atomic.Pointer[frame] // the first one, until the shape changes
	first frame
}

// frame holds the buckets of one shape. All that depends on the shape is in it,
// so whoever is late with a frame that was replaced spoils nothing.
type frame struct {
	until  atomic.Int64 // when the newest bucket ends
	span   int64        // length of a bucket, ns
	starts []start      // starts[e % n]: what bucket e began with

	// Buckets are numbered from 0. The newest one is newest; while a goroutine
	// writes down what buckets began with, rolling is already ahead of newest.
	newest  atomic.Int64
	rolling atomic.Int64
}

// Beside the number of a bucket, newest and rolling hold how often the window
// was cleared, modulo 2^clearBits: so rolling changes with each writing, and it
// can be seen whether the writing is that of all buckets.
const (
	clearBits = 10
	clearMask = 1<<clearBits - 1
)

func bucket(word int64) int64 { return word >> clearBits }

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
	w.first.init(0, n, span)
	w.frame.Store(&w.first)
}

// init makes f n buckets of length span of which bucket e is the newest.
func (f *frame) init(e int64, n int, span time.Duration) {
	f.span = int64(span)
	f.starts = make([]start, n)
	f.newest.Store(e << clearBits)
	f.rolling.Store(e << clearBits)
	f.until.Store((e + 1) * f.span)
}

// Reshape makes w an empty window of n buckets of length span from now on. It
// calls before as Roll does. Of two that run at the same time one counts; what
// is counted while a Clear runs as well may stay in the window.
func (w *Rolling) Reshape(now int64, n int, span time.Duration, l *ledger.Ledger, before func()) {
	f := &frame{}
	f.init(now/int64(span), n, span)
	before()
	// What is counted from here on belongs to the new window.
	counts := l.Counts()
	for i := range f.starts {
		f.starts[i].store(counts)
	}
	w.frame.Store(f)
}

// Length returns the length of the window.
func (w *Rolling) Length() time.Duration {
	f := w.frame.Load()
	return time.Duration(f.span * int64(len(f.starts)))
}

// Buckets returns the number of buckets.
func (w *Rolling) Buckets() int { return len(w.frame.Load().starts) }

// Shape returns the number of buckets and the length of one.
func (w *Rolling) Shape() (n int, span time.Duration) {
	f := w.frame.Load()
	return len(f.starts), time.Duration(f.span)
}

// Now returns the time since the window's creation in nanoseconds, from the
// monotonic clock.
func (w *Rolling) Now() int64 { return int64(time.Since(w.base)) }

// Time returns the wall-clock time of an instant of Now.
func (w *Rolling) Time(now int64) time.Time { return w.base.Add(time.Duration(now)) }

// Due reports whether Roll has to be called before something that happened at
// now is counted.
func (w *Rolling) Due(now int64) bool { return now >= w.frame.Load().until.Load() }

// Until returns when the newest bucket ends: from then on a call is due.
func (w *Rolling) Until() int64 { return w.frame.Load().until.Load() }

// Roll begins the bucket that now lies in, and reports whether it was this
// call that began it. Before it tries, it calls before: what was known of the
// window is about to be out of date.
//
// The ledger is read before the new bucket is announced. So a goroutine that
// finds it announced may count at once: what it counts is not part of what the
// bucket began with. Only if the announcer has been held up for so long that
// yet another bucket is due, the callers that find it due wait for it.
func (w *Rolling) Roll(now int64, l *ledger.Ledger, before func()) bool {
	return w.begin(now, false, l, before)
}

// Clear empties the window: every bucket begins anew with what the ledger
// stands at. It calls before as Roll does.
func (w *Rolling) Clear(now int64, l *ledger.Ledger, before func()) {
	w.begin(now, true, l, before)
}

// begin begins the bucket that now lies in if it is a new one. With clear, it
// and all older buckets begin anew.
func (w *Rolling) begin(now int64, clear bool, l *ledger.Ledger, before func()) bool {
	for {
		f := w.frame.Load()
		e := now / f.span
		rolling := f.rolling.Load()
		last := bucket(rolling)
		clears := rolling & clearMask
		switch {
		case clear:
			e = max(e, last)
			clears = (clears + 1) & clearMask
		case e <= last:
			return false
		}
		next := e<<clearBits | clears
		if newest := f.newest.Load(); newest != rolling {
			runtime.Gosched()
			continue
		}
		before()
		counts := l.Counts()
		if !f.rolling.CompareAndSwap(rolling, next) {
			continue
		}
		n := int64(len(f.starts))
		first := last + 1
		if clear {
			first = 0
		}
		for b := max(first, e-n+1); b <= e; b++ {
			f.starts[b%n].store(counts)
		}
		f.until.Store((e + 1) * f.span)
		f.newest.Store(next)
		if w.frame.Load() == f {
			return true
		}
		// The shape has changed meanwhile.
	}
}

// Counts returns what was counted in the window that ends at now.
func (w *Rolling) Counts(now int64, l *ledger.Ledger) ledger.Counts {
	return w.Since(now, l.Counts)
}

// Since returns the part of counts that belongs to the window that ends at now.
func (w *Rolling) Since(now int64, counts func() ledger.Counts) ledger.Counts {
	for {
		f := w.frame.Load()
		n := int64(len(f.starts))
		rolling, newest := f.rolling.Load(), f.newest.Load()
		if (rolling^newest)&clearMask != 0 { // all buckets are being written
			runtime.Gosched()
			continue
		}
		oldest := bucket(rolling) - n + 1 // of the buckets in the window
		if now >= f.until.Load() {
			oldest = max(oldest, now/f.span-n+1)
		}
		if oldest > bucket(newest) {
			// All that is written down is too old; at most a bucket is just
			// being begun.
			return ledger.Counts{}
		}
		then := f.starts[max(0, oldest)%n].load()
		c := counts().Sub(then)
		// A start is overwritten only after rolling has moved.
		if f.rolling.Load() == rolling {
			return c
		}
	}
}

// EmptyFrom returns the time from which on the window is empty if nothing more
// is counted.
func (w *Rolling) EmptyFrom() int64 {
	f := w.frame.Load()
	return (bucket(f.newest.Load()) + int64(len(f.starts))) * f.span
}

// Suffixes calls yield with what was counted since the beginning of each
// bucket of the window that ends with the newest one, oldest first, and with
// the time from which on that bucket is the oldest in the window. It costs
// O(n). It returns false, and what it yielded is void, if a bucket was begun
// or the shape changed meanwhile.
func (w *Rolling) Suffixes(l *ledger.Ledger, yield func(c ledger.Counts, oldestFrom int64)) bool {
	f := w.frame.Load()
	n := int64(len(f.starts))
	word := f.newest.Load()
	newest := bucket(word)
	counts := l.Counts()
	for b := max(0, newest-n+1); b <= newest; b++ {
		yield(counts.Sub(f.starts[b%n].load()), (b+n-1)*f.span)
	}
	return f.rolling.Load() == word && w.frame.Load() == f
}
