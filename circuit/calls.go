package circuit

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// calls are the calls of a breaker that looks at slow ones: which are in
// flight, and since when. There are as many places as calls were ever in flight
// at once. Taking and leaving one takes no lock.
type calls struct {
	owner      callOwner
	generation uint64 // of the present state, under the owner's lock
	places     atomic.Pointer[[]*call]
	next       atomic.Uint64 // where to look for a free place
	nextCheck  atomic.Int64  // no call is overdue before that was not at the last check
	scratch    ledger.Ledger // calls on time as successes, slow ones as failures
	grow       sync.Mutex
}

// call is a place for one call at a time. The word tells calls apart: it is
// free, taken or paused, in its lowest two bits, and counts up with each call.
type call struct {
	owner      callOwner
	word       atomic.Uint64
	began      atomic.Int64
	generation atomic.Uint64 // of the state that let it through
}

// callOwner is whose calls are timed.
type callOwner interface {
	now() int64
	// slowFrom returns from which duration on a call is slow, or 0.
	slowFrom() time.Duration
	// pausedSlow is told of a call that is slow, and has not ended.
	pausedSlow(now int64, generation uint64)
	// endTimed takes in the end of a call.
	endTimed(e timedEnd, r breaker.Result)
}

// timedEnd is the end of a timed call.
type timedEnd struct {
	now        int64
	generation uint64
	took       int64
	wasSlow    bool // it has counted as slow already
}

const (
	placeFree   = iota
	placeChosen // by somebody who changes it
	placeTaken
	placePaused
	placeBits = 3
)

// countedSlow is when a call began that was slow, and counted so, before it was paused.
const countedSlow = -1

func newCalls(owner callOwner) *calls {
	c := &calls{owner: owner}
	c.places.Store(new([]*call))
	return c
}

// take begins a call.
func (c *calls) take(now int64, generation uint64) breaker.Permit {
	for {
		places := *c.places.Load()
		// After a few misses a second half is better than a long search.
		for range min(len(places), 16) {
			p := places[c.next.Add(1)%uint64(len(places))]
			w := p.word.Load()
			if w&placeBits != placeFree || !p.word.CompareAndSwap(w, w+placeChosen) {
				continue
			}
			p.began.Store(now)
			p.generation.Store(generation)
			p.word.Store(w + placeTaken)
			return breaker.NewPermit(p, breaker.Ticket{Serial: w + placeTaken})
		}
		c.extend(len(places))
	}
}

// extend doubles the number of places, unless somebody else has done it.
func (c *calls) extend(full int) {
	c.grow.Lock()
	defer c.grow.Unlock()
	places := *c.places.Load()
	if len(places) > full {
		return
	}
	more := max(8, full)
	places = slices.Grow(slices.Clone(places), more) // others read the old one
	for range more {
		places = append(places, &call{owner: c.owner})
	}
	c.places.Store(&places)
}

// Scratch implements [rule.Timed].
func (c *calls) Scratch() *ledger.Ledger { return &c.scratch }

// Overdue implements [rule.Timed].
func (c *calls) Overdue(now int64, threshold time.Duration) uint64 {
	n, _ := c.overdue(now, threshold)
	return n
}

// check reports whether calls of the present state are overdue, if another one may
// be since it was last asked.
func (c *calls) check(now int64, threshold time.Duration) bool {
	if now < c.nextCheck.Load() {
		return false
	}
	n, next := c.overdue(now, threshold)
	c.nextCheck.Store(next)
	return n > 0
}

// overdue returns how many calls of the present state have taken the threshold or
// longer, and when the next one will have.
func (c *calls) overdue(now int64, threshold time.Duration) (n uint64, next int64) {
	next = now + int64(threshold)
	for _, p := range *c.places.Load() {
		w := p.word.Load()
		began, generation := p.began.Load(), p.generation.Load()
		switch {
		case w&placeBits != placeTaken || p.word.Load() != w || generation != c.generation:
		case now-began >= int64(threshold):
			n++
		default:
			next = min(next, began+int64(threshold))
		}
	}
	return n, next
}

func (c *calls) inFlight() (n uint64) {
	for _, p := range *c.places.Load() {
		if p.word.Load()&placeBits != placeFree {
			n++
		}
	}
	return n
}

// Pause stops the clock of a call. One that is slow by now is counted so.
func (p *call) Pause(t breaker.Ticket) bool {
	generation, now := p.generation.Load(), p.owner.now()
	threshold := p.owner.slowFrom()
	if !p.word.CompareAndSwap(t.Serial, t.Serial-placeTaken+placeChosen) {
		return p.word.Load() == t.Serial-placeTaken+placePaused
	}
	slow := threshold > 0 && now-p.began.Load() >= int64(threshold)
	if slow {
		p.began.Store(countedSlow)
	}
	p.word.Store(t.Serial - placeTaken + placePaused)
	if slow {
		p.owner.pausedSlow(now, generation)
	}
	return true
}

// Resume starts the clock of a paused call anew.
func (p *call) Resume(t breaker.Ticket) {
	paused := t.Serial - placeTaken + placePaused
	if !p.word.CompareAndSwap(paused, t.Serial-placeTaken+placeChosen) {
		return
	}
	if p.began.Load() == countedSlow {
		p.word.Store(paused) // that is enough
		return
	}
	p.began.Store(p.owner.now())
	p.word.Store(t.Serial)
}

// leave frees the place, and returns when the call began, and whether it was paused;
// false if it did not have the place any more.
func (p *call) leave(t breaker.Ticket) (began int64, paused, had bool) {
	free := t.Serial - placeTaken + placeBits + 1
	for {
		w := p.word.Load()
		began = p.began.Load() // before somebody else has the place
		switch {
		case w == t.Serial-placeTaken+placeChosen:
			runtime.Gosched() // it is being paused or resumed
		case w != t.Serial && w != t.Serial-placeTaken+placePaused:
			return 0, false, false
		case p.word.CompareAndSwap(w, free):
			return began, w != t.Serial, true
		}
	}
}

// Settle implements [breaker.Settler].
func (p *call) Settle(t breaker.Ticket, o breaker.Outcome) {
	p.SettleResult(t, breaker.Result{Outcome: o})
}

// SettleResult implements [breaker.ResultSettler].
func (p *call) SettleResult(t breaker.Ticket, r breaker.Result) {
	e := timedEnd{now: p.owner.now(), generation: p.generation.Load()}
	began, paused, had := p.leave(t)
	if !had {
		return // not its call any more
	}
	if paused { // it waits for nothing
		e.wasSlow = began == countedSlow
	} else {
		e.took = e.now - began
	}
	p.owner.endTimed(e, r)
}
