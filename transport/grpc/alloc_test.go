package grpc_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

func TestUnary_AllocatesNothing(t *testing.T) {
	forced := sre.NewBreaker(sre.WithName("forced"))
	forced.SetMode(breaker.ForceOpen)
	never := cbgrpc.WithCircuitBreaker(func() *sre.Breaker { return sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9)) })
	cc := dial(t, "passthrough:///payments:9000")
	for name, c := range map[string]struct {
		opts []cbgrpc.Option
		end  error
	}{
		"allowed":                  {nil, nil},
		"allowed, circuit":         {[]cbgrpc.Option{cbgrpc.WithCircuitBreaker(func() *circuit.Breaker { return circuit.NewBreaker() })}, nil},
		"allowed, classifier":      {[]cbgrpc.Option{cbgrpc.WithClassifier(func(error) breaker.Outcome { return success })}, nil},
		"allowed, rules":           {[]cbgrpc.Option{cbgrpc.WithRules(quick{sre.NewBreaker()})}, nil},
		"an error of the caller's": {[]cbgrpc.Option{never}, status.Error(codes.NotFound, "")},
		"rejected":                 {[]cbgrpc.Option{cbgrpc.WithGroup(single(forced))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := cbgrpc.UnaryClientInterceptor(c.opts...)
			ctx, invoke := context.Background(), invoker(c.end)
			callOpts := []grpc.CallOption{grpc.WaitForReady(true)}
			call := func() { _ = in(ctx, method, nil, nil, cc, invoke, callOpts...) }
			require.Zero(t, testing.AllocsPerRun(1000, call))
		})
	}
}

// They differ in what is not looked at to find their keys at once.
func TestUnary_AllocatesNothingForAnyOfSomeTargets(t *testing.T) {
	in := cbgrpc.UnaryClientInterceptor()
	var conns []*grpc.ClientConn
	for i := range 10 {
		conns = append(conns, dial(t, fmt.Sprintf("passthrough:///node-%d.payments.svc.cluster.local:9000", i)))
	}
	ctx, invoke := context.Background(), invoker(nil)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		for _, cc := range conns {
			_ = in(ctx, method, nil, nil, cc, invoke)
		}
	}))
}

// quick are rules that allocate nothing.
type quick struct{ b *sre.Breaker }

func (q quick) Admit(string, string) (breaker.Permit, breaker.Classifier, error) {
	p, err := q.b.Acquire()
	return p, nil, err
}

func TestStream_AllocatesTwice(t *testing.T) {
	cc := dial(t, "passthrough:///payments:9000")
	var stream grpc.ClientStream = new(fakeStream)
	streamer := func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		opts[0].(grpc.OnFinishCallOption).OnFinish(nil)
		return stream, nil
	}
	callOpts := []grpc.CallOption{grpc.StaticMethod(), grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(1000)}
	for _, c := range []struct {
		want float64
		opts []cbgrpc.Option
	}{
		{2, nil},
		{3, []cbgrpc.Option{cbgrpc.WithStreamSuccessAfter(time.Hour)}},
	} {
		in := cbgrpc.StreamClientInterceptor(c.opts...)
		ctx := context.Background()
		require.Equal(t, c.want, testing.AllocsPerRun(1000, func() { _, _ = in(ctx, nil, cc, method, streamer, callOpts...) }))
	}
}
