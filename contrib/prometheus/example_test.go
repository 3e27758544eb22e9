package prometheus_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/contrib/prometheus"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

func ExampleNewCollector() {
	breakers := group.NewKeyed(func(operation string) *sre.Breaker { return sre.NewBreaker(sre.WithName(operation)) })
	registry := client.NewRegistry() // or client.DefaultRegisterer
	registry.MustRegister(prometheus.NewCollector(breaker.SourceOf(breakers)))
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	permit, _ := breakers.Get("/helloworld.v1.Greeter/SayHello").Acquire()
	permit.Done(breaker.Success)

	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "circuitbreaker_calls_total") {
			fmt.Print(line)
		}
	}
	// Output:
	// circuitbreaker_calls_total{circuitbreaker_name="/helloworld.v1.Greeter/SayHello",circuitbreaker_outcome="failure"} 0
	// circuitbreaker_calls_total{circuitbreaker_name="/helloworld.v1.Greeter/SayHello",circuitbreaker_outcome="ignored"} 0
	// circuitbreaker_calls_total{circuitbreaker_name="/helloworld.v1.Greeter/SayHello",circuitbreaker_outcome="success"} 1
}
