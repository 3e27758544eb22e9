package errors

import (
	"errors"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

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
	return asInKratos{rejection}
}

// NotAllowedWithDetails is [NotAllowed] with more in its gRPC status: the domain
// "github.com/kratos-breaker/breaker" in the ErrorInfo and, if it is known when
// the rejections end, a RetryInfo with the time that is left. A handler that
// passes the error on sends them to its own callers.
func NotAllowedWithDetails(rejection *breaker.RejectedError) error {
	if rejection == nil {
		rejection = unknown
	}
	return withDetails{asInKratos{rejection}}
}

var unknown = breaker.NewRejectedError("", breaker.Open, breaker.ReasonUnknown, time.Time{}, nil)

// domain is globally unique, as gRPC asks of it.
const domain = "github.com/kratos-breaker/breaker"

// notAllowed are the errors of this file.
type notAllowed interface {
	error
	rejection() *breaker.RejectedError
}

// asInKratos is one pointer, so that an error interface holds it as it is.
type asInKratos struct{ cause *breaker.RejectedError }

func (e asInKratos) rejection() *breaker.RejectedError { return e.cause }

func (e asInKratos) kratos() *kratoserrors.Error { return ErrNotAllowed.WithCause(e.cause) }

func (e asInKratos) Error() string { return e.kratos().Error() }

func (e asInKratos) Unwrap() error { return e.cause }

// Is compares as Kratos' errors do: by code and reason.
func (e asInKratos) Is(target error) bool {
	t, ok := target.(*kratoserrors.Error)
	return ok && t != nil && t.Code == ErrNotAllowed.Code && t.Reason == ErrNotAllowed.Reason
}

func (e asInKratos) As(target any) bool {
	t, ok := target.(**kratoserrors.Error)
	if ok {
		*t = e.kratos()
	}
	return ok
}

func (e asInKratos) GRPCStatus() *status.Status { return e.kratos().GRPCStatus() }

// withDetails is one pointer, too.
type withDetails struct{ asInKratos }

// GRPCStatus makes the status when somebody asks: the time that is left is that
// of now.
func (e withDetails) GRPCStatus() *status.Status {
	// WithDetails fails only for the code OK.
	s, _ := status.New(codes.Unavailable, ErrNotAllowed.Message).
		WithDetails(&errdetails.ErrorInfo{Reason: ErrNotAllowed.Reason, Domain: domain})
	if left := e.cause.RetryAfter(); left > 0 {
		s, _ = s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(left)})
	}
	return s
}

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
