// Package errors says what an error tells about the backend, the same for HTTP
// and gRPC, and holds the error of a rejected call.
package errors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"strings"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
)

const (
	statusCodes = 600 // HTTP status codes, by number
	grpcCodes   = 17  // gRPC codes, by number

	clientClosedRequest = 499 // nginx' and Kratos' word for a cancelled call
)

// table holds the outcome of every status and code.
type table struct {
	http     [statusCodes]breaker.Outcome
	grpc     [grpcCodes]breaker.Outcome
	reason   map[string]breaker.Outcome
	business breaker.Outcome
	other    breaker.Outcome
}

var standard = func() *table {
	t := &table{business: breaker.Success, other: breaker.Failure}
	for code := range t.http {
		t.http[code] = breaker.Success
		if code >= 500 {
			t.http[code] = breaker.Failure
		}
	}
	t.http[clientClosedRequest] = breaker.Ignored
	t.http[501] = breaker.Ignored
	for code := range t.grpc {
		t.grpc[code] = breaker.Success
	}
	for _, c := range []codes.Code{codes.Unknown, codes.Internal, codes.Unavailable, codes.DeadlineExceeded, codes.DataLoss} {
		t.grpc[c] = breaker.Failure
	}
	t.grpc[codes.Canceled] = breaker.Ignored
	t.grpc[codes.Unimplemented] = breaker.Ignored
	return t
}()

// noNode reports whether reason is that of the errors which Kratos' clients make
// themselves when discovery knows no node to call.
func noNode(reason string) bool { return reason == "NODE_NOT_FOUND" || reason == "no_available_node" }

// Option changes a row of the table in [NewClassifier].
type Option func(*table)

// mustBeOutcome panics if o is none of the three outcomes.
func mustBeOutcome(option string, o breaker.Outcome) {
	if o > breaker.Failure {
		panic(fmt.Sprintf("errors: %s(%v): want ignored, success or failure", option, o))
	}
}

// WithHTTPStatus sets the outcome of HTTP status codes, in [100, 599].
func WithHTTPStatus(o breaker.Outcome, statuses ...int) Option {
	return func(t *table) {
		mustBeOutcome("WithHTTPStatus", o)
		for _, s := range statuses {
			if s < 100 || s >= statusCodes {
				panic(fmt.Sprintf("errors: WithHTTPStatus(%d): want a status in [100, %d]", s, statusCodes-1))
			}
			t.http[s] = o
		}
	}
}

// WithGRPCCode sets the outcome of gRPC codes, in [Canceled, Unauthenticated].
func WithGRPCCode(o breaker.Outcome, cs ...codes.Code) Option {
	return func(t *table) {
		mustBeOutcome("WithGRPCCode", o)
		for _, c := range cs {
			if c < codes.Canceled || c >= grpcCodes {
				panic(fmt.Sprintf("errors: WithGRPCCode(%d): want a code in [%d, %d]", c, codes.Canceled, grpcCodes-1))
			}
			t.grpc[c] = o
		}
	}
}

// WithReason sets the outcome of Kratos errors by their reason, which counts
// before their code.
func WithReason(o breaker.Outcome, reasons ...string) Option {
	return func(t *table) {
		mustBeOutcome("WithReason", o)
		if t.reason == nil {
			t.reason = make(map[string]breaker.Outcome)
		}
		for _, r := range reasons {
			t.reason[r] = o
		}
	}
}

// WithOverload makes 429 and ResourceExhausted a failure. They are a success
// by default, since one caller's quota says nothing about the backend.
func WithOverload() Option {
	return func(t *table) {
		WithHTTPStatus(breaker.Failure, 429)(t)
		WithGRPCCode(breaker.Failure, codes.ResourceExhausted)(t)
	}
}

// WithOther sets the outcome of errors that are neither of HTTP nor of gRPC
// nor any other row of the table; the default is failure.
func WithOther(o breaker.Outcome) Option {
	return func(t *table) {
		mustBeOutcome("WithOther", o)
		t.other = o
	}
}

// NewClassifier returns a classifier that differs from [Classify] in the given
// rows. It panics if an option is out of its range.
func NewClassifier(opts ...Option) breaker.Classifier {
	t := *standard
	for _, opt := range opts {
		if opt == nil {
			panic("errors: NewClassifier: nil Option")
		}
		opt(&t)
	}
	return t.classify
}

