package ledger

import "sync/atomic"

// streak counts the failures of a lane in a row, by the successes of all lanes. A
// success leaves no trace in it: at a failure, the successes counted so far tell
// whether there was one since the last. The streaks of all lanes that know of the
// most successes are, together, the row of the ledger. So a failure writes to what
// belongs to its lane alone.
//
// Its word holds the number of failures, up to rowMask, and above it how many
// successes there were at the last one, modulo 2^40.
type streak struct{ word atomic.Uint64 }

// rowAhead is a number of successes of which fewer come while a failure is counted.
const rowAhead = 1 << 32

// fail takes in a failure at which so many successes were found. Another failure may
// have found more of them meanwhile: then this one comes right after it. It reports
// whether no other one came in between.
func (s *streak) fail(success uint64) (alone bool) {
	for alone = true; ; alone = false {
		was := s.word.Load()
		next := success<<rowBits | 1
		if more := was>>rowBits - success; was&rowMask > 0 && more<<rowBits < rowAhead<<rowBits {
			next = was&^rowMask | min(was&rowMask+1, rowMask)
		}
		if s.word.CompareAndSwap(was, next) {
			return alone
		}
	}
}

// BeginRow makes the next failure of an Entry the first one of a row. Nobody must
// be inside of a lane.
func (l *Ledger) BeginRow() {
	l.side.row.word.Store(0)
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			more.place[i].streak.word.Store(0)
		}
	}
}

// RowAt returns how many failures of entries there are in a row, after one of them
// that found so many successes. It tops out at 2^24-1.
func (l *Ledger) RowAt(success uint64) (failures uint64) {
	_, failures = l.lastFailures(success, success)
	return failures
}

// Row returns how many successes, or failures of entries, there are in a row, if
// there were since successes at BeginRow.
func (l *Ledger) Row(since uint64) (successes, failures uint64) {
	success := l.Ended().Success
	last, failures := l.lastFailures(success, since)
	if later := (success + rowAhead - last) << rowBits >> rowBits; later > rowAhead {
		return later - rowAhead, 0
	}
	return 0, failures
}

// lastFailures returns how many failures there are since the last success that a
// failure knew of, and the number of that success: since, or a later one. By now
// there are success of them; some failures may know of a few more.
func (l *Ledger) lastFailures(success, since uint64) (last, failures uint64) {
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
	look(&l.side.row)
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			look(&more.place[i].streak)
		}
	}
	return last, min(failures, rowMask)
}
