package errors_test

import (
	"context"
	"encoding/json"
	stderrors "errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

func TestErrNotAllowed_IsKratosOwn(t *testing.T) {
	var e *kratoserrors.Error
	require.ErrorAs(t, errors.ErrNotAllowed, &e)
	require.EqualValues(t, 503, e.Code)
	require.Equal(t, kratoscb.ErrNotAllowed.Reason, e.Reason)
	require.Equal(t, kratoscb.ErrNotAllowed.Message, e.Message)
	require.Equal(t, kratoscb.ErrNotAllowed.Error(), errors.ErrNotAllowed.Error())
	require.Nil(t, e.Metadata)
	require.NoError(t, e.Unwrap())
	e.Code = 200
	require.Equal(t, 503, kratoserrors.Code(errors.ErrNotAllowed), "nobody can change it")
}

// Kratos users assign to the sentinel of its middleware, to change what callers get.
func TestErrNotAllowed_AssigningAnotherChangesNoRejection(t *testing.T) {
	before := errors.ErrNotAllowed
	errors.ErrNotAllowed = errPlain
	defer func() { errors.ErrNotAllowed = before }()
	err := errors.NotAllowed(rejection())
	require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
	require.Equal(t, 503, kratoserrors.Code(err))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, ignored, errors.Classify(err))
}

// And some change what it points to.
func TestErrNotAllowed_ChangingWhatASentinelPointsToChangesNoRejection(t *testing.T) {
	of := func(err error) *kratoserrors.Error {
		var e *kratoserrors.Error
		require.ErrorAs(t, err, &e)
		return e
	}
	for name, change := range map[string]func(){
		"the code":           func() { of(errors.ErrNotAllowed).Code = 200 },
		"the reason":         func() { of(errors.ErrNotAllowed).Reason = "MINE" },
		"the message":        func() { of(errors.ErrNotAllowed).Message = "mine" },
		"the metadata":       func() { of(errors.ErrNotAllowed).Metadata = map[string]string{"mine": "mine"} },
		"all of a rejection": func() { *of(errors.NotAllowed(rejection())) = *kratosError(200, "MINE") },
		"all that FromError makes": func() {
			*kratoserrors.FromError(errors.ErrNotAllowed) = *kratosError(200, "MINE")
		},
	} {
		change()
		for _, err := range []error{errors.ErrNotAllowed, errors.NotAllowed(rejection()), errors.NotAllowedWithDetails(rejection())} {
			e := of(err)
			require.EqualValues(t, 503, e.Code, name)
			require.Equal(t, "CIRCUITBREAKER", e.Reason, name)
			require.Equal(t, kratoscb.ErrNotAllowed.Message, e.Message, name)
			require.Empty(t, e.Metadata, name)
			require.Equal(t, codes.Unavailable, status.Code(err), name)
		}
	}
}

func TestNotAllowed_IsWhatEverybodyComparesItWith(t *testing.T) {
	r := rejection()
	for _, w := range wrappings {
		err := w.wrap(errors.NotAllowed(r))
		for _, target := range []error{
			errors.ErrNotAllowed, kratoscb.ErrNotAllowed, aegis.ErrNotAllowed, r,
			kratoserrors.New(503, "CIRCUITBREAKER", "another message"), kratoscb.ErrNotAllowed.WithMetadata(map[string]string{"a": "b"}),
		} {
			require.ErrorIs(t, err, target, w.name)
		}
		for _, other := range []error{
			io.EOF, context.Canceled, kratosError(503, "ANOTHER"), kratosError(500, "CIRCUITBREAKER"), rejection(),
			(*kratoserrors.Error)(nil), status.Error(codes.Unavailable, ""),
		} {
			require.NotErrorIs(t, err, other, w.name)
		}
		require.True(t, kratoserrors.IsServiceUnavailable(err))
		require.Equal(t, 503, kratoserrors.Code(err))
		require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
		require.Equal(t, codes.Unavailable, status.Code(err))
	}
	require.ErrorIs(t, kratoscb.ErrNotAllowed, errors.ErrNotAllowed)
	require.ErrorIs(t, errors.ErrNotAllowed, errors.NotAllowed(r), "Kratos compares either way")
	require.True(t, errors.NotAllowed(r) == errors.NotAllowed(r), "of one rejection there is one error")
	require.False(t, errors.NotAllowed(r) == errors.NotAllowed(rejection()), "by identity")
}

