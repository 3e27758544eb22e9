package grpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// BenchmarkInterceptor is what a healthy call or stream costs besides itself:
// both are nothing here.
func BenchmarkInterceptor(b *testing.B) {
	cc, err := grpc.NewClient("passthrough:///payments:9000", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	ctx := context.Background()
	b.Run("unary", func(b *testing.B) {
		in, invoke := cbgrpc.UnaryClientInterceptor(), invoker(nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = in(ctx, method, nil, nil, cc, invoke)
			}
		})
	})
	b.Run("stream", func(b *testing.B) {
		in := cbgrpc.StreamClientInterceptor()
		var stream grpc.ClientStream = new(fakeStream)
		streamer := func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			opts[0].(grpc.OnFinishCallOption).OnFinish(nil)
			return stream, nil
		}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = in(ctx, nil, cc, method, streamer)
			}
		})
	})
}
