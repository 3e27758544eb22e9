package errors_test

import (
	"context"
	"encoding/json"
	stderrors "errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

const (
	ignored = breaker.Ignored
	success = breaker.Success
	failure = breaker.Failure
)

// httpOutcome is the row of an HTTP status, or of a number that is none.
func httpOutcome(code int) breaker.Outcome {
	switch {
	case code == 501:
		return ignored
	case code == 499, code >= 500 && code <= 599:
		return failure
	}
	return success
}

func TestClassify_NilIsASuccess(t *testing.T) {
	require.Equal(t, success, errors.Classify(nil))
	require.Equal(t, success, outcomeOf(context.Background(), nil))
	require.Equal(t, success, errors.ClassifyKratos(nil))
}

func TestClassify_AKratosErrorCountsByItsHTTPStatus(t *testing.T) {
	for code := 100; code <= 599; code++ {
		want := httpOutcome(code)
		for _, w := range wrappings {
			require.Equal(t, want, errors.Classify(w.wrap(kratosError(code, ""))), "%d %s", code, w.name)
			require.Equal(t, want, errors.Classify(w.wrap(kratosError(code, "SOME_REASON"))), "%d %s", code, w.name)
		}
	}
	// The rows that matter, by hand.
	for code, want := range map[int]breaker.Outcome{
		200: success, 301: success, 400: success, 401: success, 403: success, 404: success, 408: success, 409: success,
		422: success, 429: success, 498: success, 499: failure, 500: failure, 501: ignored, 502: failure, 503: failure,
		504: failure, 505: failure, 507: failure, 520: failure, 521: failure, 529: failure, 599: failure,
	} {
		require.Equal(t, want, errors.Classify(kratosError(code, "")), "%d", code)
	}
}

func TestClassify_AKratosErrorWithAnotherNumberIsABusinessError(t *testing.T) {
	for _, code := range []int{0, 1, 17, 99, 600, 999, 10001, -1, -500, -503, math.MaxInt32, math.MinInt32} {
		for _, w := range wrappings {
			require.Equal(t, success, errors.Classify(w.wrap(kratosError(code, "OUT_OF_STOCK"))), "%d %s", code, w.name)
		}
	}
}

func TestClassify_AGRPCErrorCountsByItsCode(t *testing.T) {
	for code, want := range map[codes.Code]breaker.Outcome{
		codes.OK: failure, codes.Canceled: failure, codes.Unknown: failure, codes.InvalidArgument: success,
		codes.DeadlineExceeded: failure, codes.NotFound: success, codes.AlreadyExists: success,
		codes.PermissionDenied: success, codes.ResourceExhausted: success, codes.FailedPrecondition: success,
		codes.Aborted: success, codes.OutOfRange: success, codes.Unimplemented: ignored, codes.Internal: failure,
		codes.Unavailable: failure, codes.DataLoss: failure, codes.Unauthenticated: success,
		17: failure, 100: failure, math.MaxInt32: failure, math.MaxUint32: failure,
	} {
		for _, message := range []string{"", "a message"} {
			err := error(statusError{status.New(code, message)})
			if code != codes.OK {
				err = status.Error(code, message)
			}
			for _, w := range wrappings {
				require.Equal(t, want, errors.Classify(w.wrap(err)), "%v %q %s", code, message, w.name)
			}
		}
	}
}

// Kratos' gRPC server has no code for most HTTP statuses and business codes.
// It sends Unknown, and the reason in the details.
func TestClassify_AGRPCUnknownWithAReasonIsTheBusinessErrorItWas(t *testing.T) {
	unrelated := &errdetails.RequestInfo{RequestId: "1"}
	for _, c := range []struct {
		name string
		err  error
		want breaker.Outcome
	}{
		{"no details", status.Error(codes.Unknown, "boom"), failure},
		{"a reason", grpcError(codes.Unknown, "boom", reason("OUT_OF_STOCK")), success},
		{"a reason without a message", grpcError(codes.Unknown, "", reason("OUT_OF_STOCK")), success},
		{"an empty reason", grpcError(codes.Unknown, "boom", reason("")), failure},
		{"other details", grpcError(codes.Unknown, "boom", unrelated), failure},
		{"a reason after other details", grpcError(codes.Unknown, "boom", unrelated, reason(""), reason("OUT_OF_STOCK")), success},
		{"what Kratos makes of 10001", kratosError(10001, "OUT_OF_STOCK").GRPCStatus().Err(), success},
		{"what Kratos makes of 418", kratosError(418, "TEAPOT").GRPCStatus().Err(), success},
		{"what Kratos makes of 10001 without a reason", kratosError(10001, "").GRPCStatus().Err(), failure},
		{"details that cannot be decoded", status.FromProto(&spb.Status{
			Code:    int32(codes.Unknown),
			Details: []*anypb.Any{{TypeUrl: "type.googleapis.com/nobody.Knows", Value: []byte{1, 2}}, nil},
		}).Err(), failure},
		{"a reason of another code", grpcError(codes.Internal, "boom", reason("OUT_OF_STOCK")), failure},
		{"a reason of another code yet", grpcError(codes.Unavailable, "", reason("OUT_OF_STOCK")), failure},
		{"a reason of a success", grpcError(codes.NotFound, "", reason("NO_SUCH_USER")), success},
	} {
		for _, w := range wrappings {
			require.Equal(t, c.want, errors.Classify(w.wrap(c.err)), "%s %s", c.name, w.name)
		}
	}
}

func TestClassify_AContextsErrorIsAFailureForWhoDoesNotKnowTheContext(t *testing.T) {
	for _, w := range wrappings {
		for _, c := range []struct {
			err  error
			want breaker.Outcome
		}{
			{context.Canceled, failure},
			{context.DeadlineExceeded, failure},
			{os.ErrDeadlineExceeded, failure},
			{status.FromContextError(context.Canceled).Err(), failure},
			{status.FromContextError(context.DeadlineExceeded).Err(), failure},
			{&url.Error{Op: "Get", URL: "http://a", Err: context.Canceled}, failure},
			{&url.Error{Op: "Get", URL: "http://a", Err: context.DeadlineExceeded}, failure},
		} {
			require.Equal(t, c.want, errors.Classify(w.wrap(c.err)), "%v %s", c.err, w.name)
		}
	}
}

// A retry gives the ends of its attempts; whatever says that a backend is down counts.
func TestClassify_OfJoinedErrorsAFailureCountsThenASuccessThenWhatIsIgnored(t *testing.T) {
	down, noUser := kratosError(503, "DOWN"), kratosError(404, "NO_SUCH_USER")
	for _, c := range []struct {
		a, b error
		want breaker.Outcome
	}{
		{noUser, down, failure},
		{status.Error(codes.NotFound, ""), down, failure},
		{noUser, syscall.ECONNREFUSED, failure},
		{kratosError(501, ""), status.Error(codes.DataLoss, ""), failure},
		{breaker.NotSent(errPlain), io.EOF, failure},
		{kratosError(10001, "OUT_OF_STOCK"), errors.NotAllowed(rejection()), success},
		{status.Error(codes.AlreadyExists, ""), kratosError(501, ""), success},
		{noUser, errPlain, success},
		{rejection(), errPlain, ignored},
		{status.Error(codes.Unimplemented, ""), breaker.NotSent(down), ignored},
	} {
		for _, err := range []error{
			stderrors.Join(c.a, c.b), stderrors.Join(c.b, c.a), fmt.Errorf("%w, then %w", c.a, c.b),
			stderrors.Join(errPlain, fmt.Errorf("again: %w", c.b), stderrors.Join(c.a)),
		} {
			for _, w := range wrappings {
				require.Equal(t, c.want, errors.Classify(w.wrap(err)), "%v %s", err, w.name)
			}
		}
	}
}

// Where a stream ends is known to who reads it: adapters ask about nil then.
func TestClassify_AnEndWhereAnAnswerIsDueIsAFailure(t *testing.T) {
	for _, end := range []error{
		io.EOF, io.ErrUnexpectedEOF, &net.OpError{Op: "read", Net: "tcp", Err: io.EOF}, stderrors.Join(io.EOF, syscall.ECONNREFUSED),
		&url.Error{Op: "Get", URL: "http://a", Err: io.EOF}, stderrors.Join(errPlain, io.EOF),
		fmt.Errorf("%w, then %w", io.EOF, syscall.ECONNRESET), &os.PathError{Op: "read", Path: "/run/backend.sock", Err: io.EOF},
		&url.Error{Op: "Post", URL: "http://a", Err: &net.OpError{Op: "read", Net: "unix", Err: io.ErrUnexpectedEOF}},
	} {
		for _, w := range wrappings {
			require.Equal(t, failure, errors.Classify(w.wrap(end)), "%v %s", end, w.name)
			require.Equal(t, failure, errors.NewClassifier(errors.WithOther(success))(w.wrap(end)), "it is a row of its own")
		}
	}
}

func TestClassify_AnyOtherErrorIsAFailure(t *testing.T) {
	for _, err := range []error{
		errPlain, stderrors.New(""), net.ErrClosed, http.ErrHandlerTimeout, os.ErrNotExist,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH,
		&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		&net.DNSError{Err: "no such host", Name: "nobody.invalid", IsNotFound: true},
		&json.SyntaxError{}, &json.UnmarshalTypeError{}, // an answer that makes no sense
		&url.Error{Op: "Get", URL: "http://a", Err: errPlain},
		stderrors.Join(errPlain, errPlain),
	} {
		for _, w := range wrappings {
			require.Equal(t, failure, errors.Classify(w.wrap(err)), "%v %s", err, w.name)
		}
	}
}

type unmarshalable struct{}

func (unmarshalable) MarshalJSON() ([]byte, error) { return nil, errPlain }

func TestClassify_ARequestThatCannotBeMadeIsIgnored(t *testing.T) {
	encode := func(v any) error {
		_, err := json.Marshal(v)
		require.Error(t, err)
		return err
	}
	_, address := http.NewRequest(http.MethodGet, "http://[::1", nil)
	require.Error(t, address)
	for name, err := range map[string]error{
		"a channel":          encode(make(chan int)),
		"infinity":           encode(math.Inf(1)),
		"a broken marshaler": encode(unmarshalable{}),
		"a broken address":   address,
	} {
		for _, w := range wrappings {
			require.Equal(t, ignored, errors.Classify(w.wrap(err)), "%s %s", name, w.name)
			require.Equal(t, ignored, outcomeOf(context.Background(), w.wrap(err)), "%s %s", name, w.name)
		}
	}
}

// Their texts are all that tells these errors of net/http from others. That Go
// still uses them is seen in http_test.go.
func TestClassify_WhatNetHTTPDidNotSendIsIgnored(t *testing.T) {
	for text, want := range map[string]breaker.Outcome{
		`unsupported protocol scheme "htp"`:              ignored,
		`net/http: invalid header field name "a b"`:      ignored,
		`net/http: invalid trailer field name "a b"`:     ignored,
		`net/http: invalid method "GE T"`:                ignored,
		"http: no Host in request URL":                   ignored,
		"http: server closed idle connection":            failure, // maybe after it was sent
		"no: net/http: invalid method":                   failure, // only contains it
		"http: server closed":                            failure,
		"net/http: HTTP/1.x transport connection broken": failure,
		"net/http: timeout awaiting response headers":    failure,
	} {
		bare := stderrors.New(text)
		inClient := &url.Error{Op: "Get", URL: "http://a", Err: bare}
		aroundIt := &url.Error{Op: "Get", URL: "http://a", Err: fmt.Errorf("round trip: %w", bare)}
		for _, err := range []error{inClient, aroundIt} {
			for _, w := range wrappings {
				require.Equal(t, want, errors.Classify(w.wrap(err)), "%v %s", err, w.name)
				require.Equal(t, want, outcomeOf(t.Context(), w.wrap(err)), "%v %s", err, w.name)
			}
		}
		require.Equal(t, want, errors.Classify(bare), "without a client around the transport")
		require.Equal(t, want, errors.Classify(fmt.Errorf("round trip: %w", bare)))

		strict := errors.NewClassifier(errors.WithOther(success))
		require.Equal(t, want == ignored, strict(inClient) == ignored, "in a classifier with other rows, too")
		answered := kratosError(503, "DOWN").WithCause(inClient)
		require.Equal(t, failure, errors.Classify(answered), "a backend that passes it on has answered")
		require.Equal(t, failure, errors.Classify(status.Error(codes.Unavailable, text)))
	}
}

// nilable is an error that is often a nil pointer, and then has no text.
type nilable struct{ text string }

func (e *nilable) Error() string { return e.text }

func TestRegression_AnErrorWithoutATextMadeClassifyPanic(t *testing.T) {
	var missing *nilable
	for _, err := range []error{missing, &json.UnmarshalTypeError{}, &url.Error{Op: "Get"}, &url.Error{Op: "Get", Err: missing}} {
		require.NotPanics(t, func() {
			require.Equal(t, failure, errors.Classify(err))
			require.Equal(t, failure, outcomeOf(t.Context(), err))
		}, "%T", err)
	}
}

func TestClassify_ALocalRejectionIsIgnored(t *testing.T) {
	ctx := context.Background()
	for name, err := range map[string]error{
		"RejectedError":                      rejection(),
		"NotAllowed":                         errors.NotAllowed(rejection()),
		"aegis' ErrNotAllowed":               aegis.ErrNotAllowed,
		"aegis' within a RejectedError":      breaker.AsRejected("b", fmt.Errorf("custom: %w", aegis.ErrNotAllowed)),
		"FromError of NotAllowed":            kratoserrors.FromError(errors.NotAllowed(rejection())),
		"FromError of NotAllowed, wrapped":   kratoserrors.FromError(fmt.Errorf("calling: %w", errors.NotAllowed(rejection()))),
		"ErrNotAllowed with a local cause":   kratoscb.ErrNotAllowed.WithCause(rejection()),
		"ErrNotAllowed with aegis' as cause": kratoscb.ErrNotAllowed.WithCause(aegis.ErrNotAllowed),
	} {
		for _, w := range wrappings {
			require.Equal(t, ignored, errors.Classify(w.wrap(err)), "%s %s", name, w.name)
			require.Equal(t, ignored, outcomeOf(ctx, w.wrap(err)), "%s %s", name, w.name)
			require.True(t, errors.IsRejected(w.wrap(err)), "%s %s", name, w.name)
		}
	}
}

func TestClassify_ARejectionThatTheBackendReportsIsAFailure(t *testing.T) {
	for name, err := range map[string]error{
		"over HTTP":                 kratosError(503, "CIRCUITBREAKER"),
		"over HTTP, and clever":     kratosError(503, "CIRCUITBREAKER").WithCause(errPlain),
		"ErrNotAllowed":             errors.ErrNotAllowed,
		"over gRPC":                 kratoscb.ErrNotAllowed.GRPCStatus().Err(),
		"over gRPC, of ours":        statusOf(t, errors.NotAllowed(rejection())).Err(),
		"over gRPC, as Kratos' one": kratoserrors.FromError(kratoscb.ErrNotAllowed.GRPCStatus().Err()),
	} {
		for _, w := range wrappings {
			require.Equal(t, failure, errors.Classify(w.wrap(err)), "%s %s", name, w.name)
			require.False(t, errors.IsRejected(w.wrap(err)), "%s %s", name, w.name)
		}
	}
}

func statusOf(t *testing.T, err error) *status.Status {
	t.Helper()
	s, ok := status.FromError(err)
	require.True(t, ok)
	return s
}

// A backend that relays the error of its own client says the same, word by word. Who
// has the context can tell them apart: see middleware/circuitbreaker.
func TestClassify_NoNodeToCallIsAFailureForWhoDoesNotKnowTheContext(t *testing.T) {
	for name, err := range map[string]error{
		"HTTP":           kratosError(503, "NODE_NOT_FOUND"),
		"the selector":   kratoserrors.ServiceUnavailable("no_available_node", ""),
		"gRPC":           kratoserrors.ServiceUnavailable("no_available_node", "").GRPCStatus().Err(),
		"gRPC converted": kratoserrors.FromError(kratoserrors.ServiceUnavailable("no_available_node", "").GRPCStatus().Err()),
		"a gateway's":    grpcError(codes.Unavailable, "error: code = 503", reason("NODE_NOT_FOUND")),
		"with metadata":  kratosError(503, "no_available_node").WithMetadata(map[string]string{"service": "users"}),
		"a cause":        kratosError(503, "NODE_NOT_FOUND").WithCause(errPlain),
		"as a text":      status.Error(codes.Unavailable, "error: code = 503 reason = no_available_node message = "),
		"a bad gateway":  kratosError(502, "NODE_NOT_FOUND"),
		"an inner error": grpcError(codes.Internal, "no node", reason("no_available_node")),
	} {
		for _, w := range wrappings {
			require.Equal(t, failure, errors.Classify(w.wrap(err)), "%s %s", name, w.name)
			require.Equal(t, ignored, errors.Classify(w.wrap(breaker.NotSent(err))), "%s %s", name, w.name)
		}
	}
}

func TestClassify_ATypedNilIsAFailure(t *testing.T) {
	var missing *kratoserrors.Error
	require.Equal(t, failure, errors.Classify(missing))
	require.Equal(t, failure, outcomeOf(context.Background(), missing))
	require.Equal(t, failure, errors.NewClassifier(errors.WithOther(ignored))(missing))
	require.Equal(t, failure, errors.NewClassifier(errors.WithReason(ignored, ""))(missing))
}

// gRPC itself takes an error whose status is nil for an Unknown, and makes none whose
// status is OK. Who says so has failed, and does not say at what.
func TestClassify_AnErrorWithoutAStatusIsAFailure(t *testing.T) {
	err := statusError{nil}
	require.Equal(t, codes.Unknown, status.Code(status.Convert(err).Err()))
	for _, w := range wrappings {
		require.Equal(t, failure, errors.Classify(w.wrap(err)), w.name)
	}
	require.NoError(t, status.Error(codes.OK, ""))
	ok := statusError{status.New(codes.OK, "")}
	for _, w := range wrappings {
		require.Equal(t, failure, errors.Classify(w.wrap(ok)), w.name)
		require.Equal(t, ignored, errors.NewClassifier(errors.WithOther(ignored))(w.wrap(ok)), w.name)
	}
}

// withCauses calls f with Kratos errors of all kinds of causes, but not of a
// local rejection.
func withCauses(t *testing.T, f func(err *kratoserrors.Error)) {
	t.Helper()
	_, encoding := json.Marshal(make(chan int))
	for _, code := range []int{200, 404, 429, 500, 501, 502, 503, 504, 10001} {
		for _, cause := range []error{
			context.Canceled, context.DeadlineExceeded, io.EOF, errPlain, encoding, rejection(), aegis.ErrNotAllowed,
			status.Error(codes.Unimplemented, ""), kratosError(404, ""),
		} {
			f(kratosError(code, "REASON").WithCause(cause))
		}
	}
}

// The backend's answer is in the error. Its cause is how it was read or made.
func TestClassify_TheCauseOfAKratosErrorDoesNotCount(t *testing.T) {
	withCauses(t, func(err *kratoserrors.Error) {
		require.Equal(t, httpOutcome(int(err.Code)), errors.Classify(err), "%v", err)
	})
}

func TestClassify_TheCauseOfAKratosErrorDoesNotCountWhenItIsWrappedEither(t *testing.T) {
	withCauses(t, func(err *kratoserrors.Error) {
		for _, w := range wrappings {
			require.Equal(t, httpOutcome(int(err.Code)), errors.Classify(w.wrap(err)), "%v %s", err, w.name)
		}
	})
}

func TestOutcomeOf_OnlyTheCallersOwnCancellationIsIgnored(t *testing.T) {
	alive := context.Background()
	cancelled, cancel := context.WithCancel(alive)
	cancel()
	late, cancel := context.WithTimeout(alive, 0)
	defer cancel()
	byDeadline, cancelCause := context.WithCancelCause(alive)
	cancelCause(fmt.Errorf("the budget is used up: %w", context.DeadlineExceeded))
	for _, err := range []error{
		context.Canceled,
		&url.Error{Op: "Get", URL: "http://a", Err: context.Canceled},
		status.Error(codes.Canceled, "context canceled"),
		kratosError(499, ""),
		kratosError(499, "CLIENT_CLOSED").GRPCStatus().Err(),
		kratosError(503, ""), status.Error(codes.Unavailable, ""), errPlain, context.DeadlineExceeded, io.EOF,
	} {
		for _, w := range wrappings {
			require.Equal(t, ignored, outcomeOf(cancelled, w.wrap(err)), "%v %s", err, w.name)
			require.Equal(t, failure, outcomeOf(alive, w.wrap(err)), "%v %s", err, w.name)
			require.Equal(t, failure, outcomeOf(late, w.wrap(err)), "%v %s", err, w.name)
			require.Equal(t, failure, outcomeOf(byDeadline, w.wrap(err)), "%v %s", err, w.name)
		}
	}
}

func TestOutcomeOf_ASuccessAndWhatIsIgnoredStayWhatTheyAre(t *testing.T) {
	alive := context.Background()
	cancelled, cancel := context.WithCancel(alive)
	cancel()
	withCause, cancelCause := context.WithCancelCause(alive)
	cancelCause(stderrors.New("a sibling failed"))
	late, cancel := context.WithTimeout(alive, 0)
	defer cancel()
	for _, err := range []error{
		nil, rejection(), errors.NotAllowed(rejection()), kratosError(404, ""), kratosError(501, ""),
		kratosError(10001, "BUSINESS"), status.Error(codes.NotFound, ""), status.Error(codes.Unimplemented, ""),
	} {
		for _, ctx := range []context.Context{alive, cancelled, withCause, late, nil} {
			require.Equal(t, errors.Classify(err), outcomeOf(ctx, err), "%v", err)
		}
	}
}

// net/http fails with the cause of the cancellation, not with context.Canceled.
// golang.org/x/sync/errgroup gives the first error of the group as cause.
func TestOutcomeOf_TheCauseOfTheCallersCancellationIsIgnoredWhateverItIs(t *testing.T) {
	for _, cause := range []error{
		errPlain, context.Canceled, io.EOF, io.ErrUnexpectedEOF,
		manyErrors{errPlain},
		around{many{"shut down"}},
		&url.Error{Op: "Get", URL: "http://a-sibling", Err: context.DeadlineExceeded},
		kratosError(404, "NO_SUCH_USER"), kratosError(503, "DOWN"), kratosError(10001, "BUSINESS"),
		status.Error(codes.NotFound, "no such user"), status.Error(codes.Unavailable, "down"),
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		err := &url.Error{Op: "Get", URL: "http://a", Err: cause}
		for _, w := range wrappings {
			require.Equal(t, ignored, outcomeOf(ctx, w.wrap(err)), "%v %s", cause, w.name)
		}
	}
}

// A RoundTripper may put the cause into an error of its own, and may be called
// without a client around it.
func TestOutcomeOf_TheCauseOfTheCallersCancellationIsFoundInAnyError(t *testing.T) {
	cause := kratosError(404, "NO_SUCH_USER")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	for _, err := range []error{
		cause,
		fmt.Errorf("round trip: %w", cause),
		&url.Error{Op: "Get", URL: "http://a", Err: fmt.Errorf("round trip: %w", cause)},
		fmt.Errorf("calling: %w", &url.Error{Op: "Get", URL: "http://a", Err: fmt.Errorf("a: %w", fmt.Errorf("b: %w", cause))}),
	} {
		require.Equal(t, ignored, outcomeOf(ctx, err), "%v", err)
		require.Equal(t, success, outcomeOf(context.Background(), err), "%v", err)
	}
}

// manyErrors is like the errors of many validators: a slice, which == does not
// take.
type manyErrors []error

func (e manyErrors) Error() string { return fmt.Sprint([]error(e)) }

func TestOutcomeOf_ACauseThatCannotBeComparedPanicsNowhere(t *testing.T) {
	cause := manyErrors{errPlain}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	for _, err := range []error{cause, &url.Error{Op: "Get", URL: "http://a", Err: cause}} {
		for _, w := range wrappings {
			require.NotPanics(t, func() { outcomeOf(ctx, w.wrap(err)) }, w.name)
		}
	}
}

// A group of calls to one backend that is down: each gets the same answer, the
// first one cancels the group. Whatever the others got, their caller is gone.
func TestOutcomeOf_AFailureOfACallThatWasCancelledIsIgnored(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(kratosError(503, "DOWN"))
	require.Equal(t, ignored, outcomeOf(ctx, kratosError(503, "DOWN")))
	require.Equal(t, success, outcomeOf(ctx, kratosError(404, "NO_SUCH_USER")), "an answer is one")
}

type many []string

func (m many) Error() string { return m[0] }

type around struct{ err error }

func (a around) Error() string { return a.err.Error() }

// Comparing a struct whose field holds what cannot be compared panics.
func TestRegression_ACauseThatCannotBeComparedMadeTheCallPanic(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := around{many{"shut down"}}
	cancel(cause)
	require.NotPanics(t, func() {
		require.Equal(t, breaker.Ignored, outcomeOf(ctx, cause))
	})
}

func TestRegression_ATypedNilForACallerWhoGaveUpMadeItPanic(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var missing *kratoserrors.Error
	require.NotPanics(t, func() { require.Equal(t, ignored, outcomeOf(ctx, missing)) })
}
