// Package httpclient_test runs the transport of transport/http together with
// the libraries that people put around HTTP clients, over real sockets.
package httpclient_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a server that counts its requests and answers with a status.
type backend struct {
	url    string
	status atomic.Int64
	calls  atomic.Int64
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.status.Store(http.StatusOK)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.calls.Add(1)
		w.WriteHeader(int(b.status.Load()))
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

// newBreaker returns a breaker that one failure opens, for an hour.
func newBreaker() (*circuit.Breaker, breakerhttp.Option) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Hour))
	return b, breakerhttp.WithGroup(group.NewGroup(func() *circuit.Breaker { return b }))
}

func newBase(t *testing.T) *http.Transport {
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

func TestRetryableHTTP_RepeatsFailuresButNoRejection(t *testing.T) {
	for name, row := range map[string]struct {
		policy   retryablehttp.CheckRetry
		attempts uint64 // that the breaker saw
	}{
		"CheckRetry":          {breakerhttp.CheckRetry(retryablehttp.DefaultRetryPolicy), 2}, //nolint:bodyclose // 2: the failure and the rejection
		"the default of them": {retryablehttp.DefaultRetryPolicy, 5},
	} {
		t.Run(name, func(t *testing.T) {
			server := newBackend(t)
			server.status.Store(http.StatusBadGateway)
			b, opt := newBreaker()
			client := retryablehttp.NewClient()
			client.Logger = nil
			client.RetryMax = 4
			client.RetryWaitMin, client.RetryWaitMax = time.Millisecond, time.Millisecond
			client.HTTPClient = &http.Client{Transport: breakerhttp.NewTransport(newBase(t), opt)}
			client.CheckRetry = row.policy

			resp, err := client.Post(server.url, "text/plain", []byte("a body"))
			if resp != nil {
				_ = resp.Body.Close()
			}
			require.ErrorIs(t, err, cberrors.ErrNotAllowed)
			var r *breaker.RejectedError
			require.ErrorAs(t, err, &r)
			require.EqualValues(t, 1, server.calls.Load())
			require.Equal(t, row.attempts, b.Snapshot().Totals.Offered)
		})
	}
}

func TestOTelHTTP_WorksUnderAndOverTheTransport(t *testing.T) {
	for _, opts := range [][]breakerhttp.Option{nil, {breakerhttp.WithBody()}} {
		server := newBackend(t)
		spans := tracetest.NewSpanRecorder()
		provider := otelhttp.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
		b, opt := newBreaker()
		inner := otelhttp.NewTransport(newBase(t), provider)
		client := &http.Client{Transport: otelhttp.NewTransport(
			breakerhttp.NewTransport(inner, append(opts, opt)...), provider)}

		text, err := get(client, server.url)
		require.NoError(t, err)
		require.Equal(t, "hello", text)
		require.Len(t, spans.Ended(), 2, "one around the breaker, one below")
		require.EqualValues(t, 1, b.Snapshot().Totals.Success)
		require.Zero(t, b.Snapshot().Totals.InFlight)

		server.status.Store(http.StatusInternalServerError)
		_, err = get(client, server.url)
		require.NoError(t, err)
		_, err = get(client, server.url)
		require.ErrorIs(t, err, cberrors.ErrNotAllowed)
		require.EqualValues(t, 2, server.calls.Load())
		ended := spans.Ended()
		require.Len(t, ended, 5, "a rejection has no span below the breaker")
		require.Equal(t, codes.Error, ended[4].Status().Code)
	}
}

func get(client *http.Client, url string) (text string, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), errors.Join(err, resp.Body.Close())
}
