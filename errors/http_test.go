package errors_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/errors"
)

func TestHTTP_AConnectionThatIsClosedInsteadOfAnAnswerIsAFailure(t *testing.T) {
	err := get(t.Context(), t, httpServer(t, hijacked(func(*net.TCPConn) {})))
	var u *url.Error
	require.ErrorAs(t, err, &u)
	require.ErrorIs(t, err, io.EOF, "the server did what the test is about")
	for _, w := range wrappings {
		require.Equal(t, failure, errors.Classify(w.wrap(err)), w.name)
		require.Equal(t, failure, outcomeOf(t.Context(), w.wrap(err)), w.name)
	}
}

func TestHTTP_AnAnswerThatBreaksOffIsAFailure(t *testing.T) {
	err := get(t.Context(), t, httpServer(t, hijacked(func(c *net.TCPConn) {
		_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
	})))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, failure, errors.Classify(err))
}

func TestHTTP_AnAnswerThatIsNoHTTPIsAFailure(t *testing.T) {
	err := get(t.Context(), t, httpServer(t, hijacked(func(c *net.TCPConn) { _, _ = fmt.Fprint(c, "220 smtp ready\r\n") })))
	require.ErrorContains(t, err, "malformed HTTP")
	require.Equal(t, failure, errors.Classify(err))
}

func TestHTTP_ARefusedConnectionIsAFailure(t *testing.T) {
	err := get(t.Context(), t, "http://"+closedPort(t))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Equal(t, failure, errors.Classify(err))
}

func TestHTTP_AResetConnectionIsAFailure(t *testing.T) {
	err := get(t.Context(), t, httpServer(t, hijacked(func(c *net.TCPConn) { _ = c.SetLinger(0) })))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, failure, errors.Classify(err))
}

// They were failures in the middleware, as if the backend were ill, and ignored
// only by transport/http.
func TestRegression_ARequestThatNetHTTPTurnedDownWasAFailureOfTheBackend(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request){
		"scheme":       func(r *http.Request) { r.URL.Scheme = "htp" },
		"no scheme":    func(r *http.Request) { r.URL.Scheme = "" },
		"method":       func(r *http.Request) { r.Method = "GE T" },
		"no host":      func(r *http.Request) { r.URL.Host = "" },
		"header name":  func(r *http.Request) { r.Header["a b"] = []string{"c"} },
		"header value": func(r *http.Request) { r.Header["A"] = []string{"\n"} },
		"trailer":      func(r *http.Request) { r.Trailer = http.Header{"a b": {"c"}} },
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1", nil)
			require.NoError(t, err)
			spoil(req)
			_, err = (&http.Client{Transport: httpTransport(t)}).Do(req) //nolint:bodyclose // there is none
			require.Error(t, err)
			require.Equal(t, ignored, outcomeOf(t.Context(), err), "%v", err)
		})
	}
	_, err := http.NewRequestWithContext(t.Context(), "GE T", "http://127.0.0.1:1", nil)
	require.Error(t, err)
	require.Equal(t, ignored, outcomeOf(t.Context(), err), "%v", err)
}

// wait is a handler that answers when nobody waits for it any more.
func wait(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestHTTP_ATimeoutIsAFailure(t *testing.T) {
	address := httpServer(t, wait)
	t.Run("of the context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		err := get(ctx, t, address)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, failure, errors.Classify(err))
		require.Equal(t, failure, outcomeOf(ctx, err), "the caller's time is up, and it did not give up")
	})
	t.Run("of the context, with a cause", func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errPlain)
		defer cancel()
		err := get(ctx, t, address)
		require.Error(t, err)
		require.Equal(t, failure, outcomeOf(ctx, err))
	})
	t.Run("of the client", func(t *testing.T) {
		client := &http.Client{Transport: httpTransport(t), Timeout: 10 * time.Millisecond}
		_, err := client.Get(address) //nolint:bodyclose // there is none
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.Equal(t, failure, errors.Classify(err))
		require.Equal(t, failure, outcomeOf(t.Context(), err))
	})
	t.Run("of the transport", func(t *testing.T) {
		tr := httpTransport(t)
		tr.ResponseHeaderTimeout = 10 * time.Millisecond
		_, err := (&http.Client{Transport: tr}).Get(address) //nolint:bodyclose // there is none
		require.ErrorContains(t, err, "timeout")
		require.Equal(t, failure, errors.Classify(err))
	})
}
