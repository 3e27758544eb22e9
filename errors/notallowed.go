package errors

import (
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/fault"
)

// ErrNotAllowed is what a rejected call fails with, by the measure of
// errors.Is: HTTP status 503, reason CIRCUITBREAKER, as in Kratos. Callers get
// a value of their own: see [NotAllowed]. Assigning another value changes no
// rejection.
var ErrNotAllowed error = sentinel{}

const (
	rejectedCode    = 503
	rejectedReason  = "CIRCUITBREAKER"
	rejectedMessage = "request failed due to circuit breaker triggered"
)

// NotAllowed returns the error for a caller whose call was rejected, if there is a
// rejection by a breaker of this process in err. It is
//
//   - ErrNotAllowed, Kratos' own ErrNotAllowed, and aegis' ErrNotAllowed, by
//     errors.Is;
//   - a *kratoserrors.Error by errors.As and by Kratos' FromError, made anew
//     each time it is asked for, with the rejection as its cause;
//   - the rejection itself by errors.As;
//   - a gRPC status with code Unavailable.
//
// The details are in the cause and not in the metadata, which a handler that
// passes the error on would send to its own callers. It does not allocate for a
// *[breaker.RejectedError].
//
// Any other error comes back as it is, so a handler may return NotAllowed(err),
// whatever err is. A nil pointer stands for a rejection of which nothing is known.
func NotAllowed(err error) error {
	if r := rejectionOf(err); r != nil {
		return asInKratos{r}
	}
	return err
}

// NotAllowedWithDetails is [NotAllowed] with more in its gRPC status: the domain
// "github.com/kratos-breaker/breaker" in the ErrorInfo and, if it is known when
// the rejections end, a RetryInfo with the time that is left. A handler that
// passes the error on sends them to its own callers.
func NotAllowedWithDetails(err error) error {
	if r := rejectionOf(err); r != nil {
		return withDetails{asInKratos{r}}
	}
	return err
}

// rejectionOf returns the rejection in err, or nil.
func rejectionOf(err error) *breaker.RejectedError {
	switch e := err.(type) { //nolint:errorlint // nearly every error is one of these
	case nil:
		return nil
	case *breaker.RejectedError:
		if e == nil {
			return unknown
		}
		return e
	case notAllowed:
		return e.rejection()
	}
	if !fault.Rejected(err) {
		return nil
	}
	return breaker.AsRejected("", err)
}

var unknown = breaker.NewRejectedError("", breaker.Open, breaker.ReasonUnknown, time.Time{}, nil)

// domain is globally unique, as gRPC asks of it.
const domain = "github.com/kratos-breaker/breaker"

// notAllowed are the errors of this file.
type notAllowed interface {
	error
	rejection() *breaker.RejectedError
}

// sentinel is ErrNotAllowed.
type sentinel struct{}

func (sentinel) GetCode() int32     { return rejectedCode }
func (sentinel) GetReason() string  { return rejectedReason }
func (sentinel) GetMessage() string { return rejectedMessage }

func (sentinel) Error() string { return textOf(nil) }

// Is compares as Kratos' errors do: by code and reason.
func (sentinel) Is(target error) bool { return isRejection(target) }

func (e sentinel) As(target any) bool { return asKratos(target, e, nil) }

func (sentinel) GRPCStatus() *status.Status { return rejectedStatus("") }

// asInKratos is one pointer, so that an error interface holds it as it is.
type asInKratos struct{ cause *breaker.RejectedError }

func (e asInKratos) rejection() *breaker.RejectedError { return e.cause }

func (asInKratos) GetCode() int32     { return rejectedCode }
func (asInKratos) GetReason() string  { return rejectedReason }
func (asInKratos) GetMessage() string { return rejectedMessage }

func (e asInKratos) Error() string { return textOf(e.cause) }

func (e asInKratos) Unwrap() error { return e.cause }

// Is compares as Kratos' errors do: by code and reason.
func (e asInKratos) Is(target error) bool { return isRejection(target) }

func (e asInKratos) As(target any) bool { return asKratos(target, e, e.cause) }

func (asInKratos) GRPCStatus() *status.Status { return rejectedStatus("") }

// textOf is the text that Kratos' error has.
func textOf(cause error) string {
	return fmt.Sprintf("error: code = %d reason = %s message = %s metadata = map[] cause = %v", rejectedCode, rejectedReason, rejectedMessage, cause)
}

// isRejection reports whether target has the code and the reason of a rejection.
func isRejection(target error) bool {
	e, ok := target.(fault.Coded)
	return ok && !fault.IsNil(target) && e.GetCode() == rejectedCode && e.GetReason() == rejectedReason
}

func rejectedStatus(domain string) *status.Status {
	// WithDetails fails only for the code OK.
	s, _ := status.New(codes.Unavailable, rejectedMessage).
		WithDetails(&errdetails.ErrorInfo{Reason: rejectedReason, Domain: domain})
	return s
}

// withDetails is one pointer, too.
type withDetails struct{ asInKratos }

// GRPCStatus makes the status when somebody asks: the time that is left is that
// of now.
func (e withDetails) GRPCStatus() *status.Status {
	s := rejectedStatus(domain)
	if left := e.cause.RetryAfter(); left > 0 {
		s, _ = s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(left)})
	}
	return s
}

// IsRejected reports whether err says that a breaker in this process rejected
// the call, so that no backend has seen it. A rejection that a backend reports
// of its own breaker is not one.
func IsRejected(err error) bool { return fault.Rejected(err) }

// maxRetryAfter is the longest time that a backend may ask for.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns how long to wait before the call is worth trying again,
// if err knows it: from a rejection by a breaker in this process, or from the
// RetryInfo of a gRPC status, of which no more than 24 h are believed.
func RetryAfter(err error) (d time.Duration, ok bool) {
	rejected := false
	fault.Find(err, func(err error) bool {
		var r *breaker.RejectedError
		switch e := err.(type) { //nolint:errorlint // Find unwraps
		case *breaker.RejectedError:
			r = e
		case notAllowed:
			r = e.rejection()
		}
		if r != nil {
			rejected, d = true, r.RetryAfter()
		}
		return rejected
	})
	if !rejected {
		fault.Find(err, func(err error) bool {
			e, ok := err.(interface{ GRPCStatus() *status.Status })
			if !ok || fault.IsNil(err) {
				return false
			}
			d = retryInfo(e.GRPCStatus())
			return true
		})
	}
	return d, d > 0
}

func retryInfo(s *status.Status) time.Duration {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().IsValid() {
			return min(max(0, info.GetRetryDelay().AsDuration()), maxRetryAfter)
		}
	}
	return 0
}
