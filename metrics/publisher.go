package metrics

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/watch"
)

// publisher is one registration.
type publisher struct {
	options
	ints        [watch.NumMetrics]metric.Int64Observable // by watch.Metrics
	rejectRatio metric.Float64Observable
	source      []metric.ObserveOption // by watch.SourceSets

	mu      sync.Mutex // several readers may collect at once
	watcher *watch.Watcher[attribute.Distinct, *series]
}

func newPublisher(source breaker.Source, o options) *publisher {
	p := &publisher{options: o}
	common := attribute.NewSet(o.common...)
	for _, labels := range watch.SourceSets {
		p.source = append(p.source, with(common, labels))
	}
	p.watcher = watch.New(source, o.limit, p.label)
	return p
}

// create makes the instruments and returns them all.
func (p *publisher) create(meter metric.Meter) (all []metric.Observable, err error) {
	for i, m := range watch.Metrics {
		if i == watch.Reloads && !p.watcher.HasReloads() {
			continue
		}
		unit, description := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
		var o metric.Observable
		var e error
		switch m.Kind {
		case watch.Counter:
			p.ints[i], e = meter.Int64ObservableCounter(m.Name, unit, description)
			o = p.ints[i]
		case watch.Number:
			p.ints[i], e = meter.Int64ObservableUpDownCounter(m.Name, unit, description)
			o = p.ints[i]
		case watch.Gauge:
			p.rejectRatio, e = meter.Float64ObservableGauge(m.Name, unit, description)
			o = p.rejectRatio
		}
		all, err = append(all, o), errors.Join(err, e)
	}
	return all, err
}

func (p *publisher) collect(_ context.Context, o metric.Observer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, _ := p.watcher.Read()
	for _, s := range all {
		p.observe(o, &s.Now, s.Labels)
	}
	counts := p.watcher.Source()
	for i, line := range p.watcher.SourceLines() {
		o.ObserveInt64(p.ints[line.Metric], int64(counts[i]), p.source[line.Set])
	}
	return nil
}

func (p *publisher) observe(o metric.Observer, now *watch.Reading, s *series) {
	for i, line := range watch.Lines {
		switch {
		case !now.Shows(i):
		case line.Metric == watch.RejectRatio:
			o.ObserveFloat64(p.rejectRatio, now.RejectRatio, s.with(line.Set)...)
		default:
			o.ObserveInt64(p.ints[line.Metric], int64(now.Counts[i]), s.with(line.Set)...)
		}
	}
}

// series are what is published under one set of attributes. The set of each
// single line is made when it is first needed, and kept.
type series struct {
	attributes attribute.Set
	sets       [len(watch.Sets)][]metric.ObserveOption // as an observer takes them
}

// label makes the attributes of a breaker. It is nil for those beyond the limit,
// who share theirs: what they answered for themselves is dropped.
func (p *publisher) label(name string, l *breaker.Listed) (attribute.Distinct, *series) {
	attributes := append(slices.Clone(p.common), attribute.String(watch.NameKey, name))
	if l != nil && p.attributes != nil {
		attributes = append(attributes, p.attributes(*l)...)
	}
	set := attribute.NewSet(attributes...)
	return set.Equivalent(), &series{attributes: set}
}

func (s *series) with(set int) []metric.ObserveOption {
	if s.sets[set] == nil {
		s.sets[set] = []metric.ObserveOption{with(s.attributes, watch.Sets[set])}
	}
	return s.sets[set]
}

// with returns the attributes and the labels.
func with(attributes attribute.Set, labels []watch.Label) metric.ObserveOption {
	all := attributes.ToSlice()
	for _, l := range labels {
		all = append(all, attribute.String(l.Key, l.Value))
	}
	return metric.WithAttributeSet(attribute.NewSet(all...))
}
