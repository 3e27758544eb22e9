package circuitbreaker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/registry"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/transport"
	kratosgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	goleak.VerifyTestMain(m)
}

const (
	operation  = "/test.Backend/Call" // of the backends below; there is one more:
	other      = "/test.Backend/Other"
	longWindow = time.Hour
)

var errBackend = errors.New("the backend is down")

// clientContext is the context of a call for tests without a wire. Examples use
// it, too.
var clientContext = breakertest.ClientContext

// answer is a handler for tests without a wire.
func answer(reply any, err error) middleware.Handler {
	return func(context.Context, any) (any, error) { return reply, err }
}

func mustNotBeCalled(context.Context, any) (any, error) { panic("the handler was called") }

// single is a group with one breaker for every key.
func single[B any](b B) *group.Group[B] { return group.NewGroup(func() B { return b }) }

// permits is a breaker that hands out permits and writes down how they were
// settled. Its aegis methods panic: who has permits does not need them.
type permits struct {
	mu        sync.Mutex
	rejection error
	issued    int
	rejected  int
	settled   []breaker.Outcome
}

func (b *permits) Acquire() (breaker.Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rejection != nil {
		b.rejected++
		return breaker.Permit{}, b.rejection
	}
	b.issued++
	return breaker.NewPermit(b, breaker.Ticket{}), nil
}

func (b *permits) Settle(_ breaker.Ticket, o breaker.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = append(b.settled, o)
}

func (b *permits) outcomes() []breaker.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settled
}

func (b *permits) reject(with error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rejection = with
}

func (*permits) Allow() error { panic("Allow was called") }
func (*permits) MarkSuccess() { panic("MarkSuccess was called") }
func (*permits) MarkFailed()  { panic("MarkFailed was called") }

func rejection() *breaker.RejectedError {
	return breaker.NewRejectedError("gate 17", breaker.Open, breaker.ReasonOpen, time.Now().Add(time.Hour), nil)
}

// broken returns a breaker that lets one call in ten thousand through.
func broken(name string) *sre.Breaker {
	b := sre.NewBreaker(sre.Classic(), sre.WithRequest(1), sre.WithWindow(longWindow), sre.WithName(name))
	for range 10_000 {
		b.MarkFailed()
	}
	return b
}

// service is a backend with one operation, the same over both wires.
type service func(ctx context.Context, in string) (out string, err error)

const (
	garbage  = "\x00garbage"   // a reply that no client can decode
	cutShort = "\x00cut short" // a reply that ends in the middle
)

// caller calls the operation of a service, or the one that callOther says.
type caller func(ctx context.Context, in string) (out string, err error)

type otherKey struct{}

// callOther is the context for a caller to call the other operation.
func callOther(ctx context.Context) context.Context { return context.WithValue(ctx, otherKey{}, true) }

func operationOf(ctx context.Context) string {
	if ctx.Value(otherKey{}) != nil {
		return other
	}
	return operation
}

// wire is one of Kratos' transports, with real servers and clients on loopback.
type wire struct {
	name  string
	serve func(t *testing.T, s service, ms ...middleware.Middleware) (endpoint string)
	dial  func(t *testing.T, endpoint string, timeout time.Duration, ms ...middleware.Middleware) caller
	// dialNowhere makes a client whose discovery knows no node.
	dialNowhere func(t *testing.T, endpoint string, ms ...middleware.Middleware) caller
}

var wires = []*wire{overHTTP, overGRPC}

var overHTTP = &wire{
	name: "http",
	serve: func(t *testing.T, s service, ms ...middleware.Middleware) string {
		srv := kratoshttp.NewServer(kratoshttp.Address("127.0.0.1:0"), kratoshttp.Timeout(0), kratoshttp.Middleware(ms...))
		srv.Route("/").POST("/call", func(ctx kratoshttp.Context) error { // as generated code does
			var in wrapperspb.StringValue
			if err := ctx.Bind(&in); err != nil {
				return err
			}
			kratoshttp.SetOperation(ctx, operation)
			handle := ctx.Middleware(func(ctx context.Context, req any) (any, error) {
				return s(ctx, req.(*wrapperspb.StringValue).GetValue())
			})
			out, err := handle(ctx, &in)
			if err != nil {
				return err
			}
			switch out {
			case cutShort:
				ctx.Response().Header().Set("Content-Length", "1000")
				return ctx.Blob(http.StatusOK, "application/json", []byte("{"))
			case garbage:
				return ctx.Blob(http.StatusOK, "application/json", []byte("{"))
			}
			return ctx.Result(http.StatusOK, wrapperspb.String(out.(string)))
		})
		return start(t, srv)
	},
	dial: func(t *testing.T, endpoint string, timeout time.Duration, ms ...middleware.Middleware) caller {
		return httpCaller(dialHTTP(t, endpoint, kratoshttp.WithTimeout(timeout), kratoshttp.WithMiddleware(ms...)))
	},
	dialNowhere: func(t *testing.T, _ string, ms ...middleware.Middleware) caller {
		return httpCaller(dialHTTP(t, "discovery:///nowhere", kratoshttp.WithMiddleware(ms...),
			kratoshttp.WithDiscovery(&emptyDiscovery{stopped: make(chan struct{})})))
	},
}

