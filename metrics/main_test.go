package metrics_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// meter is a meter that collects when it is told to.
type meter struct {
	noop.Meter
	fails     error
	made      []string // "counter name unit"
	callbacks map[*registration]metric.Callback
}

func newMeter() *meter { return &meter{callbacks: map[*registration]metric.Callback{}} }

type counter struct {
	noop.Int64ObservableCounter
	name string
}

type upDownCounter struct {
	noop.Int64ObservableUpDownCounter
	name string
}

type gauge struct {
	noop.Float64ObservableGauge
	name string
}

func (m *meter) Int64ObservableCounter(name string, opts ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	m.made = append(m.made, "counter "+name+" "+metric.NewInt64ObservableCounterConfig(opts...).Unit())
	return &counter{name: name}, m.fails
}

func (m *meter) Int64ObservableUpDownCounter(name string, opts ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	m.made = append(m.made, "updowncounter "+name+" "+metric.NewInt64ObservableUpDownCounterConfig(opts...).Unit())
	return &upDownCounter{name: name}, m.fails
}

func (m *meter) Float64ObservableGauge(name string, opts ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	m.made = append(m.made, "gauge "+name+" "+metric.NewFloat64ObservableGaugeConfig(opts...).Unit())
	return &gauge{name: name}, m.fails
}

type registration struct {
	noop.Registration
	meter *meter
}

func (m *meter) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	r := &registration{meter: m}
	m.callbacks[r] = f
	return r, nil
}

func (r *registration) Unregister() error {
	delete(r.meter.callbacks, r)
	return nil
}

// collection maps "name{key=value,...}", with the keys in alphabetical order and
// without their prefix "circuitbreaker.", to what was observed.
type collection map[string]float64

// tb is what a *testing.T and a *rapid.T have in common.
type tb interface {
	require.TestingT
	Helper()
}

type observer struct {
	noop.Observer
	t    tb
	seen collection
}

func (o observer) ObserveInt64(i metric.Int64Observable, v int64, opts ...metric.ObserveOption) {
	switch i := i.(type) {
	case *counter:
		require.GreaterOrEqual(o.t, v, int64(0))
		o.observe(i.name, float64(v), opts)
	case *upDownCounter:
		o.observe(i.name, float64(v), opts)
	default:
		require.Failf(o.t, "not an instrument of the meter", "%T", i)
	}
}

func (o observer) ObserveFloat64(i metric.Float64Observable, v float64, opts ...metric.ObserveOption) {
	o.observe(i.(*gauge).name, v, opts)
}

// observe fails the test if something is said twice, which no callback may.
func (o observer) observe(name string, v float64, opts []metric.ObserveOption) {
	var attributes []string
	set := metric.NewObserveConfig(opts).Attributes()
	for _, kv := range set.ToSlice() {
		attributes = append(attributes, strings.TrimPrefix(string(kv.Key), "circuitbreaker.")+"="+kv.Value.String())
	}
	slices.Sort(attributes)
	key := strings.TrimPrefix(name, "circuitbreaker.") + "{" + strings.Join(attributes, ",") + "}"
	_, twice := o.seen[key]
	require.False(o.t, twice, key)
	o.seen[key] = v
}

func (m *meter) collect(t tb) collection {
	t.Helper()
	seen := collection{}
	for _, f := range m.callbacks {
		require.NoError(t, f(context.Background(), observer{t: t, seen: seen}))
	}
	return seen
}

// of returns what was observed of the breaker called name.
func (c collection) of(name string) collection {
	some := collection{}
	for k, v := range c {
		if strings.Contains(k, "{name="+name+"}") || strings.Contains(k, "{name="+name+",") || strings.Contains(k, ",name="+name+"}") ||
			strings.Contains(k, ",name="+name+",") {
			some[k] = v
		}
	}
	return some
}

// requireIdentities requires what holds in every collection of a breaker.
func (c collection) requireIdentities(t tb, name string) {
	t.Helper()
	get := func(format string) float64 {
		k := fmt.Sprintf(format, name)
		require.Contains(t, c, k)
		return c[k]
	}
	require.InDelta(t, get("requests{decision=allowed,name=%s}"),
		get("calls{name=%s,outcome=success}")+get("calls{name=%s,outcome=failure}")+get("calls{name=%s,outcome=ignored}")+
			get("inflight{name=%s}"), 0, "allowed = success + failure + ignored + in flight")
	require.InDelta(t, 1, get("state{name=%s,state=closed}")+get("state{name=%s,state=half-open}")+get("state{name=%s,state=open}"), 0)
}

// list is a source whose breakers a test sets.
type list struct {
	breakers []breaker.Listed
	keys     breaker.Keys
}

func (l *list) Breakers() iter.Seq[breaker.Listed] { return slices.Values(l.breakers) }
func (l *list) Keys() breaker.Keys                 { return l.keys }

// set makes l list only b, as key.
func (l *list) set(key string, b breaker.Breaker) {
	l.breakers = []breaker.Listed{{Key: key, Breaker: b}}
}

// fixed is a breaker with a snapshot that a test sets.
type fixed struct {
	breaker.Breaker
	snapshot breaker.Snapshot
}

func (f *fixed) Snapshot() breaker.Snapshot { return f.snapshot }

// register registers source with a new meter.
func register(t tb, source breaker.Source, opts ...metrics.Option) *meter {
	t.Helper()
	m := newMeter()
	r, err := metrics.Register(m, source, opts...)
	require.NoError(t, err)
	require.NotNil(t, r)
	return m
}

// call makes n calls that end with o, of those that b allows.
func call(b breaker.Acquirer, n int, o breaker.Outcome) {
	for range n {
		if p, err := b.Acquire(); err == nil {
			p.Done(o)
		}
	}
}
