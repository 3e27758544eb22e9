package prometheus

import (
	"cmp"
	"slices"
	"sync"

	client "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/watch"
)

// collector makes what a registry needs of a line once, when the breaker is first
// met, and shares it among the scrapes. The metrics of client_golang would make
// it for each line anew.
type collector struct {
	labels   []label
	common   pairs
	descs    [watch.NumMetrics]*client.Desc
	ofSource []line

	mu               sync.Mutex // several registries may collect at once
	watcher          *watch.Watcher[string, *[len(watch.Sets)]pairs]
	ofSeries         []line
	counters, gauges int // how many there were the last time
}

// line is one line of the page.
type line struct {
	metric int
	desc   *client.Desc
	labels pairs
	index  int            // of watch.Lines or watch.SourceLines
	now    *watch.Reading // nil if it belongs to no breaker
}

func newCollector(source breaker.Source, o options) *collector {
	o.check()
	c := &collector{labels: o.labels}
	c.watcher = watch.New(source, o.limit, c.labelsOf)
	common := client.Labels{}
	for _, labels := range o.common {
		for name, value := range labels {
			common[name] = value
			c.common = append(c.common, pair(name, value))
		}
	}
	for i := range c.descs {
		c.descs[i] = c.describe(i, common)
	}
	for i, l := range c.watcher.SourceLines() {
		labels := c.common.and(pairsOf(watch.SourceSets[l.Set])...)
		c.ofSource = append(c.ofSource, line{l.Metric, c.descs[l.Metric], labels, i, nil})
	}
	return c
}

func (c *collector) describe(metric int, common client.Labels) *client.Desc {
	m := &watch.Metrics[metric]
	name := nameOf(m.Name)
	if m.Kind == watch.Counter {
		name += "_total"
	}
	var labels []string
	if metric < watch.Breakers {
		labels = append(labels, nameLabel)
		for _, l := range c.labels {
			if l.name != nameLabel {
				labels = append(labels, l.name)
			}
		}
	}
	for _, key := range m.Keys {
		labels = append(labels, nameOf(key))
	}
	return client.NewDesc(name, m.Help, labels, common)
}

// Describe sends all that there can be.
func (c *collector) Describe(to chan<- *client.Desc) {
	for i, desc := range c.descs {
		if i != watch.Reloads || c.watcher.HasReloads() {
			to <- desc
		}
	}
}

// Collect holds no lock while it sends, so a registry that does not receive
// keeps nobody waiting.
func (c *collector) Collect(to chan<- client.Metric) {
	samples := c.read()
	for i := range samples.counters {
		s := &samples.counters[i]
		s.counter.Value = &s.value
		to <- s
	}
	for i := range samples.gauges {
		s := &samples.gauges[i]
		s.gauge.Value = &s.value
		to <- s
	}
}

// read returns the samples of the lines that are there.
func (c *collector) read() (all samples) {
	c.mu.Lock()
	defer c.mu.Unlock()
	series, changed := c.watcher.Read()
	if changed {
		c.ofSeries = c.linesOf(series)
	}
	all.counters, all.gauges = make([]counter, 0, c.counters), make([]gauge, 0, c.gauges)
	counts := c.watcher.Source()
	for i := range c.ofSource {
		all.add(&c.ofSource[i], float64(counts[i]))
	}
	for i := range c.ofSeries {
		if l := &c.ofSeries[i]; l.now.Shows(l.index) {
			all.add(l, l.now.Value(l.index))
		}
	}
	c.counters, c.gauges = len(all.counters), len(all.gauges)
	return all
}

// linesOf returns the lines of all series in the order that a registry sorts
// them into: its own sort has nothing to move then.
func (c *collector) linesOf(series map[string]*watch.Series[*[len(watch.Sets)]pairs]) []line {
	all := make([]line, 0, len(series)*len(watch.Lines))
	for _, s := range series {
		for i, l := range watch.Lines {
			all = append(all, line{l.Metric, c.descs[l.Metric], s.Labels[l.Set], i, &s.Now})
		}
	}
	slices.SortFunc(all, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), a.labels.compare(b.labels))
	})
	return all
}

// samples are the numbers of the lines at one moment.
type samples struct {
	counters []counter
	gauges   []gauge
}

func (s *samples) add(l *line, value float64) {
	if watch.Metrics[l.metric].Kind == watch.Counter {
		s.counters = append(s.counters, counter{line: l, value: value})
	} else {
		s.gauges = append(s.gauges, gauge{line: l, value: value})
	}
}

func (l *line) Desc() *client.Desc { return l.desc }

type counter struct {
	*line
	value   float64
	counter dto.Counter
}

func (c *counter) Write(to *dto.Metric) error {
	to.Label, to.Counter = c.labels, &c.counter
	return nil
}

type gauge struct {
	*line
	value float64
	gauge dto.Gauge
}

func (g *gauge) Write(to *dto.Metric) error {
	to.Label, to.Gauge = g.labels, &g.gauge
	return nil
}
