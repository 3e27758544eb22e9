package http_test

import (
	"net/http"
	"testing"

	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// The base answers at once, so that what is left is what the adapter costs.
func BenchmarkTransport(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	base := tripper(func(*http.Request) (*http.Response, error) { return resp, nil })
	full := tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: newSource("")}, nil
	})
	for _, row := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"base", base},
		{"header", breakerhttp.NewTransport(base)},
		{"base with a body", full},
		{"header with a body", breakerhttp.NewTransport(full)},
		{"WithBody", breakerhttp.NewTransport(full, breakerhttp.WithBody())},
	} {
		b.Run(row.name, func(b *testing.B) {
			req := request(b.Context(), b, http.MethodGet, "https://backend", nil)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := row.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}
