package grpc_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// scene is what a row of the tables below plays in: a backend, and a client with
// an interceptor of each kind before it.
type scene struct {
	t      *testing.T
	server *grpc.Server
	cc     *grpc.ClientConn
	kind   kind

	arrived chan struct{} // a call that waits has come
	answer  error         // of a call that does not wait
	replies int           // before it
}

const waits = -1 // as replies: until the call is over

func (s *scene) handle(ctx context.Context, reply func() error) error {
	if s.replies == waits {
		s.arrived <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	for range s.replies {
		if err := reply(); err != nil {
			return err
		}
	}
	return s.answer
}

func newScene(t *testing.T, b *permits) *scene {
	s := &scene{t: t, arrived: make(chan struct{}, 1)}
	l := listen(t)
	s.server = serve(t, l, &backend{
		unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
			return new(testgrpc.SimpleResponse), s.handle(ctx, func() error { return nil })
		},
		stream: func(stream grpc.ServerStream) error {
			return s.handle(stream.Context(), func() error { return stream.SendMsg(empty()) })
		},
	})
	s.cc = s.dial(l.Addr().String(), b)
	return s
}

func (s *scene) dial(target string, b *permits) *grpc.ClientConn {
	return dial(s.t, target,
		grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)))),
		grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)))))
}

// open opens a stream and sends the only request, if there is one.
func (s *scene) open(ctx context.Context, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := s.cc.NewStream(ctx, s.kind.desc, s.kind.method, opts...)
	if err == nil && !s.kind.desc.ClientStreams {
		err = stream.SendMsg(empty())
	}
	return stream, err
}

func (s *scene) mustOpen(ctx context.Context) grpc.ClientStream {
	stream, err := s.open(ctx)
	require.NoError(s.t, err)
	return stream
}

// answers plays a backend that answers and ends.
func answers(replies int, end error) func(*scene) error {
	return func(s *scene) error {
		s.replies, s.answer = replies, end
		stream := s.mustOpen(s.t.Context())
		require.NoError(s.t, stream.CloseSend())
		err := receiveAll(stream)
		require.Equal(s.t, status.Code(end) == codes.OK, err == io.EOF, "%v", err)
		return err
	}
}

// leaves plays a caller who leaves a stream while the backend works, and never
// receives.
func leaves(cause error) func(*scene) error {
	return func(s *scene) error {
		s.replies = waits
		ctx, cancel := context.WithCancelCause(s.t.Context())
		defer cancel(nil)
		s.mustOpen(ctx)
		<-s.arrived
		cancel(cause)
		return nil
	}
}

