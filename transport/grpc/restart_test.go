package grpc_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// socket is one that servers hand over, as those of systemd do: connections
// wait for the next server.
type socket struct {
	listener net.Listener
	accepted chan net.Conn
	closed   chan struct{}
}

func newSocket(t *testing.T) *socket {
	s := &socket{listener: listen(t), accepted: make(chan net.Conn), closed: make(chan struct{})}
	var acceptor sync.WaitGroup
	acceptor.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			select {
			case s.accepted <- c:
			case <-s.closed:
				_ = c.Close()
			}
		}
	})
	t.Cleanup(func() {
		close(s.closed)
		_ = s.listener.Close()
		acceptor.Wait()
	})
	return s
}

// share returns a listener that one server closes.
func (s *socket) share() net.Listener { return &share{socket: s, done: make(chan struct{})} }

type share struct {
	*socket
	once sync.Once
	done chan struct{}
}

func (s *share) Accept() (net.Conn, error) {
	select {
	case <-s.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *share) Addr() net.Addr { return s.listener.Addr() }

func (s *share) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func TestRestart_OfAServerThatStopsGracefullyIsNoFailure(t *testing.T) {
	s := newSocket(t)
	var served [4]atomic.Int64
	start := func(n int) *grpc.Server {
		return serve(t, s.share(), &backend{
			unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
				served[n].Add(1)
				return new(testgrpc.SimpleResponse), nil
			},
			stream: func(stream grpc.ServerStream) error {
				served[n].Add(1)
				for range 3 {
					if err := stream.SendMsg(empty()); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	server := start(0)
	breakers := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	cc := dial(t, s.listener.Addr().String(),
		grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(breakers))),
		grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))))
	require.NoError(t, callUnary(t.Context(), cc))

	var callers sync.WaitGroup
	var stop atomic.Bool
	var unary, streams atomic.Uint64
	unary.Add(1)
	for range 4 {
		callers.Go(func() {
			for !stop.Load() {
				unary.Add(1)
				if err := callUnary(t.Context(), cc); err != nil {
					t.Error(err)
				}
			}
		})
		callers.Go(func() {
			watch := testgrpc.NewTestServiceClient(cc)
			for !stop.Load() {
				streams.Add(1)
				stream, err := watch.StreamingOutputCall(t.Context(), new(testgrpc.StreamingOutputCallRequest))
				messages := 0
				for err == nil {
					if _, err = stream.Recv(); err == nil {
						messages++
					}
				}
				if messages != 3 {
					t.Error(messages, err)
				}
			}
		})
	}
	for n := range served {
		eventually(t, "the server has work", func() bool { return served[n].Load() > 100 })
		if n+1 < len(served) {
			next := start(n + 1)
			server.GracefulStop()
			server = next
		}
	}
	stop.Store(true)
	callers.Wait()
	target := cc.Target()
	breakertest.RequireTotals(t, breakers.Get(target+unaryMethod), breaker.Totals{Success: unary.Load()})
	breakertest.RequireTotals(t, breakers.Get(target+kinds[0].method), breaker.Totals{Success: streams.Load()})
}

func TestRestart_OfAServerThatDoesNotWaitIsAFailureOfEachCallInIt(t *testing.T) {
	const calls = 10
	l := listen(t)
	var arrived sync.WaitGroup
	arrived.Add(2 * calls)
	server := serve(t, l, &backend{
		unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
			arrived.Done()
			<-ctx.Done()
			return nil, ctx.Err()
		},
		stream: func(s grpc.ServerStream) error {
			arrived.Done()
			<-s.Context().Done()
			return s.Context().Err()
		},
	})
	unary, streams := sre.NewBreaker(), sre.NewBreaker()
	s := &scene{t: t, kind: kinds[2]}
	s.cc = dial(t, l.Addr().String(), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(unary)))),
		grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(streams)))))
	var callers sync.WaitGroup
	for range calls {
		callers.Go(func() { _ = callUnary(t.Context(), s.cc) })
		stream := s.mustOpen(t.Context())
		callers.Go(func() { _ = receiveAll(stream) })
	}
	arrived.Wait()
	server.Stop()
	callers.Wait()
	breakertest.RequireTotals(t, unary, breaker.Totals{Failure: calls})
	breakertest.RequireTotals(t, streams, breaker.Totals{Failure: calls})
}
