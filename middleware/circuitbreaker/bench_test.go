package circuitbreaker_test

import (
	"context"
	"testing"

	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/transport"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

type clientTransport struct {
	transport.Transporter
	operation string
}

func (t *clientTransport) Operation() string { return t.operation }

func BenchmarkMiddleware(b *testing.B) {
	ctx := transport.NewClientContext(context.Background(), &clientTransport{operation: "/helloworld.v1.Greeter/SayHello"})
	for _, bench := range []struct {
		name string
		m    middleware.Middleware
	}{
		{"kratos", kratoscb.Client()},
		{"ours", circuitbreaker.Client()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			h := bench.m(func(context.Context, any) (any, error) { return nil, nil })
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = h(ctx, nil)
				}
			})
		})
	}
}
