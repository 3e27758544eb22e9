package tracing_test

import (
	"context"
	"net/http"

	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"google.golang.org/grpc"

	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/tracing"
)

// For Kratos, the recorder's middleware goes around the breaker's. What makes
// the span, as Kratos' middleware/tracing, goes around both.
func ExampleRecorder_Client() {
	var spans tracing.Recorder
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation), sre.WithListener(spans.Listen))
	})
	_ = khttp.WithMiddleware(
		spans.Client(),
		circuitbreaker.Client(circuitbreaker.WithGroup(breakers)),
	)
}

// For net/http, such a transport goes around the one with the breaker.
func ExampleRecorder_Begin() {
	var spans tracing.Recorder
	_ = http.Client{Transport: recorded{&spans, http.DefaultTransport}}
}

type recorded struct {
	spans *tracing.Recorder
	next  http.RoundTripper // with the breaker
}

func (r recorded) RoundTrip(request *http.Request) (response *http.Response, err error) {
	call := r.spans.Begin()
	defer func() { call.End(request.Context(), err) }()
	return r.next.RoundTrip(request)
}

// For gRPC, such an interceptor comes before the one with the breaker.
func ExampleRecorder_Begin_interceptor() {
	var spans tracing.Recorder
	_ = grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any,
		conn *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
	) (err error) {
		call := spans.Begin()
		defer func() { call.End(ctx, err) }()
		return invoker(ctx, method, request, reply, conn, opts...)
	})
}
