package scrape_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/sre"
)

// filled returns a group of n breakers, each of which has had a call.
func filled(n int) *group.Group[*sre.Breaker] {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) }, group.WithLimit(n))
	for i := range n {
		p, _ := g.Get(fmt.Sprintf("/helloworld.v1.Greeter/SayHello%d", i)).Acquire()
		p.Done(breaker.Success)
	}
	return g
}

func TestScrape_HasTheNamesOfPrometheus(t *testing.T) {
	g := newTarget(t)
	g.publish(t, breaker.SourceOf(filled(1)))
	names := map[string]bool{}
	for _, s := range g.scrape(t) {
		names[s.name] = true
	}
	require.Equal(t, map[string]bool{
		"circuitbreaker_requests_total":          true,
		"circuitbreaker_calls_total":             true,
		"circuitbreaker_inflight":                true,
		"circuitbreaker_state":                   true,
		"circuitbreaker_state_transitions_total": true,
		"circuitbreaker_mode":                    true,
		"circuitbreaker_reject_ratio":            true,
		"circuitbreaker_window_calls":            true,
		"circuitbreaker_breakers":                true,
		"circuitbreaker_breakers_limit":          true,
		"circuitbreaker_overflow_total":          true,
	}, names)
}

func TestScrape_TheSDKDropsNoAttributesHoweverManyBreakersThereAre(t *testing.T) {
	g := newTarget(t)
	g.publish(t, breaker.SourceOf(filled(2500)))
	var calls float64
	for _, s := range g.scrape(t) {
		require.NotContains(t, s.labels, "otel_metric_overflow")
		if s.name == "circuitbreaker_calls_total" {
			calls += s.value
		}
	}
	require.InDelta(t, 2500, calls, 0, "those beyond the limit are counted together")
}

// Each label of the scope stands in each line.
func TestScrape_WithoutTheScopeIsLittleMoreThanHalfAsLong(t *testing.T) {
	var sizes [2]float64
	for i, opts := range [][]prometheus.Option{nil, {prometheus.WithoutScopeInfo()}} {
		g := newTarget(t, opts...)
		g.publish(t, breaker.SourceOf(filled(256)))
		sizes[i] = float64(g.size())
	}
	require.InDelta(t, 0.52, sizes[1]/sizes[0], 0.05)
}

func TestScrape_SurvivesAnyKey(t *testing.T) {
	breakers := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() })
	for _, key := range []string{"", "\xff", "a\nb", "\x00", `"}`, "<script>", "日本"} {
		breakers.Get(key)
	}
	g := newTarget(t)
	g.publish(t, breaker.SourceOf(breakers))
	states := 0
	for _, s := range g.scrape(t) {
		if s.name == "circuitbreaker_mode" {
			states++
		}
	}
	require.Equal(t, 7, states)
}

func TestScrape_EndsWithTheRegistration(t *testing.T) {
	g := newTarget(t)
	r := g.publish(t, breaker.SourceOf(filled(1)))
	require.NotEmpty(t, g.scrape(t))
	require.NoError(t, r.Unregister())
	require.Empty(t, g.scrape(t))
}

func TestScrape_TwoSourcesWithAttributesOfTheirOwnStayApart(t *testing.T) {
	g := newTarget(t)
	for kind, n := range map[string]int{"http": 1, "grpc": 2} {
		g.publish(t, breaker.SourceOf(filled(n)), metrics.WithCommonAttributes(attribute.String("kind", kind)))
	}
	v := g.scrape(t).values(t)
	require.InDelta(t, 1, v[`breakers{kind="http"}`], 0)
	require.InDelta(t, 2, v[`breakers{kind="grpc"}`], 0)
	require.Contains(t, v, `state{name="/helloworld.v1.Greeter/SayHello0",state="open",kind="http"}`)
}

func TestRegister_StartsNoGoroutine(t *testing.T) {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	before := goleak.IgnoreCurrent()
	r, err := metrics.Register(provider.Meter(metrics.ScopeName), breaker.SourceOf(filled(256)))
	require.NoError(t, err)
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	goleak.VerifyNone(t, before)
	require.NoError(t, r.Unregister())
}

// BenchmarkCollect256 is a collection by the SDK: what this module has a part in.
func BenchmarkCollect256(b *testing.B) {
	reader := sdk.NewManualReader()
	_, err := metrics.Register(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter(metrics.ScopeName), breaker.SourceOf(filled(256)))
	require.NoError(b, err)
	var data metricdata.ResourceMetrics
	b.ReportAllocs()
	for b.Loop() {
		if err := reader.Collect(context.Background(), &data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScrape256 is a whole scrape: the collection, and the text that the
// exporter and Prometheus' client make of it.
func BenchmarkScrape256(b *testing.B) {
	for _, v := range []struct {
		name string
		opts []prometheus.Option
	}{
		{"Default", nil},
		{"WithoutScopeInfo", []prometheus.Option{prometheus.WithoutScopeInfo()}},
	} {
		b.Run(v.name, func(b *testing.B) {
			g := newTarget(b, v.opts...)
			g.publish(b, breaker.SourceOf(filled(256)))
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				size = g.size()
			}
			b.ReportMetric(float64(size), "bytes/scrape")
		})
	}
}

// size returns the length of the page without compression.
func (g *target) size() int {
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.Len()
}
