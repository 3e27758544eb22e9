package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

const longWindow = time.Hour

var errBackend = errors.New("the backend is down")

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	t.Cleanup(cancel)
	return ctx
}

func TestDo_ReturnsValueAndErrorOfTheFunctionUnchanged(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "mine")
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			value := new(int)
			got, err := breaker.Do(ctx, b, func(c context.Context) (*int, error) {
				require.Equal(t, "mine", c.Value(key{}))
				return value, errBackend
			})
			require.Same(t, value, got, "the value is kept next to the error")
			require.Same(t, errBackend, err)
			breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1})

			got, err = breaker.Do(ctx, b, func(context.Context) (*int, error) { return value, nil })
			require.Same(t, value, got)
			require.NoError(t, err)
			breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 1})

			require.Same(t, errBackend, breaker.Run(ctx, b, func(context.Context) error { return errBackend }))
			require.NoError(t, breaker.Run(ctx, b, func(c context.Context) error {
				require.Equal(t, "mine", c.Value(key{}))
				return nil
			}))
			breakertest.RequireTotals(t, b, breaker.Totals{Success: 2, Failure: 2})
		})
	}
}

func TestDo_PermitIsOutWhileTheFunctionRuns(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			require.NoError(t, breaker.Run(t.Context(), b, func(context.Context) error {
				breakertest.RequireTotals(t, b, breaker.Totals{InFlight: 1})
				return nil
			}))
			breakertest.RequireTotals(t, b, breaker.Totals{Success: 1})
		})
	}
}

func TestDo_OutcomesByDefault(t *testing.T) {
	for _, row := range []struct {
		what string
		ctx  context.Context
		err  error
		want breaker.Outcome
	}{
		{"no error", context.Background(), nil, breaker.Success},
		{"no error for a caller who gave up", breakertest.Canceled(), nil, breaker.Success},
		{"an error", context.Background(), errBackend, breaker.Failure},
		{"an error for a caller who gave up", breakertest.Canceled(), errBackend, breaker.Ignored},
		{"Canceled for a caller who gave up", breakertest.Canceled(), context.Canceled, breaker.Ignored},
		{"wrapped Canceled for a caller who gave up", breakertest.Canceled(), fmt.Errorf("call: %w", context.Canceled), breaker.Ignored},
		{"joined Canceled for a caller who gave up", breakertest.Canceled(), errors.Join(errBackend, context.Canceled), breaker.Ignored},
		{"Canceled while nobody gave up", context.Background(), context.Canceled, breaker.Failure},
		{"Canceled with a deadline that had passed before", expired(t), context.Canceled, breaker.Ignored},
		{"DeadlineExceeded", context.Background(), context.DeadlineExceeded, breaker.Failure},
		{"DeadlineExceeded with a deadline that had passed before", expired(t), context.DeadlineExceeded, breaker.Ignored},
		{"gRPC's Canceled for a caller who gave up", breakertest.Canceled(), status.FromContextError(context.Canceled).Err(), breaker.Ignored},
		{"a 499 for a caller who gave up", breakertest.Canceled(), coded{code: 499}, breaker.Ignored},
		{"a 504 for a caller who gave up, wrapped", breakertest.Canceled(), fmt.Errorf("call: %w", coded{code: 504}), breaker.Ignored},
		{"a connection that closed for a caller who gave up", breakertest.Canceled(), fmt.Errorf("read: %w", net.ErrClosed), breaker.Ignored},
		{"a pipe that closed for a caller who gave up", breakertest.Canceled(), io.ErrClosedPipe, breaker.Ignored},
		{"the words of a driver for a caller who gave up", breakertest.Canceled(), errors.New("canceling statement due to user request"), breaker.Ignored},
		{"gRPC's Canceled while nobody gave up", context.Background(), status.FromContextError(context.Canceled).Err(), breaker.Failure},
		{"a 499 while nobody gave up", context.Background(), coded{code: 499}, breaker.Failure},
		{"DeadlineExceeded for a caller who gave up", breakertest.Canceled(), context.DeadlineExceeded, breaker.Ignored},
		{"rejection by another breaker", context.Background(), rejection(), breaker.Ignored},
		{"wrapped rejection by another breaker", context.Background(), fmt.Errorf("call: %w", rejection()), breaker.Ignored},
		{"a message that grpc-go did not send", context.Background(), status.Error(codes.ResourceExhausted, "trying to send message larger than max (5 vs. 4)"), breaker.Ignored},
		{"one that it could not encode, wrapped", context.Background(), fmt.Errorf("call: %w", status.Error(codes.Internal, "grpc: error while marshaling: x")), breaker.Ignored},
		{"one without credentials, twice", context.Background(), errors.Join(status.Error(codes.Unauthenticated, "transport: per-RPC creds failed due to error: x"), rejection()), breaker.Ignored},
		{"one that was not sent, joined with a failure", context.Background(), errors.Join(status.Error(codes.Internal, "grpc: error while marshaling: x"), errBackend, context.DeadlineExceeded), breaker.Failure},
		{"an answer of gRPC", context.Background(), status.Error(codes.Internal, "x"), breaker.Failure},
	} {
		t.Run(row.what, func(t *testing.T) {
			for _, kind := range willing {
				b := kind.make()
				err := breaker.Run(row.ctx, b, func(context.Context) error { return row.err })
				require.Equal(t, row.err, err)
				breakertest.RequireTotals(t, b, totalsOf(row.want))
			}
		})
	}
}

