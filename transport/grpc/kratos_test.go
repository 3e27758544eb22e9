package grpc_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/registry"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// serveKratos runs a server of Kratos until the end of the test.
func serveKratos(t *testing.T, b *backend) (endpoint string) {
	t.Helper()
	s := kgrpc.NewServer(kgrpc.Address("127.0.0.1:0"), kgrpc.Timeout(0))
	testgrpc.RegisterTestServiceServer(s, b)
	u, err := s.Endpoint()
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Start(context.Background()) }()
	t.Cleanup(func() {
		_ = s.Stop(breakertest.Canceled()) // at once
		<-ended
	})
	return u.Host
}

func dialKratos(t *testing.T, endpoint string, opts ...kgrpc.ClientOption) *grpc.ClientConn {
	t.Helper()
	cc, err := kgrpc.DialInsecure(t.Context(), append([]kgrpc.ClientOption{kgrpc.WithEndpoint(endpoint), kgrpc.WithTimeout(patience)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// talk uses a method of each kind as generated code does, and returns the error
// in which it ends, or nil.
var talk = map[string]func(ctx context.Context, c testgrpc.TestServiceClient) error{
	kinds[0].method: func(ctx context.Context, c testgrpc.TestServiceClient) error {
		s, err := c.StreamingOutputCall(ctx, new(testgrpc.StreamingOutputCallRequest))
		for err == nil {
			_, err = s.Recv()
		}
		return unlessEOF(err)
	},
	kinds[1].method: func(ctx context.Context, c testgrpc.TestServiceClient) error {
		s, err := c.StreamingInputCall(ctx)
		if err != nil {
			return err
		}
		for range 3 {
			if err := s.Send(new(testgrpc.StreamingInputCallRequest)); err != nil {
				break // Recv tells why
			}
		}
		_, err = s.CloseAndRecv()
		return err
	},
	kinds[2].method: func(ctx context.Context, c testgrpc.TestServiceClient) error {
		s, err := c.FullDuplexCall(ctx)
		for n := 0; err == nil; n++ {
			if n == 3 {
				err = s.CloseSend()
			} else if n < 3 {
				_ = s.Send(new(testgrpc.StreamingOutputCallRequest)) // Recv tells
			}
			if err == nil {
				_, err = s.Recv()
			}
		}
		return unlessEOF(err)
	},
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// echo answers each message of a bidirectional stream, the last one of a client
// streaming one, and thrice the one of a server streaming one.
func echo(s grpc.ServerStream) error {
	switch methodOf(s) {
	case testgrpc.TestService_FullDuplexCall_FullMethodName:
		for s.RecvMsg(new(testgrpc.StreamingOutputCallRequest)) == nil {
			if err := s.SendMsg(empty()); err != nil {
				return err
			}
		}
		return nil
	case testgrpc.TestService_StreamingInputCall_FullMethodName:
		for s.RecvMsg(new(testgrpc.StreamingInputCallRequest)) == nil {
		}
		return s.SendMsg(empty())
	}
	for range 3 {
		if err := s.SendMsg(empty()); err != nil {
			return err
		}
	}
	return nil
}

func methodOf(s grpc.ServerStream) string {
	m, _ := grpc.Method(s.Context())
	return m
}

func TestKratos_StreamsOfEachKindCountOnce(t *testing.T) {
	for m, talk := range talk {
		t.Run(m, func(t *testing.T) {
			var answer error
			endpoint := serveKratos(t, &backend{stream: func(s grpc.ServerStream) error {
				if answer != nil {
					return answer
				}
				return echo(s)
			}})
			b := new(permits)
			c := testgrpc.NewTestServiceClient(dialKratos(t, endpoint,
				kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b))))))
			require.NoError(t, talk(t.Context(), c))
			answer = kratoserrors.ServiceUnavailable("DOWN", "")
			require.Equal(t, "DOWN", kratoserrors.Reason(talk(t.Context(), c)))
			answer = kratoserrors.New(422, "COUPON_EXPIRED", "") // Unknown over gRPC
			require.Equal(t, "COUPON_EXPIRED", kratoserrors.Reason(talk(t.Context(), c)))
			require.Error(t, talk(breakertest.Canceled(), c))
			require.Equal(t, []breaker.Outcome{success, failure, success, ignored}, b.outcomes())

			b.rejection = rejection()
			err := talk(t.Context(), c)
			require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
			require.Equal(t, 503, kratoserrors.Code(err))
			require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
			require.Equal(t, 4, b.issued)
		})
	}
}

func TestKratos_UnaryCallsCountOnce(t *testing.T) {
	var answer error
	endpoint := serveKratos(t, &backend{unary: func(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		if errors.Is(answer, context.DeadlineExceeded) {
			<-ctx.Done()
		}
		return new(testgrpc.SimpleResponse), answer
	}})
	b := new(permits)
	in := kgrpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b))))
	cc, hasty := dialKratos(t, endpoint, in), dialKratos(t, endpoint, in, kgrpc.WithTimeout(50*time.Millisecond))
	for _, c := range []struct {
		cc     *grpc.ClientConn
		answer error
		code   int
		want   breaker.Outcome
	}{
		{cc, nil, 200, success},
		{cc, kratoserrors.InternalServer("DOWN", ""), 500, failure},
		{cc, kratoserrors.NotFound("NO_USER", ""), 404, success},
		{hasty, context.DeadlineExceeded, 504, failure},
	} {
		answer = c.answer
		require.Equal(t, c.code, kratoserrors.Code(callUnary(t.Context(), c.cc)))
		require.Equal(t, c.want, b.outcomes()[len(b.outcomes())-1], "%v", c.answer)
	}
	require.Len(t, b.outcomes(), 4)
	b.rejection = rejection()
	require.ErrorIs(t, callUnary(t.Context(), cc), kratoscb.ErrNotAllowed)
}

