package bench_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	aegiscb "github.com/go-kratos/aegis/circuitbreaker"
	aegis "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/transport"

	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// middlewares is a call of a handler that does nothing, through the whole
// middleware with its defaults: the lookup of the breaker, and the
// classification of the error.
var middlewares = table{"Middleware", []row{
	{"healthy", []contender{
		handled("breaker", func() middleware.Middleware { return circuitbreaker.Client() }, healthy),
		handled("breaker-circuit", func() middleware.Middleware {
			return circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *circuit.Breaker { return circuit.NewBreaker() }))
		}, healthy),
		handled("kratos", func() middleware.Middleware { return kratoscb.Client() }, healthy),
		timed("floor", floorChain),
	}},
	{"failing-10", []contender{
		failing("breaker", shortClient),
		failing("kratos", shortKratosClient),
	}},
	{"rejected", []contender{
		handled("breaker", shortClient, down),
		handled("kratos", shortKratosClient, down),
	}},
}}

// shortClient is Client with the short window of the other tables.
func shortClient() middleware.Middleware {
	return circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *sre.Breaker {
		return sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(buckets))
	}))
}

func shortKratosClient() middleware.Middleware {
	return kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegiscb.CircuitBreaker {
		return aegis.NewBreaker(aegis.WithWindow(window), aegis.WithBucket(buckets))
	}))
}

const operation = "/helloworld.v1.Greeter/SayHello"

type clientTransport struct {
	transport.Transporter
	operation string
}

func (t *clientTransport) Kind() transport.Kind { return transport.KindGRPC }
func (t *clientTransport) Operation() string    { return t.operation }

func clientContext() context.Context {
	return transport.NewClientContext(context.Background(), &clientTransport{operation: operation})
}

func succeed(context.Context, any) (any, error) { return nil, nil }

// unavailable is what Kratos' clients make of a 503.
var unavailable = kratoserrors.New(503, "", "")

func fail(context.Context, any) (any, error) { return nil, unavailable }

type mode int

const (
	healthy mode = iota
	down
)

func handled(name string, client func() middleware.Middleware, m mode) contender {
	return timed(name, func() loop {
		ctx := clientContext()
		wrap := client()
		ok, bad := wrap(succeed), wrap(fail) // of one breaker
		if m == healthy {
			fill(3*time.Second, buckets, func() { _, _ = ok(ctx, nil) })
			return func(pb *testing.PB) {
				for pb.Next() {
					if _, err := ok(ctx, nil); err != nil {
						odd.Add(1)
					}
				}
			}
		}
		fill(window, buckets, func() {
			for range 200 {
				_, _ = bad(ctx, nil)
			}
		})
		return func(pb *testing.PB) {
			for pb.Next() {
				if _, err := bad(ctx, nil); err == error(unavailable) {
					odd.Add(1)
				}
			}
		}
	})
}

// failing is a contender of which a tenth of the calls fail.
func failing(name string, client func() middleware.Middleware) contender {
	return rejecting(name, func(s *share) loop {
		ctx := clientContext()
		wrap := client()
		ok, bad := wrap(succeed), wrap(fail) // of one breaker
		fill(window, buckets, func() { _, _ = ok(ctx, nil) })
		return func(pb *testing.PB) {
			var calls, rejected int64
			n := rand.Uint64()
			for pb.Next() {
				n = n*6364136223846793005 + 1442695040888963407
				handler := ok
				if n>>33%10 == 0 {
					handler = bad
				}
				calls++
				if _, err := handler(ctx, nil); err != nil && err != error(unavailable) {
					rejected++
				}
			}
			s.add(calls, rejected)
		}
	})
}
