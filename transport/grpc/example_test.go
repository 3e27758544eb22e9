package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
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
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:1", // where nobody listens
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
// streams.
func ExampleStreamClientInterceptor() {
	conn, err := kgrpc.DialInsecure(context.Background(),
		kgrpc.WithEndpoint("127.0.0.1:9000"),
		kgrpc.WithMiddleware(circuitbreaker.Client()),
		kgrpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor()),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	// Output:
}

// A stream that is watched for hours is a success after a minute.
func ExampleWithStreamSuccessAfter() {
	watching := cbgrpc.StreamClientInterceptor(cbgrpc.WithStreamSuccessAfter(time.Minute))
	conn, err := grpc.NewClient("dns:///127.0.0.1:9000",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithChainStreamInterceptor(watching))
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	// Output:
}

// One breaker for a whole backend, whatever the method.
func ExampleWithKey() {
	perBackend := cbgrpc.WithKey(func(_ context.Context, _ string, cc *grpc.ClientConn) string {
		return cc.Target()
	})
	conn, err := grpc.NewClient("dns:///127.0.0.1:9000",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(cbgrpc.UnaryClientInterceptor(perBackend)))
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	// Output:
}