func TestKratos_TheMiddlewareAroundTheInterceptorIgnoresItsRejections(t *testing.T) {
	endpoint := serveKratos(t, &backend{unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		return new(testgrpc.SimpleResponse), nil
	}})
	outer, inner := new(permits), new(permits)
	cc := dialKratos(t, endpoint,
		kgrpc.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(single(outer)))),
		kgrpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(inner)))))
	require.NoError(t, callUnary(t.Context(), cc))
	inner.rejection = rejection()
	require.True(t, cberrors.IsRejected(callUnary(t.Context(), cc)))
	require.Equal(t, []breaker.Outcome{success, ignored}, outer.outcomes())
	outer.rejection = rejection()
	require.True(t, cberrors.IsRejected(callUnary(t.Context(), cc)))
	require.Equal(t, 1, inner.rejected, "it is not asked again")
	require.Equal(t, []breaker.Outcome{success}, inner.outcomes())
}

// static is a discovery that knows one node.
type static struct {
	node    string
	told    sync.Once
	stopped chan struct{}
}

func (d *static) GetService(context.Context, string) ([]*registry.ServiceInstance, error) {
	return []*registry.ServiceInstance{{ID: "1", Name: "greeter", Endpoints: []string{"grpc://" + d.node}}}, nil
}

func (d *static) Watch(context.Context, string) (registry.Watcher, error) { return d, nil }

func (d *static) Next() (all []*registry.ServiceInstance, err error) {
	d.told.Do(func() { all, _ = d.GetService(context.Background(), "") })
	if all == nil {
		<-d.stopped
		err = context.Canceled
	}
	return all, err
}

func (d *static) Stop() error {
	close(d.stopped)
	return nil
}

func TestKratos_TheKeyIsTheEndpointAndTheOperation(t *testing.T) {
	endpoint := serveKratos(t, &backend{stream: echo})
	breakers := group.NewGroup(func() *permits { return new(permits) })
	in := kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers)))
	const m = testgrpc.TestService_FullDuplexCall_FullMethodName
	for target, cc := range map[string]*grpc.ClientConn{
		endpoint: dialKratos(t, endpoint, in),
		"discovery:///greeter": dialKratos(t, "discovery:///greeter", in, kgrpc.WithPrintDiscoveryDebugLog(false),
			kgrpc.WithDiscovery(&static{node: endpoint, stopped: make(chan struct{})})),
	} {
		require.NoError(t, talk[m](t.Context(), testgrpc.NewTestServiceClient(cc)))
		require.Equal(t, []breaker.Outcome{success}, breakers.Get(target+m).outcomes())
	}
	require.Equal(t, 2, breakers.Len())
}

