package breaker

import (
	"fmt"
	"reflect"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"

	"github.com/kratos-breaker/breaker/internal/fault"
)

// Reason says why a call was rejected.
type Reason uint8

const (
	// ReasonUnknown is for breakers that do not say. It is the zero value.
	ReasonUnknown Reason = iota
	// ReasonThrottled is for an adaptive breaker that rejects a share of the calls.
	ReasonThrottled
	// ReasonOpen is for a breaker that is open.
	ReasonOpen
	// ReasonProbeLimit is for a half-open breaker of which enough probes are
	// running.
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

// RejectedError is the error of a call that a breaker did not allow. The
// backend was not called. Nothing in it can be changed, so a breaker may hand
// the same one to many callers.
//
// By errors.Is, every RejectedError is aegis' ErrNotAllowed, and the one of
// Kratos' middleware and of this module's.
type RejectedError struct {
	name   string
	state  State
	reason Reason
	until  time.Time
	cause  error
}

// NewRejectedError returns the error of a rejection by the breaker called
// name, which was in the given state. A non-zero until is when the rejections
// end; cause is the breaker's own error, or nil. It is for authors of breakers.
func NewRejectedError(name string, state State, reason Reason, until time.Time, cause error) *RejectedError {
	return &RejectedError{name: name, state: state, reason: reason, until: until, cause: cause}
}

// AsRejected returns the RejectedError that err is or wraps, under the given
// name if it has none, or a new one for a breaker that rejected a call with err.
// It is for adapters, which call it after a rejection.
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

// rejectionIn returns the RejectedError that err is or wraps, or nil.
func rejectionIn(err error) (r *RejectedError) {
	if r, ok := err.(*RejectedError); ok && r != nil { //nolint:errorlint // nearly every error is one, and this needs no search
		return r
	}
	fault.Find(err, func(err error) bool {
		found, ok := err.(*RejectedError) //nolint:errorlint // Find unwraps
		if ok && found != nil {
			r = found
		}
		return r != nil
	})
	return r
}

// Name returns the name of the breaker, or "".
func (e *RejectedError) Name() string { return e.name }

// State returns the state that the breaker was in.
func (e *RejectedError) State() State { return e.state }

// Reason returns why the call was rejected.
func (e *RejectedError) Reason() Reason { return e.reason }

// RetryAfter returns the time from now until a call is allowed again, if only as a probe,
// as it was known when the call was rejected; 0 if no time was known or it has passed.
func (e *RejectedError) RetryAfter() time.Duration {
	if e.until.IsZero() {
		return 0
	}
	return max(0, time.Until(e.until))
}

// Error returns one line with the name and the reason.
func (e *RejectedError) Error() string {
	msg := "circuit breaker"
	if e.name != "" {
		msg += fmt.Sprintf(" %q", e.name)
	}
	msg += " rejected the call: " + e.reason.String()
	if e.cause != nil {
		msg += ": " + fmt.Sprint(e.cause) // which survives a panic of its Error
	}
	return msg
}

// Is reports whether target is aegis' ErrNotAllowed, or has the code and the
// reason of Kratos' ErrNotAllowed.
func (e *RejectedError) Is(target error) bool {
	if target == circuitbreaker.ErrNotAllowed {
		return true
	}
	kratos, ok := target.(interface {
		GetCode() int32
		GetReason() string
	})
	if v := reflect.ValueOf(target); !ok || v.Kind() == reflect.Pointer && v.IsNil() {
		return false
	}
	return kratos.GetCode() == 503 && kratos.GetReason() == "CIRCUITBREAKER"
}

// Unwrap returns the breaker's own error, or nil.
func (e *RejectedError) Unwrap() error { return e.cause }
