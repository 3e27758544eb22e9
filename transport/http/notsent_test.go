package http_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
	s.StartTLS()
	defer s.Close()
	for name, spoil := range map[string]func(*http.Request){
		"path":   func(r *http.Request) { r.URL.Opaque = "a b" },
		"header": func(r *http.Request) { r.Header["a b"] = []string{"c"} },
	} {
		t.Run(name, func(t *testing.T) {
			b := &permits{}
			req := request(t.Context(), t, http.MethodGet, s.URL, nil)
			spoil(req)
			_, err := roundTrip(breakerhttp.NewTransport(s.Client().Transport, with(b)), req)
			require.Error(t, err)
			require.Equal(t, []breaker.Outcome{ignored}, b.outcomes(), "%v", err)
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
		if name == "length without a body" || strings.HasPrefix(name, "control") {
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