// streamEnds are the ends of a stream that are possible for each kind.
var streamEnds = []struct {
	name string
	play func(s *scene) error
	want breaker.Outcome
	code codes.Code // of what the breaker is told; OK for nothing
}{
	{"the end after a message", answers(1, nil), success, codes.OK},
	{"an error after a message", answers(1, status.Error(codes.Unavailable, "")), failure, codes.Unavailable},
	{"an error before any message", answers(0, status.Error(codes.Internal, "")), failure, codes.Internal},
	{"an error that is no status", answers(0, errBackend), failure, codes.Unknown},
	{"an error of the caller's making", answers(0, status.Error(codes.NotFound, "")), success, codes.OK},
	{"a cancellation by the backend", answers(1, status.Error(codes.Canceled, "")), failure, codes.Canceled},
	{"a quota", answers(0, status.Error(codes.ResourceExhausted, "")), success, codes.OK},
	{"a method that the backend does not have", answers(0, status.Error(codes.Unimplemented, "")), ignored, codes.Unimplemented},
	{"a caller who leaves without receiving", leaves(nil), ignored, codes.Canceled},
	{"a caller who leaves for a reason", leaves(errBackend), ignored, codes.Canceled},
	{"a caller who left before", func(s *scene) error {
		_, err := s.open(breakertest.Canceled())
		return err
	}, ignored, codes.Canceled},
	{"a deadline that was over before", func(s *scene) error {
		ctx, cancel := context.WithTimeout(s.t.Context(), -time.Second)
		defer cancel()
		_, err := s.open(ctx)
		return err
	}, ignored, codes.DeadlineExceeded},
	{"a deadline", func(s *scene) error {
		s.replies = waits
		ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
		defer cancel()
		stream, err := s.open(ctx)
		if err == nil {
			err = receiveAll(stream)
		}
		return err
	}, failure, codes.DeadlineExceeded},
	{"a deadline of a caller who never receives", func(s *scene) error {
		s.replies = waits
		ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
		s.t.Cleanup(cancel)
		_, _ = s.open(ctx)
		<-ctx.Done()
		return ctx.Err()
	}, failure, codes.DeadlineExceeded},
	{"a message that cannot be encoded", func(s *scene) error {
		stream, err := s.cc.NewStream(s.t.Context(), s.kind.desc, s.kind.method)
		require.NoError(s.t, err)
		err = stream.SendMsg("no message")
		require.Error(s.t, err)
		return err
	}, ignored, codes.Internal},
	{"a server that stops", func(s *scene) error {
		s.replies = waits
		stream := s.mustOpen(s.t.Context())
		<-s.arrived
		go s.server.Stop()
		return receiveAll(stream)
	}, failure, codes.Unavailable},
	{"a connection that its owner closes", func(s *scene) error {
		s.replies = waits
		stream := s.mustOpen(s.t.Context())
		<-s.arrived
		require.NoError(s.t, s.cc.Close())
		return receiveAll(stream)
	}, ignored, codes.Canceled},
	{"a connection that its owner closed before", func(s *scene) error {
		require.NoError(s.t, s.cc.Close())
		_, err := s.open(s.t.Context())
		return err
	}, ignored, codes.Canceled},
	{"an option of the call that does not work", func(s *scene) error {
		_, err := s.open(s.t.Context(), grpc.UseCompressor("none of that name"))
		return err
	}, ignored, codes.Internal},
}

func TestStream_HoweverItEndsItCountsOnce(t *testing.T) {
	for _, k := range kinds {
		for _, end := range streamEnds {
			t.Run(k.name+"/"+end.name, func(t *testing.T) {
				b := new(permits)
				s := newScene(t, b)
				s.kind = k
				err := end.play(s)
				eventually(t, "the permit is settled", func() bool { return len(b.results()) > 0 })
				s.server.Stop()
				_ = s.cc.Close() // who comes late has come now
				require.Equal(t, 1, b.issued)
				require.Equal(t, []breaker.Outcome{end.want}, b.outcomes(), "%v", err)
				told := b.results()[0].Err
				if end.want == success {
					require.NoError(t, told)
					return
				}
				require.Equal(t, end.code, status.Code(told), "%v", told)
			})
		}
	}
}

func TestStream_ThatCannotBeOpenedForWantOfABackendIsAFailure(t *testing.T) {
	b := new(permits)
	s := &scene{t: t, kind: kinds[2]}
	s.cc = s.dial("passthrough:///"+closedPort(t), b)
	_, err := s.open(t.Context())
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, []breaker.Outcome{failure}, b.outcomes())
}

// The caller of a client streaming method may still be sending.
func TestStream_ThatTheBackendAnswersEarlyIsASuccess(t *testing.T) {
	b := new(permits)
	s := newScene(t, b)
	s.kind, s.replies = kinds[1], 1
	stream := s.mustOpen(t.Context())
	eventually(t, "sending meets the end", func() bool { return errors.Is(stream.SendMsg(empty()), io.EOF) })
	require.Empty(t, b.outcomes(), "it is not over before the caller has seen the answer")
	require.NoError(t, stream.RecvMsg(empty()))
	require.Equal(t, []breaker.Outcome{success}, b.outcomes())
}