func TestNotAllowed_HasTheRejectionInIt(t *testing.T) {
	own := stderrors.New("the breaker's own words")
	r := breaker.NewRejectedError("payments", breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, own)
	for _, w := range wrappings {
		for _, err := range []error{
			w.wrap(errors.NotAllowed(r)),
			w.wrap(kratoserrors.FromError(errors.NotAllowed(r))),
			kratoserrors.FromError(w.wrap(errors.NotAllowed(r))),
		} {
			var got *breaker.RejectedError
			require.ErrorAs(t, err, &got)
			require.Same(t, r, got)
			require.ErrorIs(t, err, own)
			require.ErrorContains(t, err, "code = 503")
			require.ErrorContains(t, err, "reason = CIRCUITBREAKER")
			require.ErrorContains(t, err, `"payments"`)
			require.ErrorContains(t, err, "probe limit: the breaker's own words")
		}
	}
}

func TestNotAllowed_EverybodyGetsAKratosErrorOfTheirOwn(t *testing.T) {
	err := errors.NotAllowed(rejection())
	take := []func() *kratoserrors.Error{
		func() *kratoserrors.Error {
			var e *kratoserrors.Error
			require.ErrorAs(t, err, &e)
			return e
		},
		func() *kratoserrors.Error { return kratoserrors.FromError(err) },
		func() *kratoserrors.Error { return kratoserrors.FromError(fmt.Errorf("calling: %w", err)) },
	}
	for range 2 {
		for _, f := range take {
			e := f()
			require.EqualValues(t, 503, e.Code)
			require.Equal(t, "CIRCUITBREAKER", e.Reason)
			require.Equal(t, kratoscb.ErrNotAllowed.Message, e.Message)
			require.Empty(t, e.Metadata)
			e.Code, e.Reason, e.Message = 200, "MINE", "mine"
			e.Metadata["mine"] = "mine"
		}
	}
	require.Equal(t, kratoscb.ErrNotAllowed.Error(), errors.ErrNotAllowed.Error())
	require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
	require.Equal(t, ignored, errors.Classify(err))
}

func TestNotAllowed_AsFillsNoOtherType(t *testing.T) {
	err := errors.NotAllowed(rejection())
	var url interface{ Timeout() bool }
	require.False(t, stderrors.As(err, &url))
	var syntax *json.SyntaxError
	require.False(t, stderrors.As(err, &syntax))
}

func TestNotAllowed_ManyMayLookAtOneAtOnce(t *testing.T) {
	err := errors.NotAllowed(rejection())
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 200 {
				e := kratoserrors.FromError(err)
				e.Metadata["a"] = e.Message
				_ = err.Error()
				_ = status.Code(err)
				_ = stderrors.Is(err, kratoscb.ErrNotAllowed)
			}
		})
	}
	done.Wait()
}

func TestNotAllowed_ItsGRPCStatusHasTheReasonAndNothingElse(t *testing.T) {
	s := statusOf(t, errors.NotAllowed(rejection()))
	require.Equal(t, codes.Unavailable, s.Code())
	require.Equal(t, kratoscb.ErrNotAllowed.Message, s.Message())
	require.Len(t, s.Details(), 1)
	info := s.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, proto.Equal(&errdetails.ErrorInfo{Reason: "CIRCUITBREAKER"}, info), "%v", info)
	require.NotContains(t, s.Proto().String(), "secret")
}

