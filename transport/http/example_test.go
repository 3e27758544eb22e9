package http_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

func ExampleNewTransport() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no upstream", http.StatusBadGateway)
	}))
	defer backend.Close()

	client := &http.Client{Transport: breakerhttp.NewTransport(nil)}
	defer client.CloseIdleConnections()
	for range 1000 {
		resp, err := client.Get(backend.URL)
		if errors.Is(err, cberrors.ErrNotAllowed) {
			fmt.Println("rejected: the backend was not called")
			break
		}
		if err != nil {
			panic(err)
		}
		_ = resp.Body.Close()
	}
	// Output: rejected: the backend was not called
}

// Client.Do of Kratos passes no middleware; the transport guards it too. What
// http.Transport would be told with WithTLSConfig has to be set in it.
func ExampleNewTransport_kratos() {
	client, err := kratoshttp.NewClient(
		context.Background(),
		kratoshttp.WithEndpoint("127.0.0.1:8000"),
		kratoshttp.WithTransport(breakerhttp.NewTransport(http.DefaultTransport)),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	// Output:
}

// One three-state breaker for each method of a host, that stays open as long as
// the backend asks for.
func ExampleWithKey() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
	}))
	defer backend.Close()

	breakers := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(
			circuit.WithName(key),
			circuit.WithConsecutiveFailures(1),
			circuit.WithRetryAfter(time.Hour, nil),
		)
	})
	client := &http.Client{Transport: breakerhttp.NewTransport(nil,
		breakerhttp.WithGroup(breakers),
		breakerhttp.WithKey(func(r *http.Request) string { return r.Method + " " + r.URL.Host }),
	)}
	defer client.CloseIdleConnections()
	resp, err := client.Get(backend.URL)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	for key, b := range breakers.All() {
		method, _, _ := strings.Cut(key, " ")
		fmt.Println(method, b.Snapshot().State, b.Snapshot().RetryAfter.Round(time.Minute))
	}
	// Output: GET open 2m0s
}

// A response can say more than its status does.
func ExampleWithResponseClassifier() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Served-From", "stale cache")
	}))
	defer backend.Close()

	b := circuit.NewBreaker()
	client := &http.Client{Transport: breakerhttp.NewTransport(nil,
		breakerhttp.WithGroup(group.NewGroup(func() *circuit.Breaker { return b })),
		breakerhttp.WithResponseClassifier(func(resp *http.Response) breaker.Outcome {
			if resp.Header.Get("X-Served-From") == "stale cache" {
				return breaker.Failure
			}
			return cberrors.ClassifyHTTPStatus(resp.StatusCode)
		}),
	)}
	defer client.CloseIdleConnections()
	resp, err := client.Get(backend.URL)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	fmt.Println(resp.StatusCode, b.Snapshot().Totals.Failure)
	// Output: 200 1
}

// With go-retryablehttp, next is retryablehttp.DefaultRetryPolicy, and the
// result goes into Client.CheckRetry.
func ExampleCheckRetry() {
	always := func(context.Context, *http.Response, error) (bool, error) { return true, nil }
	check := breakerhttp.CheckRetry(always) //nolint:bodyclose // no response is about
	for _, err := range []error{errors.New("connection reset"), breaker.ErrNotAllowed} {
		again, _ := check(context.Background(), nil, err)
		fmt.Println(again)
	}
	// Output:
	// true
	// false
}