// Classify says what err tells about the backend.
//
// Success: nil, HTTP status below 500, a business code (any number that is no
// HTTP status), a gRPC code of the caller's making, io.EOF at the end of a
// stream. Failure: HTTP 5xx; gRPC Unknown, Internal, Unavailable,
// DeadlineExceeded and DataLoss; connections refused, reset or timed out, and
// any other error. Ignored: a cancelled call; what never got to the wire; the
// rejection by another breaker; HTTP 501 and gRPC Unimplemented.
//
// A gRPC Unknown with the reason of a Kratos error is the business error that
// gRPC has no code for.
//
// Wrapped errors count as what they wrap. A Kratos or gRPC error that is not
// wrapped takes a few nanoseconds and no allocation, except Unknown, whose
// details have to be decoded.
func Classify(err error) breaker.Outcome { return standard.classify(err) }

func (t *table) classify(err error) breaker.Outcome {
	switch e := err.(type) { //nolint:errorlint // the common types without a search; wrapped does the rest
	case nil:
		return breaker.Success
	case *kratoserrors.Error:
		return t.kratos(e)
	case notAllowed:
		return breaker.Ignored
	case interface{ GRPCStatus() *status.Status }:
		return t.status(e.GRPCStatus())
	}
	return t.wrapped(err)
}

func (t *table) kratos(e *kratoserrors.Error) breaker.Outcome {
	if e == nil {
		return t.other
	}
	local := e.Code == ErrNotAllowed.Code && e.Reason == ErrNotAllowed.Reason && IsRejected(e.Unwrap())
	if local {
		return breaker.Ignored
	}
	if t.reason != nil {
		if o, ok := t.reason[e.Reason]; ok {
			return o
		}
	}
	switch {
	case e.Code < 100 || e.Code >= statusCodes:
		return t.business
	case e.Code == 503 && noNode(e.Reason):
		return breaker.Ignored
	}
	return t.http[e.Code]
}

func (t *table) status(s *status.Status) breaker.Outcome {
	code := s.Code()
	if s == nil || code >= grpcCodes {
		return t.other
	}
	// Kratos' error for want of a node has no message.
	if t.reason != nil || code == codes.Unknown || code == codes.Unavailable && s.Message() == "" {
		if o, ok := t.details(s); ok {
			return o
		}
	}
	// A server that cannot encode its answer says the same. Between the two, a
	// request that cannot be sent must not count against the backend.
	if code == codes.Internal && strings.HasPrefix(s.Message(), "grpc: error while marshaling") {
		return breaker.Ignored
	}
	return t.grpc[code]
}

// details looks for a Kratos error within a gRPC status.
func (t *table) details(s *status.Status) (breaker.Outcome, bool) {
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetReason() == "" {
			continue
		}
		if o, ok := t.reason[info.GetReason()]; ok {
			return o, true
		}
		switch {
		case s.Code() == codes.Unknown:
			return t.business, true
		case s.Code() == codes.Unavailable && noNode(info.GetReason()):
			return breaker.Ignored, true
		}
	}
	return 0, false
}

// wrapped handles the errors whose type does not tell at once. An answer of the
// backend comes before what may have caused it.
func (t *table) wrapped(err error) breaker.Outcome {
	var rejection notAllowed
	if errors.As(err, &rejection) {
		return breaker.Ignored
	}
	var k *kratoserrors.Error
	if errors.As(err, &k) {
		return t.kratos(k)
	}
	var g interface{ GRPCStatus() *status.Status }
	if errors.As(err, &g) {
		return t.status(g.GRPCStatus())
	}
	if IsRejected(err) || errors.Is(err, context.Canceled) || unsent(err) {
		return breaker.Ignored
	}
	// net/http reports a connection that was closed instead of an answer as a
	// *url.Error around io.EOF. That is no end of a stream.
	var u *url.Error
	if errors.Is(err, io.EOF) && !errors.As(err, &u) {
		return breaker.Success
	}
	return t.other
}

