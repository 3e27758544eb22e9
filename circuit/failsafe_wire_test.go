package circuit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

// The statements about failsafe-go's HTTP and gRPC adapters, over the middleware
// for Kratos: there is no server side and no tap here.

// answering is a call, through the middleware, of a server with that status.
func answering(t *testing.T, b *circuit.Breaker, code int) func() error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	t.Cleanup(server.Close)
	client, err := kratoshttp.NewClient(t.Context(), kratoshttp.WithEndpoint(server.URL), kratoshttp.WithMiddleware(
		circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *circuit.Breaker { return b }))))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.Close())
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return func() error { return client.Invoke(context.Background(), http.MethodGet, "/f", nil, nil) }
}

func TestF41_AnAnswerOf500IsAFailure(t *testing.T) {
	b := circuit.NewBreaker()
	call := answering(t, b, http.StatusInternalServerError)
	for range 5 {
		require.Equal(t, http.StatusInternalServerError, kratoserrors.Code(call()))
	}
	requireState(t, breaker.Open, b)
	err := call()
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	require.Equal(t, http.StatusServiceUnavailable, kratoserrors.Code(err), "and not 429")
	after, ok := errors.RetryAfter(err)
	require.True(t, ok)
	require.InDelta(t, 30*time.Second, after, float64(5*time.Second))
}

func TestF42_AskingWithoutACallClosesNothing(t *testing.T) {
	b := circuit.NewBreaker()
	b.HalfOpen()
	for range 3 {
		b.Snapshot()
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(breaker.Ignored) // there was no call
		requireState(t, breaker.HalfOpen, b)
	}
}

func TestF43_AnAnswerOf503IsAFailureWithoutAnyConfiguration(t *testing.T) {
	b := circuit.NewBreaker()
	call := answering(t, b, http.StatusServiceUnavailable)
	for range 5 {
		require.Error(t, call())
	}
	requireState(t, breaker.Open, b)

	b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	require.Equal(t, http.StatusTooManyRequests, kratoserrors.Code(answering(t, b, http.StatusTooManyRequests)()))
	requireState(t, breaker.Closed, b)
}

func TestF44_ARejectionIsUnavailableOverGRPC(t *testing.T) {
	b := circuit.NewBreaker()
	b.Open()
	_, err := b.Acquire()
	require.Equal(t, codes.Unavailable, status.Code(errors.NotAllowed(breaker.AsRejected("", err))))
}
