package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// As in Kratos' documentation, with another import line. The server is down: after a
// while the client leaves it alone.
func ExampleClient() {
	ctx := context.Background()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no upstream", http.StatusBadGateway)
	}))
	defer server.Close()

	conn, err := khttp.NewClient(ctx,
		khttp.WithEndpoint(server.Listener.Addr().String()),
		khttp.WithMiddleware(circuitbreaker.Client()),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()

	for range 1000 {
		err := conn.Invoke(ctx, http.MethodGet, "/users/42", nil, nil, khttp.Operation("/users.v1.Users/Get"))
		if errors.Is(err, circuitbreaker.ErrNotAllowed) {
			fmt.Println(kratoserrors.Code(err), kratoserrors.Reason(err))
			break
		}
	}
	// Output: 503 CIRCUITBREAKER
}

// The same over gRPC.
func ExampleClient_grpc() {
	ctx := context.Background()
	const endpoint = "127.0.0.1:1" // where nobody listens
	conn, err := kgrpc.DialInsecure(ctx,
		kgrpc.WithEndpoint(endpoint),
		kgrpc.WithMiddleware(circuitbreaker.Client()),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()

	health := healthpb.NewHealthClient(conn)
	for range 1000 {
		_, err := health.Check(ctx, &healthpb.HealthCheckRequest{})
		if errors.Is(err, circuitbreaker.ErrNotAllowed) {
			fmt.Println(kratoserrors.Code(err), kratoserrors.Reason(err))
			break
		}
	}
	// Output: 503 CIRCUITBREAKER
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

// A call that is rejected can be answered with something older.
func ExampleWithFallback() {
	ctx := clientContext(context.Background(), "/helloworld.v1.Greeter/SayHello")
	down := func(context.Context, any) (any, error) { return nil, errors.New("down") }

	call := circuitbreaker.Client(
		circuitbreaker.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(2))
		}),
		circuitbreaker.WithFallback(func(context.Context, any, error) (any, error) {
			return "hello from the cache", nil
		}),
	)(down)
	for range 3 {
		fmt.Println(call(ctx, nil))
	}
	// Output:
	// <nil> down
	// <nil> down
	// hello from the cache <nil>
}
