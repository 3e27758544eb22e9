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

const (
	rowBits = 24
	rowMask = 1<<rowBits - 1
)

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