// unsent reports whether err was made before anything was sent: by encoding
// the request, by parsing its address, or by net/http, which did not take it.
func unsent(err error) bool {
	var (
		marshaler   *json.MarshalerError
		unsupported *json.UnsupportedTypeError
		value       *json.UnsupportedValueError
		u           *url.Error
	)
	if errors.As(err, &marshaler) || errors.As(err, &unsupported) || errors.As(err, &value) {
		return true
	}
	if errors.As(err, &u) {
		if u.Op == "parse" {
			return true
		}
		err = u.Err // http.Client adds method and URL
	}
	innermost := err
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		innermost = inner
	}
	if _, several := innermost.(interface{ Unwrap() []error }); several {
		return false // of attempts, of which a later one may have been sent
	}
	return turnedDown(fmt.Sprint(innermost)) // unlike Error, it does not panic for a nil pointer
}

// turnedDown reports whether text is one of net/http from before anything was
// sent. Its errors have no type of their own. "server closed idle connection" is
// none: a server that closes a connection instead of answering may look so.
func turnedDown(text string) bool {
	for _, prefix := range []string{
		"unsupported protocol scheme ",
		"net/http: invalid header ",
		"net/http: invalid trailer ",
		"net/http: invalid method ",
		"http: no Host in request URL",
	} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// ClassifyKratos is the table of Kratos' own middleware: 500, 503 and 504 fail
// and everything else is a success. It is for those who depend on its errors.
func ClassifyKratos(err error) breaker.Outcome {
	if err == nil {
		return breaker.Success
	}
	switch kratoserrors.Code(err) {
	case 500, 503, 504:
		return breaker.Failure
	}
	return breaker.Success
}

// ClassifyCall is [Classify] for one who has the context of the call. Only a
// cancellation by the caller, through ctx, is ignored, with its cause if it has
// one; a cancellation that comes from the other side is a failure.
func ClassifyCall(ctx context.Context, err error) breaker.Outcome {
	if err == nil || ctx == nil {
		return Classify(err)
	}
	o := Classify(WithoutCause(ctx, err))
	if o == breaker.Ignored && ctx.Err() != context.Canceled && canceled(err) {
		return breaker.Failure
	}
	return o
}

// WithoutCause returns context.Canceled if err is what the caller cancelled ctx
// with, and err otherwise. net/http fails with the cause of a cancellation,
// which may be any error, so a [breaker.Classifier], which does not see the
// context, would take it for the backend's.
func WithoutCause(ctx context.Context, err error) error {
	if err == nil || ctx == nil || ctx.Err() != context.Canceled || !isCause(ctx, err) {
		return err
	}
	return context.Canceled
}

// isCause reports whether err is what ctx ended with. It is the same error: one
// that is equal, by errors.Is, can be an answer.
func isCause(ctx context.Context, err error) bool {
	cause, inner := context.Cause(ctx), err
	var k *kratoserrors.Error
	if errors.As(err, &k) && k == nil {
		return false // its Unwrap panics
	}
	var u *url.Error
	if errors.As(err, &u) {
		inner = u.Err
	}
	for ; inner != nil; inner = errors.Unwrap(inner) {
		if reflect.ValueOf(inner).Comparable() && inner == cause { //nolint:errorlint // the point of it
			return true
		}
	}
	return false
}

// WithoutDeadline returns context.Canceled if err says that a deadline passed, or
// is the cause that the deadline of ctx was given, and err otherwise. It is for a
// call whose context had ended before it began: its caller was late, and nothing
// is known of the backend.
func WithoutDeadline(ctx context.Context, err error) error {
	if err != nil && (deadlinePassed(err) || ctx != nil && isCause(ctx, err)) {
		return context.Canceled
	}
	return err
}

// deadlinePassed reports whether err says so. As in wrapped, an answer comes
// before what may have caused it.
func deadlinePassed(err error) bool {
	var k *kratoserrors.Error
	if errors.As(err, &k) {
		return k != nil && k.Code == 504
	}
	var g interface{ GRPCStatus() *status.Status }
	if errors.As(err, &g) {
		return g.GRPCStatus().Code() == codes.DeadlineExceeded
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// canceled reports whether err says that the call was cancelled, by anybody.
func canceled(err error) bool {
	if errors.Is(err, context.Canceled) {
		return true
	}
	var k *kratoserrors.Error
	if errors.As(err, &k) {
		return k.Code == clientClosedRequest
	}
	var g interface{ GRPCStatus() *status.Status }
	return errors.As(err, &g) && g.GRPCStatus().Code() == codes.Canceled
}
