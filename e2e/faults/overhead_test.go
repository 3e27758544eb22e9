package faults_test

import (
	"context"
	"fmt"
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

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// variant is a client of Kratos with a breaker or without.
type variant struct {
	name string
	call func(ctx context.Context, do, id string) (saw string)

	took []time.Duration
}

// BenchmarkOverhead is what a breaker adds to a call of Kratos' clients on
// loopback. The clients take turns, and two of them have no breaker: what tells
// these two apart is noise. On a machine that does nothing else:
//
//	go test -run '^$' -bench Overhead -benchtime 100000x ./faults
func BenchmarkOverhead(b *testing.B) {
	b.Run("HTTP", func(b *testing.B) {
		s := newSocket(b)
		server := kratosHTTPServer(s)
		defer stop(b, server)
		with := func(name string, base http.RoundTripper, ms ...middleware.Middleware) *variant {
			c, err := kratoshttp.NewClient(b.Context(), kratoshttp.WithEndpoint(s.Addr().String()),
				kratoshttp.WithTransport(base), kratoshttp.WithMiddleware(ms...))
			require.NoError(b, err)
			b.Cleanup(func() { base.(interface{ CloseIdleConnections() }).CloseIdleConnections() })
			return &variant{name: name, call: (&kratosCaller{c, http.MethodGet}).call}
		}
		measure(b, []*variant{
			with("none", new(http.Transport)),
			with("none again", new(http.Transport)),
			with("Kratos' own", new(http.Transport), kratoscb.Client()),
			with("middleware", new(http.Transport), circuitbreaker.Client()),
			// net/http needs a goroutine for the timeout of a client whose transport is
			// none of its own, whatever that does.
			with("none, wrapped", wrapped{new(http.Transport)}),
			with("RoundTripper", breakerhttp.NewTransport(new(http.Transport))),
		})
	})
	b.Run("gRPC", func(b *testing.B) {
		s := newSocket(b)
		server := kratosGRPCServer(s)
		defer stop(b, server)
		with := func(name string, opts ...kratosgrpc.ClientOption) *variant {
			cc, err := kratosgrpc.DialInsecure(b.Context(), append(opts, kratosgrpc.WithEndpoint(s.Addr().String()))...)
			require.NoError(b, err)
			b.Cleanup(func() { _ = cc.Close() })
			return &variant{name: name, call: newGRPC(cc, unary, 0).call}
		}
		measure(b, []*variant{
			with("none"),
			with("none again"),
			with("Kratos' own", kratosgrpc.WithMiddleware(kratoscb.Client())),
			with("middleware", kratosgrpc.WithMiddleware(circuitbreaker.Client())),
			with("interceptor", kratosgrpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor())),
		})
	})
}

// wrapped is a transport that net/http does not know.
type wrapped struct{ *http.Transport }

func stop(t testing.TB, server *instance) {
	require.NoError(t, server.Stop(context.Background()))
	<-server.ended
}

// measure times a call of each variant in each round.
func measure(b *testing.B, variants []*variant) {
	const warmUp = 1000
	ctx := b.Context()
	for _, v := range variants {
		v.took = make([]time.Duration, 0, b.N)
	}
	for round := range warmUp + b.N {
		if round == warmUp {
			b.ResetTimer()
		}
		for i := range variants {
			v := variants[(i+round)%len(variants)]
			begin := time.Now()
			saw := v.call(ctx, wellDone, "")
			took := time.Since(begin)
			if saw != "200" && saw != "OK" {
				b.Fatal(v.name, saw)
			}
			if round >= warmUp {
				v.took = append(v.took, took)
			}
		}
	}
	b.StopTimer()
	if b.N > 1 { // the first run is to find out how long it takes
		report(b, variants)
	}
}

// report tells what each variant took, and what it adds to the first, also as a
// share of what the third adds.
func report(b *testing.B, variants []*variant) {
	for _, v := range variants {
		slices.Sort(v.took)
	}
	added := func(v *variant, q int) time.Duration { return v.at(q) - variants[0].at(q) }
	var table strings.Builder
	fmt.Fprintf(&table, "%-13s %10s %10s %10s %10s %10s\n", "", "p50", "p99", "adds, p50", "adds, p99", "share, p50")
	for _, v := range variants {
		share := float64(added(v, 50)) / float64(added(variants[2], 50))
		fmt.Fprintf(&table, "%-13s %10v %10v %10v %10v %9.0f%%\n", v.name, v.at(50), v.at(99), added(v, 50), added(v, 99), 100*share)
	}
	b.Logf("%d calls of each\n%s", b.N, table.String())
	for _, v := range variants[1:] {
		b.ReportMetric(float64(added(v, 50)), strings.ReplaceAll(v.name, " ", "-")+"-adds-ns")
	}
}

// at returns a percentile.
func (v *variant) at(percent int) time.Duration { return v.took[len(v.took)*percent/100] }