func httpCaller(c *kratoshttp.Client) caller {
	return func(ctx context.Context, in string) (string, error) {
		out := wrapperspb.String("untouched")
		err := c.Invoke(ctx, http.MethodPost, "/call", wrapperspb.String(in), out,
			kratoshttp.Operation(operationOf(ctx)), kratoshttp.PathTemplate("/call"))
		return out.GetValue(), err
	}
}

func dialHTTP(t *testing.T, endpoint string, opts ...kratoshttp.ClientOption) *kratoshttp.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	c, err := kratoshttp.NewClient(t.Context(), append([]kratoshttp.ClientOption{
		kratoshttp.WithEndpoint(endpoint), kratoshttp.WithTransport(tr),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var overGRPC = &wire{
	name: "grpc",
	serve: func(t *testing.T, s service, ms ...middleware.Middleware) string {
		srv := kratosgrpc.NewServer(kratosgrpc.Address("127.0.0.1:0"), kratosgrpc.Timeout(0), kratosgrpc.Middleware(ms...))
		srv.RegisterService(&serviceDesc, s)
		return start(t, srv)
	},
	dial: func(t *testing.T, endpoint string, timeout time.Duration, ms ...middleware.Middleware) caller {
		return grpcCaller(dialGRPC(t, endpoint, kratosgrpc.WithTimeout(timeout), kratosgrpc.WithMiddleware(ms...)))
	},
	dialNowhere: func(t *testing.T, endpoint string, ms ...middleware.Middleware) caller {
		return grpcCaller(dialGRPC(t, endpoint, kratosgrpc.WithMiddleware(ms...),
			kratosgrpc.WithNodeFilter(func(context.Context, []selector.Node) []selector.Node { return nil })))
	},
}

var serviceDesc = grpc.ServiceDesc{
	ServiceName: "test.Backend",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Call", Handler: handleGRPC}, {MethodName: "Other", Handler: handleGRPC}},
}

var handleGRPC = func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, req any) (any, error) {
		out, err := srv.(service)(ctx, req.(*wrapperspb.StringValue).GetValue())
		if err != nil {
			return nil, err
		}
		if out == garbage {
			return wrapperspb.Bytes([]byte{0xff}), nil // on the wire a string that is not UTF-8
		}
		return wrapperspb.String(out), nil
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: operation}, handle)
}

func grpcCaller(c *grpc.ClientConn) caller {
	return func(ctx context.Context, in string) (string, error) {
		out := wrapperspb.String("untouched")
		err := c.Invoke(ctx, operationOf(ctx), wrapperspb.String(in), out)
		return out.GetValue(), err
	}
}

func dialGRPC(t *testing.T, endpoint string, opts ...kratosgrpc.ClientOption) *grpc.ClientConn {
	t.Helper()
	c, err := kratosgrpc.DialInsecure(t.Context(), append([]kratosgrpc.ClientOption{
		kratosgrpc.WithEndpoint(endpoint),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// start runs a Kratos server until the end of the test.
func start(t *testing.T, srv interface {
	transport.Server
	Endpoint() (*url.URL, error)
},
) (endpoint string) {
	t.Helper()
	u, err := srv.Endpoint()
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- srv.Start(context.Background()) }()
	t.Cleanup(func() {
		_ = srv.Stop(breakertest.Canceled()) // at once: the clients are done
		<-ended
	})
	return u.Host
}

// refusing returns the address of nobody.
func refusing(t *testing.T) (endpoint string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// hangingUp returns the address of one who accepts connections and closes them.
func hangingUp(t *testing.T) (endpoint string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

// emptyDiscovery is a registry that has no service.
type emptyDiscovery struct{ stopped chan struct{} }

func (d *emptyDiscovery) GetService(context.Context, string) ([]*registry.ServiceInstance, error) {
	return nil, nil
}
func (d *emptyDiscovery) Watch(context.Context, string) (registry.Watcher, error) { return d, nil }

func (d *emptyDiscovery) Next() ([]*registry.ServiceInstance, error) {
	<-d.stopped
	return nil, context.Canceled
}

func (d *emptyDiscovery) Stop() error {
	close(d.stopped)
	return nil
}
