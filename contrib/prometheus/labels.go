package prometheus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/watch"
)

// label is a label whose value depends on the breaker.
type label struct {
	name string
	of   func(breaker.Listed) string
}

// nameOf returns what Prometheus calls a metric or a label, as the exporter of
// OpenTelemetry does.
func nameOf(of string) string { return strings.ReplaceAll(of, ".", "_") }

var nameLabel = nameOf(watch.NameKey)

// ofMetrics are the labels that the metrics have themselves.
var ofMetrics = func() map[string]bool {
	names := map[string]bool{nameLabel: true}
	for _, m := range watch.Metrics {
		for _, key := range m.Keys {
			names[nameOf(key)] = true
		}
	}
	return names
}()

// check panics if there is a label that cannot be.
func (o *options) check() {
	taken := maps.Clone(ofMetrics)
	check := func(option, name string) {
		switch {
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix):
			panic(fmt.Sprintf("prometheus: %s(%q): want letters, digits and _, and no digit and no __ in front", option, name))
		case ofMetrics[name]:
			panic(fmt.Sprintf("prometheus: %s(%q): the metrics have this label themselves", option, name))
		case taken[name]:
			panic(fmt.Sprintf("prometheus: %s(%q): there is such a label already", option, name))
		}
		taken[name] = true
	}
	for _, labels := range o.common {
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			check("WithCommonLabels", name)
			if !utf8.ValidString(labels[name]) {
				panic(fmt.Sprintf("prometheus: WithCommonLabels(%q): %q is not UTF-8", name, labels[name]))
			}
		}
	}
	named := false
	for _, l := range o.labels {
		if l.name == nameLabel && !named {
			named = true
			continue
		}
		check("WithLabel", l.name)
	}
}

// pairs are labels in the order of their names, which nobody may change.
type pairs []*dto.LabelPair

func pair(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: &name, Value: &value}
}

// and returns p with more labels.
func (p pairs) and(more ...*dto.LabelPair) pairs {
	all := append(slices.Clone(p), more...)
	slices.SortFunc(all, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return slices.Clip(all) // or a registry that wraps us would append to what others read
}

// compare compares the values, as a registry does that sorts.
func (p pairs) compare(other pairs) int {
	return slices.CompareFunc(p, other, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetValue(), b.GetValue()) })
}

// pairsOf makes the pairs of labels that all breakers have in common.
func pairsOf(labels []watch.Label) (all pairs) {
	for _, l := range labels {
		all = append(all, pair(nameOf(l.Key), l.Value))
	}
	return all
}

var sets = func() (all [len(watch.Sets)]pairs) {
	for i, labels := range watch.Sets {
		all[i] = pairsOf(labels)
	}
	return all
}()

// labelsOf makes the labels of a breaker, by [watch.Sets], and the key that tells
// them from those of others.
func (c *collector) labelsOf(name string, l *breaker.Listed) (key string, bySet *[len(watch.Sets)]pairs) {
	var own pairs
	for _, label := range c.labels {
		value := ""
		if l != nil {
			value = strings.ToValidUTF8(label.of(*l), "\uFFFD")
		}
		switch {
		case label.name != nameLabel:
			own = append(own, pair(label.name, value))
			key += value + "\xff" // which is in no value
		case l != nil:
			name = value
		}
	}
	base := c.common.and(append(own, pair(nameLabel, name))...)
	bySet = new([len(watch.Sets)]pairs)
	for i, more := range sets {
		bySet[i] = base.and(more...)
	}
	return key + name, bySet
}
