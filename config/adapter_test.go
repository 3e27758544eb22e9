package config_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/transport"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	tgrpc "github.com/kratos-breaker/breaker/transport/grpc"
	thttp "github.com/kratos-breaker/breaker/transport/http"
)

// client is the transport of a client of Kratos.
type client struct {
	transport.Transporter
	kind      transport.Kind
	operation string
}

func (c *client) Kind() transport.Kind { return c.kind }
func (c *client) Operation() string    { return c.operation }

func TestRules_AreWhatTheMiddlewareAndBothTransportsAsk(t *testing.T) {
	r := config.New(parsed(t, `
default: {algorithm: circuit, circuit: {consecutive_failures: 1}, classify: {failure: {http: [404]}}}
rules:
- {match: /mw, transport: grpc, algorithm: off}
- {match: /m.M/*, transport: grpc, mode: force-open}
- {match: "*", transport: http}
`))

	// The middleware: the rule says that 404 is a failure.
	mw := circuitbreaker.Client(circuitbreaker.WithRules(r))(func(context.Context, any) (any, error) {
		return nil, kratoserrors.New(404, "", "")
	})
	call := func(kind transport.Kind) error {
		_, err := mw(transport.NewClientContext(t.Context(), &client{kind: kind, operation: "/mw"}), nil)
		return err
	}
	require.NotErrorIs(t, call(transport.KindHTTP), circuitbreaker.ErrNotAllowed)
	require.ErrorIs(t, call(transport.KindHTTP), circuitbreaker.ErrNotAllowed)
	for range 3 {
		require.NotErrorIs(t, call(transport.KindGRPC), circuitbreaker.ErrNotAllowed)
	}

	// The RoundTripper.
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c := &http.Client{Transport: thttp.NewTransport(server.Client().Transport, thttp.WithRules(r))}
	res, err := c.Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	_, err = c.Get(server.URL) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)

	// The interceptors.
	unary := tgrpc.UnaryClientInterceptor(tgrpc.WithRules(r))
	err = unary(t.Context(), "/m.M/Call", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
		t.Fatal("the call was made")
		return nil
	})
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)

	rules := make(map[string]string)
	for l := range r.Breakers() {
		rules[l.Key] = l.Breaker.Snapshot().Rule
	}
	require.Equal(t, "rules[2] * http (circuit)", rules["http:/mw"])
	require.Equal(t, "rules[0] /mw grpc (off)", rules["grpc:/mw"])
	require.Equal(t, "rules[1] /m.M/* grpc (circuit)", rules["grpc:/m.M/Call"])

	// One reload for all three.
	r.Apply(parsed(t, "{default: {algorithm: off}}"))
	require.NotErrorIs(t, call(transport.KindHTTP), circuitbreaker.ErrNotAllowed)
	for l := range r.Breakers() {
		require.Equal(t, "default (off)", l.Breaker.Snapshot().Rule)
		require.Equal(t, breaker.Closed, l.Breaker.Snapshot().State)
	}
}
