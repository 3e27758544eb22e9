package breaker

import (
	"fmt"
	"reflect"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"

	"github.com/kratos-breaker/breaker/internal/fault"
)

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