// A handler passes the error of a call on to its own callers.
func TestNotAllowed_EncodedOverHTTPTellsNothingOfTheInside(t *testing.T) {
	encode := func(accept string, err error) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Accept", accept)
		answer := httptest.NewRecorder()
		khttp.DefaultErrorEncoder(answer, req, err)
		require.Equal(t, 503, answer.Code, accept)
		return answer
	}
	for _, accept := range []string{"application/json", "application/proto", "application/yaml", "application/x-www-form-urlencoded", "*/*", ""} {
		for _, w := range wrappings {
			answer := encode(accept, w.wrap(errors.NotAllowed(rejection())))
			require.Contains(t, answer.Body.String(), "CIRCUITBREAKER")
			require.NotContains(t, answer.Body.String(), "secret", accept)
			require.Equal(t, encode(accept, kratoscb.ErrNotAllowed).Body.String(), answer.Body.String(), "byte for byte what Kratos says")
			if accept == "application/json" {
				require.JSONEq(t, `{"code":503, "reason":"CIRCUITBREAKER", "metadata":{},
					"message":"request failed due to circuit breaker triggered"}`, answer.Body.String())
			}
		}
	}
}

func TestNotAllowed_PassedOnByARealServerIsARemoteRejection(t *testing.T) {
	for name, passed := range map[string]error{
		"as it is":    errors.NotAllowed(rejection()),
		"by its root": errors.ErrNotAllowed,
		"converted":   kratoserrors.FromError(errors.NotAllowed(rejection())),
	} {
		var s seen
		cc := kratosGRPCClient(t, &s, kgrpc.WithEndpoint(kratosGRPCServer(t, func(context.Context, any) (any, error) { return nil, passed })))
		c := kratosHTTPClient(t, &s, khttp.WithEndpoint(kratosHTTPServer(t, func() error { return passed })))
		for transport, call := range map[string]func() error{
			"gRPC": func() error { return call(t.Context(), cc) },
			"HTTP": func() error { return c.Invoke(t.Context(), http.MethodGet, "/call", nil, nil) },
		} {
			t.Run(transport+" "+name, func(t *testing.T) {
				require.Error(t, call())
				require.Equal(t, codes.Unavailable, status.Code(s.err))
				got := kratoserrors.FromError(s.err)
				require.EqualValues(t, 503, got.Code)
				require.Equal(t, "CIRCUITBREAKER", got.Reason)
				require.Equal(t, kratoscb.ErrNotAllowed.Message, got.Message)
				require.Empty(t, got.Metadata)
				require.NotContains(t, fmt.Sprintf("%+v", got), "secret")
				require.ErrorIs(t, got, errors.ErrNotAllowed)
				require.False(t, errors.IsRejected(s.err), "the backend was called")
				require.False(t, errors.IsRejected(got))
				require.Equal(t, failure, s.outcome)
				_, ok := errors.RetryAfter(s.err)
				require.False(t, ok)
				var local *breaker.RejectedError
				require.False(t, stderrors.As(s.err, &local))
			})
		}
	}
}

func TestIsRejected_IsTrueForNothingButALocalRejection(t *testing.T) {
	require.False(t, errors.IsRejected(nil))
	for _, err := range []error{
		io.EOF, errPlain, context.Canceled, kratosError(503, ""), kratosError(503, "CIRCUITBREAKER"), errors.ErrNotAllowed,
		kratoscb.ErrNotAllowed, status.Error(codes.Unavailable, ""), kratoscb.ErrNotAllowed.GRPCStatus().Err(),
		stderrors.New(aegis.ErrNotAllowed.Error()),
	} {
		for _, w := range wrappings {
			require.False(t, errors.IsRejected(w.wrap(err)), "%v", err)
		}
	}
	// And true for those: see TestClassify_ALocalRejectionIsIgnored.
	require.True(t, errors.IsRejected(errors.NotAllowed(rejection())))
}

