package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratosgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// As in Kratos' documentation, with another import line.
func ExampleClient() {
	httpConn, err := kratoshttp.NewClient(
		context.Background(),
		kratoshttp.WithMiddleware(
			circuitbreaker.Client(),
		),
		kratoshttp.WithEndpoint("127.0.0.1:8000"),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = httpConn.Close() }()

	grpcConn, err := kratosgrpc.DialInsecure(
		context.Background(),
		kratosgrpc.WithMiddleware(
			circuitbreaker.Client(),
		),
		kratosgrpc.WithEndpoint("127.0.0.1:9000"),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = grpcConn.Close() }()
	// Output:
}

// A factory that was written for Kratos' own middleware compiles unchanged.
func ExampleWithCircuitBreaker() {
	ctx := clientContext(context.Background(), "/helloworld.v1.Greeter/SayHello")
	down := func(context.Context, any) (any, error) { return nil, errors.New("down") }

	call := circuitbreaker.Client(
		circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
			return aegissre.NewBreaker(aegissre.WithRequest(10))
		}),
	)(down)
	for range 1000 {
		if _, err := call(ctx, nil); errors.Is(err, circuitbreaker.ErrNotAllowed) {
			fmt.Println("rejected")
			break
		}
	}
	// Output: rejected
}

// A group is shared by clients, and its breakers can be looked at.
func ExampleWithGroup() {
	ctx := clientContext(context.Background(), "/helloworld.v1.Greeter/SayHello")
	hello := func(context.Context, any) (any, error) { return "hello", nil }

	breakers := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() })
	for _, client := range []circuitbreaker.Option{circuitbreaker.WithGroup(breakers), circuitbreaker.WithGroup(breakers)} {
		_, _ = circuitbreaker.Client(client)(hello)(ctx, nil)
	}
	for operation, b := range breakers.All() {
		fmt.Println(operation, b.Snapshot().State, b.Snapshot().Totals.Success)
	}
	// Output: /helloworld.v1.Greeter/SayHello closed 2
}