// Kratos' middleware and aegis' own examples hand aegis' error on as it is.
func TestDo_RejectionByAnAegisBreakerIsIgnored(t *testing.T) {
	outer := sre.NewBreaker()
	inner := &breakertest.Trio{Rejection: circuitbreaker.ErrNotAllowed}
	for _, wrap := range []string{"%w", "call: %w"} {
		err := breaker.Run(t.Context(), outer, func(context.Context) error { return fmt.Errorf(wrap, inner.Allow()) })
		require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	}
	breakertest.RequireTotals(t, outer, breaker.Totals{Ignored: 2})
}

// net/http fails a cancelled call with the cause of the cancellation, and
// errgroup cancels the calls of a group with the error of the one that failed
// as the cause.
func TestDo_CauseOfTheCallersCancellationIsIgnored(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	b := sre.NewBreaker()
	errSibling := errors.New("the other call of the group failed")
	err := breaker.Run(ctx, b, func(ctx context.Context) error {
		cancel(errSibling)
		return fmt.Errorf("call: %w", context.Cause(ctx))
	})
	require.ErrorIs(t, err, errSibling)
	breakertest.RequireTotals(t, b, breaker.Totals{Ignored: 1})

	err = breaker.Run(ctx, b, func(ctx context.Context) error { return fmt.Errorf("call: %w", ctx.Err()) })
	require.ErrorIs(t, err, context.Canceled)
	breakertest.RequireTotals(t, b, breaker.Totals{Ignored: 2})

	err = breaker.Run(ctx, b, func(context.Context) error { return errBackend })
	require.Same(t, errBackend, err)
	breakertest.RequireTotals(t, b, breaker.Totals{Ignored: 3})
}

func rejection() *breaker.RejectedError {
	return breaker.NewRejectedError("other", breaker.Open, breaker.ReasonOpen, time.Time{}, nil)
}

// totalsOf returns the totals after one call.
func totalsOf(o breaker.Outcome) breaker.Totals {
	switch o {
	case breaker.Success:
		return breaker.Totals{Success: 1}
	case breaker.Failure:
		return breaker.Totals{Failure: 1}
	}
	return breaker.Totals{Ignored: 1}
}

func TestDo_ClassifierDecides(t *testing.T) {
	for _, says := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored, 3, 255} {
		for _, end := range []error{nil, errBackend, context.Canceled} {
			t.Run(fmt.Sprintf("%v for %v", says, end), func(t *testing.T) {
				for _, kind := range willing {
					b, asked := kind.make(), 0
					classify := breaker.WithClassifier(func(err error) breaker.Outcome {
						asked++
						require.Equal(t, end, err)
						return says
					})
					_, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 1, end }, classify)
					require.Equal(t, end, err)
					require.Equal(t, 1, asked)
					want := says
					if want > breaker.Failure {
						want = breaker.Failure
					}
					breakertest.RequireTotals(t, b, totalsOf(want))
				}
			})
		}
	}
}

