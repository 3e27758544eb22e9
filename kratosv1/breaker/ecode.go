package breaker

import (
	"context"

	root "github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/fault"
)

// The codes of Kratos v1's package ecode that matter here.
const (
	canceled           = -498
	serverErr          = -500
	serviceUnavailable = -503
	deadline           = -504
	limitExceed        = -509
)

// ecode are the methods of Kratos v1's errors.
type ecode interface {
	error
	Code() int
	Message() string
	Details() []any
}

// rejection is the error of a rejected call. It has the methods of Kratos v1's
// ecode.Codes, so that its servers answer with the code that they always did. It is
// one pointer, so that an error interface holds it as it is.
type rejection struct{ *root.RejectedError }

func unavailable(err error) error { return rejection{root.AsRejected("", err)} }

// Code returns the number of ecode.ServiceUnavailable.
func (rejection) Code() int { return serviceUnavailable }

// Message returns the text of the rejection.
func (r rejection) Message() string { return r.Error() }

// Details returns nothing.
func (rejection) Details() []any { return nil }

// Unwrap returns the rejection in the words of this module.
func (r rejection) Unwrap() error { return r.RejectedError }

// Classify says what an error tells about the backend, as Kratos v1's warden
// client does: of the errors with a code of package ecode, ServerErr,
// ServiceUnavailable, Deadline and LimitExceed are failures and the others
// successes; any other error is a failure. Unlike there, a cancelled call and the
// rejection by another breaker are ignored, by whichever error they are told: a
// function without a context cannot tell who has cancelled it.
//
// For errors of gRPC and of Kratos v2, there is Classify in this module's package
// errors.
func Classify(err error) root.Outcome {
	if err == nil {
		return root.Success
	}
	if fault.Rejected(err) || fault.Find(err, func(err error) bool { return err == context.Canceled }) { //nolint:errorlint // Find unwraps
		return root.Ignored
	}
	var coded ecode
	fault.Find(err, func(err error) bool {
		e, ok := err.(ecode) //nolint:errorlint // Find unwraps
		if ok && !fault.IsNil(err) {
			coded = e
		}
		return coded != nil
	})
	if coded == nil {
		return root.Failure
	}
	switch coded.Code() {
	case serverErr, serviceUnavailable, deadline, limitExceed:
		return root.Failure
	case canceled:
		return root.Ignored
	}
	return root.Success
}