// What docs/streams.md says of WithStreamMiddleware. Kratos calls it for each
// message, and has opened the stream before.
func TestKratos_ABreakerInWithStreamMiddlewareCountsMessagesAndLeaksWhatItRejects(t *testing.T) {
	arrived, left := make(chan struct{}, 1), make(chan struct{})
	endpoint := serveKratos(t, &backend{stream: func(s grpc.ServerStream) error {
		if methodOf(s) != testgrpc.TestService_FullDuplexCall_FullMethodName {
			return echo(s)
		}
		arrived <- struct{}{}
		defer close(left)
		<-s.Context().Done()
		return s.Context().Err()
	}, unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		return new(testgrpc.SimpleResponse), nil
	}})

	ours, kratos := new(permits), new(breakertest.Trio)
	cc := dialKratos(t, endpoint, kgrpc.WithStreamMiddleware(
		circuitbreaker.Client(circuitbreaker.WithGroup(single(ours))),
		kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return kratos })),
	))
	require.NoError(t, talk[kinds[0].method](t.Context(), testgrpc.NewTestServiceClient(cc)))
	const sent, received, end = 1, 3, 1
	require.Equal(t, sent+received+end, ours.issued, "one stream")
	marks := map[string]int{}
	for _, mark := range kratos.Heard() {
		marks[mark]++
	}
	require.Equal(t, map[string]int{"Allow": 5, "MarkSuccess": 4, "MarkFailed": 1}, marks, "and its end is a failure for Kratos' own")

	ours.rejection = rejection()
	stream, err := testgrpc.NewTestServiceClient(cc).FullDuplexCall(t.Context())
	require.NoError(t, err)
	<-arrived // at the backend that was to be spared
	require.True(t, cberrors.IsRejected(stream.Send(new(testgrpc.StreamingOutputCallRequest))))
	_, err = stream.Recv()
	require.True(t, cberrors.IsRejected(err), "the caller is told that the stream is over")
	require.NoError(t, callUnary(t.Context(), cc))
	select {
	case <-left:
		require.Fail(t, "the stream did end: docs/streams.md is out of date")
	default:
	}
	require.NoError(t, cc.Close())
	<-left
}

func TestKratos_OfTwoWithStreamInterceptorTheLastOneReplacesTheFirst(t *testing.T) {
	endpoint := serveKratos(t, &backend{stream: echo})
	first, second := new(permits), new(permits)
	c := testgrpc.NewTestServiceClient(dialKratos(t, endpoint,
		kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(first)))),
		kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(second))))))
	require.NoError(t, talk[kinds[0].method](t.Context(), c))
	require.Zero(t, first.issued)
	require.Equal(t, []breaker.Outcome{success}, second.outcomes())
}

// The middleware for unary calls and the interceptor for streams, with one group.
func TestKratos_MiddlewareAndInterceptorShareAGroup(t *testing.T) {
	endpoint := serveKratos(t, &backend{stream: echo, unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
		return new(testgrpc.SimpleResponse), nil
	}})
	breakers := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	byMethod := cbgrpc.WithKey(func(_ context.Context, m string, _ *grpc.ClientConn) string { return m })
	cc := dialKratos(t, endpoint,
		kgrpc.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(breakers))),
		kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers), byMethod)))
	require.NoError(t, callUnary(t.Context(), cc))
	want := map[string]breaker.Totals{unaryMethod: {Offered: 1, Allowed: 1, Success: 1}}
	for m, talk := range talk {
		require.NoError(t, talk(t.Context(), testgrpc.NewTestServiceClient(cc)))
		want[m] = breaker.Totals{Offered: 1, Allowed: 1, Success: 1}
	}
	got := map[string]breaker.Totals{}
	for key, b := range breakers.All() {
		got[key] = b.Snapshot().Totals
	}
	require.Equal(t, want, got)
}
