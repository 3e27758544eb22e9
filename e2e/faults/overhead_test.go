package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	kratosgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// variant is a client of Kratos with a breaker or without.
type variant struct {
	name string
	dial func(t testing.TB) *client

	// The percentiles of each dial.
	p50, p99 []time.Duration
}

// BenchmarkOverhead is what a breaker adds to a call of Kratos' clients on
// loopback. In each round the clients take turns by lot, since a call is faster
// after one than after another, and they are dialled again several times, since a
// connection is faster than another. Two of them have no breaker: what tells
// these two apart is noise. On a machine that does nothing else:
//
//	go test -run '^$' -bench Overhead -benchtime 100000x ./faults
func BenchmarkOverhead(b *testing.B) {
	b.Run("HTTP", func(b *testing.B) {
		s := newSocket(b)
		server := kratosHTTPServer(s)
		defer stop(b, server)
		with := func(name string, wrap func(*http.Transport) http.RoundTripper, ms ...middleware.Middleware) *variant {
			return &variant{name: name, dial: func(t testing.TB) *client {
				base := new(http.Transport)
				c, err := kratoshttp.NewClient(t.Context(), kratoshttp.WithEndpoint(s.Addr().String()),
					kratoshttp.WithTransport(wrap(base)), kratoshttp.WithMiddleware(ms...))
				require.NoError(t, err)
				return &client{(&kratosCaller{c, http.MethodGet}).call, noConnect, base.CloseIdleConnections}
			}}
		}
		bare := func(base *http.Transport) http.RoundTripper { return base }
		measure(b, []*variant{
			with("none", bare),
			with("none again", bare),
			with("Kratos' own", bare, kratoscb.Client()),
			with("middleware", bare, circuitbreaker.Client()),
			// net/http needs a goroutine for the timeout of a client whose transport is
			// none of its own, whatever that does.
			with("none, wrapped", func(base *http.Transport) http.RoundTripper { return wrapped{base} }),
			with("RoundTripper", func(base *http.Transport) http.RoundTripper { return breakerhttp.NewTransport(base) }),
		})
	})
	b.Run("gRPC", func(b *testing.B) {
		s := newSocket(b)
		server := kratosGRPCServer(s)
		defer stop(b, server)
		with := func(name string, opts ...kratosgrpc.ClientOption) *variant {
			return &variant{name: name, dial: func(t testing.TB) *client {
				cc, err := kratosgrpc.DialInsecure(t.Context(), append(opts, kratosgrpc.WithEndpoint(s.Addr().String()))...)
				require.NoError(t, err)
				return newGRPC(cc, unary, 0)
			}}
		}
		measure(b, []*variant{
			with("none"),
			with("none again"),
			with("Kratos' own", kratosgrpc.WithMiddleware(kratoscb.Client())),
			with("middleware", kratosgrpc.WithMiddleware(circuitbreaker.Client())),
			// grpc-go allocates for each call where there is more than one interceptor,
			// and Kratos has one already.
			with("none, chained", kratosgrpc.WithUnaryInterceptor(through)),
			with("interceptor", kratosgrpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor())),
		})
	})
}

// through is an interceptor that does nothing.
func through(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, req, reply, cc, opts...)
}

// wrapped is a transport that net/http does not know.
type wrapped struct{ *http.Transport }

func stop(t testing.TB, server *instance) {
	require.NoError(t, server.Stop(context.Background()))
	<-server.ended
}

// measure times a call of each variant in each round.
func measure(b *testing.B, variants []*variant) {
	b.StopTimer()
	const warmUp, enough = 500, 100 // rounds of a dial
	dials := min(40, max(1, b.N/enough))
	rounds := max(1, b.N/dials)
	took := make([][]time.Duration, len(variants))
	for range dials {
		clients := make([]*client, len(variants))
		for _, i := range rand.Perm(len(variants)) {
			clients[i] = variants[i].dial(b)
		}
		for round := range warmUp + rounds {
			if round == warmUp {
				b.StartTimer()
			}
			for _, i := range rand.Perm(len(variants)) {
				begin := time.Now()
				saw := clients[i].call(b.Context(), wellDone, "")
				t := time.Since(begin)
				if saw != "200" && saw != "OK" {
					b.Fatal(variants[i].name, saw)
				}
				if round >= warmUp {
					took[i] = append(took[i], t)
				}
			}
		}
		b.StopTimer()
		for i, v := range variants {
			clients[i].close()
			slices.Sort(took[i])
			v.p50, v.p99 = append(v.p50, took[i][rounds/2]), append(v.p99, took[i][rounds*99/100])
			took[i] = took[i][:0]
		}
	}
	if rounds >= enough {
		report(b, variants, dials*rounds)
	}
}

// report tells what each variant took, and what it adds to the first, also as a
// share of what the third adds. What comes last is told again without what the
// one before it adds, which does nothing in its place. All are medians of the
// dials, so a time in which the machine is slower counts for no variant more than
// for another.
func report(b *testing.B, variants []*variant, calls int) {
	var table strings.Builder
	fmt.Fprintf(&table, "%-13s %10s %10s %10s %10s %10s\n", "", "p50", "p99", "adds, p50", "adds, p99", "share, p50")
	none, own := variants[0], variants[2]
	reference := added(own.p50, none.p50)
	row := func(name string, v, without *variant) {
		adds := added(v.p50, without.p50)
		fmt.Fprintf(&table, "%-13s %10v %10v %10v %10v %9.0f%%\n", name,
			median(v.p50), median(v.p99), adds, added(v.p99, without.p99), 100*float64(adds)/float64(reference))
	}
	for _, v := range variants {
		row(v.name, v, none)
		if v == none {
			continue
		}
		b.ReportMetric(float64(added(v.p50, none.p50)), strings.ReplaceAll(v.name, " ", "-")+"-adds-ns")
	}
	last := len(variants) - 1
	row("  its own", variants[last], variants[last-1])
	b.Logf("%d calls of each\n%s", calls, table.String())
}

// added returns the median of what a takes more than b.
func added(a, b []time.Duration) time.Duration {
	d := make([]time.Duration, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return median(d)
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	n := len(d)
	return (d[(n-1)/2] + d[n/2]) / 2
}
