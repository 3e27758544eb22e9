package http_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// kratosBackend is the address of a Kratos server with an operation that works
// and one that does not.
func kratosBackend(t *testing.T) (endpoint string) {
	srv := kratoshttp.NewServer(kratoshttp.Timeout(0))
	srv.Route("/").GET("/hello", func(ctx kratoshttp.Context) error {
		return ctx.JSON(http.StatusOK, map[string]string{"message": "hello"})
	})
	srv.Route("/").GET("/down", func(kratoshttp.Context) error { return kratoserrors.ServiceUnavailable("DOWN", "down") })
	return listen(t, srv)
}

func kratosClient(t *testing.T, endpoint string, rt http.RoundTripper, opts ...kratoshttp.ClientOption) *kratoshttp.Client {
	c, err := kratoshttp.NewClient(t.Context(), append([]kratoshttp.ClientOption{
		kratoshttp.WithEndpoint(endpoint), kratoshttp.WithTransport(rt), kratoshttp.WithTimeout(patience),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Do passes no middleware, so this is the only place for a breaker.
func TestKratos_BothWaysToCallAreGuarded(t *testing.T) {
	for name, call := range map[string]func(t *testing.T, c *kratoshttp.Client, endpoint, path string) error{
		"Invoke": func(t *testing.T, c *kratoshttp.Client, _, path string) error {
			var reply map[string]string
			err := c.Invoke(t.Context(), http.MethodGet, path, nil, &reply)
			if err == nil {
				require.Equal(t, "hello", reply["message"])
			}
			return err
		},
		"Do": func(t *testing.T, c *kratoshttp.Client, endpoint, path string) error {
			resp, err := c.Do(request(t.Context(), t, http.MethodGet, "http://"+endpoint+path, nil))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				require.NoError(t, resp.Body.Close())
			}
			return err
		},
	} {
		for _, mode := range modes {
			t.Run(name+"/"+mode.name, func(t *testing.T) {
				base := &http.Transport{}
				defer base.CloseIdleConnections()
				b := &permits{}
				endpoint := kratosBackend(t)
				c := kratosClient(t, endpoint, breakerhttp.NewTransport(base, append(mode.opts, with(b))...))
				require.NoError(t, call(t, c, endpoint, "/hello"))
				require.Equal(t, "DOWN", kratoserrors.Reason(call(t, c, endpoint, "/down")))
				require.Equal(t, []breaker.Outcome{success, failure}, b.outcomes())

				b.rejection = rejection()
				err := call(t, c, endpoint, "/hello")
				require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
				require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
				var r *breaker.RejectedError
				require.ErrorAs(t, err, &r)
			})
		}
	}
}

// Kratos' client decodes the answer to the error that Kratos' users test for.
func TestKratos_AnswerToARejectedRequestBecomesErrNotAllowed(t *testing.T) {
	c := kratosClient(t, "127.0.0.1:1", breakerhttp.NewTransport(tripper(mustNotBeCalled),
		with(&permits{rejection: rejection()}), breakerhttp.WithResponse()))
	err := c.Invoke(t.Context(), http.MethodGet, "/hello", nil, nil)
	require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	require.Equal(t, circuitbreaker.ErrNotAllowed.Message, kratoserrors.FromError(err).Message)
}

// A breaker of the middleware around it has nothing to learn from a rejection.
func TestKratos_MiddlewareIgnoresWhatTheTransportRejects(t *testing.T) {
	outer := &permits{}
	c := kratosClient(t, "127.0.0.1:1", breakerhttp.NewTransport(tripper(mustNotBeCalled), with(&permits{rejection: rejection()})),
		kratoshttp.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() breaker.CircuitBreaker { return outer }))))
	require.ErrorIs(t, c.Invoke(t.Context(), http.MethodGet, "/hello", nil, nil), circuitbreaker.ErrNotAllowed)
	outer.requireOnly(t, ignored)
}

func TestKratos_TimeoutOfTheClientIsAFailure(t *testing.T) {
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	endpoint := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	b := &permits{}
	c := kratosClient(t, endpoint, breakerhttp.NewTransport(base, with(b)), kratoshttp.WithTimeout(50*time.Millisecond))
	require.Error(t, c.Invoke(t.Context(), http.MethodGet, "/", nil, nil))
	b.requireOnly(t, failure)
}
