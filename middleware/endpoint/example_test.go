package endpoint_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
)

// The names of Kratos v3, which this module does not link: middleware.Handler,
// middleware.Middleware, transport.FromClientContext and errors.New.
type (
	v3Handler     func(ctx context.Context, req any) (any, error)
	v3Middleware  func(v3Handler) v3Handler
	v3Transporter interface {
		Kind() string
		Operation() string
	}
	v3Error struct {
		code    int
		reason  string
		message string
		cause   error
	}
)

func (e *v3Error) Error() string                      { return e.reason + ": " + e.message }
func (e *v3Error) Unwrap() error                      { return e.cause }
func (e *v3Error) WithCause(cause error) *v3Error     { e.cause = cause; return e }
func newV3(code int, reason, message string) *v3Error { return &v3Error{code, reason, message, nil} }

type v3Key struct{}

func fromV3(ctx context.Context) (v3Transporter, bool) {
	tr, ok := ctx.Value(v3Key{}).(v3Transporter)
	return tr, ok
}

type v3Call struct{}

func (v3Call) Kind() string      { return "grpc" }
func (v3Call) Operation() string { return "/users.v1.Users/Get" }

// With Kratos v3, this is the middleware for its clients.
func Example_kratosV3() {
	key := func(ctx context.Context, _ any) (transport, key string, ok bool) {
		tr, ok := fromV3(ctx) // transport.FromClientContext
		if !ok {
			return "", "", false
		}
		return tr.Kind(), tr.Operation(), true
	}
	var client v3Middleware = endpoint.New[v3Handler](key,
		endpoint.WithRejection(func(r *breaker.RejectedError) error {
			return newV3(503, "CIRCUITBREAKER", "try again later").WithCause(r) // errors.New
		}),
		endpoint.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(2))
		}))

	ctx := context.WithValue(context.Background(), v3Key{}, v3Call{})
	call := client(func(context.Context, any) (any, error) { return nil, errors.New("connection refused") })
	for range 3 {
		_, err := call(ctx, nil)
		fmt.Println(err)
	}
	// Output:
	// connection refused
	// connection refused
	// CIRCUITBREAKER: try again later
}
