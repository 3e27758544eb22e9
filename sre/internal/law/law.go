// Package law has what a breaker asks about its calls: the [Law], and the formula of the
// SRE book as [Classic]. The adaptive law is in package adaptive.
package law

import (
	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Law decides about the calls of a breaker. The breaker asks it when its budget is used
// up, and never while the budget lasts: see Headroom. Times are in ns since the breaker
// was made. All methods are safe for concurrent use.
type Law interface {
	// Admit decides about a call. If the law wants to know when the call began, or how
	// long it takes, it returns who settles the permit; otherwise nil. A call by Allow
	// has no permit.
	Admit(now int64, permit bool) (by breaker.Settler, allowed bool)
	// Report takes in what has been counted. Successes within the budget are not reported.
	Report(now int64, r Report)
	// Look takes in that a bucket has begun, so that the budget is void.
	Look(now int64)
	// Headroom returns how many calls may fail before the law has to be asked. If it
	// reports false, the number is void, for a bucket has begun meanwhile.
	Headroom() (failures int64, ok bool)
	// Status describes the law at now, when the window holds recent. It changes nothing.
	Status(now int64, recent ledger.Counts) Status
	// Reset closes the breaker, and makes the law forget what it knows. The window held
	// before until now. Calls that began before count no more.
	Reset(now int64, before ledger.Counts)
	// Tune takes in that the settings have changed, and the shape of the window if it was
	// emptied.
	Tune(now int64, emptied bool)
}

// Report is what a law is told about a call.
type Report struct {
	What What
	Row  uint64 // failures in a row, with this one
	// From says when the call began: it is what the settler of the permit noted. A call
	// without a permit has none, and nobody knows when it began.
	From any
}

// What is what has happened to a call.
type What uint8

// What may happen.
const (
	Succeeded What = iota
	Failed
	Ignored  // the outcome says nothing, but the wait may
	NotSent  // the same, and the wait says nothing either
	Answered // the backend has answered, and the call goes on
	Rejected // a mark has confirmed a rejection
)

// Status describes a law.
type Status struct {
	RejectRatio float64
	Since       int64 // when the breaker opened or closed
	Probe       int64 // when the next probe may go out; 0 if the backend is not down
	Busy        bool  // whether the law knows more than the window
	Fixed       bool  // whether the settings must not change now
}
