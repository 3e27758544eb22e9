package ledger

import (
	"sync/atomic"
	"unsafe"
)

// lane is a cache line that one processor can have for itself.
type lane struct {
	slot    [6]atomic.Uint64
	success atomic.Uint64 // successes that are in no slot
	failure atomic.Uint64
}

// side is what the same processor writes off the path of a success.
type side struct {
	rejections
	row atomic.Uint64 // of failures: see Fail
}

// room holds further lanes, each with its side on the cache line after it.
// Processors that fetch lines in pairs fetch those of one lane.
type room [lanes]struct {
	lane
	side
	_ [32]byte
}

// A ledger gets more lanes once goroutines have met contentionLimit times on its
// first one. Then processors no longer wait for each other's cache line, and
// there are slots for more tickets.
const (
	lanes           = 8
	spread          = 0x9E3779B97F4A7C15 // of 2^64, the golden section
	contentionLimit = 1000
)

// lane returns the lane for the calling goroutine.
func (l *Ledger) lane() *lane {
	more := l.more.Load()
	if more == nil {
		return &l.first
	}
	// Goroutines that run at the same time have different stacks. All that
	// hangs on the address is speed.
	var here byte
	return &more[uint64(uintptr(unsafe.Pointer(&here))>>11)*spread>>61].lane
}

// both returns the lane for the calling goroutine and its side.
func (l *Ledger) both() (*lane, *side) {
	more := l.more.Load()
	if more == nil {
		return &l.first, &l.side
	}
	var here byte // as in lane
	at := &more[uint64(uintptr(unsafe.Pointer(&here))>>11)*spread>>61]
	return &at.lane, &at.side
}

// bothOf returns the lane that the word is a slot of, with its side. For a word
// from the pool, it returns those of the calling goroutine.
func (l *Ledger) bothOf(word *atomic.Uint64) (*lane, *side) {
	at := uintptr(unsafe.Pointer(word))
	if at-uintptr(unsafe.Pointer(&l.first)) < unsafe.Sizeof(l.first) {
		return &l.first, &l.side
	}
	if more := l.more.Load(); more != nil {
		if i := (at - uintptr(unsafe.Pointer(more))) / unsafe.Sizeof(more[0]); i < lanes {
			return &more[i].lane, &more[i].side
		}
	}
	return l.both()
}

// eachSide yields the sides of all lanes.
func (l *Ledger) eachSide(yield func(*side) bool) {
	if !yield(&l.side) {
		return
	}
	if more := l.more.Load(); more != nil {
		for i := range more {
			if !yield(&more[i].side) {
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
