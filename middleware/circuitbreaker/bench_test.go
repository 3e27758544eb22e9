package circuitbreaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/transport"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

type benchTransport struct {
	transport.Transporter
	operation string
}

func (t *benchTransport) Operation() string { return t.operation }

// BenchmarkMiddleware is the whole middleware around a handler that does
// nothing, the key lookup included, in a steady state: each bucket of the
// window holds calls.
func BenchmarkMiddleware(b *testing.B) {
	ctx := transport.NewClientContext(context.Background(), &benchTransport{operation: "/helloworld.v1.Greeter/SayHello"})
	nothing := func(context.Context, any) (any, error) { return nil, nil }
	ours := circuitbreaker.Client()(nothing)
	kratos := kratoscb.Client()(nothing)
	for range 10 {
		_, _ = ours(ctx, nil)
		_, _ = kratos(ctx, nil)
		time.Sleep(300 * time.Millisecond)
	}
	for _, bench := range []struct {
		name    string
		handler middleware.Handler
	}{
		{"kratos", kratos},
		{"ours", ours},
		{"none", nothing},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = bench.handler(ctx, nil)
				}
			})
		})
	}
}
