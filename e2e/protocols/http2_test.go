package protocols_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	cbhttp "github.com/kratos-breaker/breaker/transport/http"
)

// The HTTP/2 of golang.org/x/net, which is that of net/http without what net/http asks
// before. Its errors are told by their texts; if it changes them, this is where it shows.
func TestNotSent_WhatTheHTTP2OfXNetDoesNotTakeIsIgnored(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	base := &http2.Transport{TLSClientConfig: s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
	defer base.CloseIdleConnections()
	for name, spoil := range map[string]func(*http.Request){
		"scheme":                   func(r *http.Request) { r.URL.Scheme = "htp" },
		"scheme without TLS":       func(r *http.Request) { r.URL.Scheme = "http" },
		"path":                     func(r *http.Request) { r.URL.Opaque = "a b" },
		"host":                     func(r *http.Request) { r.Host = "a b" },
		"host that is no name":     func(r *http.Request) { r.Host = "xn--\u00fc" },
		"header name":              func(r *http.Request) { r.Header["a b"] = []string{"c"} },
		"header value":             func(r *http.Request) { r.Header["A"] = []string{"\n"} },
		"protocol":                 func(r *http.Request) { r.Header[":protocol"] = []string{"websocket"} },
		"upgrade":                  func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"trailer name":             func(r *http.Request) { r.Trailer = http.Header{"a b": {"c"}} },
		"trailer that is a header": func(r *http.Request) { r.Trailer = http.Header{"Trailer": nil} },
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			require.NoError(t, err)
			spoil(req)
			b := newRecorder()
			_, err = cbhttp.NewTransport(base, cbhttp.WithGroup(single(b))).RoundTrip(req) //nolint:bodyclose // there is none
			require.Error(t, err)
			require.Equal(t, breaker.Result{Outcome: breaker.Ignored, Err: err, NotSent: true}, <-b.results, "%v", err)
			require.True(t, cberrors.IsNotSent(fmt.Errorf("call: %w", err)))
		})
	}
}