// What a cancellation means is not for a classifier to say.
func TestDo_ClassifierIsAskedOnlyAboutAnswersIfTheCallerIsGone(t *testing.T) {
	answer := coded{code: 404}
	for _, row := range []struct {
		end   error
		asked bool
	}{
		{nil, true},
		{answer, true},
		{fmt.Errorf("call: %w", answer), true},
		{coded{code: 499}, false},
		{errBackend, false},
		{context.Canceled, false},
		{errors.Join(errBackend, context.Canceled), false},
	} {
		for _, says := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
			b, asked := sre.NewBreaker(), false
			_ = breaker.Run(breakertest.Canceled(), b, func(context.Context) error { return row.end },
				breaker.WithClassifier(func(error) breaker.Outcome {
					asked = true
					return says
				}))
			require.Equal(t, row.asked, asked, "%v", row.end)
			want := breaker.Ignored
			if asked && says == breaker.Success {
				want = breaker.Success
			}
			breakertest.RequireTotals(t, b, totalsOf(want))
		}
	}
}

// coded has the methods of a Kratos error.
type coded struct{ code int32 }

func (coded) Error() string     { return "an answer" }
func (c coded) GetCode() int32  { return c.code }
func (coded) GetReason() string { return "" }

func TestDo_ResultClassifierDecidesBeforeThatOfTheError(t *testing.T) {
	type reply struct{ code int }
	byReply := breaker.WithResultClassifier(func(r reply, err error) breaker.Outcome {
		if err == nil && r.code == 500 {
			return breaker.Failure
		}
		return breaker.Success
	})
	never := breaker.WithClassifier(func(error) breaker.Outcome { panic("asked") })
	for _, row := range []struct {
		ctx  context.Context
		code int
		err  error
		want breaker.Outcome
	}{
		{t.Context(), 0, nil, breaker.Success},
		{t.Context(), 500, nil, breaker.Failure},
		{t.Context(), 500, errBackend, breaker.Success},
		{breakertest.Canceled(), 500, nil, breaker.Ignored},
		{breakertest.Canceled(), 0, nil, breaker.Success},
		{breakertest.Canceled(), 0, context.Canceled, breaker.Ignored},
	} {
		b := sre.NewBreaker()
		got, err := breaker.Do(row.ctx, b, func(context.Context) (reply, error) { return reply{row.code}, row.err }, never, byReply)
		require.Equal(t, row.err, err)
		require.Equal(t, row.code, got.code)
		breakertest.RequireTotals(t, b, totalsOf(row.want))
	}
	b := sre.NewBreaker()
	require.PanicsWithValue(t, "breaker: WithResultClassifier: the function is a func(breaker_test.reply, error) breaker.Outcome, "+
		"want a func(int, error) breaker.Outcome", func() {
		_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 0, nil }, byReply)
	})
	require.Panics(t, func() { breaker.WithResultClassifier[int](nil) })
	breakertest.RequireTotals(t, b, breaker.Totals{})
}

func TestDo_LastOptionOfAKindCounts(t *testing.T) {
	b := sre.NewBreaker()
	always := func(o breaker.Outcome) breaker.Option {
		return breaker.WithClassifier(func(error) breaker.Outcome { return o })
	}
	answer := func(n int) breaker.Option {
		return breaker.WithFallback(func(context.Context, error) (int, error) { return n, nil })
	}
	_, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 0, errBackend },
		always(breaker.Failure), answer(1), always(breaker.Success), breaker.Option{})
	require.Same(t, errBackend, err)
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1})

	n, err := breaker.Do(t.Context(), breaker.Adapt(&breakertest.Trio{Rejection: circuitbreaker.ErrNotAllowed}),
		func(context.Context) (int, error) { return 0, nil }, answer(1), answer(2), always(breaker.Failure))
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestDo_RejectedCallReturnsTheRejectionAndTheZeroValue(t *testing.T) {
	for _, kind := range unwilling {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			breakertest.MustReject(t, func() bool {
				before, called := b.Snapshot().Totals, false
				n, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) {
					called = true
					return 7, nil
				}, breaker.WithClassifier(func(error) breaker.Outcome { return breaker.Ignored }))
				if called {
					return false
				}
				require.Zero(t, n)
				require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
				var rejected *breaker.RejectedError
				require.ErrorAs(t, err, &rejected)
				require.Equal(t, breaker.Open, rejected.State())
				before.Offered++
				before.Rejected++
				require.Equal(t, before, b.Snapshot().Totals)
				return true
			})
		})
	}
}

