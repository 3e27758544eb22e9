package breaker

import "time"

// Snapshot is a copy of what a breaker knew at one moment.
type Snapshot struct {
	// Name is the breaker's name, or "".
	Name string
	// Mode says who decides.
	Mode Mode
	// State is how calls are treated now.
	State State
	// Since is when State began; zero if the breaker cannot tell.
	Since time.Time
	// Window holds what the decision is made from.
	Window Window
	// Totals count from the breaker's creation.
	Totals Totals
	// RejectRatio is the share of calls rejected now, in [0, 1].
	RejectRatio float64
	// RetryAfter is how long calls will go on being rejected for certain; 0 if
	// none are, or if no time is known.
	RetryAfter time.Duration
}

// Window counts the calls that ended, and the calls that were rejected, within
// the rolling window of a breaker.
type Window struct {
	// Length is the length of the window; 0 if the breaker has none.
	Length time.Duration
	// Success, Failure and Rejected count calls. Ignored outcomes are in no
	// window.
	Success, Failure, Rejected uint64
}

// Total returns Success + Failure + Rejected.
func (w Window) Total() uint64 { return w.Success + w.Failure + w.Rejected }

// Totals count calls since the creation of a breaker. In every Totals
//
//	Offered = Allowed + Rejected
//	Allowed = Success + Failure + Ignored + InFlight
//
// and, while no call ends or begins, each number is exact. A call that asked
// with Allow, which has no identity, is counted when it is marked: only permits
// are ever in flight.
type Totals struct {
	Offered, Allowed, Rejected uint64
	Success, Failure, Ignored  uint64
	// InFlight counts the permits that are not settled yet.
	InFlight uint64
}
