package ledger

import (
	"runtime"
	"sync/atomic"
)

// Failures is a ledger whose failures are counted without a lock while its owner
// may change what they are evidence for. It must not be mixed with Fail and
// SettleFailure of the ledger, whose rows are those of a lane.
type Failures Ledger

// Failures returns l as its failures see it.
func (l *Ledger) Failures() *Failures { return (*Failures)(l) }

func (f *Failures) ledger() *Ledger { return (*Ledger)(f) }

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
func (f *Failures) Enter(word *atomic.Uint64) Entry {
	e := Entry{ledger: f.ledger()}
	e.lane, e.streak = f.entered(word)
	e.lane.failure.Add(insideOne)
	return e
}

// Leave ends the entry.
func (e Entry) Leave() { e.lane.failure.Add(^uint64(insideOne - 1)) }

// Fail counts a failure and leaves. It returns what has ended by then, with this
// failure; successes that are counted at the same time may be missing.
func (e Entry) Fail() (ended Counts) {
	var alone bool
	if e.ledger.more.Load() == nil {
		ended.Success = e.ledger.successes()
		alone = e.streak.fail(ended.Success)
		e.lane.failure.Add(^uint64(insideOne - 2)) // one failure more, one inside less
		ended.Failure = e.ledger.failures()
	} else { // a second look at another processor's lane costs more than a write here
		e.lane.failure.Add(1)
		ended = e.ledger.Ended()
		alone = e.streak.fail(ended.Success)
		e.Leave()
	}
	if !alone {
		e.ledger.contended()
	}
	return ended
}

// Drain returns when all have left who had entered before it was called. Those who
// enter meanwhile find that they have to leave at once.
func (f *Failures) Drain() {
	f.first.drain()
	if more := f.more.Load(); more != nil {
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

// entered returns the lane that the word is a slot of, with its streak. Without a
// word, or for one from the pool, it returns those of the calling goroutine.
func (f *Failures) entered(word *atomic.Uint64) (*lane, *streak) {
	more := f.more.Load()
	switch {
	case more == nil || f.first.has(word):
		return &f.first, &f.side.row
	case word != nil:
		if p := more.of(word); p != nil {
			return &p.lane, &p.streak
		}
	}
	p := more.here()
	return &p.lane, &p.streak
}

// BeginRow makes the next failure of an Entry the first one of a row. Nobody must
// be inside of a lane.
func (f *Failures) BeginRow() {
	f.side.row.word.Store(0)
	if more := f.more.Load(); more != nil {
		for i := range more.place {
			more.place[i].streak.word.Store(0)
		}
	}
}

// RowAt returns how many failures of entries there are in a row, after one of them
// that found so many successes. It tops out at 2^24-1.
func (f *Failures) RowAt(success uint64) (failures uint64) {
	_, failures = f.lastFailures(success, success)
	return failures
}

// Row returns how many successes, or failures of entries, there are in a row, if
// there were since successes at BeginRow.
func (f *Failures) Row(since uint64) (successes, failures uint64) {
	success := f.ledger().successes()
	last, failures := f.lastFailures(success, since)
	if later := (success + rowAhead - last) << rowBits >> rowBits; later > rowAhead {
		return later - rowAhead, 0
	}
	return 0, failures
}

// lastFailures returns how many failures there are since the last success that a
// failure knew of, and the number of that success: since, or a later one. By now
// there are success of them; some failures may know of a few more.
func (f *Failures) lastFailures(success, since uint64) (last, failures uint64) {
	age := func(s uint64) uint64 { return (success + rowAhead - s) << rowBits }
	last = since
	look := func(s *streak) {
		word := s.word.Load()
		n, at := word&rowMask, word>>rowBits
		switch {
		case n == 0 || age(at) > age(last):
		case age(at) == age(last):
			failures += n
		default:
			last, failures = at, n
		}
	}
	look(&f.side.row)
	if more := f.more.Load(); more != nil {
		for i := range more.place {
			look(&more.place[i].streak)
		}
	}
	return last, min(failures, rowMask)
}
