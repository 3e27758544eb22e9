package ledger

import (
	"runtime"
	"sync/atomic"
)

// A lane counts its failures in a word at the top of which stands how many
// goroutines are inside of it: see Enter.
const (
	insideOne   = 1 << 48
	failureMask = insideOne - 1
)

// Entry is a goroutine inside of a lane. Until it leaves, Drain waits for it.
type Entry struct {
	ledger *Ledger
	lane   *lane
	streak *streak
}

// Enter enters the lane that word is a slot of, or that of the calling goroutine if
// it is nil. It takes no lock and never waits, and touches what belongs to the lane
// alone. Whoever wants the calls to stop for a moment says so where they look after
// Enter, and then calls Drain. What is done inside must neither wait nor panic.
func (l *Ledger) Enter(word *atomic.Uint64) Entry {
	e := Entry{ledger: l}
	e.lane, e.streak = l.entered(word)
	e.lane.failure.Add(insideOne)
	return e
}

// Leave ends the entry.
func (e Entry) Leave() { e.lane.failure.Add(^uint64(insideOne - 1)) }

// Fail counts a failure and leaves. It returns what has ended by then, with this
// failure; successes that are counted at the same time may be missing.
//
// It must not be mixed with the Fail of the ledger, whose rows are those of a lane.
func (e Entry) Fail() (ended Counts) {
	ended.Success = e.ledger.successes()
	alone := e.streak.fail(ended.Success)
	e.lane.failure.Add(^uint64(insideOne - 2)) // one failure more, one inside less
	if !alone {
		e.ledger.contended()
	}
	ended.Failure = e.ledger.failures()
	return ended
}

// Drain returns when all have left who had entered before it was called. Those who
// enter meanwhile find that they have to leave at once.
func (l *Ledger) Drain() {
	l.first.drain()
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			more.place[i].drain()
		}
	}
}

func (a *lane) drain() {
	for a.failure.Load() >= insideOne {
		runtime.Gosched()
	}
}

func (a *lane) failures() uint64 { return a.failure.Load() & failureMask }

// entered returns the lane that the word is a slot of, with its streak. Without a
// word, or for one from the pool, it returns those of the calling goroutine.
func (l *Ledger) entered(word *atomic.Uint64) (*lane, *streak) {
	more := l.more.Load()
	switch {
	case more == nil || l.first.has(word):
		return &l.first, &l.side.row
	case word != nil:
		if p := more.of(word); p != nil {
			return &p.lane, &p.streak
		}
	}
	p := more.here()
	return &p.lane, &p.streak
}
