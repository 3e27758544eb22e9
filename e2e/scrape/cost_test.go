package scrape_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/kratos-breaker/breaker"
	live "github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/logging"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/tracing"
)

// BenchmarkWatchedCall compares a call through the Kratos middleware whose
// breakers have metrics, listeners and the page with one whose breakers have
// none. Both are measured in turns, in one run. Somebody collects once a second,
// and somebody looks at the page.
//
//	go test -run '^$' -bench WatchedCall -benchtime 5s -count 6 ./scrape
func BenchmarkWatchedCall(b *testing.B) {
	var spans tracing.Recorder
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	newGroup := func(opts ...sre.Option) *group.Group[*sre.Breaker] {
		return group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(append(opts, sre.WithName(key))...) })
	}
	plain := newGroup()
	watched := newGroup(sre.WithListener(logging.Slog(logger)), sre.WithListener(spans.Listen))
	reader := sdk.NewManualReader()
	_, err := metrics.Register(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter(metrics.ScopeName), breaker.SourceOf(watched))
	require.NoError(b, err)

	page := live.Handler(breaker.SourceOf(watched))

	var calls [2]func(n int) time.Duration
	for i, g := range []*group.Group[*sre.Breaker]{plain, watched} {
		call := circuitbreaker.Client(
			circuitbreaker.WithGroup(g),
			circuitbreaker.WithKey(func(context.Context, any) string { return "/helloworld.v1.Greeter/SayHello" }),
		)(func(context.Context, any) (any, error) { return nil, nil })
		ctx := b.Context()
		calls[i] = func(n int) time.Duration {
			began := time.Now()
			for range n {
				_, _ = call(ctx, nil)
			}
			return time.Since(began)
		}
	}
	const batch = 10_000
	var took [2][]float64 // ns per call, by turn
	var data metricdata.ResourceMetrics
	collected := time.Now()
	for n := 0; b.Loop(); n++ {
		if time.Since(collected) > time.Second {
			collected = time.Now()
			require.NoError(b, reader.Collect(b.Context(), &data))
			answer := httptest.NewRecorder()
			page.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/breakers", nil))
			require.Equal(b, http.StatusOK, answer.Code)
		}
		for i := range calls {
			i = (i + n) % 2 // nobody is always the first
			took[i] = append(took[i], float64(calls[i](batch).Nanoseconds())/batch)
		}
	}
	ratios := make([]float64, len(took[0]))
	for i := range ratios {
		ratios[i] = took[1][i] / took[0][i]
	}
	b.ReportMetric(0, "ns/op") // an operation is a turn of both
	b.ReportMetric(median(took[0]), "plain-ns/call")
	b.ReportMetric(median(took[1]), "watched-ns/call")
	b.ReportMetric((median(ratios)-1)*100, "%-more")
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
