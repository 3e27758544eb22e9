// Package scrape_test looks at breakers through the SDK of OpenTelemetry and its
// exporter for Prometheus, as an operator does.
package scrape_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is what Prometheus scrapes.
type target struct {
	meter   metric.Meter
	handler http.Handler
}

func newTarget(t testing.TB, opts ...prometheus.Option) *target {
	t.Helper()
	registry := client.NewRegistry()
	exporter, err := prometheus.New(append(opts, prometheus.WithRegisterer(registry))...)
	require.NoError(t, err)
	provider := sdk.NewMeterProvider(sdk.WithReader(exporter))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(t.Context())) })
	return &target{provider.Meter(metrics.ScopeName), promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}
}

// publish registers source.
func (g *target) publish(t testing.TB, source breaker.Source, opts ...metrics.Option) metric.Registration {
	t.Helper()
	r, err := metrics.Register(g.meter, source, opts...)
	require.NoError(t, err)
	return r
}

// sample is one line of a scrape.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// String returns the name and the labels, those of the scope apart.
func (s sample) String() string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(s.labels)) {
		if !strings.HasPrefix(k, "otel_scope_") {
			all = append(all, fmt.Sprintf("%s=%q", strings.TrimPrefix(k, "circuitbreaker_"), s.labels[k]))
		}
	}
	return strings.TrimPrefix(s.name, "circuitbreaker_") + "{" + strings.Join(all, ",") + "}"
}

// lines are the samples of the breakers in a scrape.
type lines []sample

// values returns the value of each line, by its String.
func (l lines) values(t testing.TB) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, s := range l {
		require.NotContains(t, all, s.String())
		all[s.String()] = s.value
	}
	return all
}

// scrape gets the page of g from a real server and parses it.
func (g *target) scrape(t testing.TB) lines {
	t.Helper()
	server := httptest.NewServer(g.handler)
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)
	var all lines
	for name, family := range families {
		if !strings.HasPrefix(name, "circuitbreaker_") {
			continue
		}
		for _, m := range family.GetMetric() {
			s := sample{name: name, labels: map[string]string{}}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			s.value = m.GetCounter().GetValue() + m.GetGauge().GetValue() // it is one of them
			all = append(all, s)
		}
	}
	return all
}
