package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// A client of grpc-go, whose calls and streams take their breakers from one
// group.
func ExampleUnaryClientInterceptor() {
	breakers := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithConsecutiveFailures(3))
	})
	const target = "passthrough:///127.0.0.1:1" // where nobody listens
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(breakers))),
		grpc.WithChainStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()

	client := testgrpc.NewTestServiceClient(conn)
	for range 5 {
		_, err := client.EmptyCall(context.Background(), new(testgrpc.Empty))
		var rejection *breaker.RejectedError
		if errors.As(err, &rejection) {
			fmt.Println(status.Code(err), rejection.Name(), rejection.Reason())
		} else {
			fmt.Println(status.Code(err))
		}
	}
	// Output:
	// Unavailable
	// Unavailable
	// Unavailable
	// Unavailable passthrough:///127.0.0.1:1/grpc.testing.TestService/EmptyCall open
	// Unavailable passthrough:///127.0.0.1:1/grpc.testing.TestService/EmptyCall open
}

// With Kratos, the middleware is for unary calls and the interceptor for
// streams. They share a group; the interceptor's keys have the target in them.
func ExampleStreamClientInterceptor() {
	ctx := context.Background()
	breakers := group.NewGroup(func() *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	})
	conn, err := kgrpc.DialInsecure(ctx,
		kgrpc.WithEndpoint("127.0.0.1:1"), // where nobody listens
		kgrpc.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(breakers))),
		kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()

	client := testgrpc.NewTestServiceClient(conn)
	for range 2 {
		_, err := client.FullDuplexCall(ctx)
		fmt.Println(status.Code(err), cberrors.IsRejected(err))
	}
	// Output:
	// Unavailable false
	// Unavailable true
}

// feed answers each message of a stream with one of its own.
type feed struct {
	testgrpc.UnimplementedTestServiceServer
}

func (feed) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return nil
		}
		if err := stream.Send(new(testgrpc.StreamingOutputCallResponse)); err != nil {
			return err
		}
	}
}

// dialFeed connects with a server that has a feed. stop ends both.
func dialFeed(opts ...grpc.DialOption) (conn *grpc.ClientConn, stop func()) {
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, feed{})
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///feed", append(opts,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
	)...)
	if err != nil {
		panic(err)
	}
	return conn, func() {
		_ = conn.Close()
		server.Stop()
	}
}

// A stream that stays open for long is a success while it is open: with the first
// message after the given time.
func ExampleWithStreamSuccessAfter() {
	b := circuit.NewBreaker()
	watching := cbgrpc.StreamClientInterceptor(
		cbgrpc.WithCircuitBreaker(func() *circuit.Breaker { return b }),
		cbgrpc.WithStreamSuccessAfter(time.Nanosecond), // a minute, say
	)
	conn, stop := dialFeed(grpc.WithChainStreamInterceptor(watching))
	defer stop()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		panic(err)
	}
	if err := stream.Send(new(testgrpc.StreamingOutputCallRequest)); err != nil {
		panic(err)
	}
	if _, err := stream.Recv(); err != nil {
		panic(err)
	}
	fmt.Println(b.Snapshot().Totals.Success)
	// Output: 1
}

// One breaker for a whole backend, whatever the method.
func ExampleWithKey() {
	perBackend := cbgrpc.WithKey(func(_ context.Context, _ string, cc *grpc.ClientConn) string {
		return cc.Target()
	})
	breakers := group.NewGroup(func() *circuit.Breaker { return circuit.NewBreaker() })
	conn, stop := dialFeed(grpc.WithChainUnaryInterceptor(
		cbgrpc.UnaryClientInterceptor(perBackend, cbgrpc.WithGroup(breakers)),
	))
	defer stop()

	client := testgrpc.NewTestServiceClient(conn)
	_, _ = client.EmptyCall(context.Background(), new(testgrpc.Empty))
	_, _ = client.UnaryCall(context.Background(), new(testgrpc.SimpleRequest))
	for target, b := range breakers.All() {
		fmt.Println(target == conn.Target(), b.Snapshot().Totals.Allowed)
	}
	// Output: true 2
}
