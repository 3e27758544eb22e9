package docs_test

// The samples of the README about transports, nodes, rules and watching, in
// functions that the tests below call.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/registry"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/dashboard"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/logging"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/selector"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/tracing"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

func readmeHTTP(ctx context.Context, endpoint string) (*http.Client, *khttp.Client, error) {
	client := &http.Client{Transport: breakerhttp.NewTransport(http.DefaultTransport)}
	guarded, err := khttp.NewClient(ctx, khttp.WithEndpoint(endpoint),
		khttp.WithTransport(breakerhttp.NewTransport(http.DefaultTransport)))
	return client, guarded, err
}

func readmeGRPC(target string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor()),
		grpc.WithStreamInterceptor(breakergrpc.StreamClientInterceptor()))
	return conn, err
}

func readmeNodes(ctx context.Context, discovery registry.Discovery) (*khttp.Client, *selector.Nodes, error) {
	nodes := selector.NewNodes()
	users, err := khttp.NewClient(ctx, khttp.WithEndpoint("discovery:///users"), khttp.WithDiscovery(discovery),
		khttp.WithNodeFilter(nodes.Filter),
		khttp.WithMiddleware(circuitbreaker.Client(), nodes.Client())) // per operation, then per node
	return users, nodes, err
}

func readmeRules(ctx context.Context) (middleware.Middleware, error) {
	rules, err := config.Load(config.File("breakers.yaml"))
	if err != nil {
		return nil, err // all that is wrong with the file, a line each
	}
	go rules.Follow(ctx)
	ruled := circuitbreaker.Client(circuitbreaker.WithRules(rules))
	return ruled, nil
}

func readmeSeen(logger *slog.Logger, spans *tracing.Recorder, meter metric.Meter, srv *khttp.Server) (*group.Group[*sre.Breaker], error) {
	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(operation),
			sre.WithListener(logging.Slog(logger)), // a line per change of state; logging.Kratos for Kratos' log
			sre.WithListener(spans.Listen))         // a tracing.Recorder: events on the spans of the calls
	})
	source := breaker.SourceOf(breakers)
	_, err := metrics.Register(meter, source)
	srv.HandlePrefix("/debug/breakers/", dashboard.Handler(source))
	return breakers, err
}

func TestReadme_TransportsGuardTheirCalls(t *testing.T) {
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer dead.Close()
	client, guarded, err := readmeHTTP(t.Context(), dead.URL)
	require.NoError(t, err)
	defer func() { _ = guarded.Close() }()
	for name, do := range map[string]func(*http.Request) (*http.Response, error){
		"net/http":     client.Do,
		"Kratos' Do()": func(req *http.Request) (*http.Response, error) { return guarded.Do(req) },
	} {
		require.Eventually(t, func() bool {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, dead.URL, nil)
			require.NoError(t, err)
			resp, err := do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			return errors.Is(err, circuitbreaker.ErrNotAllowed)
		}, 10*time.Second, time.Millisecond, name)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()

	conn, err := readmeGRPC("passthrough:///127.0.0.1:1") // nobody listens there
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.Eventually(t, func() bool {
		err := conn.Invoke(t.Context(), "/users.v1.Users/Get", nil, nil)
		require.Equal(t, codes.Unavailable, status.Code(err))
		return errors.Is(err, circuitbreaker.ErrNotAllowed)
	}, 10*time.Second, time.Millisecond)
}

func TestReadme_CallsKeepAwayFromADeadNode(t *testing.T) {
	serve := func(code int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "{}")
		}))
	}
	well, dead := serve(http.StatusOK), serve(http.StatusServiceUnavailable)
	defer well.Close()
	defer dead.Close()
	users, nodes, err := readmeNodes(t.Context(), directory{well.URL, dead.URL})
	require.NoError(t, err)
	defer func() { _ = users.Close() }()

	failed := 100
	require.Eventually(t, func() bool {
		failed = 0
		for range 20 {
			var reply struct{}
			if users.Invoke(t.Context(), http.MethodGet, "/users/1", nil, &reply) != nil {
				failed++
			}
		}
		return failed <= 1 // a probe
	}, 10*time.Second, time.Millisecond)
	open := 0
	for l := range nodes.Breakers() {
		if l.Breaker.Snapshot().State == breaker.Open {
			open++
			require.Equal(t, strings.TrimPrefix(dead.URL, "http://"), l.Key)
		}
	}
	require.Equal(t, 1, open)
}

// directory is a discovery that knows some nodes, which never change.
type directory []string

func (d directory) GetService(context.Context, string) ([]*registry.ServiceInstance, error) {
	var all []*registry.ServiceInstance
	for _, endpoint := range d {
		all = append(all, &registry.ServiceInstance{ID: endpoint, Name: "users", Endpoints: []string{endpoint}})
	}
	return all, nil
}

func (d directory) Watch(ctx context.Context, name string) (registry.Watcher, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{ctx: ctx, cancel: cancel, first: make(chan []*registry.ServiceInstance, 1)}
	all, err := d.GetService(ctx, name)
	w.first <- all
	return w, err
}

type watcher struct {
	ctx    context.Context
	cancel func()
	first  chan []*registry.ServiceInstance
}

func (w *watcher) Next() ([]*registry.ServiceInstance, error) {
	select {
	case all := <-w.first:
		return all, nil
	case <-w.ctx.Done():
		return nil, w.ctx.Err()
	}
}

func (w *watcher) Stop() error {
	w.cancel()
	return nil
}

func TestReadme_RulesComeFromAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := readmeRules(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(filepath.Join(".", "breakers.yaml"), []byte("default: {mode: force-open}\n"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ruled, err := readmeRules(ctx)
	require.NoError(t, err)
	_, err = ruled(func(context.Context, any) (any, error) { return nil, nil })(clientContext("/users.v1.Users/Get"), nil)
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
}

func TestReadme_BreakersAreSeen(t *testing.T) {
	var text bytes.Buffer
	srv := khttp.NewServer()
	breakers, err := readmeSeen(slog.New(slog.NewTextHandler(&text, nil)), new(tracing.Recorder), metricnoop.Meter{}, srv)
	require.NoError(t, err)
	b := breakers.Get("/users.v1.Users/Get")
	for range 200 {
		b.MarkFailed()
	}
	require.Contains(t, text.String(), "/users.v1.Users/Get")

	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/breakers/api/v1/breakers", nil))
	body, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `"/users.v1.Users/Get"`)
}
