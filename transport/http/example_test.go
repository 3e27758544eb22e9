package http_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	khttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	cbhttp "github.com/kratos-breaker/breaker/transport/http"
)

func ExampleNewTransport() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no upstream", http.StatusBadGateway)
	}))
	defer backend.Close()

	client := &http.Client{Transport: cbhttp.NewTransport(nil)}
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

// Client.Do of Kratos runs no middleware; the transport guards it, too. What
// http.Transport would be told with WithTLSConfig has to be set in it.
func ExampleNewTransport_kratos() {
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()

	breakers := group.NewGroup(func() *circuit.Breaker { return circuit.NewBreaker() })
	client, err := khttp.NewClient(context.Background(),
		khttp.WithEndpoint(backend.Listener.Addr().String()),
		khttp.WithTransport(cbhttp.NewTransport(http.DefaultTransport, cbhttp.WithGroup(breakers))),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()

	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, backend.URL, nil)
	if err != nil {
		panic(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for address, b := range breakers.All() {
		fmt.Println("http://"+address == backend.URL, b.Snapshot().Totals.Success)
	}
	// Output: true 1
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
	client := &http.Client{Transport: cbhttp.NewTransport(nil,
		cbhttp.WithGroup(breakers),
		cbhttp.WithKey(func(r *http.Request) string { return r.Method + " " + r.URL.Host }),
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
	client := &http.Client{Transport: cbhttp.NewTransport(nil,
		cbhttp.WithGroup(group.NewGroup(func() *circuit.Breaker { return b })),
		cbhttp.WithResponseClassifier(func(resp *http.Response) breaker.Outcome {
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
	check := cbhttp.CheckRetry(always) //nolint:bodyclose // no response is about
	for _, err := range []error{errors.New("connection reset"), breaker.ErrNotAllowed} {
		again, _ := check(context.Background(), nil, err)
		fmt.Println(again)
	}
	// Output:
	// true
	// false
}