func TestRetryAfter_OfARejectionIsTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := breaker.NewRejectedError("", breaker.Open, breaker.ReasonOpen, time.Now().Add(5*time.Second), nil)
		for _, w := range wrappings {
			for _, err := range []error{r, errors.NotAllowed(r), kratoserrors.FromError(errors.NotAllowed(r))} {
				d, ok := errors.RetryAfter(w.wrap(err))
				require.True(t, ok)
				require.Equal(t, 5*time.Second, d)
			}
		}
		err := errors.NotAllowed(r)
		for left := 5 * time.Second; left > 0; left -= time.Second {
			d, ok := errors.RetryAfter(err)
			require.True(t, ok)
			require.Equal(t, left, d)
			time.Sleep(time.Second)
		}
		for range 2 {
			d, ok := errors.RetryAfter(err)
			require.False(t, ok, "the time has come")
			require.Zero(t, d)
			time.Sleep(time.Hour)
		}
	})
}

func TestRetryAfter_OfARejectionWithoutATimeIsNotKnown(t *testing.T) {
	for _, err := range []error{rejection(), errors.NotAllowed(rejection())} {
		d, ok := errors.RetryAfter(err)
		require.False(t, ok)
		require.Zero(t, d)
	}
}

func retryInfo(seconds int64, nanos int32) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: seconds, Nanos: nanos}}
}

func TestRetryAfter_OfAGRPCErrorIsItsRetryInfo(t *testing.T) {
	const most = 315_576_000_000 // seconds, 10,000 years: what a protobuf duration may hold
	for _, c := range []struct {
		name string
		err  error
		want time.Duration // 0 for not known
	}{
		{"a time", grpcError(codes.Unavailable, "", retryInfo(1, 500_000_000)), 1500 * time.Millisecond},
		{"a nanosecond", grpcError(codes.Unavailable, "", retryInfo(0, 1)), 1},
		{"of any code", grpcError(codes.ResourceExhausted, "", retryInfo(2, 0)), 2 * time.Second},
		{"behind other details", grpcError(codes.Unavailable, "", reason("A"), retryInfo(2, 0)), 2 * time.Second},
		{"zero", grpcError(codes.Unavailable, "", retryInfo(0, 0)), 0},
		{"negative", grpcError(codes.Unavailable, "", retryInfo(-3, 0)), 0},
		{"negative by a nanosecond", grpcError(codes.Unavailable, "", retryInfo(0, -1)), 0},
		{"10,000 years", grpcError(codes.Unavailable, "", retryInfo(most, 0)), 24 * time.Hour},
		{"a day", grpcError(codes.Unavailable, "", retryInfo(86_400, 0)), 24 * time.Hour},
		{"a nanosecond less than a day", grpcError(codes.Unavailable, "", retryInfo(86_399, 999_999_999)), 24*time.Hour - 1},
		{"a nanosecond more than a day", grpcError(codes.Unavailable, "", retryInfo(86_400, 1)), 24 * time.Hour},
		{"a year, of a quota", grpcError(codes.ResourceExhausted, "", retryInfo(365*86_400, 0)), 24 * time.Hour},
		{"more than 292 years, which a Duration cannot hold", grpcError(codes.Unavailable, "", retryInfo(1<<34, 0)), 24 * time.Hour},
		{"2,500,000 h", grpcError(codes.Unavailable, "", retryInfo(2_500_000*3600, 0)), 24 * time.Hour},
		{"-10,000 years", grpcError(codes.Unavailable, "", retryInfo(-most, 0)), 0},
		{"out of range", grpcError(codes.Unavailable, "", retryInfo(most+1, 0)), 0},
		{"far out of range", grpcError(codes.Unavailable, "", retryInfo(1<<63-1, 0)), 0},
		{"far out of range below", grpcError(codes.Unavailable, "", retryInfo(-1<<63, 0)), 0},
		{"seconds and nanoseconds that disagree", grpcError(codes.Unavailable, "", retryInfo(5, -1)), 0},
		{"too many nanoseconds", grpcError(codes.Unavailable, "", retryInfo(0, 2_000_000_000)), 0},
		{"no delay", grpcError(codes.Unavailable, "", &errdetails.RetryInfo{}), 0},
		{"one that is invalid and one that is not", grpcError(codes.Unavailable, "", retryInfo(most+1, 0), retryInfo(2, 0)), 2 * time.Second},
		{"no details", status.Error(codes.Unavailable, ""), 0},
		{"other details", grpcError(codes.Unavailable, "", reason("A")), 0},
		{"a Kratos error", kratosError(503, "A"), 0},
		{"a Kratos error of 200", kratosError(200, "A"), 0},
		{"no status", statusError{nil}, 0},
		{"another error", errPlain, 0},
		{"the end of a stream", io.EOF, 0},
	} {
		for _, w := range wrappings {
			d, ok := errors.RetryAfter(w.wrap(c.err))
			require.Equal(t, c.want > 0, ok, "%s %s", c.name, w.name)
			if ok {
				require.Equal(t, c.want, d, "%s %s", c.name, w.name)
			}
		}
	}
	d, ok := errors.RetryAfter(nil)
	require.False(t, ok)
	require.Zero(t, d)
}

