package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/go-kratos/kratos/v2/middleware"
	kratosbreaker "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// client is a Kratos client of both nodes, in turn, and what the caller saw of it.
type client struct {
	transport string
	guard
	conns [2]conn
	turn  atomic.Uint64
	tally tally
}

// conn is the way to a node.
type conn struct {
	call  func(context.Context) error
	close func()
}

// call makes a call to the node whose turn it is. It is the same breaker in front of
// both, since it knows of operations and not of nodes.
func (c *client) call(ctx context.Context) error {
	return c.conns[c.turn.Add(1)%uint64(len(c.conns))].call(ctx)
}

func (c *client) close() {
	for _, conn := range c.conns {
		if conn.close != nil {
			conn.close()
		}
	}
}

// guard is what stands in front of a client's calls.
type guard struct {
	name       string
	middleware []middleware.Middleware
	breakers   *group.Group[*sre.Breaker] // nil but for the breaker of this module
}

const (
	overHTTP, overGRPC = "HTTP", "gRPC"
	none, kratos, ours = "none", "kratos", "breaker"
)

// guards returns one of each kind, which share nothing with those of another
// call.
func guards(p plan, transitions *dashboard.Log) []guard {
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation), sre.WithListener(transitions.Listen))
	})
	theirs := kratosbreaker.Client(p.kratosOptions()...)
	own := circuitbreaker.Client(circuitbreaker.WithGroup(breakers))
	return []guard{
		{name: none},
		{name: kratos, middleware: []middleware.Middleware{theirs}},
		{name: ours, middleware: []middleware.Middleware{own}, breakers: breakers},
	}
}

// kratosOptions are none in a run that is long enough for the defaults.
func (p plan) kratosOptions() []kratosbreaker.Option {
	if p.isStandard() {
		return nil
	}
	return []kratosbreaker.Option{kratosbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
		return aegissre.NewBreaker(aegissre.WithWindow(p.window()), aegissre.WithRequest(p.request()))
	})}
}

func newClients(p plan, b *backend, transitions *dashboard.Log) (clients []*client, err error) {
	dials := []func(*node, guard) (conn, error){dialHTTP, dialGRPC}
	for i, transport := range []string{overHTTP, overGRPC} {
		for _, g := range guards(p, transitions) {
			c := &client{transport: transport, guard: g}
			clients = append(clients, c)
			for n := range c.conns {
				if c.conns[n], err = dials[i](&b.nodes[n], g); err != nil {
					closeAll(clients)
					return nil, err
				}
			}
		}
	}
	return clients, nil
}

func closeAll(clients []*client) {
	for _, c := range clients {
		c.close()
	}
}

func dialHTTP(n *node, g guard) (conn, error) {
	// Connections of its own, and enough of them for the slow phase.
	wire := http.DefaultTransport.(*http.Transport).Clone()
	wire.MaxIdleConnsPerHost = wire.MaxIdleConns
	client, err := khttp.NewClient(context.Background(), khttp.WithEndpoint(n.httpAddr), khttp.WithTransport(wire),
		khttp.WithTimeout(timeout), khttp.WithMiddleware(g.middleware...))
	if err != nil {
		return conn{}, err
	}
	call := func(ctx context.Context) error {
		var reply struct{ Message string }
		return client.Invoke(ctx, http.MethodGet, httpPath, nil, &reply)
	}
	return conn{call, wire.CloseIdleConnections}, nil
}

func dialGRPC(n *node, g guard) (conn, error) {
	// By default gRPC waits up to 2 minutes before it connects again. That
	// would hide how soon a breaker lets calls through.
	reconnect := grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 50 * time.Millisecond},
		MinConnectTimeout: time.Second,
	}
	client, err := kgrpc.DialInsecure(context.Background(), kgrpc.WithEndpoint(n.grpcAddr), kgrpc.WithTimeout(timeout),
		kgrpc.WithMiddleware(g.middleware...), kgrpc.WithOptions(grpc.WithConnectParams(reconnect)))
	if err != nil {
		return conn{}, err
	}
	call := func(ctx context.Context) error {
		return client.Invoke(ctx, grpcMethod, wrapperspb.String("you"), new(wrapperspb.StringValue))
	}
	return conn{call, func() { _ = client.Close() }}, nil
}

// resultOf sorts the error of a call, the same for every client: Kratos' own
// ErrNotAllowed and this module's are equal to errors.Is.
func resultOf(err error) result {
	switch {
	case err == nil:
		return served
	case errors.Is(err, circuitbreaker.ErrNotAllowed):
		return rejected
	}
	return failed
}

// snapshot returns what the breaker of a client knows; there is one, as there
// is one operation. It returns false for the clients without.
func (c *client) snapshot() (s breaker.Snapshot, ok bool) {
	if c.breakers == nil {
		return s, false
	}
	for _, b := range c.breakers.All() {
		return b.Snapshot(), true
	}
	return s, true
}

// state says how the client treats calls now.
func (c *client) state() string {
	s, ok := c.snapshot()
	switch {
	case c.name == none:
		return "-"
	case !ok:
		return "?"
	case s.RejectRatio > 0:
		return fmt.Sprintf("%v, rejects %.1f %%", s.State, 100*s.RejectRatio)
	}
	return s.State.String()
}
