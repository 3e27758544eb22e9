package circuitbreaker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-kratos/kratos/v2/transport"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

// keysOf makes calls with a client of its own and returns the keys that their
// breakers have.
func keysOf(t *testing.T, endpoint string, calls func(c *kratoshttp.Client)) []string {
	t.Helper()
	breakers := group.NewGroup(func() *permits { return new(permits) })
	c := dialHTTP(t, endpoint, kratoshttp.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(breakers))))
	calls(c)
	var keys []string
	for key, b := range breakers.All() {
		require.NotEmpty(t, b.outcomes())
		for _, o := range b.outcomes() {
			require.Equal(t, breaker.Success, o)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// echoing is a server that answers any request with its path and query.
func echoing(t *testing.T) (endpoint string) {
	srv := kratoshttp.NewServer(kratoshttp.Address("127.0.0.1:0"), kratoshttp.Timeout(0))
	srv.HandlePrefix("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.RequestURI)
	}))
	return start(t, srv)
}

func TestKey_OfTheHTTPClient(t *testing.T) {
	endpoint := echoing(t)
	template := func(s string) kratoshttp.CallOption { return kratoshttp.PathTemplate(s) }
	op := func(s string) kratoshttp.CallOption { return kratoshttp.Operation(s) }
	for _, row := range []struct {
		name string
		path string // with %d for a number
		opts []kratoshttp.CallOption
		want []string
	}{
		{"the operation, as generated code sets it", "/users/%d?x=%[1]d", []kratoshttp.CallOption{op(operation), template("/users/{id}")}, []string{operation}},
		{"the operation, without a template", "/users/%d", []kratoshttp.CallOption{op(operation)}, []string{operation}},
		{"no operation: the path without its query", "/users?id=%d", nil, []string{"/users"}},
		{"no operation: the path without a question mark", "/users?", nil, []string{"/users"}},
		{"no operation but a template", "/users/%d", []kratoshttp.CallOption{template("/users/{id}")}, []string{"/users/{id}"}},
		{"no operation but a template, and a query", "/users/%d?x=%[1]d", []kratoshttp.CallOption{template("/users/{id}")}, []string{"/users/{id}"}},
		{"a template for an escaped path", "/users/a%%20b%d?x=1", []kratoshttp.CallOption{template("/users/{name}")}, []string{"/users/{name}"}},
		{"a template for an escaped slash", "/users/a%%2Fb%d?x=1", []kratoshttp.CallOption{template("/users/{name}")}, []string{"/users/{name}"}},
		{"a template for a path beyond ASCII", "/users/é%d?x=1", []kratoshttp.CallOption{template("/users/{name}")}, []string{"/users/{name}"}},
		{"a template for a path with all of it", "/users/é%%2F%%20%d?x=1", []kratoshttp.CallOption{template("/users/{name}")}, []string{"/users/{name}"}},
		{"an empty template", "/users?id=%d", []kratoshttp.CallOption{template("")}, []string{"/users"}},
		{"neither: a key for each path", "/users/%d", nil, []string{"/users/0", "/users/1", "/users/2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			keys := keysOf(t, endpoint, func(c *kratoshttp.Client) {
				for n := range 3 {
					path := row.path
					if strings.Contains(path, "%") {
						path = fmt.Sprintf(path, n)
					}
					var reply string
					require.NoError(t, c.Invoke(t.Context(), http.MethodGet, path, nil, &reply, row.opts...))
					u, err := url.Parse(path)
					require.NoError(t, err)
					require.Equal(t, u.RequestURI(), reply, "the call goes where it should")
				}
			})
			require.Equal(t, row.want, keys)
		})
	}
}

func TestKey_OfBothWiresIsTheOperation(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			breakers := group.NewGroup(func() *permits { return new(permits) })
			endpoint := w.serve(t, func(_ context.Context, in string) (string, error) { return in, nil })
			call := w.dial(t, endpoint, never, circuitbreaker.Client(circuitbreaker.WithGroup(breakers)))
			for _, ctx := range []context.Context{t.Context(), callOther(t.Context()), t.Context()} {
				_, err := call(ctx, "hello")
				require.NoError(t, err)
			}
			require.Equal(t, 2, breakers.Len())
			require.Len(t, breakers.Get(operation).outcomes(), 2)
			require.Len(t, breakers.Get(other).outcomes(), 1)
		})
	}
}

func TestKey_OfGRPCIsTheOperationEvenWithAQuestionMark(t *testing.T) {
	breakers := group.NewGroup(func() *permits { return new(permits) })
	m := circuitbreaker.Client(circuitbreaker.WithGroup(breakers))
	for _, op := range []string{"/a.B/C?d", "/a.B/C?e"} {
		_, err := m(answer(nil, nil))(clientContext(t.Context(), op), nil)
		require.NoError(t, err)
	}
	require.Equal(t, 2, breakers.Len())
}

func TestKey_MayBeAnyString(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	keys := []string{
		"", " ", "\x00", "\n", "é", "\xff", "\xfe", "\xff\xfe", "key", "Key", "key\x00", "%", "?", "a?b",
		long, long + "y", long[:1<<20-1] + "y", strings.Repeat("\xff", 1<<20),
	}
	breakers := group.NewGroup(func() *permits { return new(permits) })
	byKey := circuitbreaker.Client(circuitbreaker.WithGroup(breakers),
		circuitbreaker.WithKey(func(_ context.Context, req any) string { return req.(string) }))
	for round := range 2 {
		for n, key := range keys {
			_, err := byKey(answer(nil, nil))(t.Context(), key)
			require.NoError(t, err)
			require.Len(t, breakers.Get(key).outcomes(), round+1)
			require.Equal(t, max(n+1, round*len(keys)), breakers.Len(), "key %d", n)
		}
	}
	for key := range breakers.All() {
		require.LessOrEqual(t, len(key), 256)
	}
}

func TestKey_OfAnyKindOpensAndRejectsWithTheDefaultBreakers(t *testing.T) {
	for name, key := range map[string]string{
		"empty":     "",
		"1 MB":      strings.Repeat("x", 1<<20),
		"not UTF-8": "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			r := rejectionOf(t, opens(t, circuitbreaker.Client(), key))
			require.LessOrEqual(t, len(r.Error()), 2048, "the error is no megabyte")
			requireNotAllowed(t, opens(t, circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(aegisFactory)), key))
		})
	}
}

// httpTransport is what a test of a user's may have for the context of a call.
type httpTransport struct {
	transport.Transporter
	request *http.Request
}

func (t *httpTransport) Operation() string      { return "/users/7?x=1" }
func (t *httpTransport) PathTemplate() string   { return "/users/{id}" }
func (t *httpTransport) Request() *http.Request { return t.request }

func TestKey_OfAnHTTPTransportWithoutARequestIsThePath(t *testing.T) {
	for _, req := range []*http.Request{nil, {}} {
		breakers := group.NewGroup(func() *permits { return new(permits) })
		ctx := transport.NewClientContext(t.Context(), &httpTransport{request: req})
		_, err := circuitbreaker.Client(circuitbreaker.WithGroup(breakers))(answer(nil, nil))(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, 1, breakers.Len())
		require.Len(t, breakers.Get("/users/7").outcomes(), 1)
	}
}
