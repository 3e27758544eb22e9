// Package metrics publishes breakers as OpenTelemetry instruments. They read
// snapshots when somebody collects: nothing is added to a call, and nothing runs
// in between.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/kratos-breaker/breaker"
)

// ScopeName is the name for the meter of [Register].
const ScopeName = "github.com/kratos-breaker/breaker/metrics"

// Other is the name under which the overflow breaker of a group is published,
// together with the breakers beyond [WithLimit].
const Other = "_OTHER"

// The keys of the attributes. A state, a mode or an outcome has the text of its
// String method.
const (
	nameKey     = attribute.Key("circuitbreaker.name")
	decisionKey = attribute.Key("circuitbreaker.decision") // allowed, rejected
	outcomeKey  = attribute.Key("circuitbreaker.outcome")  // success, failure, ignored
	stateKey    = attribute.Key("circuitbreaker.state")    // closed, half-open, open
	modeKey     = attribute.Key("circuitbreaker.mode")     // auto, force-open, force-closed, dry-run
	fromKey     = attribute.Key("from")                    // a state
	toKey       = attribute.Key("to")                      // a state
)

// Option configures [Register]. A value out of its range makes Register panic.
type Option func(*options)

type options struct {
	attributes func(breaker.Listed) []attribute.KeyValue
	common     []attribute.KeyValue
	limit      int
}

const (
	// The instrument with most attribute sets has six per breaker, one for each
	// change of the state. By default the SDK of OpenTelemetry keeps less than
	// 2000, and 321 breakers have 1926.
	defaultLimit = 320
	maxLimit     = 1_000_000
)

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
	o := options{limit: defaultLimit}
	for _, opt := range opts {
		if opt == nil {
			panic("metrics: Register: nil Option")
		}
		opt(&o)
	}
	if o.limit < 1 || o.limit > maxLimit {
		panic(fmt.Sprintf("metrics: WithLimit(%d): want a number in [1, %d]", o.limit, maxLimit))
	}
	p := &publisher{source: source, options: o}
	p.watched = make(map[identity]*watched)
	p.series = make(map[attribute.Distinct]*series)
	p.common = metric.WithAttributeSet(attribute.NewSet(o.common...))
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

type instruments struct {
	requests, wouldReject, calls, transitions, overflow     metric.Int64ObservableCounter
	inFlight, state, mode, window, breakers, breakersAtMost metric.Int64ObservableUpDownCounter
	rejectRatio                                             metric.Float64ObservableGauge
}

// create makes the instruments and returns them all.
func (i *instruments) create(meter metric.Meter) (all []metric.Observable, err error) {
	counter := func(to *metric.Int64ObservableCounter, name, unit, description string) {
		c, e := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		*to, all, err = c, append(all, c), errors.Join(err, e)
	}
	number := func(to *metric.Int64ObservableUpDownCounter, name, unit, description string) {
		c, e := meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		*to, all, err = c, append(all, c), errors.Join(err, e)
	}
	counter(&i.requests, "circuitbreaker.requests", "{request}",
		"Calls that asked the breaker, by what it decided.")
	counter(&i.wouldReject, "circuitbreaker.would_reject", "{request}",
		"Calls that a dry run allowed although the breaker had come to reject them.")
	counter(&i.calls, "circuitbreaker.calls", "{call}",
		"Allowed calls that ended, by what their end said about the backend.")
	number(&i.inFlight, "circuitbreaker.inflight", "{call}",
		"Allowed calls that have not ended.")
	number(&i.state, "circuitbreaker.state", "1",
		"1 for the state that the breaker is in, 0 for the others.")
	counter(&i.transitions, "circuitbreaker.state.transitions", "{transition}",
		"Changes of the breaker's state.")
	number(&i.mode, "circuitbreaker.mode", "1",
		"1 for the mode that the breaker is in, 0 for the others. In auto, its state decides about calls.")
	number(&i.window, "circuitbreaker.window.calls", "{call}",
		"Calls that the breaker decides from.")
	number(&i.breakers, "circuitbreaker.breakers", "{breaker}",
		"Keys that have a breaker of their own.")
	number(&i.breakersAtMost, "circuitbreaker.breakers.limit", "{breaker}",
		"Keys that can have a breaker of their own.")
	counter(&i.overflow, "circuitbreaker.overflow", "{request}",
		"Calls whose key was beyond the limit, so that they shared a breaker.")
	gauge, e := meter.Float64ObservableGauge("circuitbreaker.reject_ratio", metric.WithUnit("1"),
		metric.WithDescription("Share of the calls that the breaker rejects now."))
	i.rejectRatio = gauge
	return append(all, gauge), errors.Join(err, e)
}

// publisher is one registration.
type publisher struct {
	instruments
	options
	source breaker.Source
	common metric.ObserveOption

	mu      sync.Mutex // several readers may collect at once
	round   uint64
	watched map[identity]*watched
	series  map[attribute.Distinct]*series
}

func (p *publisher) collect(_ context.Context, o metric.Observer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.round++
	for _, s := range p.series {
		s.now = s.gone
	}
	for l := range p.source.Breakers() {
		if l.Breaker == nil {
			continue
		}
		if w := p.watch(l); w.round != p.round { // once, if two sources list it
			w.round = p.round
			w.read(l.Breaker.Snapshot())
			w.series.now.add(&w.last)
		}
	}
	p.forget()
	for _, s := range p.series {
		s.observe(o, &p.instruments)
	}
	k := p.source.Keys()
	o.ObserveInt64(p.breakers, int64(k.Held), p.common)
	o.ObserveInt64(p.breakersAtMost, int64(k.Limit), p.common)
	o.ObserveInt64(p.overflow, int64(k.Overflows), p.common)
	return nil
}
