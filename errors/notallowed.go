package errors

import (
	"errors"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
)

// ErrNotAllowed is what a rejected call fails with, by the measure of
// errors.Is: HTTP status 503, reason CIRCUITBREAKER, as in Kratos. Callers get
// a value of their own: see [NotAllowed].
var ErrNotAllowed = kratoserrors.New(503, "CIRCUITBREAKER", "request failed due to circuit breaker triggered")

// NotAllowed returns the error for a caller whose call was rejected. It is
//
//   - ErrNotAllowed, Kratos' own ErrNotAllowed, and aegis' ErrNotAllowed, by
//     errors.Is;
//   - a *kratoserrors.Error by errors.As and by Kratos' FromError, made anew
//     each time it is asked for, with the rejection as its cause;
//   - the rejection itself by errors.As;
//   - a gRPC status with code Unavailable.
//
// The details are in the cause and not in the metadata, which a handler that
// passes the error on would send to its own callers. It does not allocate.
//
// A nil rejection stands for one of which nothing is known.
func NotAllowed(rejection *breaker.RejectedError) error {
	if rejection == nil {
		rejection = unknown
	}
	return notAllowed{rejection}
}

var unknown = breaker.NewRejectedError("", breaker.Open, breaker.ReasonUnknown, time.Time{}, nil)

// notAllowed is one pointer, so that an error interface holds it as it is.
type notAllowed struct{ cause *breaker.RejectedError }

func (e notAllowed) kratos() *kratoserrors.Error { return ErrNotAllowed.WithCause(e.cause) }

func (e notAllowed) Error() string { return e.kratos().Error() }

func (e notAllowed) Unwrap() error { return e.cause }

// Is compares as Kratos' errors do: by code and reason.
func (e notAllowed) Is(target error) bool {
	t, ok := target.(*kratoserrors.Error)
	return ok && t != nil && t.Code == ErrNotAllowed.Code && t.Reason == ErrNotAllowed.Reason
}

func (e notAllowed) As(target any) bool {
	t, ok := target.(**kratoserrors.Error)
	if ok {
		*t = e.kratos()
	}
	return ok
}

func (e notAllowed) GRPCStatus() *status.Status { return e.kratos().GRPCStatus() }

// IsRejected reports whether err says that a breaker in this process rejected
// the call, so that no backend has seen it. A rejection that a backend reports
// of its own breaker is not one.
func IsRejected(err error) bool {
	return errors.Is(err, circuitbreaker.ErrNotAllowed)
}

// RetryAfter returns how long to wait before the call is worth trying again,
// if err knows it: from a rejection by a breaker in this process, or from the
// RetryInfo of a gRPC status.
func RetryAfter(err error) (time.Duration, bool) {
	if err == nil {
		return 0, false
	}
	var rejection *breaker.RejectedError
	if errors.As(err, &rejection) {
		d := rejection.RetryAfter()
		return d, d > 0
	}
	var withStatus interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &withStatus) {
		return 0, false
	}
	for _, detail := range withStatus.GRPCStatus().Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().IsValid() {
			d := max(0, info.GetRetryDelay().AsDuration())
			return d, d > 0
		}
	}
	return 0, false
}
