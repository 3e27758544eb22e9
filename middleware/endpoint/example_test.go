package endpoint_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	"github.com/kratos-breaker/breaker/middleware/endpoint/testdata/kratosv3/circuitbreaker"
	"github.com/kratos-breaker/breaker/middleware/endpoint/testdata/kratosv3/errors"
	"github.com/kratos-breaker/breaker/middleware/endpoint/testdata/kratosv3/middleware"
	"github.com/kratos-breaker/breaker/middleware/endpoint/testdata/kratosv3/transport"
	"github.com/kratos-breaker/breaker/sre"
)

// The samples of docs/protocols.md, with packages that stand for those of Kratos v3,
// since this module cannot link it.

// forKratosV3 is the middleware for its clients.
func forKratosV3(opts ...endpoint.Option) middleware.Middleware {
	operation := func(ctx context.Context, _ any) (kind, key string, ok bool) {
		tr, ok := transport.FromClientContext(ctx)
		if !ok {
			return "", "", false // a call without an operation passes through
		}
		return string(tr.Kind()), tr.Operation(), true
	}
	ofV3 := endpoint.WithRejection(func(r *breaker.RejectedError) error {
		return errors.New(503, "CIRCUITBREAKER", "try again later").WithCause(r)
	})
	return endpoint.New[middleware.Handler](operation, append(opts, ofV3)...)
}

func insideOfKratosV3() middleware.Middleware {
	inside := circuitbreaker.Client(circuitbreaker.WithBreakerFactory(func() circuitbreaker.CircuitBreaker {
		return sre.NewBreaker()
	}))
	return inside
}

type call struct{}

func (call) Kind() transport.Kind { return "grpc" }
func (call) Operation() string    { return "/users.v1.Users/Get" }

func TestDocs_TheMiddlewareForKratosV3RejectsWithAnErrorOfItsKind(t *testing.T) {
	r := &rule{b: sre.NewBreaker(sre.WithName("users"))}
	h := forKratosV3(endpoint.WithRules(r))(middleware.Handler(answers(nil, errors.New(503, "DOWN", "down"))))
	ctx := transport.NewClientContext(t.Context(), call{})
	_, err := h(ctx, nil)
	require.EqualError(t, err, "503 DOWN: down")
	require.Equal(t, []string{"grpc:/users.v1.Users/Get"}, r.asked)
	require.EqualValues(t, 1, r.b.Snapshot().Totals.Failure, "its errors are known by their methods")
	r.b.(breaker.Controller).SetMode(breaker.ForceOpen)
	_, err = h(ctx, nil)
	var e *errors.Error
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, 503, e.Code)
	require.True(t, cberrors.IsRejected(err))
	require.Equal(t, breaker.Ignored, cberrors.Classify(err))

	r.asked = nil
	_, err = h(t.Context(), nil)
	require.EqualError(t, err, "503 DOWN: down")
	require.Empty(t, r.asked, "there is no operation")
}

func TestDocs_ABreakerWorksInsideOfTheMiddlewareOfKratosV3(t *testing.T) {
	h := insideOfKratosV3()(middleware.Handler(answers(nil, errBackend)))
	rejected := 0
	for range 1000 {
		if _, err := h(t.Context(), nil); cberrors.IsRejected(err) {
			rejected++
		}
	}
	require.NotZero(t, rejected)
}

func TestDocs_EachSampleForKratosV3IsCodeOfThisFile(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocols.md")
	require.NoError(t, err)
	code, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)## Kratos v3\n(.*?)\n## `).FindStringSubmatch(string(text))[1]
	samples := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(section, -1)
	require.Len(t, samples, 2)
	for _, s := range samples {
		indented := "\t" + strings.ReplaceAll(strings.TrimSuffix(s[1], "\n"), "\n", "\n\t") + "\n"
		require.Contains(t, string(code), strings.ReplaceAll(indented, "\n\t\n", "\n\n"))
	}
}

// The key of a request is what its breaker is found by: here, one for each shop.
func ExampleNew() {
	type endpointFunc = func(ctx context.Context, req any) (any, error) // as that of go-kit
	type order struct{ shop, article string }
	byShop := func(_ context.Context, req any) (transport, key string, ok bool) {
		return "http", req.(order).shop, true
	}
	guard := endpoint.New[endpointFunc](byShop,
		endpoint.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
		}),
	)
	buy := guard(func(_ context.Context, req any) (any, error) {
		if req.(order).shop == "closed" {
			return nil, fmt.Errorf("the shop is closed")
		}
		return "a " + req.(order).article, nil
	})

	ctx := context.Background()
	for _, shop := range []string{"closed", "closed", "open"} {
		reply, err := buy(ctx, order{shop, "book"})
		fmt.Println(reply, err != nil, cberrors.IsRejected(err))
	}
	// Output:
	// <nil> true false
	// <nil> true true
	// a book false false
}

// A rejection can be an error of the caller's own kind.
func ExampleWithRejection() {
	key := func(context.Context, any) (transport, key string, ok bool) { return "", "users", true }
	guard := endpoint.New[func(context.Context, any) (any, error)](key,
		endpoint.WithCircuitBreaker(func() *circuit.Breaker {
			b := circuit.NewBreaker()
			b.SetMode(breaker.ForceOpen)
			return b
		}),
		endpoint.WithRejection(func(r *breaker.RejectedError) error {
			return fmt.Errorf("users have a break: %w", r)
		}),
	)
	_, err := guard(func(context.Context, any) (any, error) { return "Ada", nil })(context.Background(), nil)
	fmt.Println(err)
	// Output: users have a break: circuit breaker "users" rejected the call: forced open
}
