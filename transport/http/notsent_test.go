package http_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// notSent are the requests that net/http does not take. Its errors are told by their
// texts, where they have no type; if it changes them, this is where it shows.
var notSent = map[string]func(*http.Request){
	"scheme":                     func(r *http.Request) { r.URL.Scheme = "htp" },
	"no host":                    func(r *http.Request) { r.URL.Host = "" },
	"method":                     func(r *http.Request) { r.Method = "GE T" },
	"header name":                func(r *http.Request) { r.Header["a b"] = []string{"c"} },
	"header value":               func(r *http.Request) { r.Header["A"] = []string{"\x00"} },
	"trailer":                    func(r *http.Request) { r.Trailer = http.Header{"a b": {"c"}} },
	"length without a body":      func(r *http.Request) { r.ContentLength = 5 },
	"control character in a URL": func(r *http.Request) { r.URL.Opaque = "/a\x7fb" },
	"port":                       func(r *http.Request) { r.URL.Host = "127.0.0.1:99999" },
	"trailer that is a header": func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader("a")), -1
		r.Trailer = http.Header{"Content-Length": nil}
	},
}

func TestNotSent_WhatNetHTTPDoesNotTakeIsIgnored(t *testing.T) {
	for name, spoil := range notSent {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { _ = l.Close() }()
			read := make(chan string, 10)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_ = c.SetReadDeadline(time.Now().Add(patience))
					sent, _ := io.ReadAll(c)
					read <- string(sent)
				}
			}()
			b := &permits{}
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			req := request(t.Context(), t, http.MethodGet, "http://"+l.Addr().String(), nil)
			spoil(req)
			_, err = roundTrip(breakerhttp.NewTransport(base, with(b)), req)
			require.Error(t, err)
			b.requireOnly(t, ignored)
			require.True(t, b.results()[0].NotSent)
			require.True(t, cberrors.IsNotSent(fmt.Errorf("call: %w", err)))
			base.CloseIdleConnections()
			select {
			case sent := <-read: // a connection that was made for it
				require.Empty(t, sent)
			case <-time.After(20 * time.Millisecond):
			}
		})
	}
}

// Over HTTP/2, net/http has other words for some.
func TestNotSent_WhatHTTP2DoesNotTakeIsIgnored(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.EnableHTTP2 = true
	s.Config.MaxHeaderBytes = 1000
	s.StartTLS()
	defer s.Close()
	// The client knows the limit of the server by the first call.
	status, err := roundTrip(s.Client().Transport, request(t.Context(), t, http.MethodGet, s.URL, nil))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	for name, spoil := range map[string]func(*http.Request){
		"path":              func(r *http.Request) { r.URL.Opaque = "a b" },
		"header":            func(r *http.Request) { r.Header["a b"] = []string{"c"} },
		"upgrade":           func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"connection":        func(r *http.Request) { r.Header.Set("Connection", "upgrade") },
		"transfer-encoding": func(r *http.Request) { r.Header.Set("Transfer-Encoding", "gzip") },
		"host":              func(r *http.Request) { r.Host = "a b" },
		"host that is no name": func(r *http.Request) {
			r.Host = "xn--\u00fc"
		},
		"trailer that is a header": func(r *http.Request) { r.Trailer = http.Header{"Content-Length": nil} },
		"more header than the server takes": func(r *http.Request) {
			r.Header.Set("A", strings.Repeat("a", 2000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &permits{}
			req := request(t.Context(), t, http.MethodGet, s.URL, nil)
			spoil(req)
			_, err := roundTrip(breakerhttp.NewTransport(s.Client().Transport, with(b)), req)
			require.Error(t, err)
			require.Equal(t, []breaker.Outcome{ignored}, b.outcomes(), "%v", err)
			require.True(t, b.results()[0].NotSent)
			require.Equal(t, ignored, cberrors.Classify(&url.Error{Op: "Get", Err: fmt.Errorf("call: %w", err)}))
		})
	}
}

// Through a proxy, a host that nobody can have is not sent, and left out otherwise.
func TestNotSent_AHostThatAProxyCannotBeToldIsIgnored(t *testing.T) {
	proxy, err := url.Parse("http://" + listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })))
	require.NoError(t, err)
	base := &http.Transport{Proxy: http.ProxyURL(proxy)}
	defer base.CloseIdleConnections()
	b := &permits{}
	req := request(t.Context(), t, http.MethodGet, "http://backend:8000", nil)
	req.Host = "a/b"
	_, err = roundTrip(breakerhttp.NewTransport(base, with(b)), req)
	require.Error(t, err)
	require.Equal(t, []breaker.Outcome{ignored}, b.outcomes(), "%v", err)
}

// What a client does not take, and a network that there is not, are seen by a breaker
// around the client.
func TestNotSent_WhatAClientDoesNotTakeIsIgnoredInDo(t *testing.T) {
	base := &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "carrier pigeon", addr)
	}}
	client := &http.Client{Transport: base}
	for name, call := range map[string]func(r *http.Request) (*http.Response, error){
		"no URL":                  func(r *http.Request) (*http.Response, error) { r.URL = nil; return client.Do(r) },
		"no URL, and no client":   func(r *http.Request) (*http.Response, error) { r.URL = nil; return base.RoundTrip(r) },
		"no header":               func(r *http.Request) (*http.Response, error) { r.Header = nil; return base.RoundTrip(r) },
		"a request of the server": func(r *http.Request) (*http.Response, error) { r.RequestURI = "/hello"; return client.Do(r) },
		"unknown network":         client.Do,
	} {
		t.Run(name, func(t *testing.T) {
			for _, opts := range [][]breaker.Option{nil, {breaker.WithClassifier(cberrors.Classify)}} {
				b := &permits{}
				err := breaker.Run(t.Context(), b, func(context.Context) error {
					_, err := call(get(t)) //nolint:bodyclose // there is none
					return err
				}, opts...)
				require.Error(t, err)
				require.Equal(t, []breaker.Outcome{ignored}, b.outcomes(), "%v", err)
				require.True(t, b.results()[0].NotSent)
			}
		})
	}
}

func TestNotSent_AConnectionThatIsRefusedIsAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	b := &permits{}
	_, err = roundTrip(breakerhttp.NewTransport(nil, with(b)), request(t.Context(), t, http.MethodGet, "http://"+l.Addr().String(), nil))
	require.Error(t, err)
	b.requireOnly(t, failure)
	require.False(t, b.results()[0].NotSent)
	require.False(t, cberrors.IsNotSent(err))
}

// A call that does not leave the process must not use up the probe of a breaker over a
// backend that is dead, neither to close it nor to open it.
func TestNotSent_TwentyOnAHalfOpenBreakerOverADeadBackendLoseNoProbe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for name, spoil := range notSent {
		if name == "length without a body" || name == "trailer that is a header" || strings.HasPrefix(name, "control") {
			continue // net/http notices when it has a connection
		}
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithDelay(time.Hour))
			b.HalfOpen()
			rt := breakerhttp.NewTransport(nil, with(b))
			for range 20 {
				req := request(t.Context(), t, http.MethodGet, "http://"+l.Addr().String(), nil)
				spoil(req)
				_, err := roundTrip(rt, req)
				require.Error(t, err)
			}
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			require.Equal(t, breaker.Totals{Offered: 20, Allowed: 20, Ignored: 20}, b.Snapshot().Totals)
			_, err := roundTrip(rt, request(t.Context(), t, http.MethodGet, "http://"+l.Addr().String(), nil))
			require.Error(t, err)
			require.Equal(t, breaker.Open, b.Snapshot().State, "the next call is the probe")
		})
	}
}
