package prometheus_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is a source whose breakers a test sets.
type list struct {
	breakers []breaker.Listed
	keys     breaker.Keys
}

func (l *list) Breakers() iter.Seq[breaker.Listed] { return slices.Values(l.breakers) }
func (l *list) Keys() breaker.Keys                 { return l.keys }

// listOf lists b by the given keys.
func listOf(b breaker.Breaker, keys ...string) *list {
	l := &list{}
	for _, key := range keys {
		l.breakers = append(l.breakers, breaker.Listed{Key: key, Breaker: b})
	}
	return l
}

// fixed is a breaker with a snapshot that a test sets.
type fixed struct {
	breaker.Breaker
	snapshot breaker.Snapshot
}

func (f *fixed) Snapshot() breaker.Snapshot { return f.snapshot }

// call makes n calls that end with o, of those that b allows.
func call(b breaker.Acquirer, n int, o breaker.Outcome) {
	for range n {
		if p, err := b.Acquire(); err == nil {
			p.Done(o)
		}
	}
}

// scrape gathers "name{label=value,...}", without the prefix circuitbreaker_.
func scrape(t testing.TB, registry client.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%s", strings.TrimPrefix(l.GetName(), "circuitbreaker_"), l.GetValue()))
			}
			key := strings.TrimPrefix(family.GetName(), "circuitbreaker_") + "{" + strings.Join(labels, ",") + "}"
			require.NotContains(t, all, key)
			all[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() // it is one of them
		}
	}
	return all
}

// registryOf returns a registry that looks twice at what it gathers.
func registryOf(t testing.TB, collectors ...client.Collector) *client.Registry {
	t.Helper()
	registry := client.NewPedanticRegistry()
	for _, c := range collectors {
		require.NoError(t, registry.Register(c))
	}
	return registry
}

// of returns what was scraped of the breaker called name.
func of(scraped map[string]float64, name string) map[string]float64 {
	scraped = maps.Clone(scraped)
	maps.DeleteFunc(scraped, func(k string, _ float64) bool {
		_, labels, _ := strings.Cut(strings.TrimSuffix(k, "}"), "{")
		return !slices.Contains(strings.Split(labels, ","), "name="+name)
	})
	return scraped
}
