package ledger

import (
	"math/bits"
	"math/rand/v2"
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
	row streak // of failures: see Fail and Entry.Fail
}

// place is a lane with its side on the cache line after it. Processors that
// fetch lines in pairs fetch those of one lane.
type place struct {
	lane
	side
	streak streak        // of entries; before there is a room, row
	met    atomic.Uint64 // how often goroutines met here
	_      [16]byte
}

// room holds further lanes.
type room struct {
	place [lanes]place
	// On a line that is written each time that another spread is drawn.
	spread atomic.Uintptr // odd: which goroutine has which lane
	limit  atomic.Uint64  // how often goroutines may meet on a lane before
}

// A ledger gets more lanes once goroutines have met contentionLimit times on its
// first one. Then processors no longer wait for each other's cache line, and
// there are slots for more tickets.
//
// Goroutines that get the same lane go on meeting there. Once they have met
// contentionLimit times, the room draws another spread, and each goroutine gets
// another lane; tickets know their words, and every lane counts. Each spread has
// to be met with twice as often as the one before. So two goroutines of eight
// lanes soon get out of each other's way, and where there are more of them than
// lanes, the drawing comes to rest.
const (
	lanes           = 8
	laneShift       = bits.UintSize - 3 // leaves as many bits as lanes take
	blockBits       = 11                // stacks are blocks of 2 KB and more
	contentionLimit = 1000
)

func newRoom() *room {
	r := &room{}
	r.draw()
	r.limit.Store(contentionLimit)
	return r
}

func (r *room) draw() { r.spread.Store(uintptr(rand.Uint64() | 1)) }

// here returns the place for the calling goroutine. Goroutines that run at the
// same time have different stacks. All that hangs on the address is speed.
func (r *room) here() *place {
	var here byte
	return &r.place[uintptr(unsafe.Pointer(&here))>>blockBits*r.spread.Load()>>laneShift]
}

// of returns the place that the word is a slot of, or nil.
func (r *room) of(word *atomic.Uint64) *place {
	i := (uintptr(unsafe.Pointer(word)) - uintptr(unsafe.Pointer(r))) / unsafe.Sizeof(r.place[0])
	if i >= lanes {
		return nil
	}
	return &r.place[i]
}

// has reports whether the word is a slot of the lane.
func (a *lane) has(word *atomic.Uint64) bool {
	return uintptr(unsafe.Pointer(word))-uintptr(unsafe.Pointer(a)) < unsafe.Sizeof(*a)
}

// lane returns the lane for the calling goroutine.
func (l *Ledger) lane() *lane {
	if more := l.more.Load(); more != nil {
		return &more.here().lane
	}
	return &l.first
}

// both returns the lane for the calling goroutine and its side.
func (l *Ledger) both() (*lane, *side) {
	if more := l.more.Load(); more != nil {
		p := more.here()
		return &p.lane, &p.side
	}
	return &l.first, &l.side
}

// bothOf returns the lane that the word is a slot of, with its side. For a word
// from the pool, it returns those of the calling goroutine.
func (l *Ledger) bothOf(word *atomic.Uint64) (*lane, *side) {
	if l.first.has(word) {
		return &l.first, &l.side
	}
	if more := l.more.Load(); more != nil {
		if p := more.of(word); p != nil {
			return &p.lane, &p.side
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
		for i := range more.place {
			if !yield(&more.place[i].side) {
				return
			}
		}
	}
}

// contended is called by a goroutine that met another one.
func (l *Ledger) contended() {
	more := l.more.Load()
	if more == nil {
		if l.contentions.Add(1) >= contentionLimit {
			l.more.CompareAndSwap(nil, newRoom())
		}
		return
	}
	limit := more.limit.Load()
	if more.here().met.Add(1) >= limit && more.limit.CompareAndSwap(limit, 2*limit) {
		more.draw()
		for i := range more.place {
			more.place[i].row.word.Store(0) // of goroutines that were there before
		}
	}
}
