package bench_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

// endToEnd are calls of Kratos clients to Kratos servers in the same process,
// over loopback. Down means that nobody listens. The contenders of a row take
// turns of some milliseconds, in random order, for one percent is what there is to
// see; so a row is measured as a whole, and its sub-benchmarks only say their
// part of it.
var endToEnd = table{"EndToEnd", []row{
	calls("http", dialHTTP, false),
	calls("grpc", dialGRPC, false),
	calls("http-down", dialHTTP, true),
	calls("grpc-down", dialGRPC, true),
}}

const (
	workers = 4
	turn    = 20 * time.Millisecond
	turns   = 25
	warmUp  = 25 // turns that are not counted
)

// dial returns a call of a client with the middleware, and what closes it.
type dial func(to addresses, ms []middleware.Middleware) (call func() error, end func(), err error)

func calls(name string, d dial, down bool) row {
	clients := []*client{
		{name: "none"},
		{name: "kratos", middleware: func() middleware.Middleware { return kratoscb.Client() }},
		{name: "breaker", middleware: func() middleware.Middleware { return circuitbreaker.Client() }},
	}
	var once sync.Once
	r := row{name: name}
	for _, c := range clients {
		r.contenders = append(r.contenders, custom(c.name, func(b *testing.B) func(b *testing.B) {
			once.Do(func() { measure(b, slices.Clone(clients), d, down) })
			return c.report
		}))
	}
	return r
}

// client is a Kratos client, and what each of its turns was like.
type client struct {
	name       string
	middleware func() middleware.Middleware
	call       func() error

	rates, p50, p99 []float64
}

func (c *client) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // hides it
	b.ReportMetric(median(c.rates), "calls/s")
	b.ReportMetric(median(c.p50), "p50-ns")
	b.ReportMetric(median(c.p99), "p99-ns")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func measure(b *testing.B, clients []*client, d dial, down bool) {
	to, stop := serve(b)
	if down {
		stop()
	} else {
		defer stop()
	}
	for _, c := range clients {
		var ms []middleware.Middleware
		if c.middleware != nil {
			ms = append(ms, c.middleware())
		}
		call, end, err := d(to, ms)
		if err != nil {
			b.Fatal(err)
		}
		defer end()
		c.call = call
	}
	before, n := warmUp, turns
	if testing.Short() {
		before, n = 1, 1
	}
	for i := range before + n {
		rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
		for _, c := range clients {
			c.turn(b, i >= before, down)
		}
	}
}

// turn makes calls for a while, and notes how they went if they count.
func (c *client) turn(b *testing.B, counts, down bool) {
	took := make([][]float64, workers)
	var done sync.WaitGroup
	began := time.Now()
	for w := range workers {
		done.Go(func() {
			for at := time.Now(); at.Sub(began) < turn; {
				err := c.call()
				now := time.Now()
				took[w] = append(took[w], float64(now.Sub(at)))
				at = now
				if (err != nil) != down {
					b.Errorf("%s: %v", c.name, err)
					return
				}
			}
		})
	}
	done.Wait()
	length := time.Since(began)
	if !counts {
		return
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	c.rates = append(c.rates, float64(len(all))/length.Seconds())
	c.p50 = append(c.p50, all[len(all)/2])
	c.p99 = append(c.p99, all[len(all)*99/100])
}

type addresses struct{ http, grpc string }

const path = "/hello"

// serve starts a Kratos server of each kind.
func serve(b *testing.B) (to addresses, stop func()) {
	onHTTP, onGRPC := listen(b), listen(b)
	forHTTP := khttp.NewServer(khttp.Listener(onHTTP))
	forHTTP.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"message":"hello"}`)
	})
	forGRPC := kgrpc.NewServer(kgrpc.Listener(onGRPC), kgrpc.DisableReflection())
	forGRPC.RegisterService(&greeter, nil)
	var served sync.WaitGroup
	served.Go(func() { _ = forHTTP.Start(context.Background()) })
	served.Go(func() { _ = forGRPC.Start(context.Background()) })
	return addresses{onHTTP.Addr().String(), onGRPC.Addr().String()}, func() {
		now, cancel := context.WithCancel(context.Background())
		cancel() // no grace
		_ = forHTTP.Stop(now)
		_ = forGRPC.Stop(now)
		served.Wait()
	}
}

func listen(b *testing.B) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func dialHTTP(to addresses, ms []middleware.Middleware) (call func() error, end func(), err error) {
	ctx := context.Background()
	c, err := khttp.NewClient(ctx, khttp.WithEndpoint(to.http), khttp.WithMiddleware(ms...))
	if err != nil {
		return nil, nil, err
	}
	return func() error {
		var reply struct{ Message string }
		return c.Invoke(ctx, http.MethodGet, path, nil, &reply)
	}, func() { _ = c.Close() }, nil
}

func dialGRPC(to addresses, ms []middleware.Middleware) (call func() error, end func(), err error) {
	ctx := context.Background()
	c, err := kgrpc.DialInsecure(ctx, kgrpc.WithEndpoint(to.grpc), kgrpc.WithMiddleware(ms...))
	if err != nil {
		return nil, nil, err
	}
	return func() error {
		return c.Invoke(ctx, operation, wrapperspb.String("hello"), new(wrapperspb.StringValue))
	}, func() { _ = c.Close() }, nil
}

// greeter is what protoc would generate for
//
//	rpc SayHello(google.protobuf.StringValue) returns (google.protobuf.StringValue);
var greeter = grpc.ServiceDesc{
	ServiceName: "helloworld.v1.Greeter",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "SayHello",
		Handler: func(_ any, ctx context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			return around(ctx, in, &grpc.UnaryServerInfo{FullMethod: operation},
				func(_ context.Context, req any) (any, error) { return req, nil })
		},
	}},
}
