package breaker

import (
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Adapt gives any breaker with aegis' three methods permits and a snapshot. A
// [Breaker] comes back as it is. It panics if b is nil.
//
// The breaker gets exactly one mark per call that asked for a permit:
// MarkFailed after a failure or a rejection, as from Kratos' middleware, and
// MarkSuccess after a success. For an ignored outcome it gets MarkIgnored() if
// it has that method, and a MarkSuccess otherwise.
//
// The snapshot knows what went through the adapter. It has no window, and its
// state is open if the last answer was a rejection, closed otherwise.
func Adapt(b CircuitBreaker) Breaker {
	switch b := b.(type) {
	case nil:
		panic("breaker: Adapt: the breaker is nil")
	case Breaker:
		return b
	}
	a := &adapted{aegis: b, base: time.Now()}
	a.ignorer, _ = b.(interface{ MarkIgnored() })
	return a
}

type adapted struct {
	aegis   CircuitBreaker
	ignorer interface{ MarkIgnored() } // nil if the breaker has no such method
	base    time.Time
	last    atomic.Int64 // when the answer changed last, ns since base, and at bit 0 whether to a rejection
	ledger  ledger.Ledger
}

func (a *adapted) Allow() error {
	err := a.aegis.Allow()
	a.recordAnswer(err != nil)
	if err != nil {
		a.ledger.RejectUnmarked(0) // nobody asks when
		return AsRejected("", err)
	}
	return nil
}

func (a *adapted) MarkSuccess() {
	a.ledger.Succeed()
	a.aegis.MarkSuccess()
}

func (a *adapted) MarkFailed() {
	a.ledger.MarkFailed()
	a.aegis.MarkFailed()
}

func (a *adapted) Acquire() (Permit, error) {
	err := a.aegis.Allow()
	a.recordAnswer(err != nil)
	if err != nil {
		a.ledger.Reject()
		a.aegis.MarkFailed()
		return Permit{}, AsRejected("", err)
	}
	word, serial, ok := a.ledger.TryTake()
	if !ok {
		word, serial = a.ledger.Take()
	}
	return NewPermit((*adaptedSettler)(a), Ticket{Word: word, Serial: serial}), nil
}

type adaptedSettler adapted

func (s *adaptedSettler) Settle(t Ticket, o Outcome) {
	var success uint64
	if o == Success {
		success = 1
	}
	if !s.ledger.Settle(t.Word, t.Serial, success) {
		return
	}
	switch {
	case o == Success:
		s.aegis.MarkSuccess()
	case o != Ignored:
		s.ledger.AddFailure()
		s.aegis.MarkFailed()
	case s.ignorer != nil:
		s.ledger.Ignore()
		s.ignorer.MarkIgnored()
	default:
		s.ledger.Ignore()
		s.aegis.MarkSuccess()
	}
}

func (a *adapted) recordAnswer(rejected bool) {
	last := a.last.Load()
	if last&1 != 0 == rejected {
		return
	}
	next := int64(time.Since(a.base)) << 1
	if rejected {
		next |= 1
	}
	a.last.CompareAndSwap(last, next)
}

func (a *adapted) Snapshot() Snapshot {
	s := Snapshot{Totals: Totals(a.ledger.Totals())}
	last := a.last.Load()
	if last&1 != 0 {
		s.State = Open
	}
	s.Since = a.base.Add(time.Duration(last >> 1))
	return s
}
