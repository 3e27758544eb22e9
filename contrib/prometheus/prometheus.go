// Package prometheus publishes breakers to Prometheus, with a collector of
// client_golang. It gives the same lines as package metrics gives through the
// SDK of OpenTelemetry and its exporter, in a fraction of the time and memory:
// take it where a program has a registry of client_golang anyway, or where
// scrapes are to be cheap. Take package metrics where a program has
// OpenTelemetry anyway, or where the metrics go elsewhere than to Prometheus.
// Nobody needs both.
package prometheus

import (
	"fmt"
	"reflect"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/internal/watch"
)

// Other is the name under which the overflow breaker of a group is published,
// together with the breakers beyond [WithLimit].
const Other = watch.Other

// Option configures [NewCollector]. A value out of its range makes NewCollector
// panic.
type Option func(*options)

type options struct {
	labels []label
	common []client.Labels
	limit  int
}

// WithLabel adds a label to the series of each breaker. of is asked once per
// breaker, when it is first collected; bytes that are not UTF-8 are replaced in
// what it returns. In the series of the breakers beyond [WithLimit], the label is
// empty. The name has letters, digits and _, begins with no digit and no __, and
// is none that the metrics have themselves but circuitbreaker_name, which of may
// replace: breakers with the same labels share their series. WithLabel panics if
// of is nil.
func WithLabel(name string, of func(breaker.Listed) string) Option {
	if of == nil {
		panic(fmt.Sprintf("prometheus: WithLabel(%q): the function is nil", name))
	}
	return func(o *options) { o.labels = append(o.labels, label{name, of}) }
}

// WithCommonLabels adds labels to every series, also to those of the keys, which
// belong to no breaker. The names are such as [WithLabel] takes, without
// circuitbreaker_name, and the values UTF-8. With different values, several
// sources can be registered with one registry.
func WithCommonLabels(labels client.Labels) Option {
	return func(o *options) { o.common = append(o.common, labels) }
}

// WithLimit sets how many breakers have series of their own. The range is
// [1, 1000000], the default 320, as in package metrics. A breaker that comes when
// the limit is reached adds to the series with the name [Other] for as long as it
// is listed.
func WithLimit(breakers int) Option { return func(o *options) { o.limit = breakers } }

// NewCollector returns a collector of the breakers of source, which any
// registry takes. It reads them when it is collected, and nothing runs in
// between: a call costs nothing more, and a scrape one snapshot per breaker. Many
// may scrape at the same time. It panics if source is nil.
//
//	registry.MustRegister(prometheus.NewCollector(breaker.SourceOf(breakers)))
//
// What is published, by metric, with the labels besides circuitbreaker_name:
//
//	circuitbreaker_requests_total           counter  circuitbreaker_decision
//	circuitbreaker_would_reject_total       counter
//	circuitbreaker_calls_total              counter  circuitbreaker_outcome
//	circuitbreaker_inflight                 gauge
//	circuitbreaker_state                    1 or 0   circuitbreaker_state
//	circuitbreaker_state_transitions_total  counter  from, to
//	circuitbreaker_mode                     1 or 0   circuitbreaker_mode
//	circuitbreaker_reject_ratio             gauge    in [0, 1]
//	circuitbreaker_window_calls             gauge    circuitbreaker_outcome
//	circuitbreaker_breakers                 gauge    without a name
//	circuitbreaker_breakers_limit           gauge    without a name
//	circuitbreaker_overflow_total           counter  without a name
//	circuitbreaker_config_reloads_total     counter  without a name; result
//
// The last one is there if the source has rules, as a *config.Rules has. What the
// metrics say, which series wait until there is something to say, and what
// becomes of breakers that share series or come and go, is as the Register of
// package metrics has it. In every scrape, the allowed requests of a breaker are
// the sum of its calls and of those in flight.
//
// The collector describes what it collects, so a registry refuses a second one
// of the same series at once, and can unregister it. Two sources can be in one
// registry if their labels have the same names, and those of [WithCommonLabels]
// different values.
func NewCollector(source breaker.Source, opts ...Option) client.Collector {
	if v := reflect.ValueOf(source); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("prometheus: NewCollector: the source is nil")
	}
	o := options{limit: int(bounds.PrometheusSeriesLimit.Default)}
	for _, opt := range opts {
		if opt == nil {
			panic("prometheus: NewCollector: nil Option")
		}
		opt(&o)
	}
	bounds.PrometheusSeriesLimit.Must(int64(o.limit))
	return newCollector(source, o)
}
