// Package errors says what an error tells about the backend: success, failure, or
// nothing. It knows the errors of HTTP, gRPC, Kratos and the network. It also holds the
// error of a rejected call.
//
// The middleware and the transports use [Classify] by default. Take this package
//
//   - to change a row of their table: [NewClassifier] makes another classifier;
//   - to classify errors around [breaker.Do], to which by default an answer such as
//     "not found" is a failure;
//   - to tell a rejected call from others: [IsRejected] and [RetryAfter];
//   - to pass a rejection on from a server's handler, as 503 and Unavailable: [NotAllowed].
//
// Who cancelled a call is not the business of a classifier: see [breaker.OutcomeOf],
// which all adapters ask first.
//
// The package links no Kratos. It knows Kratos' errors, of any version, by their methods
// GetCode and GetReason.
package errors

import (
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/internal/fault"
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
	t.http[501] = breaker.Ignored
	t.http[clientClosedRequest] = breaker.Failure // of somebody between the caller and the backend
	for code := range t.grpc {                    // that of OK is never asked
		t.grpc[code] = breaker.Success
	}
	for _, c := range []codes.Code{codes.Unknown, codes.Internal, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.DataLoss} {
		t.grpc[c] = breaker.Failure
	}
	t.grpc[codes.Unimplemented] = breaker.Ignored
	return t
}()

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
			bounds.HTTPStatus.Must(int64(s))
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
// nor of the network, nor any other row of the table; the default is failure.
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

// Classify says what err tells about the backend. Who cancelled a call is not its
// business: breaker.OutcomeOf and all adapters ask for that first.
//
// Success: nil, HTTP status below 500, a business code (any number that is no
// HTTP status), a gRPC code of the caller's making. Failure: HTTP 5xx and 499; gRPC
// Unknown, Internal, Unavailable, DeadlineExceeded, Canceled and DataLoss;
// connections refused, reset, timed out or closed, io.EOF, and any other error, as one
// whose gRPC status is OK.
// Ignored: what never left the process, see [IsNotSent]; HTTP 501 and gRPC
// Unimplemented.
//
// A gRPC Unknown with the reason of a Kratos error is the business error that
// gRPC has no code for.
//
// Wrapped errors count as what they wrap, but an answer, which is an error with the
// methods of a Kratos or a gRPC error, counts for itself, whatever caused it. Of
// several errors, a failure comes first, then a success, then what is ignored; one
// that is in no row counts only if all of them are such. Beyond a depth of 100, or
// 1000 errors, it is a failure, and so are nil pointers and what panics. Classify
// itself never does.
//
// A Kratos or gRPC error that is not wrapped takes a few nanoseconds and no
// allocation, except Unknown, whose details have to be decoded.
func Classify(err error) breaker.Outcome { return standard.classify(err) }

// saysNotSent are the codes that grpc-go gives to what it did not send. The texts of the
// others need no look.
const saysNotSent = 1<<codes.Internal | 1<<codes.Unauthenticated | 1<<codes.ResourceExhausted

// A verdict is an outcome, or Unknown, which comes before them.
func verdictOf(o breaker.Outcome) fault.Verdict { return fault.Ignored + fault.Verdict(o) }

func (t *table) classify(err error) breaker.Outcome {
	if err == nil {
		return breaker.Success
	}
	switch soundness(err) {
	case ofKratos:
		return t.outcomeOf(t.kratos(err.(fault.Coded)))
	case ofGRPC:
		v, _ := t.status(err.(interface{ GRPCStatus() *status.Status }).GRPCStatus())
		return t.outcomeOf(v)
	}
	switch e := err.(type) { //nolint:errorlint // it is not wrapped
	case asInKratos, withDetails:
		return breaker.Ignored
	case *breaker.RejectedError:
		if e != nil {
			return breaker.Ignored
		}
	}
	return t.outcomeOf(fault.Of(err, t))
}

