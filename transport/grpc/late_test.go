package grpc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// ended are contexts of callers that are too late.
func ended(t *testing.T) map[string]context.Context {
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	t.Cleanup(cancel)
	return map[string]context.Context{"cancelled": breakertest.Canceled(), "past its deadline": late}
}

// A caller with little time left, say behind a slow call to somebody else, made
// no call of it, and the breaker took that for the backend's slowness.
func TestRegression_DeadlinesThatWereOverBeforeTheCallOpenedTheBreakerOfAHealthyBackend(t *testing.T) {
	for name, opts := range map[string][]cbgrpc.Option{"": nil, ", own classifier": {cbgrpc.WithClassifier(cberrors.NewClassifier(cberrors.WithOverload()))}} {
		for _, k := range append([]kind{{name: "unary"}}, kinds...) {
			t.Run(k.name+name, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
				s := newScene(t, new(permits))
				opts := append([]cbgrpc.Option{cbgrpc.WithGroup(single(b))}, opts...)
				s.cc = dial(t, s.cc.Target(), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(opts...)),
					grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(opts...)))
				s.kind, s.replies = k, 1
				call := func(ctx context.Context) error {
					if k.desc == nil {
						return callUnary(ctx, s.cc)
					}
					stream, err := s.open(ctx)
					if err != nil {
						return err
					}
					require.NoError(t, stream.CloseSend())
					return unlessEOF(receiveAll(stream))
				}
				for what, ctx := range ended(t) {
					for range 5 {
						require.Error(t, call(ctx), what)
					}
				}
				require.NoError(t, call(t.Context()))
				breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Ignored: 10})
				require.Equal(t, breaker.Closed, b.Snapshot().State)
			})
		}
	}
}

// An interceptor between this one and gRPC may have an answer, say from a cache.
func TestLate_CallThatSucceedsAllTheSameIsASuccess(t *testing.T) {
	for what, ctx := range ended(t) {
		b := new(permits)
		opt := cbgrpc.WithGroup(single(b))
		require.NoError(t, cbgrpc.UnaryClientInterceptor(opt)(ctx, method, nil, nil, nil, invoker(nil)))
		s := new(fakeStream)
		_, err := cbgrpc.StreamClientInterceptor(opt)(ctx, nil, nil, method, s.opens())
		require.NoError(t, err)
		s.finish(nil)
		require.Equal(t, []breaker.Outcome{success, success}, b.outcomes(), what)
	}
}

// A classifier is asked about answers only: what it means that the caller was late
// is not for it to say.
func TestLate_FailureIsTheCallersAndAnAnswerIsOne(t *testing.T) {
	for _, row := range []struct {
		err   error
		want  breaker.Outcome
		asked bool
	}{
		{status.Error(codes.DeadlineExceeded, ""), ignored, true},
		{fmt.Errorf("calling: %w", status.Error(codes.DeadlineExceeded, "")), ignored, true},
		{context.DeadlineExceeded, ignored, false},
		{status.Error(codes.Canceled, ""), ignored, false},
		{status.Error(codes.Unavailable, ""), ignored, true},
		{status.Error(codes.NotFound, ""), success, true},
		{errBackend, ignored, false},
	} {
		for what, ctx := range ended(t) {
			var seen []error
			classify := cbgrpc.WithClassifier(func(err error) breaker.Outcome {
				seen = append(seen, err)
				return cberrors.Classify(err)
			})
			for _, opts := range [][]cbgrpc.Option{nil, {classify}} {
				b := new(permits)
				opts = append(opts, cbgrpc.WithGroup(single(b)))
				require.Equal(t, row.err, cbgrpc.UnaryClientInterceptor(opts...)(ctx, method, nil, nil, nil, invoker(row.err)))
				s := new(fakeStream)
				_, err := cbgrpc.StreamClientInterceptor(opts...)(ctx, nil, nil, method, s.opens())
				require.NoError(t, err)
				s.finish(row.err)
				require.Equal(t, []breaker.Outcome{row.want, row.want}, b.outcomes(), "%v, %s", row.err, what)
				for _, r := range b.results() {
					require.Equal(t, row.want == ignored, r.NotSent)
				}
			}
			if row.asked {
				require.Equal(t, []error{row.err, row.err}, seen, what)
			} else {
				require.Empty(t, seen, what)
			}
		}
	}
}

func TestLate_CallOverAConnectionThatItsOwnerClosedIsIgnored(t *testing.T) {
	for what, ctx := range ended(t) {
		for _, opts := range [][]cbgrpc.Option{nil, {cbgrpc.WithClassifier(cberrors.NewClassifier())}} {
			b := new(permits)
			opts = append(opts, cbgrpc.WithGroup(single(b)))
			cc := dial(t, "passthrough:///"+closedPort(t), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(opts...)),
				grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(opts...)))
			require.NoError(t, cc.Close())
			require.Error(t, callUnary(ctx, cc))
			_, err := cc.NewStream(ctx, kinds[0].desc, kinds[0].method)
			require.Error(t, err)
			require.Equal(t, []breaker.Outcome{ignored, ignored}, b.outcomes(), what)
		}
	}
}

func TestLate_PanicIsAFailureAllTheSame(t *testing.T) {
	for what, ctx := range ended(t) {
		for _, exit := range exits {
			b := new(permits)
			opt := cbgrpc.WithGroup(single(b))
			breakertest.EndOf(func() {
				_ = cbgrpc.UnaryClientInterceptor(opt)(ctx, method, nil, nil, nil,
					func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
						exit.leave()
						return nil
					})
			})
			breakertest.EndOf(func() {
				_, _ = cbgrpc.StreamClientInterceptor(opt)(ctx, nil, nil, method,
					func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
						exit.leave()
						return nil, nil
					})
			})
			require.Equal(t, []breaker.Outcome{failure, failure}, b.outcomes(), "%s, %s", what, exit.name)
		}
	}
}
