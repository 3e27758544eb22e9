package errors

import (
	"context"
	"net/http"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"

	"github.com/kratos-breaker/breaker"
)

// FromHTTPStatus returns the error that an answer with the status stands for,
// to be shown to a [breaker.Classifier]: nil for 1xx and 2xx, otherwise a new
// Kratos error with the status as its code and without a reason. Kratos' HTTP
// client makes an error of the same answers.
func FromHTTPStatus(status int) error {
	if status >= 100 && status < 300 {
		return nil
	}
	return kratoserrors.New(status, "", http.StatusText(status))
}

// ClassifyHTTPStatus is [ClassifyCall] of what [FromHTTPStatus] returns, without
// an allocation. ctx is the context of the call, or nil: then a 499 is ignored,
// whoever cancelled.
func ClassifyHTTPStatus(ctx context.Context, status int) breaker.Outcome {
	switch {
	case status < 100 || status >= statusCodes:
		return standard.business
	case status == clientClosedRequest && ctx != nil && ctx.Err() != context.Canceled:
		return breaker.Failure
	}
	return standard.http[status]
}