func (t *table) outcomeOf(v fault.Verdict) breaker.Outcome {
	if v == fault.Unknown {
		return t.other
	}
	return breaker.Outcome(v - fault.Ignored)
}

// answer looks at an error that may be an answer. It may panic where a method of
// err does.
func (t *table) answer(err error) (v fault.Verdict, settled bool) {
	switch e := err.(type) { //nolint:errorlint // fault.Of unwraps
	case fault.Coded: // before GRPCStatus, which Kratos' errors have as well
		learn(err)
		return t.kratos(e), true
	case interface{ GRPCStatus() *status.Status }:
		return t.status(e.GRPCStatus())
	}
	return fault.Unknown, false
}

// Look is for fault.Of.
func (t *table) Look(err error) (fault.Verdict, bool) {
	if fault.IsNil(err) {
		return fault.Failure, true
	}
	if soundness(err) == unsound && fault.Local(err) {
		return fault.Ignored, true
	}
	if v, settled := t.answer(err); settled {
		return v, true
	}
	return fault.Common(err)
}

func (t *table) kratos(e fault.Coded) fault.Verdict {
	code := e.GetCode()
	if code == rejectedCode && fault.RejectedHere(e) {
		return fault.Ignored
	}
	if t.reason != nil {
		if o, ok := t.reason[e.GetReason()]; ok {
			return verdictOf(o)
		}
	}
	if code < 100 || code >= statusCodes {
		return verdictOf(t.business)
	}
	return verdictOf(t.http[code])
}

func (t *table) status(s *status.Status) (fault.Verdict, bool) {
	code := s.Code()
	if s == nil || code == codes.OK || code >= grpcCodes {
		return fault.Unknown, true
	}
	if t.reason != nil || code == codes.Unknown {
		if o, ok := t.details(s); ok {
			return verdictOf(o), true
		}
	}
	if saysNotSent&(1<<code) != 0 && fault.GRPCNotSent(uint32(code), s.Message()) {
		return fault.Ignored, true
	}
	return verdictOf(t.grpc[code]), true
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
		if s.Code() == codes.Unknown {
			return t.business, true
		}
	}
	return 0, false
}

// IsNotSent reports whether err says that the call never left the process, so that
// no backend has seen it: it is the rejection by a breaker of this process, or
// marked by breaker.NotSent, or an error of encoding/json, net/http or grpc-go from
// before they tried to connect. Of errors that are joined, all that are known must
// say so. A connection that was refused is another matter: see [Classify].
func IsNotSent(err error) bool { return fault.NotSent(err) }

// ClassifyKratos is the table of Kratos' own middleware: 500, 503 and 504 fail
// and everything else is a success. It is for those who depend on its errors.
func ClassifyKratos(err error) breaker.Outcome {
	if err == nil {
		return breaker.Success
	}
	code := int32(500) // what Kratos takes an error for that it does not know
	known := fault.Find(err, func(err error) bool {
		e, ok := err.(fault.Coded)
		if ok && !fault.IsNil(err) {
			code = e.GetCode()
		}
		return ok
	})
	if !known {
		fault.Find(err, func(err error) bool {
			e, ok := err.(interface{ GRPCStatus() *status.Status })
			if ok && !fault.IsNil(err) && e.GRPCStatus() != nil {
				code = httpStatusOf(e.GRPCStatus().Code())
			}
			return ok
		})
	}
	switch code {
	case 500, 503, 504:
		return breaker.Failure
	}
	return breaker.Success
}

// httpStatusOf returns what Kratos makes of the codes of failures, and 200 for the
// others.
func httpStatusOf(code codes.Code) int32 {
	switch {
	case code == codes.Unavailable:
		return 503
	case code == codes.DeadlineExceeded:
		return 504
	case code == codes.Unknown, code == codes.Internal, code == codes.DataLoss, code >= grpcCodes:
		return 500
	}
	return 200
}
