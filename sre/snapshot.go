package sre

import (
	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Snapshot returns a copy of the breaker's counts and what they mean now. The
// state is open while the reject ratio is above 0. It costs O(buckets) at
// worst, does not block, and changes nothing.
func (b *Breaker) Snapshot() breaker.Snapshot {
	now := b.window.Now()
	recent := b.window.Counts(now, &b.ledger)
	s := breaker.Snapshot{
		Name:        b.name(),
		RejectRatio: b.law.rejectRatio(recent),
		Window: breaker.Window{
			Length:   b.window.Length(),
			Success:  recent.Success,
			Failure:  recent.Failure,
			Rejected: recent.Rejected,
		},
		Totals: breaker.Totals(b.ledger.Totals()),
	}
	if s.RejectRatio > 0 {
		s.State = breaker.Open
	}
	s.Since = b.window.Time(b.since(now, s.State))
	return s
}

// since returns when the state began. Usually a call saw the change and noted
// it. A breaker that nobody has asked since closes by itself when the calls
// that opened it leave the window.
func (b *Breaker) since(now int64, state breaker.State) int64 {
	last := b.change.Load()
	noted := breaker.Closed
	if last&1 != 0 {
		noted = breaker.Open
	}
	if noted == state {
		return last >> 1
	}
	if state == breaker.Open {
		return now
	}
	closed := b.window.EmptyFrom()
	stable := b.window.Suffixes(&b.ledger, func(c ledger.Counts, oldestFrom int64) {
		if b.law.rejectRatio(c) == 0 {
			closed = min(closed, oldestFrom)
		}
	})
	if !stable {
		return now
	}
	return min(now, max(closed, last>>1))
}

// Idle reports whether the breaker is as good as new: closed, with an empty
// window and no permit in flight. A group may drop it and make another one
// later without anybody noticing.
func (b *Breaker) Idle() bool {
	recent := b.window.Counts(b.window.Now(), &b.ledger)
	return recent.Total() == 0 && b.ledger.Totals().InFlight == 0
}
