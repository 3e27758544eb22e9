package selector_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/registry"
	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/transport"
	kratosgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/kratos-breaker/breaker/internal/breakertest"
)

const operation = "/test.Users/Get"

// wire is one of Kratos' transports, with real servers and clients on loopback
// and a discovery between them.
type wire struct {
	name  string
	serve func(address string, handle func(context.Context) error) server
	dial  func(t *testing.T, d *directory, timeout time.Duration, filter kratos.NodeFilter, ms ...middleware.Middleware) func(context.Context) error
}

type server interface {
	transport.Server
	Endpoint() (*url.URL, error)
}

var wires = []*wire{
	{
		name: "http",
		serve: func(address string, handle func(context.Context) error) server {
			srv := kratoshttp.NewServer(kratoshttp.Address(address), kratoshttp.Timeout(0))
			srv.Route("/").GET("/users", func(ctx kratoshttp.Context) error {
				if err := handle(ctx); err != nil {
					return err
				}
				return ctx.Result(http.StatusOK, &emptypb.Empty{})
			})
			return srv
		},
		dial: func(t *testing.T, d *directory, timeout time.Duration, filter kratos.NodeFilter, ms ...middleware.Middleware) func(context.Context) error {
			tr := &http.Transport{MaxIdleConnsPerHost: 1000}
			t.Cleanup(tr.CloseIdleConnections)
			c, err := kratoshttp.NewClient(t.Context(),
				kratoshttp.WithEndpoint("discovery:///users"), kratoshttp.WithDiscovery(d), kratoshttp.WithBlock(),
				kratoshttp.WithNodeFilter(filter), kratoshttp.WithMiddleware(ms...),
				kratoshttp.WithTransport(tr), kratoshttp.WithTimeout(timeout))
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			return func(ctx context.Context) error {
				return c.Invoke(ctx, http.MethodGet, "/users", nil, &emptypb.Empty{}, kratoshttp.Operation(operation))
			}
		},
	},
	{
		name: "grpc",
		serve: func(address string, handle func(context.Context) error) server {
			srv := kratosgrpc.NewServer(kratosgrpc.Address(address), kratosgrpc.Timeout(0))
			srv.RegisterService(&usersDesc, handle)
			return srv
		},
		dial: func(t *testing.T, d *directory, timeout time.Duration, filter kratos.NodeFilter, ms ...middleware.Middleware) func(context.Context) error {
			c, err := kratosgrpc.DialInsecure(t.Context(),
				kratosgrpc.WithEndpoint("discovery:///users"), kratosgrpc.WithDiscovery(d),
				kratosgrpc.WithNodeFilter(filter), kratosgrpc.WithMiddleware(ms...),
				kratosgrpc.WithTimeout(timeout), kratosgrpc.WithPrintDiscoveryDebugLog(false),
				// By default, it is gRPC that waits for seconds until it connects again.
				kratosgrpc.WithOptions(grpc.WithConnectParams(grpc.ConnectParams{
					Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1, MaxDelay: 100 * time.Millisecond},
				})))
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			return func(ctx context.Context) error {
				return c.Invoke(ctx, operation, &emptypb.Empty{}, &emptypb.Empty{})
			}
		},
	},
}

var usersDesc = grpc.ServiceDesc{
	ServiceName: "test.Users",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if err := decode(&emptypb.Empty{}); err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, srv.(func(context.Context) error)(ctx)
	}}},
}

// backend is a node with a switch. Each fault kills it in another way.
type backend struct {
	t       *testing.T
	wire    *wire
	address string
	calls   atomic.Int64 // that reached it
	fails   atomic.Bool
	hangs   atomic.Pointer[chan struct{}] // until closed

	stop func()
}

func newBackend(t *testing.T, w *wire) *backend {
	b := &backend{t: t, wire: w}
	b.start("127.0.0.1:0")
	t.Cleanup(func() {
		b.heal()
		b.stop()
	})
	return b
}

func (b *backend) start(address string) {
	b.t.Helper()
	var srv server
	require.Eventually(b.t, func() bool { // for somebody may have taken the port meanwhile
		srv = b.wire.serve(address, b.handle)
		u, err := srv.Endpoint()
		if err == nil {
			b.address = u.Host
		}
		return err == nil
	}, patience, time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- srv.Start(context.Background()) }()
	b.stop = func() {
		_ = srv.Stop(breakertest.Canceled()) // at once
		<-ended
		b.stop = nil
	}
}

func (b *backend) handle(ctx context.Context) error {
	b.calls.Add(1)
	if until := b.hangs.Load(); until != nil {
		select {
		case <-*until:
		case <-ctx.Done():
			return ctx.Err() // the caller may still get it, just before it gives up
		}
	}
	if b.fails.Load() {
		return kratoserrors.ServiceUnavailable("DOWN", "the node is down")
	}
	return nil
}

func (b *backend) heal() {
	b.fails.Store(false)
	if until := b.hangs.Swap(nil); until != nil {
		close(*until)
	}
	if b.stop == nil {
		b.start(b.address)
	}
}

var faults = map[string]func(*backend){
	"fails": func(b *backend) { b.fails.Store(true) },
	"hangs": func(b *backend) {
		until := make(chan struct{})
		b.hangs.Store(&until)
	},
	"refuses": func(b *backend) { b.stop() },
}

// directory is a registry in process.
type directory struct {
	mu        sync.Mutex
	instances []*registry.ServiceInstance
	watchers  []*watcher
}

func newDirectory(w *wire, backends ...*backend) *directory {
	d := &directory{}
	d.set(w, backends...)
	return d
}

// set makes backends all that there are.
func (d *directory) set(w *wire, backends ...*backend) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instances = nil
	for _, b := range backends {
		d.instances = append(d.instances, &registry.ServiceInstance{
			ID: b.address, Name: "users", Endpoints: []string{w.name + "://" + b.address},
		})
	}
	for _, w := range d.watchers {
		w.tell()
	}
}

func (d *directory) GetService(context.Context, string) ([]*registry.ServiceInstance, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.instances, nil
}

func (d *directory) Watch(ctx context.Context, _ string) (registry.Watcher, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &watcher{directory: d, news: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	d.watchers = append(d.watchers, w)
	w.tell()
	return w, nil
}

type watcher struct {
	directory *directory
	news      chan struct{}
	ctx       context.Context
	cancel    context.CancelFunc
}

func (w *watcher) tell() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watcher) Next() ([]*registry.ServiceInstance, error) {
	select {
	case <-w.ctx.Done():
		return nil, context.Canceled
	case <-w.news:
		return w.directory.GetService(w.ctx, "users")
	}
}

func (w *watcher) Stop() error {
	w.cancel()
	return nil
}
