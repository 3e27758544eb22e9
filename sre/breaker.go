package sre

import (
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/window"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

var _ breaker.Controller = (*Breaker)(nil)

// Breaker is an adaptive circuit breaker. Make one with [NewBreaker]; the zero
// value is not valid. All methods are safe for concurrent use.
//
// There are two ways to use it. Acquire hands out a permit, and counts a
// rejection by itself. Allow, MarkSuccess and MarkFailed are aegis' protocol:
// the caller marks each allowed call once, and marks a failure after each
// rejection, as Kratos' middleware does. Until the caller has, the window does not
// count the rejection, and the next MarkFailed is taken for it, unless the last
// rejection is longer ago than the window.
//
// Take Acquire where you can. A permit says when its call began, so what the call tells
// of the backend counts for that time. Of a mark the breaker has to guess it, and it
// does not learn from marks how long calls take.
//
// While the breaker is healthy, asking costs an atomic load, plus a
// compare-and-swap for a permit, and settling one clock read and one atomic
// operation, however many buckets there are; once per bucket, one call goes
// through all of them. A success takes no lock, and nothing is allocated but some
// memory for more cache lines when goroutines contend for it. After some
// failures in a row, a failure takes a lock for a moment. With so small a
// WithRequest or so large a WithSuccess that the first failure can count in a
// [Classic] breaker, or in ForceOpen, asking reads the clock and the counts as well.
type Breaker struct {
	// The order keeps what every call reads and what every call writes on
	// cache lines of their own.
	window   window.Rolling
	budget   budget
	settings atomic.Pointer[settings] // replaced, never changed
	law      law.Law
	lazy     lazy
	doubt    atomic.Uint32 // failures in a row that are worth a look
	meter    meter
	_        [32]byte
	ledger   ledger.Ledger
}

// decide decides about a call for which there is no budget: by the mode and the law. If
// the call is allowed, it returns who settles its permit, nil if no call needs to be
// known, and the ledger that counts it. If it is not, the rejection is counted: by the
// mark that follows it, or at once.
func (b *Breaker) decide(permit, marked bool) (by breaker.Settler, counts *ledger.Ledger, err error) {
	now := b.window.Now()
	o := b.lazy.peek().overruled.Load()
	m := o.At(now)
	if forced, _ := m.Rejection(); forced != nil {
		reject(&o.Outside, now, marked)
		return nil, nil, forced
	}
	b.rollIfDue(now)
	by, allowed := b.law.Admit(now, permit)
	counts = &b.ledger
	switch {
	case allowed:
	case !o.LetsThrough(m):
		reject(counts, now, marked)
		err = b.lazy.need().rejected.Load()
	default: // the mode lets it through
		if permit {
			b.ledger.Overrule()
		}
		by, counts = o, &o.Outside
	}
	if !allowed && !marked && b.budget.left() { // it was set meanwhile: see assess
		b.budget.spend(1)
	}
	b.lazy.peek().events.Deliver()
	return by, counts, err
}

// reject counts a rejection.
func reject(l *ledger.Ledger, now int64, marked bool) {
	if marked {
		l.RejectUnmarked(now)
	} else {
		l.Reject()
	}
}

// rollIfDue is called before a call is counted.
func (b *Breaker) rollIfDue(now int64) {
	if b.window.Due(now) {
		b.roll(now)
	}
}

// roll begins a bucket. What the budget was reckoned from may leave the window
// with it, so there is none until it is reckoned anew.
func (b *Breaker) roll(now int64) {
	shut := false
	began := b.window.Roll(now, &b.ledger, func() {
		b.budget.shut()
		shut = true
	})
	// A goroutine that shut the budget but lost the race to begin the bucket must
	// still see to it.
	if began || shut {
		b.law.Look(now)
	}
}

// assess sets the budget to the headroom of the law, or to -1 if that is less than
// worthwhile, and returns what it set.
//
// If a newer bucket is begun meanwhile, assess returns 0 and leaves the budget
// to the goroutine that begins it.
func (b *Breaker) assess(worthwhile int64) int64 {
	for {
		read := b.budget.word.Load()
		before := b.ledger.Unsuccessful()
		n, ok := b.law.Headroom()
		if !ok {
			return 0
		}
		if forced, _ := b.lazy.peek().overruled.Load().At(b.window.Now()).Rejection(); forced != nil || n < worthwhile {
			n = -1
		}
		if !b.budget.set(read, n) {
			continue
		}
		// A failure or rejection may spend only from a budget that it sees, to save
		// an atomic operation. What was counted since the reading is spent here, if
		// need be for the second time.
		if late := b.ledger.Unsuccessful() - before; late > 0 && n > 0 {
			b.budget.spend(late)
		}
		return n
	}
}
