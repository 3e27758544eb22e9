package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"testing"
	"testing/synctest"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
)

// slicedAnswer is an answer that == does not take.
type slicedAnswer struct{ fields []string }

func (slicedAnswer) Error() string     { return "several fields are wrong" }
func (slicedAnswer) GetCode() int32    { return 400 }
func (slicedAnswer) GetReason() string { return "" }

// Causes of other kinds that == does not take.
type (
	byField map[string]string
	lazily  func() string
	pair    [2]slicedAnswer
)

func (e byField) Error() string { return e["name"] }
func (e lazily) Error() string  { return e() }
func (pair) Error() string      { return "two answers" }

// buried holds an answer by value, and shows it.
type buried struct{ err error }

func (b buried) Error() string { return "buried: " + b.err.Error() }
func (b buried) Unwrap() error { return b.err }

// causes are what a context may be ended with: answers, and what is ignored or
// nobody's. net/http fails a call with the cause of its context.
func causes() map[string]error {
	return map[string]error{
		"plain":                    errors.New("the budget is used up"),
		"404":                      kratoserrors.NotFound("NO_USER", ""),
		"408":                      kratoserrors.New(408, "TOO_LATE", ""),
		"501":                      kratoserrors.New(501, "", ""),
		"10001":                    kratoserrors.New(10001, "TOO_LATE", ""),
		"404, a value":             cberrors.FromHTTPStatus(404),
		"501, a value":             cberrors.FromHTTPStatus(501),
		"400, not comparable":      slicedAnswer{[]string{"a"}},
		"a map":                    byField{"name": "is missing"},
		"a function":               lazily(func() string { return "the budget is used up" }),
		"an array of slices":       pair{},
		"a map, buried in a value": buried{byField{}},
		"gRPC NotFound":            status.Error(codes.NotFound, ""),
		"gRPC Unimplemented":       status.Error(codes.Unimplemented, ""),
		"gRPC NotFound, a value":   foreignAnswer{codes.NotFound},
		"a rejection":              cberrors.NotAllowed(rejection()),
		"not sent":                 breaker.NotSent(errors.New("no token")),
		"404, buried in a value":   buried{kratoserrors.NotFound("NO_USER", "")},
		"404, wrapped":             fmt.Errorf("a sibling failed: %w", kratoserrors.NotFound("NO_USER", "")),
		"404, joined":              errors.Join(errors.New("plain"), kratoserrors.NotFound("NO_USER", "")),
		"404, of an error of 503":  kratoserrors.ServiceUnavailable("", "").WithCause(kratoserrors.NotFound("", "")),
	}
}

// handings are the ways in which a client hands the cause of its context on.
var handings = map[string]func(cause error) error{
	"as it is": func(cause error) error { return cause },
	"wrapped":  func(cause error) error { return fmt.Errorf("call: %w", cause) },
	"by net/http": func(cause error) error {
		return &url.Error{Op: "Get", URL: "http://a", Err: fmt.Errorf("round trip: %w", cause)}
	},
	"joined": func(cause error) error { return errors.Join(errors.New("attempt 1"), cause) },
	"dug out": func(cause error) error {
		for errors.Unwrap(cause) != nil {
			cause = errors.Unwrap(cause)
		}
		return cause
	},
}

func TestOutcomeOf_ADeadlineIsAFailureWhateverItsCauseIs(t *testing.T) {
	ends := map[string]func(ctx context.Context, cause error) (context.Context, func()){
		"a deadline": func(ctx context.Context, cause error) (context.Context, func()) {
			ctx, cancel := context.WithTimeoutCause(ctx, time.Second, cause)
			return ctx, func() { <-ctx.Done(); cancel() }
		},
		"a cancellation by a deadline": func(ctx context.Context, cause error) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(fmt.Errorf("%w: %w", context.DeadlineExceeded, cause)) }
		},
	}
	synctest.Test(t, func(t *testing.T) {
		for name, cause := range causes() {
			for way, handOn := range handings {
				for end, with := range ends {
					for adapter, call := range everyAdapter {
						ctx, passes := with(breakertest.ClientContext(context.Background(), "/op"), cause)
						b := &breakertest.Recorder{}
						_ = call(ctx, b, func() error { passes(); return handOn(cause) })
						require.Equal(t, []string{"failure"}, b.Marks, "%s whose cause is %s, %s, through %s", end, name, way, adapter)
					}
				}
			}
		}
	})
}

// What came back before the deadline passed, or in spite of it, is what it is.
func TestOutcomeOf_AnAnswerThatIsNotTheCauseCountsForItself(t *testing.T) {
	for name, cause := range causes() {
		deadline, cancel := context.WithTimeoutCause(t.Context(), 0, cause)
		t.Cleanup(cancel)
		canceled, cancelCause := context.WithCancelCause(t.Context())
		cancelCause(cause)
		for _, end := range []error{
			nil, kratoserrors.NotFound("NO_USER", ""), status.Error(codes.NotFound, ""),
			foreignAnswer{codes.AlreadyExists},
			cberrors.FromHTTPStatus(403), fmt.Errorf("call: %w", kratoserrors.NotFound("NO_USER", "")),
			kratoserrors.NotFound("NO_USER", "").WithCause(cause), // an answer's cause is never looked into
		} {
			require.Equal(t, breaker.Success, breaker.OutcomeOf(deadline, end, cberrors.Classify), "%s: %v", name, end)
			require.Equal(t, breaker.Success, breaker.OutcomeOf(canceled, end, cberrors.Classify), "%s: %v", name, end)
		}
		require.Equal(t, breaker.Ignored, breaker.OutcomeOf(deadline, kratoserrors.New(501, "", ""), cberrors.Classify))
		require.Equal(t, breaker.Success, breaker.OutcomeOf(canceled, errors.Join(cause, kratoserrors.NotFound("NO_USER", "")),
			func(error) breaker.Outcome { return breaker.Success }), "an answer beside the cause is one")
	}
}

