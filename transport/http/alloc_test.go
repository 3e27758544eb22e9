package http_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// The base of these tests returns the same response each time, so what it costs
// is nothing, and what is left is ours.
func TestTransport_AllocatesNothingBesidesTheBase(t *testing.T) {
	// However much fails, so that only calls that are allowed are measured.
	healthy := with(sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9)))
	same := func(status int) tripper {
		resp, _ := answers(status)(nil) //nolint:bodyclose // it has none
		return func(*http.Request) (*http.Response, error) { return resp, nil }
	}
	for name, row := range map[string]struct {
		base tripper
		url  string
		opts []breakerhttp.Option
		most float64
	}{
		"healthy":                           {base: same(200), url: "http://backend:8000"},
		"healthy, no port":                  {base: same(200), url: "https://backend"},
		"healthy, default breakers":         {base: same(200), url: "http://backend:8000", opts: []breakerhttp.Option{}},
		"healthy, 404":                      {base: same(404), url: "http://backend:8000"},
		"healthy, WithBody without a body":  {base: same(204), url: "http://backend:8000", opts: []breakerhttp.Option{healthy, breakerhttp.WithBody()}},
		"healthy, classifier":               {base: same(200), url: "http://backend:8000", opts: []breakerhttp.Option{healthy, breakerhttp.WithClassifier(cberrors.Classify)}},
		"ignored":                           {base: same(501), url: "http://backend:8000"},
		"rejected":                          {base: mustNotBeCalled, url: "http://backend", opts: []breakerhttp.Option{with(&permits{rejection: rejection()})}},
		"failing: the error for the status": {base: same(500), url: "http://backend:8000", most: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if row.opts == nil {
				row.opts = []breakerhttp.Option{healthy}
			}
			rt := breakerhttp.NewTransport(row.base, row.opts...)
			req := request(t.Context(), t, http.MethodGet, row.url, nil)
			require.Equal(t, row.most, testing.AllocsPerRun(1000, func() {
				_, _ = rt.RoundTrip(req) //nolint:bodyclose // it has none
			}))
		})
	}
}

func TestWithBody_CostsFourAllocations(t *testing.T) {
	full := tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: newSource("")}, nil
	})
	req := get(t)
	costs := func(rt http.RoundTripper) float64 {
		return testing.AllocsPerRun(1000, func() { _, _ = roundTrip(rt, req) })
	}
	require.Equal(t, costs(full)+4, costs(breakerhttp.NewTransport(full, breakerhttp.WithBody())))
}
