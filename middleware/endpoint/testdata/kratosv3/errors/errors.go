// Package errors stands for that of Kratos v3, of which it has what a sample needs.
package errors

import "fmt"

// Error is an error with a status.
type Error struct {
	Code            int32
	Reason, Message string
	cause           error
}

// New returns an Error.
func New(code int, reason, message string) *Error {
	return &Error{Code: int32(code), Reason: reason, Message: message}
}

// WithCause returns the error with a cause.
func (e *Error) WithCause(cause error) *Error {
	return &Error{e.Code, e.Reason, e.Message, cause}
}

func (e *Error) Error() string     { return fmt.Sprintf("%d %s: %s", e.Code, e.Reason, e.Message) }
func (e *Error) Unwrap() error     { return e.cause }
func (e *Error) GetCode() int32    { return e.Code }   // GetCode is that of protobuf.
func (e *Error) GetReason() string { return e.Reason } // GetReason is that of protobuf.