func TestOutcomeOf_ACancellationIsIgnoredWhateverItsCauseIsAndHoweverItComesBack(t *testing.T) {
	for name, cause := range causes() {
		for way, handOn := range handings {
			for adapter, call := range everyAdapter {
				ctx, cancel := context.WithCancelCause(breakertest.ClientContext(context.Background(), "/op"))
				b := &breakertest.Recorder{}
				_ = call(ctx, b, func() error {
					cancel(cause)
					return handOn(cause)
				})
				require.Equal(t, []string{"ignored"}, b.Marks, "%s, %s, through %s", name, way, adapter)
			}
		}
	}
}

// A call that is cancelled since another one was rejected has been sent.
func TestDo_ACauseThatSaysThatNothingWasSentSaysItOfAnotherCall(t *testing.T) {
	for _, name := range []string{"a rejection", "not sent"} {
		cause := causes()[name]
		ctx, cancel := context.WithCancelCause(t.Context())
		b := &told{}
		_ = breaker.Run(ctx, b, func(context.Context) error { cancel(cause); return fmt.Errorf("call: %w", cause) })
		require.Equal(t, breaker.Ignored, b.result.Outcome)
		require.False(t, b.result.NotSent, name)
		_ = breaker.Run(t.Context(), b, func(context.Context) error { return cause })
		require.Equal(t, breaker.Ignored, b.result.Outcome)
		require.True(t, b.result.NotSent, name)
	}
}

// told is a breaker that keeps what it was told.
type told struct{ result breaker.Result }

func (b *told) Acquire() (breaker.Permit, error) { return breaker.NewPermit(b, breaker.Ticket{}), nil }

func (b *told) Settle(_ breaker.Ticket, o breaker.Outcome) { b.result = breaker.Result{Outcome: o} }

func (b *told) SettleResult(_ breaker.Ticket, r breaker.Result) { b.result = r }

// isDeadline is a deadline by its method only.
type isDeadline struct{}

func (isDeadline) Error() string        { return "the budget is used up" }
func (isDeadline) Is(target error) bool { return target == context.DeadlineExceeded }

func TestOutcomeOf_WhichCausesOfACancellationAreDeadlines(t *testing.T) {
	for cause, want := range map[error]breaker.Outcome{
		context.DeadlineExceeded:                       breaker.Failure,
		os.ErrDeadlineExceeded:                         breaker.Ignored, // of reading or writing
		isDeadline{}:                                   breaker.Failure,
		fmt.Errorf("budget: %w", isDeadline{}):         breaker.Failure,
		errors.Join(errors.New("plain"), isDeadline{}): breaker.Failure,
		saysYes{}:    breaker.Ignored,
		panicsInIs{}: breaker.Ignored,
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}:   breaker.Ignored, // of a sibling
		&url.Error{Op: "Get", Err: isDeadline{}}:                breaker.Ignored,
		kratoserrors.New(504, "", "").WithCause(isDeadline{}):   breaker.Ignored,
		status.FromContextError(context.DeadlineExceeded).Err(): breaker.Ignored,
	} {
		for name, call := range everyAdapter {
			ctx, cancel := context.WithCancelCause(breakertest.ClientContext(context.Background(), "/op"))
			b := &breakertest.Recorder{}
			_ = call(ctx, b, func() error { cancel(cause); return context.Cause(ctx) })
			require.Equal(t, []string{want.String()}, b.Marks, "%T through %s", cause, name)
		}
	}
}

// errgroup cancels what is left with the error of whoever failed first.
func TestOutcomeOf_WhateverTheCauseOfACancellationIs(t *testing.T) {
	for _, l := range leaves() {
		for _, cause := range []error{l.err, fmt.Errorf("a: %w", l.err), fmt.Errorf("b: %w", fmt.Errorf("a: %w", l.err)), errors.Join(l.err, l.err)} {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			require.NotPanics(t, func() {
				got := breaker.OutcomeOf(ctx, &url.Error{Op: "Get", URL: "http://a", Err: cause}, cberrors.Classify)
				if l.err == context.DeadlineExceeded {
					require.Equal(t, breaker.Failure, got, "the cause is a deadline")
				} else {
					require.Equal(t, breaker.Ignored, got, "%T", l.err)
				}
			})
		}
	}
	// A sibling's deadline is not that of this call.
	for _, sibling := range []error{
		&url.Error{Op: "Get", URL: "http://sibling", Err: context.DeadlineExceeded}, status.FromContextError(context.DeadlineExceeded).Err(),
		kratoserrors.New(504, "", "").WithCause(context.DeadlineExceeded), &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(sibling)
		require.Equal(t, breaker.Ignored, breaker.OutcomeOf(ctx, context.Canceled, cberrors.Classify), "%v", sibling)
	}
}