func TestDo_FallbackAnswersForARejectionOnly(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "mine")
	errAnswer := errors.New("nothing in the cache either")
	asked := 0
	fallback := breaker.WithFallback(func(c context.Context, rejected error) (string, error) {
		asked++
		require.Equal(t, "mine", c.Value(key{}))
		require.ErrorIs(t, rejected, circuitbreaker.ErrNotAllowed)
		return "from the cache", errAnswer
	})
	for _, kind := range willing {
		b := kind.make()
		s, err := breaker.Do(ctx, b, func(context.Context) (string, error) { return "", errBackend }, fallback)
		require.Same(t, errBackend, err, "a function that ran keeps its error")
		require.Empty(t, s)
		s, err = breaker.Do(ctx, b, func(context.Context) (string, error) { return "fresh", rejection() }, fallback)
		require.Equal(t, rejection(), err, "also when the error is another breaker's rejection")
		require.Equal(t, "fresh", s)
		require.Zero(t, asked)
	}
	for _, kind := range unwilling {
		b := kind.make()
		asked = 0
		breakertest.MustReject(t, func() bool {
			s, err := breaker.Do(ctx, b, func(context.Context) (string, error) { return "", nil }, fallback)
			if asked == 0 {
				return false
			}
			require.Equal(t, 1, asked)
			require.Equal(t, "from the cache", s)
			require.Same(t, errAnswer, err)
			return true
		})
		require.Zero(t, b.Snapshot().Totals.InFlight)
	}
}

func TestRun_FallbackAnswersForARejectionOnly(t *testing.T) {
	errAnswer := errors.New("nothing in the cache either")
	var answer error
	var asked []error
	fallback := breaker.WithRunFallback(func(_ context.Context, rejected error) error {
		asked = append(asked, rejected)
		return answer
	})
	fake := &breakertest.Trio{}
	b := breaker.Adapt(fake)
	require.Same(t, errBackend, breaker.Run(t.Context(), b, func(context.Context) error { return errBackend }, fallback))
	require.Empty(t, asked)

	fake.Reject(circuitbreaker.ErrNotAllowed)
	fn := func(context.Context) error { panic("called") }
	require.NoError(t, breaker.Run(t.Context(), b, fn, fallback))
	answer = errAnswer
	require.Same(t, errAnswer, breaker.Run(t.Context(), b, fn, fallback))
	require.Len(t, asked, 2)
	require.ErrorIs(t, asked[0], circuitbreaker.ErrNotAllowed)

	answer = nil
	viaDo := breaker.WithFallback(func(context.Context, error) (struct{}, error) { return struct{}{}, errAnswer })
	require.Same(t, errAnswer, breaker.Run(t.Context(), b, fn, viaDo), "for Run, T is struct{}")
}

func TestDo_FallbackForAnotherTypePanicsBeforeAPermitIsTaken(t *testing.T) {
	ofString := breaker.WithFallback(func(context.Context, error) (string, error) { return "", nil })
	ofRun := breaker.WithRunFallback(func(context.Context, error) error { return nil })
	for _, kinds := range []struct {
		name string
		make func() breaker.Breaker
	}{willing[0], willing[1], willing[2], unwilling[0], unwilling[1], unwilling[2]} {
		b := kinds.make()
		before := b.Snapshot().Totals
		fn := func(context.Context) (int, error) { panic("called") }
		require.PanicsWithValue(t,
			"breaker: WithFallback: the function is a func(context.Context, error) (string, error), "+
				"want a func(context.Context, error) (int, error)",
			func() { _, _ = breaker.Do(t.Context(), b, fn, ofString) })
		require.PanicsWithValue(t,
			"breaker: WithFallback: the function is a func(context.Context, error) (struct {}, error), "+
				"want a func(context.Context, error) (int, error)",
			func() { _, _ = breaker.Do(t.Context(), b, fn, ofRun) })
		require.PanicsWithValue(t,
			"breaker: WithFallback: the function is a func(context.Context, error) (string, error), "+
				"want a func(context.Context, error) (struct {}, error)",
			func() { _ = breaker.Run(t.Context(), b, func(context.Context) error { panic("called") }, ofString) })
		require.Equal(t, before, b.Snapshot().Totals)
	}
}

