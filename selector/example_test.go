package selector_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-kratos/kratos/v2/registry"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/selector"
)

// A client that asks a breaker per operation, and keeps away from dead nodes.
func Example() {
	var discovery registry.Discovery = &directory{} // Consul, etcd, Nacos, ...

	nodes := selector.NewNodes()
	client, err := kgrpc.DialInsecure(context.Background(),
		kgrpc.WithEndpoint("discovery:///users"),
		kgrpc.WithDiscovery(discovery),
		kgrpc.WithNodeFilter(nodes.Filter),
		kgrpc.WithMiddleware(
			circuitbreaker.Client(), // per operation
			nodes.Client(),          // per node
		),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	// Output:
}

// A node that fails five times in a row is not called for a minute.
func ExampleWithCircuitBreaker() {
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer well.Close()
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer dead.Close()

	nodes := selector.NewNodes(selector.WithCircuitBreaker(func() *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithConsecutiveFailures(5), circuit.WithDelay(time.Minute))
	}))
	client, err := khttp.NewClient(context.Background(),
		khttp.WithEndpoint("discovery:///users"),
		khttp.WithDiscovery(registered(well.URL, dead.URL)), khttp.WithBlock(),
		khttp.WithNodeFilter(nodes.Filter),
		khttp.WithMiddleware(nodes.Client()),
		khttp.WithResponseDecoder(func(context.Context, *http.Response, any) error { return nil }),
	)
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()

	failed := 0
	for range 1000 {
		if client.Invoke(context.Background(), "GET", "/users/1", nil, nil) != nil {
			failed++
		}
	}
	fmt.Println(failed, "of 1000 calls failed")
	for l := range nodes.Breakers() {
		if l.Breaker.Snapshot().State == breaker.Open {
			fmt.Println("ejected:", l.Key == strings.TrimPrefix(dead.URL, "http://"))
		}
	}
	// Output:
	// 5 of 1000 calls failed
	// ejected: true
}

func registered(endpoints ...string) *directory {
	d := &directory{}
	for _, e := range endpoints {
		d.instances = append(d.instances, &registry.ServiceInstance{ID: e, Name: "users", Endpoints: []string{e}})
	}
	return d
}
