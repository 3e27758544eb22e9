package metrics_test

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/sre"
)

func ExampleRegister() {
	var provider noop.MeterProvider // in a program, the SDK's or otel.GetMeterProvider()
	breakers := group.NewKeyed(func(operation string) *sre.Breaker { return sre.NewBreaker(sre.WithName(operation)) })
	registration, err := metrics.Register(provider.Meter(metrics.ScopeName), breaker.SourceOf(breakers),
		metrics.WithCommonAttributes(attribute.String("server.address", "shop")))
	if err != nil {
		panic(err)
	}
	defer func() { _ = registration.Unregister() }()
}
