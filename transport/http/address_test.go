package http_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// keyed returns a transport and what its breakers are found by.
func keyed(opts ...breakerhttp.Option) (rt http.RoundTripper, last func() string) {
	var key string
	r := &rules{breaker: &permits{}}
	rt = breakerhttp.NewTransport(answers(200), append(opts, breakerhttp.WithRules(r))...)
	return rt, func() string {
		key = strings.TrimPrefix(r.asked[len(r.asked)-1], "http ")
		return key
	}
}

func TestKey_IsHostAndPortInLowerCase(t *testing.T) {
	rt, last := keyed()
	for range 2 { // the second time from memory
		for address, want := range map[string]string{
			"http://example.com":              "example.com:80",
			"http://example.com:80":           "example.com:80",
			"http://example.com:":             "example.com:80",
			"https://example.com":             "example.com:443",
			"https://example.com:443/a/b?c=d": "example.com:443",
			"https://example.com:80":          "example.com:80",
			"HTTPS://Example.COM":             "example.com:443",
			"http://Example.com:8000":         "example.com:8000",
			"https://user:secret@example.com": "example.com:443",
			"http://127.0.0.1":                "127.0.0.1:80",
			"https://[2001:DB8::1]":           "[2001:db8::1]:443",
			"http://[::1]:8000":               "[::1]:8000",
			"http://[fe80::1%25en0]/":         "[fe80::1%en0]:80",
			"unix://Socket/path":              "socket",
			"unix:///path":                    "",
			"/path":                           "",
		} {
			u, err := url.Parse(address)
			require.NoError(t, err)
			req := get(t)
			req.URL = u
			req.Host = "virtual.example.com" // says nothing of who is called
			_, err = roundTrip(rt, req)
			require.NoError(t, err)
			require.Equal(t, want, last(), address)
		}
	}
}

// A host that needs no change is taken as it is; which these are must not show.
func TestKey_OfAnyHostIsThatOfNetURL(t *testing.T) {
	rt, last := keyed()
	rapid.Check(t, func(r *rapid.T) {
		host := rapid.StringOfN(rapid.SampledFrom([]rune("az09AZ:.[]%-É")), 0, 8, -1).Draw(r, "host")
		u := &url.URL{Scheme: "http", Host: host}
		want := strings.ToLower(host)
		if host != "" && u.Port() == "" {
			want = strings.TrimSuffix(want, ":") + ":80"
		}
		req := get(t)
		req.URL = u
		_, err := roundTrip(rt, req)
		require.NoError(r, err)
		require.Equal(r, want, last())
	})
}

// The memory is bounded, and what is not in it has the right key all the same.
func TestKey_OfMoreHostsThanAreRememberedIsRightToo(t *testing.T) {
	rt, last := keyed()
	for range 2 {
		for i := range 1000 {
			host := fmt.Sprintf("node-%d.example.com", i)
			_, err := roundTrip(rt, request(t.Context(), t, http.MethodGet, "https://"+host, nil))
			require.NoError(t, err)
			require.Equal(t, host+":443", last())
		}
	}
}

func TestKey_BreakersAreBounded(t *testing.T) {
	breakers := group.NewKeyed(func(host string) *sre.Breaker { return sre.NewBreaker(sre.WithName(host)) }, group.WithLimit(10))
	rt := breakerhttp.NewTransport(answers(200), breakerhttp.WithGroup(breakers))
	for i := range 1000 {
		_, err := roundTrip(rt, request(t.Context(), t, http.MethodGet, fmt.Sprintf("http://node-%d", i), nil))
		require.NoError(t, err)
	}
	require.Equal(t, 10, breakers.Len())
	overflow, ok := breakers.Overflow()
	require.True(t, ok)
	require.EqualValues(t, 990, overflow.Snapshot().Totals.Success)
}

func TestWithKey_AnyStringWillDo(t *testing.T) {
	for _, want := range []string{"", "GET /users/{id}", "\x00", "\xff\n", strings.Repeat("long", 1<<18)} {
		rt, last := keyed(breakerhttp.WithKey(func(*http.Request) string { return want }))
		_, err := roundTrip(rt, get(t))
		require.NoError(t, err)
		require.Equal(t, want, last())
	}
}
