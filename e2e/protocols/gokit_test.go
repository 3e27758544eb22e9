package protocols_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	kit "github.com/go-kit/kit/endpoint"
	kithttp "github.com/go-kit/kit/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
)

type greeting struct {
	Text string
	Code int
}

func TestGoKit_AnEndpointIsGuardedByTheErrorAndTheReply(t *testing.T) {
	var calls, code atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_ = json.NewEncoder(w).Encode(greeting{"hello", int(code.Load())})
	}))
	defer s.Close()
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := kithttp.NewClient(http.MethodGet, target, kithttp.EncodeJSONRequest,
		func(_ context.Context, resp *http.Response) (any, error) {
			var g greeting
			return &g, json.NewDecoder(resp.Body).Decode(&g)
		}, kithttp.SetClient(&http.Client{Transport: base}))

	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	guard := endpoint.New[kit.Endpoint](
		func(context.Context, any) (transport, key string, ok bool) { return "http", "greet", true },
		endpoint.WithGroup(single(b)),
		endpoint.WithReplyClassifier(func(_ context.Context, _, reply any, err error) breaker.Outcome {
			if g, ok := reply.(*greeting); ok && g != nil && g.Code == 500 {
				return breaker.Failure
			}
			return cberrors.Classify(err)
		}))
	greet := kit.Chain(kit.Middleware(guard))(client.Endpoint())

	reply, err := greet(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, &greeting{Text: "hello"}, reply)
	code.Store(500)
	for range 3 {
		_, err = greet(t.Context(), nil)
		require.NoError(t, err)
	}
	_, err = greet(t.Context(), nil)
	require.ErrorIs(t, err, cberrors.ErrNotAllowed)
	var rejected *breaker.RejectedError
	require.True(t, errors.As(err, &rejected))
	require.EqualValues(t, 4, calls.Load())
	require.Equal(t, breaker.Totals{Offered: 5, Allowed: 4, Rejected: 1, Success: 1, Failure: 3}, b.Snapshot().Totals)
}
