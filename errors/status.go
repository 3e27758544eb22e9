package errors

import (
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
)

// FromHTTPStatus returns the error that an answer with the status stands for,
// to be shown to a [breaker.Classifier]: nil for 1xx and 2xx, otherwise an error
// with the methods of Kratos' and gRPC's, with the status as its code and without
// a reason. By errors.As and by Kratos' FromError it is a *kratoserrors.Error,
// made anew for each. Kratos' HTTP client makes an error of the same answers.
func FromHTTPStatus(code int) error {
	if code >= 100 && code < 300 {
		return nil
	}
	return httpError(code)
}

// ClassifyHTTPStatus is [Classify] of what [FromHTTPStatus] returns, without an
// allocation.
func ClassifyHTTPStatus(code int) breaker.Outcome {
	if code < 100 || code >= statusCodes {
		return standard.business
	}
	return standard.http[code]
}

// httpError is an HTTP status.
type httpError int

func (e httpError) GetCode() int32     { return int32(e) }
func (e httpError) GetReason() string  { return "" }
func (e httpError) GetMessage() string { return http.StatusText(int(e)) }

func (e httpError) Error() string {
	return fmt.Sprintf("error: code = %d reason =  message = %s", int(e), e.GetMessage())
}

func (e httpError) As(target any) bool { return asKratos(target, e, nil) }

// GRPCStatus has the code that Kratos gives to the status.
func (e httpError) GRPCStatus() *status.Status { return status.New(grpcCodeOf(int(e)), e.GetMessage()) }

func grpcCodeOf(status int) codes.Code {
	switch status {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusInternalServerError:
		return codes.Internal
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	case clientClosedRequest:
		return codes.Canceled
	}
	return codes.Unknown
}