func TestStream_IsInFlightUntilItEnds(t *testing.T) {
	for _, k := range kinds {
		b := new(permits)
		s := newScene(t, b)
		s.kind, s.replies = k, waits
		ctx, cancel := context.WithCancel(t.Context())
		s.mustOpen(ctx)
		<-s.arrived
		require.Equal(t, 1, b.issued)
		require.Empty(t, b.outcomes())
		cancel()
		eventually(t, "the end", func() bool { return len(b.outcomes()) == 1 })
	}
}

// unaryEnds are the ends of a unary call.
var unaryEnds = []struct {
	name string
	play func(s *scene) error
	want breaker.Outcome
}{
	{"no error", func(s *scene) error { return callUnary(s.t.Context(), s.cc) }, success},
	{"an error of the backend", unaryAnswer(status.Error(codes.Unavailable, "")), failure},
	{"an error that is no status", unaryAnswer(errBackend), failure},
	{"an error of the caller's making", unaryAnswer(status.Error(codes.InvalidArgument, "")), success},
	{"a cancellation by the backend", unaryAnswer(status.Error(codes.Canceled, "")), failure},
	{"a method that the backend does not have", unaryAnswer(status.Error(codes.Unimplemented, "")), ignored},
	{"a caller who left before", func(s *scene) error { return callUnary(breakertest.Canceled(), s.cc) }, ignored},
	{"a deadline that was over before", func(s *scene) error {
		ctx, cancel := context.WithTimeout(s.t.Context(), -time.Second)
		defer cancel()
		return callUnary(ctx, s.cc)
	}, ignored},
	{"a caller who leaves", func(s *scene) error {
		s.replies = waits
		ctx, cancel := context.WithCancelCause(s.t.Context())
		defer cancel(nil)
		go func() {
			<-s.arrived
			cancel(errBackend)
		}()
		return callUnary(ctx, s.cc)
	}, ignored},
	{"a deadline", func(s *scene) error {
		s.replies = waits
		ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
		defer cancel()
		return callUnary(ctx, s.cc)
	}, failure},
	{"a request that cannot be encoded", func(s *scene) error {
		return s.cc.Invoke(s.t.Context(), unaryMethod, "no message", empty())
	}, ignored},
	{"a server that stops", func(s *scene) error {
		s.replies = waits
		go func() {
			<-s.arrived
			s.server.Stop()
		}()
		return callUnary(s.t.Context(), s.cc)
	}, failure},
	{"a connection that its owner closes", func(s *scene) error {
		s.replies = waits
		go func() {
			<-s.arrived
			_ = s.cc.Close()
		}()
		return callUnary(s.t.Context(), s.cc)
	}, ignored},
	{"a connection that its owner closed before", func(s *scene) error {
		require.NoError(s.t, s.cc.Close())
		return callUnary(s.t.Context(), s.cc)
	}, ignored},
}

func unaryAnswer(err error) func(*scene) error {
	return func(s *scene) error {
		s.answer = err
		return callUnary(s.t.Context(), s.cc)
	}
}

func TestUnary_HoweverItEndsItCountsOnce(t *testing.T) {
	for _, end := range unaryEnds {
		t.Run(end.name, func(t *testing.T) {
			b := new(permits)
			s := newScene(t, b)
			err := end.play(s)
			require.Equal(t, []breaker.Outcome{end.want}, b.outcomes(), "%v", err)
			require.Equal(t, 1, b.issued)
			if end.want == success {
				return
			}
			require.Same(t, err, b.results()[0].Err, "the breaker gets the error that the caller gets")
		})
	}
}

// gRPC retries by itself, below the interceptors.
func TestUnary_WhatGRPCRetriesByItselfIsOneCall(t *testing.T) {
	attempts := 0
	l := listen(t)
	serve(t, l, &backend{unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		if attempts++; attempts < 3 {
			return nil, status.Error(codes.Unavailable, "")
		}
		return new(testgrpc.SimpleResponse), nil
	}})
	b := new(permits)
	cc := dial(t, l.Addr().String(), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)))),
		grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3,
			"initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`))
	require.NoError(t, callUnary(t.Context(), cc))
	require.Equal(t, 3, attempts)
	require.Equal(t, []breaker.Outcome{success}, b.outcomes())
}
