package breaker

import (
	"encoding/json"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"

	"github.com/kratos-breaker/breaker/internal/fault"
)

// This file is for authors: of breakers, of adapters, of rules, and of what shows
// breakers. A program that only uses breakers writes none of its names.

// CircuitBreaker is the interface of go-kratos/aegis: Allow, MarkSuccess and
// MarkFailed. Every breaker that Kratos users have satisfies it; [Adapt] gives it
// permits and a snapshot.
//
// The three methods carry no identity: a mark cannot say which call it belongs
// to. Where there is a choice, use [Acquirer].
type CircuitBreaker = circuitbreaker.CircuitBreaker

// NewPermit returns a permit that is settled with s: what a breaker's Acquire
// hands out. It does not allocate.
func NewPermit(s Settler, t Ticket) Permit {
	return Permit{settler: s, ticket: t}
}

// Ticket names one permit to the breaker that issued it. No other code looks
// into it.
type Ticket struct {
	// Word is where the breaker keeps the permit's state, or nil.
	Word *atomic.Uint64
	// Serial tells this permit from the others that use Word.
	Serial uint64
}

// Settler is the side of a breaker that takes permits back: see [NewPermit].
type Settler interface {
	// Settle is called by Permit.Done, possibly more than once for a ticket
	// and from several goroutines. It must count only the first call.
	Settle(t Ticket, o Outcome)
}

// ResultSettler is a Settler that wants the whole result.
type ResultSettler interface {
	Settler
	// SettleResult is called by Permit.DoneWith, as Settle is by Permit.Done.
	SettleResult(t Ticket, r Result)
}

// PauseSettler is a Settler that looks at how long calls take.
type PauseSettler interface {
	Settler
	// Pause is called by Permit.Pause, and returns what that does.
	Pause(t Ticket) bool
	// Resume is called by Permit.Resume, possibly without a Pause before. Both may
	// be called at the same time as Settle, and after it.
	Resume(t Ticket)
}

// AnswerSettler is a Settler that wants to know that the backend answers a call which goes
// on: a stream may live for hours, and says nothing about an outage until it ends.
type AnswerSettler interface {
	Settler
	// Answered is called by Permit.Answered. It may be called at the same time as
	// Settle, and after it.
	Answered(t Ticket)
}

// Result is how a call ended, and what else a breaker may want to know about it.
// An adapter passes it to [Permit.DoneWith].
type Result struct {
	Outcome Outcome
	// Err is the error of the call, or nil. After a panic it is nil.
	Err error
	// RetryAfter is how long the backend asked to be left alone, if that is
	// known without a look into Err; otherwise 0.
	RetryAfter time.Duration
	// NotSent says that the call never left the process, so its duration says
	// nothing about the backend. An ignored call that was sent counts by its
	// duration, as its breaker decides: a backend that hangs is left by callers who
	// lose patience.
	NotSent bool
}

// NewRejectedError returns the error of a rejection by the breaker called
// name, which was in the given state. A non-zero until is when the rejections
// end; cause is the breaker's own error, or nil.
func NewRejectedError(name string, state State, reason Reason, until time.Time, cause error) *RejectedError {
	return &RejectedError{name: name, state: state, reason: reason, until: until, cause: cause}
}

// AsRejected returns the RejectedError that err is or wraps, under the given
// name if it has none, or a new one for a breaker that rejected a call with err.
// An adapter calls it after a rejection.
func AsRejected(name string, err error) *RejectedError {
	r := rejectionIn(err)
	switch {
	case r == nil && (err == nil || err == circuitbreaker.ErrNotAllowed || fault.IsNil(err)): //nolint:errorlint // wrapped, it says more than a RejectedError
		return NewRejectedError(name, Open, ReasonUnknown, time.Time{}, nil)
	case r == nil:
		return NewRejectedError(name, Open, ReasonUnknown, time.Time{}, err)
	case r.name != "" || name == "":
		return r
	}
	named := *r
	named.name = name
	return &named
}

// Reason says why a breaker rejected a call: see [RejectedError.Reason].
type Reason uint8

const (
	// ReasonUnknown is for breakers that do not say. It is the zero value.
	ReasonUnknown Reason = iota
	// ReasonThrottled is for an adaptive breaker that rejects a share of the calls.
	ReasonThrottled
	// ReasonOpen is for a breaker that is open.
	ReasonOpen
	// ReasonProbeLimit is for a half-open breaker that has enough probes running.
	ReasonProbeLimit
	// ReasonForcedOpen is for a breaker that somebody set to ForceOpen.
	ReasonForcedOpen
)

// String returns "unknown", "throttled", "open", "probe limit" or
// "forced open".
func (r Reason) String() string {
	switch r {
	case ReasonUnknown:
		return "unknown"
	case ReasonThrottled:
		return "throttled"
	case ReasonOpen:
		return "open"
	case ReasonProbeLimit:
		return "probe limit"
	case ReasonForcedOpen:
		return "forced open"
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// MarshalText returns the text of String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

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

// Rules finds the breaker of a call by rules that may change while calls run,
// and says what the errors of the call mean. Package config makes one of a file.
// The middleware and the transports take one with WithRules.
type Rules interface {
	// Admit asks the breaker of key for a permit; transport is the kind of the
	// client, "http" or "grpc". The classifier is nil if the rule does not say
	// what errors mean; the error is nil or a *RejectedError. It does not block.
	Admit(transport, key string) (Permit, Classifier, error)
}

// Reloads counts what came of changed rules. A [Source] that has rules has a
// method Reloads that returns it.
type Reloads struct {
	// Applied counts the changes that came into force, Unchanged those that
	// said the same in other words, and Rejected those that were not valid or
	// could not be read.
	Applied, Unchanged, Rejected uint64
}

// Source lists breakers for what shows them: metrics, a page, a script.
// [SourceOf] makes one of a group.
type Source interface {
	// Breakers yields the breakers that exist now, in no order. It changes
	// nothing, and a group does not take it for a Get.
	Breakers() iter.Seq[Listed]
	// Keys says how many keys there are and may be.
	Keys() Keys
}

// Listed is one breaker of a [Source].
type Listed struct {
	// Key is what the breaker is found by; "" for the overflow breaker.
	Key string
	// Overflow says that the keys beyond the limit share this breaker.
	Overflow bool
	// Breaker is the breaker itself. If it is a [Controller], its mode can be set.
	Breaker Breaker
}

// Keys counts the keys of a [Source].
type Keys struct {
	// Held is the number of keys that have a breaker of their own, of at most
	// Limit.
	Held, Limit int
	// Overflows counts the calls whose key was beyond the limit.
	Overflows uint64
}

// Keyed is what [SourceOf] needs of a group of values by key: a
// *group.Group[B] has it.
type Keyed[B any] interface {
	All() iter.Seq2[string, B]
	Overflow() (value B, ok bool)
	Overflows() uint64
	Len() int
	Limit() int
}
