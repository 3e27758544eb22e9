package grpc_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// slow is what the breaker of the tests below calls so.
const slow = 200 * time.Millisecond

// dawdle is what a caller takes for something else, and a backend that is slow.
const dawdle = 3 * slow / 2

func TestWait_TheLifeOfAStreamIsNotSlow(t *testing.T) {
	for _, row := range []struct {
		name  string
		kind  kind
		first time.Duration // that the backend takes for its first message
		next  time.Duration // and between two
		call  func(s grpc.ClientStream) error
		slow  uint64
	}{
		{"server streaming", kinds[0], 0, dawdle, receives, 0},
		{"server streaming, slow to begin", kinds[0], dawdle, 0, receives, 1},
		{"a caller who receives late", kinds[0], 0, 0, func(s grpc.ClientStream) error {
			time.Sleep(dawdle)
			return receives(s)
		}, 0},
		{"client streaming for long", kinds[1], 0, 0, func(s grpc.ClientStream) error {
			for range 3 {
				time.Sleep(dawdle / 2)
				if err := s.SendMsg(empty()); err != nil {
					return err
				}
			}
			return receives(s)
		}, 0},
		{"client streaming, a slow answer", kinds[1], dawdle, 0, receives, 1},
		{"bidirectional, messages both ways", kinds[2], 0, 0, func(s grpc.ClientStream) error {
			for range 3 {
				if err := s.SendMsg(empty()); err != nil {
					return err
				}
				if err := s.RecvMsg(empty()); err != nil {
					return err
				}
				time.Sleep(dawdle)
			}
			return receives(s)
		}, 0},
		{"bidirectional, a receiver who waits before there is something to answer", kinds[2], 0, 0, func(s grpc.ClientStream) error {
			received := make(chan error, 1)
			go func() { received <- s.RecvMsg(empty()) }()
			time.Sleep(dawdle)
			if err := errors.Join(s.SendMsg(empty()), <-received); err != nil {
				return err
			}
			return receives(s)
		}, 0},
		{"bidirectional, a receiver who waits for a slow answer", kinds[2], dawdle, 0, func(s grpc.ClientStream) error {
			received := make(chan error, 1)
			go func() { received <- s.RecvMsg(empty()) }()
			if err := errors.Join(s.SendMsg(empty()), <-received); err != nil {
				return err
			}
			return receives(s)
		}, 1},
		{"the header, which is late", kinds[2], dawdle, 0, func(s grpc.ClientStream) error {
			if err := s.SendMsg(empty()); err != nil {
				return err
			}
			if _, err := s.Header(); err != nil {
				return err
			}
			return receives(s)
		}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			serve(t, l, &backend{stream: func(s grpc.ServerStream) error {
				if !row.kind.desc.ClientStreams { // the request has been received
					time.Sleep(row.first)
					_ = s.SendMsg(empty())
					time.Sleep(row.next)
					return s.SendMsg(empty())
				}
				for n := 0; ; n++ {
					err := s.RecvMsg(empty())
					if !row.kind.desc.ServerStreams {
						if err == nil {
							continue
						}
						time.Sleep(row.first)
						return s.SendMsg(empty())
					}
					switch {
					case errors.Is(err, io.EOF):
						return nil
					case err != nil:
						return err
					case n == 0:
						time.Sleep(row.first)
					}
					if err := s.SendMsg(empty()); err != nil {
						return err
					}
				}
			}})
			b := circuit.NewBreaker(circuit.WithSlowCallRate(slow, 1, 1000, time.Hour))
			cc := dial(t, l.Addr().String(), grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)))))
			cc.Connect()
			s, err := cc.NewStream(t.Context(), row.kind.desc, row.kind.method, grpc.WaitForReady(true))
			require.NoError(t, err)
			if row.kind.name != kinds[2].name {
				require.NoError(t, s.SendMsg(empty()))
			}
			require.NoError(t, row.call(s))
			eventually(t, "the end", func() bool { return b.Snapshot().Totals.Success == 1 })
			require.Equal(t, row.slow, b.Snapshot().Window.Slow)
		})
	}
}

func receives(s grpc.ClientStream) error {
	if err := s.CloseSend(); err != nil {
		return err
	}
	if err := receiveAll(s); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// A panic of a classifier on a goroutine of gRPC's would end the process.
func TestPanic_OnAGoroutineOfGRPCIsMetByTheNextCaller(t *testing.T) {
	for name, next := range map[string]func(cc *grpc.ClientConn){
		"unary":  func(cc *grpc.ClientConn) { _ = callUnary(context.Background(), cc) },
		"stream": func(cc *grpc.ClientConn) { _, _ = cc.NewStream(context.Background(), kinds[0].desc, kinds[0].method) },
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			server := serve(t, l, &backend{
				unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
					return new(testgrpc.SimpleResponse), nil
				},
				stream: func(s grpc.ServerStream) error { <-s.Context().Done(); return nil },
			})
			var calm atomic.Bool
			opt := cbgrpc.WithClassifier(func(err error) breaker.Outcome {
				if err != nil && !calm.Load() {
					panic(errBackend)
				}
				return success
			})
			// Both interceptors have what one of them caught only if they are the same.
			unary, stream := cbgrpc.UnaryClientInterceptor(opt), cbgrpc.StreamClientInterceptor(opt)
			cc := dial(t, l.Addr().String(), grpc.WithStreamInterceptor(stream), grpc.WithUnaryInterceptor(unary))
			s, err := cc.NewStream(t.Context(), kinds[0].desc, kinds[0].method)
			require.NoError(t, err)
			require.NoError(t, s.SendMsg(empty()))
			server.Stop()
			if name == "unary" { // an interceptor meets its own
				require.NotPanics(t, func() { calm.Store(true); next(cc) })
				return
			}
			require.Error(t, receiveAll(s))
			require.PanicsWithValue(t, errBackend, func() { next(cc) })
			calm.Store(true)
			require.NotPanics(t, func() { next(cc) }, "once")
		})
	}
}

func TestReplyClassifier_DecidesOfUnaryCalls(t *testing.T) {
	reply := &testgrpc.SimpleResponse{Username: "an error"}
	c := cbgrpc.WithReplyClassifier(func(_ context.Context, req, got any, err error) breaker.Outcome {
		require.Equal(t, "request", req)
		if err != nil {
			return ignored
		}
		if got.(*testgrpc.SimpleResponse).GetUsername() != "" {
			return failure
		}
		return success
	})
	other := cbgrpc.WithClassifier(func(error) breaker.Outcome { panic("asked") })
	answering := func(err error) grpc.UnaryInvoker {
		return func(_ context.Context, _ string, _, r any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			if err == nil {
				r.(*testgrpc.SimpleResponse).Username = reply.Username
			}
			return err
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		ctx  context.Context
		err  error
		rule breaker.Classifier
		want breaker.Outcome
	}{
		{t.Context(), nil, nil, failure},
		{gone, nil, nil, ignored},
		{t.Context(), status.Error(codes.Unavailable, ""), nil, ignored},
		{gone, status.Error(codes.Canceled, ""), nil, ignored},
		{t.Context(), nil, func(error) breaker.Outcome { return success }, success},
	} {
		b := new(permits)
		in := cbgrpc.UnaryClientInterceptor(c, other, cbgrpc.WithRules(&calls{b: b, classify: row.rule}))
		require.Equal(t, row.err, in(row.ctx, method, "request", new(testgrpc.SimpleResponse), nil, answering(row.err)))
		require.Equal(t, []breaker.Outcome{row.want}, b.outcomes())
	}
	require.Panics(t, func() { cbgrpc.WithReplyClassifier(nil) })
}