// A caller that looks at the duration alone must not sleep for it, or in a loop.
func TestRetryAfter_IsZeroWhenItIsNotKnown(t *testing.T) {
	for _, err := range []error{
		grpcError(codes.Unavailable, "", retryInfo(-3, 0)), grpcError(codes.Unavailable, "", retryInfo(1<<62, 0)),
		rejection(), errPlain, nil,
	} {
		d, ok := errors.RetryAfter(err)
		require.False(t, ok)
		require.Zero(t, d, "%v", err)
	}
}

func TestRetryAfter_SurvivesTheWire(t *testing.T) {
	sent := grpcError(codes.Unavailable, "busy", reason("BUSY"), retryInfo(7, 0))
	cc := grpcClient(t, grpcServer(t, func(context.Context, any) (any, error) { return nil, sent }))
	d, ok := errors.RetryAfter(call(t.Context(), cc))
	require.True(t, ok)
	require.Equal(t, 7*time.Second, d)
}

func TestNotAllowed_OfANilPointerIsARejectionOfWhichNothingIsKnown(t *testing.T) {
	for _, err := range []error{errors.NotAllowed((*breaker.RejectedError)(nil)), errors.NotAllowedWithDetails((*breaker.RejectedError)(nil))} {
		require.ErrorIs(t, err, errors.ErrNotAllowed)
		require.ErrorIs(t, err, aegis.ErrNotAllowed)
		require.NotErrorIs(t, err, io.EOF)
		var r *breaker.RejectedError
		require.ErrorAs(t, err, &r)
		require.Equal(t, breaker.ReasonUnknown, r.Reason())
	}
}

// A handler passes on whatever its own calls end with.
func TestNotAllowed_FindsTheRejectionInAnyErrorAndLeavesOthersAlone(t *testing.T) {
	r := rejection()
	for _, w := range wrappings {
		for _, err := range []error{r, errors.NotAllowed(r), errors.NotAllowedWithDetails(r), kratoserrors.FromError(errors.NotAllowed(r))} {
			for _, notAllowed := range []func(error) error{errors.NotAllowed, errors.NotAllowedWithDetails} {
				got := notAllowed(w.wrap(err))
				var in *breaker.RejectedError
				require.ErrorAs(t, got, &in)
				require.Same(t, r, in)
				require.Equal(t, 503, kratoserrors.Code(got))
				require.Equal(t, codes.Unavailable, status.Code(got))
			}
		}
		custom := fmt.Errorf("custom: %w", aegis.ErrNotAllowed)
		require.Equal(t, codes.Unavailable, status.Code(errors.NotAllowed(w.wrap(custom))))
		require.ErrorIs(t, errors.NotAllowed(w.wrap(custom)), custom)
		for _, err := range []error{io.EOF, kratosError(503, "CIRCUITBREAKER"), status.Error(codes.Unavailable, ""), (*kratoserrors.Error)(nil)} {
			err = w.wrap(err)
			require.True(t, errors.NotAllowed(err) == err)
			require.True(t, errors.NotAllowedWithDetails(err) == err)
		}
	}
	require.NoError(t, errors.NotAllowed(nil))
	require.NoError(t, errors.NotAllowedWithDetails(nil))
}

