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
	places    atomic.Pointer[[]*call]
	next      atomic.Uint64 // where to look for a free place
	nextCheck atomic.Int64  // no call is overdue before that was not at the last check
	scratch   ledger.Ledger // calls on time as successes, slow ones as failures
	grow      sync.Mutex
}

// call is a place for one call at a time. The word tells calls apart: it is
// free, taken or paused, in its lowest two bits, and counts up with each call.
type call struct {
	breaker *Breaker
	word    atomic.Uint64
	began   atomic.Int64
	view    atomic.Pointer[view]
}

const (
	placeFree   = iota
	placeChosen // by somebody who changes it
	placeTaken
	placePaused
	placeBits = 3
)

// counted is when a call began that was slow, and counted so, before it was paused.
const counted = -1

func newCalls() *calls {
	c := &calls{}
	c.places.Store(new([]*call))
	return c
}

// take begins a call.
func (c *calls) take(now int64, v *view) breaker.Permit {
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
			p.view.Store(v)
			p.word.Store(w + placeTaken)
			return breaker.NewPermit(p, breaker.Ticket{Serial: w + placeTaken})
		}
		c.extend(len(places), v.breaker)
	}
}

// extend doubles the number of places, unless somebody else has done it.
func (c *calls) extend(full int, b *Breaker) {
	c.grow.Lock()
	defer c.grow.Unlock()
	places := *c.places.Load()
	if len(places) > full {
		return
	}
	more := max(8, full)
	places = slices.Grow(slices.Clone(places), more) // others read the old one
	for range more {
		places = append(places, &call{breaker: b})
	}
	c.places.Store(&places)
}

// overdue returns how many calls of the generation have taken the threshold or
// longer, and when the next one will have.
func (c *calls) overdue(now int64, generation uint64, threshold time.Duration) (n uint64, next int64) {
	next = now + int64(threshold)
	for _, p := range *c.places.Load() {
		w := p.word.Load()
		began, v := p.began.Load(), p.view.Load()
		switch {
		case w&placeBits != placeTaken || p.word.Load() != w || v.generation != generation:
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
	v, now := p.view.Load(), p.breaker.now()
	threshold := p.breaker.view.Load().options.threshold
	if !p.word.CompareAndSwap(t.Serial, t.Serial-placeTaken+placeChosen) {
		return p.word.Load() == t.Serial-placeTaken+placePaused
	}
	slow := threshold > 0 && now-p.began.Load() >= int64(threshold)
	if slow {
		p.began.Store(counted)
	}
	p.word.Store(t.Serial - placeTaken + placePaused)
	if slow {
		p.breaker.slowNow(now, v.generation)
	}
	return true
}

// slowNow counts a call of a generation as slow that has not ended.
func (b *Breaker) slowNow(now int64, generation uint64) {
	b.mu.Lock()
	defer b.unlock(nil)
	b.advance(now)
	if b.slow == nil || !b.current(generation) {
		return
	}
	b.roll(now)
	b.watch.Store(true) // before the counts are read: see reconsider
	b.calls.scratch.Fail()
	b.judge(now, breaker.Result{Outcome: breaker.Failure})
}

// Resume starts the clock of a paused call anew.
func (p *call) Resume(t breaker.Ticket) {
	paused := t.Serial - placeTaken + placePaused
	if !p.word.CompareAndSwap(paused, t.Serial-placeTaken+placeChosen) {
		return
	}
	if p.began.Load() == counted {
		p.word.Store(paused) // that is enough
		return
	}
	p.began.Store(p.breaker.now())
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

// Settle takes a permit back.
func (p *call) Settle(t breaker.Ticket, o breaker.Outcome) {
	p.SettleResult(t, breaker.Result{Outcome: o})
}

// SettleResult takes a permit back, too.
func (p *call) SettleResult(t breaker.Ticket, r breaker.Result) {
	b := p.breaker
	now := b.now()
	v := p.view.Load()
	began, paused, had := p.leave(t)
	if !had {
		return // not its call any more
	}
	wasSlow := paused && began == counted
	if paused {
		began = now // it waits for nothing
	}
	if r.Outcome == breaker.Success && b.view.Load() == v && !wasSlow &&
		now-began < int64(v.options.threshold) && now < b.due.Load() {
		b.calls.scratch.Succeed()
		b.ledger.Succeed()
		if b.watch.Load() {
			b.reconsider(v.generation)
		}
		return
	}
	b.mu.Lock()
	defer b.unlock(nil)
	b.advance(now)
	if !b.current(v.generation) {
		b.countOutside(r.Outcome)
		return
	}
	slow := b.slow != nil && !r.NotSent && now-began >= int64(b.options.threshold)
	if slow || r.Outcome != breaker.Ignored {
		b.roll(now)
	}
	switch {
	case wasSlow:
	case slow:
		b.watch.Store(true) // before the counts are read: see reconsider
		b.calls.scratch.Fail()
	case r.Outcome != breaker.Ignored:
		b.calls.scratch.Succeed()
	}
	b.ended(now, v.generation, r)
	if slow && r.Outcome == breaker.Ignored {
		b.judge(now, r)
	}
}

// checkOverdue judges the calls in flight once another one may be overdue.
func (b *Breaker) checkOverdue(now int64) {
	if b.slow == nil || b.machine.state != breaker.Closed || now < b.calls.nextCheck.Load() {
		return
	}
	n, next := b.calls.overdue(now, b.machine.generation, b.options.threshold)
	b.calls.nextCheck.Store(next)
	if n > 0 {
		b.watch.Store(true) // before the counts are read: see reconsider
		b.judge(now, breaker.Result{Outcome: breaker.Failure})
	}
}
