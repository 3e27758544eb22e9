package breaker

import (
	"encoding/json"
	"time"
)

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

// Transitions counts changes of a state: Transitions[from][to].
type Transitions [3][3]uint64

// MarshalJSON writes those that have happened, by from and to:
//
//	{"closed": {"open": 2}, "open": {"closed": 1}}
func (t Transitions) MarshalJSON() ([]byte, error) {
	counts := map[string]map[string]uint64{}
	for from := range t {
		for to, n := range t[from] {
			if n == 0 {
				continue
			}
			key := State(from).String()
			if counts[key] == nil {
				counts[key] = map[string]uint64{}
			}
			counts[key][State(to).String()] = n
		}
	}
	return json.Marshal(counts)
}

// Window counts the calls that a breaker decides from.
type Window struct {
	// Length is the length of a rolling window; 0 if the breaker counts from
	// the beginning of the present state, or a number of calls.
	Length time.Duration
	// Success, Failure and Rejected count calls that ended or were rejected.
	// Ignored outcomes are in no window.
	Success, Failure, Rejected uint64
	// Slow counts the calls that took too long, of those that ended and of
	// those in flight, for breakers that look at it.
	Slow uint64
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
	// WouldReject counts the calls that DryRun let through although the breaker
	// had come to reject them. They are in Allowed.
	WouldReject uint64
}
