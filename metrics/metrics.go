// Package metrics publishes breakers as OpenTelemetry instruments. They read
// snapshots when somebody collects: nothing is added to a call, and nothing runs
// in between.
//
// The module contrib/prometheus says the same to a registry of Prometheus'
// client_golang, without the SDK of OpenTelemetry: a scrape is cheaper then.
package metrics

import (
	"reflect"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/internal/watch"
)

// ScopeName is the name for the meter of [Register].
const ScopeName = "github.com/kratos-breaker/breaker/metrics"

// Other is the name under which the overflow breaker of a group is published,
// together with the breakers beyond [WithLimit].
const Other = watch.Other

// Option configures [Register]. A value out of its range makes Register panic.
type Option func(*options)

type options struct {
	attributes func(breaker.Listed) []attribute.KeyValue
	common     []attribute.KeyValue
	limit      int
}

// WithAttributes adds what f returns to the series of a breaker. f is asked
// once per breaker, when it is first collected. It may replace the name:
// breakers with the same attributes share their series. It panics if f is nil.
func WithAttributes(f func(breaker.Listed) []attribute.KeyValue) Option {
	if f == nil {
		panic("metrics: WithAttributes: the function is nil")
	}
	return func(o *options) { o.attributes = f }
}

// WithCommonAttributes adds attributes to every series, also to those of the
// keys, which belong to no breaker. With different ones, several sources can be
// registered with one meter.
func WithCommonAttributes(attributes ...attribute.KeyValue) Option {
	return func(o *options) { o.common = append(o.common, attributes...) }
}

// WithLimit sets how many breakers have series of their own. The range is
// [1, 1000000], the default 320: with six attribute sets per breaker, no
// instrument reaches the 2000 at which the SDK begins to drop attributes. A
// breaker that comes when the limit is reached adds to the series with the name
// [Other] for as long as it is listed.
func WithLimit(breakers int) Option { return func(o *options) { o.limit = breakers } }

// Register publishes the breakers of source with meter, from the next
// collection on and until Unregister is called on the registration. It costs
// one snapshot per breaker and collection. It panics if meter or source is nil,
// and returns the errors of the meter.
//
//	registration, err := metrics.Register(otel.Meter(metrics.ScopeName), breaker.SourceOf(breakers))
//
// What is published, by instrument, with the attributes besides
// circuitbreaker.name:
//
//	circuitbreaker.requests           counter    circuitbreaker.decision
//	circuitbreaker.would_reject       counter
//	circuitbreaker.calls              counter    circuitbreaker.outcome
//	circuitbreaker.inflight           number
//	circuitbreaker.state              1 or 0     circuitbreaker.state
//	circuitbreaker.state.transitions  counter    from, to
//	circuitbreaker.mode               1 or 0     circuitbreaker.mode
//	circuitbreaker.reject_ratio       gauge
//	circuitbreaker.window.calls       number     circuitbreaker.outcome
//	circuitbreaker.breakers           number     without a name
//	circuitbreaker.breakers.limit     number     without a name
//	circuitbreaker.overflow           counter    without a name
//	circuitbreaker.config.reloads     counter    without a name; result
//
// The last one is there if the source has rules, as a *config.Rules has: a method
// Reloads that returns [breaker.Reloads]. [breaker.Sources] passes it on.
//
// In every collection, the allowed requests of a breaker are the sum of its
// calls and of those in flight. The series are there from the breaker's first
// collection on, with 0 where nothing was counted yet; only those that say
// nothing of most breakers wait: transitions from and to half-open until the
// breaker has been so, each mode but auto while it is set, and would_reject until
// the first dry run. The state is what the breaker itself has come to; it decides
// unless the mode is another one than auto. The rejected requests are not told
// apart by their reason: counting that would cost something in every one.
//
// The name of a breaker is its key, or its own name if the key is "", and
// [Other] for the overflow breaker. Bytes that are not UTF-8 are replaced, for
// Prometheus takes no others. Breakers with the same attributes, as of two groups
// with the same keys, share their series: counts and states are added up, of the
// reject ratios the highest counts. To have them apart, register each source with
// a [WithCommonAttributes] of its own. Without, the SDK may add up or drop what
// two registrations say of the same series.
//
// The series of a breaker end when it is no longer listed. If a breaker of that
// name comes back, its counters begin at 0, which Prometheus' rate and increase
// take for a restart.
func Register(meter metric.Meter, source breaker.Source, opts ...Option) (metric.Registration, error) {
	mustBe("meter", meter)
	mustBe("source", source)
	o := options{limit: int(bounds.SeriesLimit.Default)}
	for _, opt := range opts {
		if opt == nil {
			panic("metrics: Register: nil Option")
		}
		opt(&o)
	}
	bounds.SeriesLimit.Must(int64(o.limit))
	p := newPublisher(source, o)
	all, err := p.create(meter)
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(p.collect, all...)
}

func mustBe(what string, v any) {
	if r := reflect.ValueOf(v); !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil() {
		panic("metrics: Register: the " + what + " is nil")
	}
}
