package scrape_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	ktracing "github.com/go-kratos/kratos/v2/middleware/tracing"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/tracing"
)

// TestSpans_OfKratosClientTellWhatTheBreakerDid: the one whose failure opened
// the breaker, and each that was rejected, besides the error that Kratos puts on
// all of them.
func TestSpans_OfKratosClientTellWhatTheBreakerDid(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer backend.Close()
	recorded := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorded))
	var spans tracing.Recorder
	client, err := khttp.NewClient(t.Context(), khttp.WithEndpoint(backend.URL), khttp.WithMiddleware(
		ktracing.Client(ktracing.WithTracerProvider(provider)),
		spans.Client(),
		circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithName("hello"), circuit.WithListener(spans.Listen),
				circuit.WithConsecutiveFailures(2), circuit.WithDelay(time.Hour), circuit.WithJitter(0))
		})),
	))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	for range 4 {
		require.Error(t, client.Invoke(t.Context(), "GET", "/hello", nil, &struct{}{}))
	}
	require.NoError(t, provider.Shutdown(t.Context()))

	var got [][]string
	for _, s := range recorded.Ended() {
		var events []string
		for _, e := range s.Events() {
			events = append(events, e.Name)
			set := attribute.NewSet(e.Attributes...)
			switch e.Name {
			case "circuitbreaker.state_changed":
				require.Equal(t, "cause=2 failures in a row,circuitbreaker.name=hello,from=closed,to=open", set.Encoded(attribute.DefaultEncoder()))
				require.False(t, e.Time.Before(s.StartTime()))
				require.False(t, e.Time.After(s.EndTime()))
			case "circuitbreaker.rejected":
				wait, ok := set.Value("circuitbreaker.retry_after_ms")
				require.True(t, ok)
				require.InDelta(t, time.Hour.Milliseconds(), wait.AsInt64(), 60_000)
				reason, _ := set.Value("circuitbreaker.reason")
				require.Equal(t, "open", reason.AsString())
			}
		}
		got = append(got, events)
	}
	require.Equal(t, [][]string{
		{"exception"},
		{"circuitbreaker.state_changed", "exception"},
		{"circuitbreaker.rejected", "exception"},
		{"circuitbreaker.rejected", "exception"},
	}, got)
}
