package breaker

import "time"

// Snapshot is a copy of what a breaker knew at one moment.
type Snapshot struct {
	// Name is the breaker's name, or "".
	Name string
	// Mode says whether State decides about calls, or a person does.
	Mode Mode
	// ModeUntil is when Mode ends and Auto follows; zero if it does not.
	ModeUntil time.Time
	// State is what the breaker itself has come to. In Auto, calls are treated
	// so.
	State State
	// Since is when State began; zero if the breaker cannot tell.
	Since time.Time
	// Cause says in a few words why State began; "" if it is the first one, or
	// if the breaker cannot tell.
	Cause string
	// Window holds what the decision is made from.
	Window Window
	// Totals count from the breaker's creation.
	Totals Totals
	// ConsecutiveSuccesses and ConsecutiveFailures count the calls of the
	// present state that ended so since another one did not, for breakers that
	// look at it. Ignored outcomes do not interrupt.
	ConsecutiveSuccesses, ConsecutiveFailures uint64
	// Openings counts how often the breaker has opened since it was last
	// closed; 0 for breakers that do not look at it.
	Openings uint64
	// Transitions counts the changes of the state since the breaker's creation.
	Transitions Transitions
	// RejectRatio is the share of calls rejected now, in [0, 1].
	RejectRatio float64
	// RetryAfter is the time until a call is allowed again, if only as a probe; 0 if
	// calls are allowed, or if no time is known. A call that is under way may change it.
	RetryAfter time.Duration
	// Rule says which rule of a file made the breaker what it is; "" for one
	// that was made by hand.
	Rule string
}