func TestDo_NilArgumentIsAnErrorAndTakesNoPermit(t *testing.T) {
	var noContext context.Context
	fake := &breakertest.Trio{}
	b := breaker.Adapt(fake)
	fn := func(context.Context) (int, error) { panic("called") }
	run := func(context.Context) error { panic("called") }
	answer := breaker.WithFallback(func(context.Context, error) (int, error) { panic("called") })
	for _, row := range []struct {
		want string
		call func() error
	}{
		{"breaker: the context is nil", func() error { _, err := breaker.Do(noContext, b, fn, answer); return err }},
		{"breaker: the breaker is nil", func() error { _, err := breaker.Do(t.Context(), nil, fn, answer); return err }},
		{"breaker: the function is nil", func() error { _, err := breaker.Do[int](t.Context(), b, nil, answer); return err }},
		{"breaker: the context is nil", func() error { return breaker.Run(noContext, b, run) }},
		{"breaker: the breaker is nil", func() error { return breaker.Run(t.Context(), nil, run) }},
		{"breaker: the function is nil", func() error { return breaker.Run(t.Context(), b, nil) }},
	} {
		require.EqualError(t, row.call(), row.want)
		require.NotErrorIs(t, row.call(), circuitbreaker.ErrNotAllowed, "it is no rejection")
	}
	require.Empty(t, fake.Heard())
	breakertest.RequireTotals(t, b, breaker.Totals{})
}

func TestDo_NilOptionFunctionsPanic(t *testing.T) {
	require.PanicsWithValue(t, "breaker: WithClassifier: the classifier is nil", func() { breaker.WithClassifier(nil) })
	require.PanicsWithValue(t, "breaker: WithFallback: the function is nil", func() { breaker.WithFallback[int](nil) })
	require.PanicsWithValue(t, "breaker: WithRunFallback: the function is nil", func() { breaker.WithRunFallback(nil) })
}

func TestDo_PanicIsAFailureAndGoesOnWithTheSameValue(t *testing.T) {
	value := &struct{ what string }{"boom"}
	explode := breaker.WithClassifier(func(error) breaker.Outcome { panic(value) })
	for _, kind := range willing {
		for name, call := range map[string]func(b breaker.Breaker){
			"function": func(b breaker.Breaker) {
				_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { panic(value) })
			},
			"function of Run": func(b breaker.Breaker) {
				_ = breaker.Run(t.Context(), b, func(context.Context) error { panic(value) })
			},
			"classifier after a success": func(b breaker.Breaker) {
				_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 1, nil }, explode)
			},
			"classifier after an error": func(b breaker.Breaker) {
				_ = breaker.Run(t.Context(), b, func(context.Context) error { return errBackend }, explode)
			},
		} {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				b := kind.make()
				panicked, returned := breakertest.EndOf(func() { call(b) })
				require.Same(t, value, panicked)
				require.False(t, returned)
				breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1})
				require.NoError(t, breaker.Run(t.Context(), b, func(context.Context) error { return nil }))
				breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 1})
			})
		}
	}
}

func TestDo_GoexitIsAFailureAndGoesOn(t *testing.T) {
	leave := breaker.WithClassifier(func(error) breaker.Outcome { runtime.Goexit(); return breaker.Success })
	for _, kind := range willing {
		for name, call := range map[string]func(b breaker.Breaker){
			"function": func(b breaker.Breaker) {
				_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { runtime.Goexit(); return 1, nil })
			},
			"classifier": func(b breaker.Breaker) {
				_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 1, nil }, leave)
			},
		} {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				b := kind.make()
				panicked, returned := breakertest.EndOf(func() { call(b) })
				require.Nil(t, panicked)
				require.False(t, returned, "the goroutine ends")
				breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1})
				require.NoError(t, breaker.Run(t.Context(), b, func(context.Context) error { return nil }))
			})
		}
	}
}

func TestDo_PanickingFallbackLeavesNothingInFlight(t *testing.T) {
	value := &struct{ what string }{"boom"}
	fallback := breaker.WithRunFallback(func(context.Context, error) error { panic(value) })
	for _, kind := range unwilling {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			breakertest.MustReject(t, func() bool {
				before := b.Snapshot().Totals
				panicked, returned := breakertest.EndOf(func() {
					_ = breaker.Run(t.Context(), b, func(context.Context) error { return nil }, fallback)
				})
				if returned {
					return false
				}
				require.Same(t, value, panicked)
				before.Offered++
				before.Rejected++
				require.Equal(t, before, b.Snapshot().Totals)
				return true
			})
		})
	}
}

