package grpc_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// rejections returns the errors of a call and of a stream that b rejects.
func rejections(t *testing.T, opts ...cbgrpc.Option) []error {
	t.Helper()
	unary := cbgrpc.UnaryClientInterceptor(opts...)(t.Context(), method, nil, nil, nil, mustNotInvoke)
	stream, opening := cbgrpc.StreamClientInterceptor(opts...)(t.Context(), nil, nil, method, mustNotStream)
	require.Nil(t, stream)
	return []error{unary, opening}
}

func TestRejection_IsTheSameErrorForEverybody(t *testing.T) {
	for name, opt := range map[string]cbgrpc.Option{
		"permits": cbgrpc.WithGroup(single(&permits{rejection: rejection()})),
		"aegis":   cbgrpc.WithGroup(single(&breakertest.Trio{Rejection: aegis.ErrNotAllowed})),
		"another": cbgrpc.WithGroup(single(&breakertest.Trio{Rejection: errBackend})),
		"rules":   cbgrpc.WithRules(&calls{b: &permits{rejection: rejection()}}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range rejections(t, opt) {
				require.ErrorIs(t, err, cberrors.ErrNotAllowed)
				require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
				require.ErrorIs(t, err, aegis.ErrNotAllowed)
				require.True(t, cberrors.IsRejected(err))
				var r *breaker.RejectedError
				require.ErrorAs(t, err, &r)
				k := kratoserrors.FromError(err)
				require.EqualValues(t, 503, k.Code)
				require.Equal(t, "CIRCUITBREAKER", k.Reason)
				require.Empty(t, k.Metadata)
				s, ok := status.FromError(err)
				require.True(t, ok)
				require.Equal(t, codes.Unavailable, s.Code())
				require.Equal(t, "request failed due to circuit breaker triggered", s.Message())
			}
		})
	}
}

func TestRejection_HasTheKeyAsItsNameIfTheBreakerHasNone(t *testing.T) {
	for want, opt := range map[string]cbgrpc.Option{
		method:    cbgrpc.WithGroup(single(&breakertest.Trio{Rejection: aegis.ErrNotAllowed})),
		"gate 17": cbgrpc.WithGroup(single(&permits{rejection: rejection()})),
	} {
		for _, err := range rejections(t, opt) {
			var r *breaker.RejectedError
			require.ErrorAs(t, err, &r)
			require.Equal(t, want, r.Name())
		}
	}
}

func TestRejection_ItsStatusHasTheReasonAndTheTimeThatIsLeft(t *testing.T) {
	info := &errdetails.ErrorInfo{Reason: "CIRCUITBREAKER", Domain: "github.com/kratos-breaker/breaker"}
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(30*time.Second))
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(failure)
		time.Sleep(10 * time.Second)
		for _, err := range rejections(t, cbgrpc.WithGroup(single(b))) {
			details := status.Convert(err).Details()
			require.Len(t, details, 2)
			require.True(t, proto.Equal(info, details[0].(proto.Message)))
			require.Equal(t, 20*time.Second, details[1].(*errdetails.RetryInfo).GetRetryDelay().AsDuration())
		}
	})
	unknown := sre.NewBreaker()
	unknown.SetMode(breaker.ForceOpen)
	for _, err := range rejections(t, cbgrpc.WithGroup(single(unknown))) {
		details := status.Convert(err).Details()
		require.Len(t, details, 1)
		require.True(t, proto.Equal(info, details[0].(proto.Message)))
	}
}

func TestRejection_NeverReachesTheBackend(t *testing.T) {
	l := listen(t)
	serve(t, l, new(backend)) // would panic
	b := &permits{rejection: rejection()}
	s := &scene{t: t}
	s.cc = s.dial(l.Addr().String(), b)
	require.True(t, cberrors.IsRejected(callUnary(t.Context(), s.cc)))
	for _, s.kind = range kinds {
		stream, err := s.open(t.Context())
		require.Nil(t, stream)
		require.ErrorIs(t, err, cberrors.ErrNotAllowed, "gRPC passes it on as it is")
	}
	require.Equal(t, 4, b.rejected)
	require.Zero(t, b.issued)
}

