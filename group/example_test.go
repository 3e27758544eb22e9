package group_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
	cbhttp "github.com/kratos-breaker/breaker/transport/http"
)

// The group makes a value when its key is first asked for, and keeps it.
func ExampleNewGroup() {
	breakers := group.NewGroup(func() *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	})

	breakers.Get("users").Open()
	fmt.Println(breakers.Get("users").Snapshot().State)
	fmt.Println(breakers.Get("orders").Snapshot().State)
	fmt.Println(breakers.Len())
	// Output:
	// open
	// closed
	// 2
}

// A client takes its breakers from the group, and a page shows the same ones.
func ExampleNewKeyed() {
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()

	breakers := group.NewKeyed(func(key string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(key))
	})
	client := &http.Client{Transport: cbhttp.NewTransport(nil, cbhttp.WithGroup(breakers))}
	source := breaker.SourceOf(breakers) // for metrics and dashboard

	defer client.CloseIdleConnections()
	resp, err := client.Get(backend.URL)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	for listed := range source.Breakers() {
		s := listed.Breaker.Snapshot()
		fmt.Println("http://"+s.Name == backend.URL, s.State, s.Totals.Success)
	}
	// Output: true closed 1
}

// Keys beyond the limit share one value, so keys of a user's making cannot exhaust
// the memory.
func ExampleWithLimit() {
	breakers := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(key))
	}, group.WithLimit(2))

	for _, path := range []string{"/users/1", "/users/2", "/users/3", "/users/4"} {
		fmt.Printf("%q\n", breakers.Get(path).Snapshot().Name)
	}
	fmt.Println(breakers.Len(), "keys,", breakers.Overflows(), "calls beyond the limit")
	// Output:
	// "/users/1"
	// "/users/2"
	// ""
	// ""
	// 2 keys, 2 calls beyond the limit
}