func TestNotAllowedWithDetails_IsWhatNotAllowedIs(t *testing.T) {
	r := rejection()
	for _, w := range wrappings {
		err := w.wrap(errors.NotAllowedWithDetails(r))
		for _, target := range []error{errors.ErrNotAllowed, kratoscb.ErrNotAllowed, aegis.ErrNotAllowed, r} {
			require.ErrorIs(t, err, target, w.name)
		}
		require.NotErrorIs(t, err, kratosError(503, "ANOTHER"), w.name)
		var got *breaker.RejectedError
		require.ErrorAs(t, err, &got)
		require.Same(t, r, got)
		k := kratoserrors.FromError(err)
		require.EqualValues(t, 503, k.Code)
		require.Equal(t, "CIRCUITBREAKER", k.Reason)
		require.Equal(t, kratoscb.ErrNotAllowed.Message, k.Message)
		require.Empty(t, k.Metadata)
		require.True(t, errors.IsRejected(err))
		require.Equal(t, ignored, errors.Classify(err), w.name)
		require.Equal(t, ignored, outcomeOf(t.Context(), err), w.name)
		require.Equal(t, ignored, errors.NewClassifier(errors.WithReason(failure, "CIRCUITBREAKER"))(err), w.name)
		require.Equal(t, codes.Unavailable, status.Code(err))
	}
	require.Equal(t, errors.NotAllowed(r).Error(), errors.NotAllowedWithDetails(r).Error())
	require.Zero(t, testing.AllocsPerRun(100, func() { sinkError = errors.NotAllowedWithDetails(r) }))
}

func TestNotAllowedWithDetails_ItsGRPCStatusHasTheDomainAndTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := errors.NotAllowedWithDetails(breaker.NewRejectedError("secret", breaker.Open, breaker.ReasonOpen, time.Now().Add(5*time.Second), errPlain))
		info := &errdetails.ErrorInfo{Reason: "CIRCUITBREAKER", Domain: "github.com/kratos-breaker/breaker"}
		for _, left := range []int64{5, 2, 0} {
			want := []proto.Message{info, retryInfo(left, 0)}
			if left == 0 {
				want = want[:1]
			}
			s := statusOf(t, err)
			require.Equal(t, codes.Unavailable, s.Code())
			require.Equal(t, kratoscb.ErrNotAllowed.Message, s.Message())
			require.Len(t, s.Details(), len(want))
			for i, d := range s.Details() {
				require.True(t, proto.Equal(want[i], d.(proto.Message)), "%v", d)
			}
			require.NotContains(t, s.Proto().String(), "secret")
			require.NotContains(t, s.Proto().String(), errPlain.Error())
			time.Sleep(3 * time.Second)
		}
	})
	require.Len(t, statusOf(t, errors.NotAllowedWithDetails(rejection())).Details(), 1, "no time is known")
}

func TestNotAllowedWithDetails_PassedOnByARealServerTellsTheTime(t *testing.T) {
	passed := errors.NotAllowedWithDetails(breaker.NewRejectedError("secret", breaker.Open, breaker.ReasonOpen, time.Now().Add(time.Hour), nil))
	cc := grpcClient(t, grpcServer(t, func(context.Context, any) (any, error) { return nil, passed }))
	err := call(t.Context(), cc)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.NotContains(t, fmt.Sprintf("%+v %v", err, statusOf(t, err).Proto()), "secret")
	require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
	require.False(t, errors.IsRejected(err), "the backend was called")
	require.Equal(t, failure, errors.Classify(err))
	d, ok := errors.RetryAfter(err)
	require.True(t, ok)
	require.Greater(t, d, 59*time.Minute)
	require.LessOrEqual(t, d, time.Hour)
}
