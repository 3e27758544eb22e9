// Prometheus serves the metrics of a client's breakers on /metrics, breaks the
// client's backend, and scrapes itself.
//
//	go run ./examples/prometheus
//	go run ./examples/prometheus -addr localhost:9464 -hold
//
// The metrics are those that deploy/grafana shows. A line of the log tells that
// the breaker opens. With -hold, the program goes on calling and serving until it
// is interrupted.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	khttp "github.com/go-kratos/kratos/v2/transport/http"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/logging"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

func main() {
	addr := flag.String("addr", "localhost:0", "where to serve /metrics")
	hold := flag.Bool("hold", false, "go on until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, *hold, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, hold bool, stdout io.Writer) error {
	// The breakers, and who is told of them.
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation), sre.WithListener(logging.Slog(newLogger(stdout))))
	})
	registry := client.NewRegistry()
	// With the scope in each line, the page is twice as long.
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithoutScopeInfo())
	if err != nil {
		return err
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(exporter))
	defer func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) }()
	if _, err := metrics.Register(provider.Meter(metrics.ScopeName), breaker.SourceOf(breakers)); err != nil {
		return err
	}

	// The page, on a mux of its own.
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	page := fmt.Sprintf("http://%s/metrics", listener.Addr())

	// The client, and its backend, which breaks after 100 calls and is healed
	// again after the scrape.
	var served atomic.Int64
	var healed atomic.Bool
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) > 100 && !healed.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, "{}")
	}))
	defer backend.Close()
	calls, err := khttp.NewClient(ctx, khttp.WithEndpoint(backend.URL),
		khttp.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(breakers))))
	if err != nil {
		return err
	}
	defer func() { _ = calls.Close() }()
	call := func() { _ = calls.Invoke(ctx, "GET", "/hello", nil, &struct{}{}) }
	for range 500 {
		call()
	}
	if err := excerpt(ctx, page, stdout); err != nil || !hold {
		return err
	}

	fmt.Fprintln(stdout, "the backend is healed and broken every 30 s, until an interrupt; see", page)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
			healed.Store(n/1500%2 == 0)
			call()
		case <-ctx.Done():
			return nil
		}
	}
}

// excerpt scrapes the page and prints the lines of the breakers.
func excerpt(ctx context.Context, page string, stdout io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	fmt.Fprintln(stdout, "from", page)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "circuitbreaker_") {
			fmt.Fprintln(stdout, lines.Text())
		}
	}
	return lines.Err()
}

// newLogger logs for people who run an example: without the time.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
