package sre

import (
	"sync"
	"sync/atomic"

	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

// lockedDecision holds the law of a breaker that has seen what could be trouble. While
// the law is calm, calls that succeed do not touch it.
type lockedDecision struct {
	alert     atomic.Bool   // whether the law is not calm
	notBefore atomic.Int64  // every call is rejected before, ns; 0 if none is
	missed    atomic.Uint64 // calls that were, which the law does not know of yet

	mu    sync.RWMutex // held to read by Status
	law   *adaptive.Law
	stamp *stamp // of the calls that begin now
	probe int64  // the one that the error of rejected calls tells of; 0 if it tells of none
}

// of returns the cohort of a call, nil if the law that made it is gone or the call began
// before there were any; and whether it is known when the call began.
func (d *lockedDecision) of(from any) (c *adaptive.Cohort, known bool) {
	s, known := from.(*stamp)
	if known && s.law == d.law {
		c = s.cohort
	}
	return c, known
}

// tooEarly reports whether every call is rejected at now.
func (d *lockedDecision) tooEarly(now int64) bool {
	next := d.notBefore.Load()
	return next != 0 && now < next // now is negative if a test has a clock of its own
}

// drainMissed tells the law of the calls that it was not asked about, and returns the
// time for it: a goroutine that waited for the lock comes late. If the clock was set back
// by far, as where a test has a clock of its own, it goes on from there.
func (d *lockedDecision) drainMissed(now int64) int64 {
	if d.missed.Load() > 0 {
		d.law.Rejected(d.missed.Swap(0))
	}
	if heard := d.law.Heard(); heard-now < d.law.Forgets() {
		return max(now, heard)
	}
	return now
}
