package protocols_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// The tests of grpc-go's interop client, and what each leaves in the books.
var interopTests = []struct {
	name string
	run  func(ctx context.Context, cc *grpc.ClientConn, c testgrpc.TestServiceClient)
	want breaker.Totals // but for what is offered and allowed
}{
	{"empty unary", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoEmptyUnaryCall(ctx, c)
	}, breaker.Totals{Success: 1}},
	{"large unary", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoLargeUnaryCall(ctx, c)
	}, breaker.Totals{Success: 1}},
	{"client streaming", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoClientStreaming(ctx, c)
	}, breaker.Totals{Success: 1}},
	{"server streaming", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoServerStreaming(ctx, c)
	}, breaker.Totals{Success: 1}},
	{"ping pong", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoPingPong(ctx, c)
	}, breaker.Totals{Success: 1}},
	{"empty stream", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoEmptyStream(ctx, c)
	}, breaker.Totals{Success: 1}},
	{"timeout on a sleeping server", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoTimeoutOnSleepingServer(ctx, c)
	}, breaker.Totals{Failure: 1}},
	{"cancel after begin", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoCancelAfterBegin(ctx, c)
	}, breaker.Totals{Ignored: 1}},
	{"cancel after the first response", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoCancelAfterFirstResponse(ctx, c)
	}, breaker.Totals{Ignored: 1}},
	{"custom metadata", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoCustomMetadata(ctx, c)
	}, breaker.Totals{Success: 2}}, // unary and a stream
	{"status code and message", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoStatusCodeAndMessage(ctx, c)
	}, breaker.Totals{Failure: 2}}, // Unknown, twice
	{"special status message", func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) {
		interop.DoSpecialStatusMessage(ctx, c)
	}, breaker.Totals{Failure: 1}},
	{"unimplemented method", func(ctx context.Context, cc *grpc.ClientConn, _ testgrpc.TestServiceClient) {
		interop.DoUnimplementedMethod(ctx, cc)
	}, breaker.Totals{Ignored: 1}},
	{"unimplemented service", func(ctx context.Context, cc *grpc.ClientConn, _ testgrpc.TestServiceClient) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(cc))
	}, breaker.Totals{Ignored: 1}},
}

// The interop client ends the process if a test of it fails.
func TestInterop_GRPCsOwnClientMeetsNoDifferenceAndTheBooksAreExact(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Stop()
		require.NoError(t, <-served)
	}()
	for name, opts := range map[string][]circuit.Option{
		"plain": {circuit.WithConsecutiveFailures(10)},
		"timed": {circuit.WithConsecutiveFailures(10), circuit.WithSlowCallRate(time.Minute, 1, 1000, time.Minute)},
	} {
		for _, test := range interopTests {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				b := circuit.NewBreaker(opts...)
				g := breakergrpc.WithGroup(group.NewGroup(func() *circuit.Breaker { return b }))
				cc, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
					grpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor(g)),
					grpc.WithStreamInterceptor(breakergrpc.StreamClientInterceptor(g)))
				require.NoError(t, err)
				defer func() { require.NoError(t, cc.Close()) }()
				test.run(t.Context(), cc, testgrpc.NewTestServiceClient(cc))
				want := test.want
				want.Allowed = want.Success + want.Failure + want.Ignored
				want.Offered = want.Allowed
				require.Eventually(t, func() bool { return b.Snapshot().Totals.InFlight == 0 }, 10*time.Second, time.Millisecond)
				require.Equal(t, want, b.Snapshot().Totals)
				require.Equal(t, breaker.Closed, b.Snapshot().State)
			})
		}
	}
}
