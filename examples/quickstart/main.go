// Quickstart: a Kratos HTTP client with a breaker meets a dead backend.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	khttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

func main() {
	reached, rejected := new(atomic.Int64), 0
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer backend.Close()
	ctx := context.Background()
	client, err := khttp.NewClient(ctx, khttp.WithEndpoint(backend.URL),
		khttp.WithMiddleware(circuitbreaker.Client()))
	if err != nil {
		panic(err)
	}
	for range 300 {
		err := client.Invoke(ctx, "GET", "/hello", nil, nil)
		if errors.Is(err, circuitbreaker.ErrNotAllowed) {
			rejected++ // at once: the backend was not called
		}
	}
	fmt.Println("of 300 calls", reached.Load(), "reached the dead backend,", rejected, "were rejected")
}