// An interceptor around another one must not take its rejection for news of the
// backend.
func TestRejection_ByAnInnerBreakerIsIgnored(t *testing.T) {
	outer, inner := new(permits), &permits{rejection: rejection()}
	unary := cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(inner)))
	streams := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(inner)))
	err := cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(outer)))(t.Context(), method, nil, nil, nil,
		func(ctx context.Context, m string, req, reply any, cc *grpc.ClientConn, _ ...grpc.CallOption) error {
			return unary(ctx, m, req, reply, cc, mustNotInvoke)
		})
	require.True(t, cberrors.IsRejected(err))
	_, err = cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(outer)))(t.Context(), nil, nil, method,
		func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, m string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
			return streams(ctx, d, cc, m, mustNotStream)
		})
	require.True(t, cberrors.IsRejected(err))
	require.Equal(t, []breaker.Outcome{ignored, ignored}, outer.outcomes())
	for _, r := range outer.results() {
		require.Zero(t, r.RetryAfter, "the inner breaker's")
	}
}

func retryInfo(c codes.Code, d time.Duration) error {
	s, err := status.New(c, "").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func TestRetryInfo_OfTheServerReachesTheBreakerIfTheCallFailed(t *testing.T) {
	overload := cbgrpc.WithClassifier(cberrors.NewClassifier(cberrors.WithOverload()))
	for _, c := range []struct {
		answer error
		opts   []cbgrpc.Option
		want   breaker.Outcome
		after  time.Duration
	}{
		{retryInfo(codes.Unavailable, 7*time.Second), nil, failure, 7 * time.Second},
		{retryInfo(codes.ResourceExhausted, 7*time.Second), []cbgrpc.Option{overload}, failure, 7 * time.Second},
		{retryInfo(codes.ResourceExhausted, 7*time.Second), nil, success, 0},
		{retryInfo(codes.Unimplemented, 7*time.Second), nil, ignored, 0},
		{retryInfo(codes.Unavailable, -7*time.Second), nil, failure, 0},
		{status.Error(codes.Unavailable, ""), nil, failure, 0},
	} {
		l := listen(t)
		serve(t, l, &backend{
			unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
				return nil, c.answer
			},
			stream: func(grpc.ServerStream) error { return c.answer },
		})
		b := new(permits)
		opts := append(c.opts, cbgrpc.WithGroup(single(b)))
		s := &scene{t: t}
		s.cc = dial(t, l.Addr().String(), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(opts...)),
			grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(opts...)))
		require.Error(t, callUnary(t.Context(), s.cc))
		for _, s.kind = range kinds {
			require.Error(t, receiveAll(s.mustOpen(t.Context())))
		}
		require.Len(t, b.results(), 4)
		for _, r := range b.results() {
			require.Equal(t, c.want, r.Outcome)
			require.Equal(t, c.after, r.RetryAfter)
		}
	}
}

func TestRetryInfo_IsHowLongABreakerThatAsksForItStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithRetryAfter(time.Minute, nil))
		err := cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)))(t.Context(), method, nil, nil, nil,
			invoker(retryInfo(codes.Unavailable, 7*time.Second)))
		require.Error(t, err)
		require.Equal(t, 7*time.Second, b.Snapshot().RetryAfter)
	})
}

// A caller gets the error of the call itself, whatever the breaker made of it.
func TestError_OfACallIsNotChanged(t *testing.T) {
	for _, end := range []error{errBackend, status.Error(codes.Unavailable, ""), errors.Join(errBackend)} {
		require.True(t, end == cbgrpc.UnaryClientInterceptor()(t.Context(), method, nil, nil, nil, invoker(end)))
	}
}