func TestDo_NestedCallsSettleEachTheirOwnPermit(t *testing.T) {
	outer, inner := sre.NewBreaker(sre.WithName("outer")), sre.NewBreaker(sre.WithName("inner"))
	n, err := breaker.Do(t.Context(), outer, func(ctx context.Context) (int, error) {
		_, err := breaker.Do(ctx, inner, func(ctx context.Context) (string, error) {
			return "", breaker.Run(ctx, outer, func(context.Context) error { return errBackend })
		})
		require.Same(t, errBackend, err)
		return 3, nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	breakertest.RequireTotals(t, outer, breaker.Totals{Success: 1, Failure: 1})
	breakertest.RequireTotals(t, inner, breaker.Totals{Failure: 1})
}

func TestDo_RejectionByAnInnerBreakerIsIgnoredByTheOuterOne(t *testing.T) {
	for _, kind := range unwilling {
		t.Run(kind.name, func(t *testing.T) {
			outer, inner := sre.NewBreaker(), kind.make()
			breakertest.MustReject(t, func() bool {
				before := outer.Snapshot().Totals
				asked := false
				fallback := breaker.WithRunFallback(func(context.Context, error) error { asked = true; return nil })
				err := breaker.Run(t.Context(), outer, func(ctx context.Context) error {
					return breaker.Run(ctx, inner, func(context.Context) error { return nil })
				}, fallback)
				if err == nil {
					return false
				}
				require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
				require.False(t, asked, "the outer breaker did not reject")
				before.Offered++
				before.Allowed++
				before.Ignored++
				require.Equal(t, before, outer.Snapshot().Totals)
				return true
			})
		})
	}
}

var sink int

func TestDo_AllocatesNothingWithOptionsMadeOnce(t *testing.T) {
	ctx := context.Background()
	opts := []breaker.Option{
		breaker.WithClassifier(func(error) breaker.Outcome { return breaker.Success }),
		breaker.WithFallback(func(context.Context, error) (int, error) { return 0, nil }),
	}
	runOpts := []breaker.Option{breaker.WithRunFallback(func(context.Context, error) error { return nil })}
	open := unwilling[0].make()
	b := sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9), sre.WithWindow(longWindow))
	for name, call := range map[string]func(){
		"Do": func() {
			n, _ := breaker.Do(ctx, b, func(context.Context) (int, error) { return 1, nil })
			sink += n
		},
		"Do, failing": func() {
			n, _ := breaker.Do(ctx, b, func(context.Context) (int, error) { return 1, errBackend })
			sink += n
		},
		"Do with options": func() {
			n, _ := breaker.Do(ctx, b, func(context.Context) (int, error) { return 1, errBackend }, opts...)
			sink += n
		},
		"Do with options, one by one": func() {
			n, _ := breaker.Do(ctx, b, func(context.Context) (int, error) { return 1, nil }, opts[0], opts[1])
			sink += n
		},
		"Do for a pointer": func() {
			p, _ := breaker.Do(ctx, b, func(context.Context) (*int, error) { return &sink, nil })
			sink += *p
		},
		"Run":              func() { _ = breaker.Run(ctx, b, func(context.Context) error { return nil }) },
		"Run with options": func() { _ = breaker.Run(ctx, b, func(context.Context) error { return errBackend }, runOpts...) },
		"Do, rejected": func() {
			n, _ := breaker.Do(ctx, open, func(context.Context) (int, error) { return 1, errBackend })
			sink += n
		},
		"Do, rejected, with options": func() {
			n, _ := breaker.Do(ctx, open, func(context.Context) (int, error) { return 1, nil }, opts...)
			sink += n
		},
		"Acquire and Done": func() {
			if p, err := b.Acquire(); err == nil {
				p.Done(breaker.Success)
				p.Done(breaker.Failure)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { require.Zero(t, testing.AllocsPerRun(1000, call)) })
	}
}

// What never left the process uses up no probe, neither to close a breaker over a dead
// backend nor to open it again.
func TestDo_TwentyCallsThatAreNotSentLoseNoProbe(t *testing.T) {
	for name, run := range map[string]func(b *circuit.Breaker, err error) error{
		"Run": func(b *circuit.Breaker, err error) error {
			return breaker.Run(t.Context(), b, func(context.Context) error { return err })
		},
		"Do": func(b *circuit.Breaker, err error) error {
			_, err = breaker.Do(t.Context(), b, func(context.Context) (string, error) { return "", err })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			noToken := errors.New("no token")
			b := circuit.NewBreaker(circuit.WithDelay(time.Hour))
			b.HalfOpen()
			for range 20 {
				require.ErrorIs(t, run(b, breaker.NotSent(noToken)), noToken)
			}
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			require.Equal(t, breaker.Totals{Offered: 20, Allowed: 20, Ignored: 20}, b.Snapshot().Totals)
			require.ErrorIs(t, run(b, errBackend), errBackend)
			require.Equal(t, breaker.Open, b.Snapshot().State, "the next call is the probe")
		})
	}
}
