package watch_test

import (
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/watch"
)

// What is published is tested in package metrics and in contrib/prometheus, which
// publish it.

// list is a source whose breakers a test sets.
type list []breaker.Listed

func (l *list) Breakers() iter.Seq[breaker.Listed] { return slices.Values(*l) }
func (l *list) Keys() breaker.Keys                 { return breaker.Keys{Held: len(*l), Limit: 9, Overflows: 2} }

// fixed is a breaker with a snapshot that a test sets.
type fixed struct {
	breaker.Breaker
	snapshot breaker.Snapshot
}

func (f *fixed) Snapshot() breaker.Snapshot { return f.snapshot }

func byName(name string, _ *breaker.Listed) (key, labels string) { return name, "labels of " + name }

func TestLines_NoneIsThereTwiceAndEachHasTheKeysOfItsMetric(t *testing.T) {
	seen := map[watch.Line]bool{}
	for _, all := range []struct {
		lines []watch.Line
		sets  [][]watch.Label
	}{{watch.Lines[:], watch.Sets[:]}, {watch.SourceLines[:], watch.SourceSets[:]}} {
		for _, line := range all.lines {
			require.False(t, seen[line], line)
			seen[line] = true
			var keys []string
			for _, label := range all.sets[line.Set] {
				require.NotEmpty(t, label.Value)
				keys = append(keys, label.Key)
			}
			require.Equal(t, watch.Metrics[line.Metric].Keys, keys, line)
		}
	}
	metrics := map[int]bool{}
	for line := range seen {
		metrics[line.Metric] = true
	}
	require.Len(t, metrics, watch.NumMetrics)
}

func TestRead_SaysWhetherSeriesHaveComeOrGone(t *testing.T) {
	source := &list{{Key: "a", Breaker: &fixed{}}}
	w := watch.New(source, 2, byName)
	read := func() (names []string, changed bool) {
		series, changed := w.Read()
		for name, s := range series {
			require.Equal(t, "labels of "+name, s.Labels)
			names = append(names, name)
		}
		slices.Sort(names)
		return names, changed
	}
	for _, step := range []struct {
		listed list
		names  []string
		change bool
	}{
		{*source, []string{"a"}, true},
		{*source, []string{"a"}, false},
		{list{{Key: "a", Breaker: &fixed{}}}, []string{"a"}, false}, // another one of the same series
		{list{{Key: "b", Breaker: &fixed{}}}, []string{"b"}, true},
		{list{}, nil, true},
		{list{}, nil, false},
		{
			list{{Key: "a", Breaker: &fixed{}}, {Key: "b", Breaker: &fixed{}}, {Key: "c", Breaker: &fixed{}}},
			[]string{watch.Other, "a", "b"},
			true,
		},
		{list{}, nil, true},
		{ // the series of those beyond the limit is not one of the limit
			list{{Key: "x", Overflow: true, Breaker: &fixed{}}, {Key: "a", Breaker: &fixed{}}, {Key: "b", Breaker: &fixed{}}, {Key: "c", Breaker: &fixed{}}},
			[]string{watch.Other, "a", "b"},
			true,
		},
	} {
		*source = step.listed
		names, changed := read()
		require.Equal(t, step.names, names)
		require.Equal(t, step.change, changed, names)
	}
}

// A line of a state that no publisher knows of must not be taken for another one.
func TestRead_TakesStatesAndModesThatItDoesNotKnow(t *testing.T) {
	w := watch.New(&list{{Key: "a", Breaker: &fixed{snapshot: breaker.Snapshot{State: 9, Mode: 200, RejectRatio: 0.5}}}}, 2, byName)
	series, _ := w.Read()
	for i, line := range watch.Lines {
		switch now := &series["a"].Now; line.Metric {
		case watch.RejectRatio:
			require.InDelta(t, 0.5, now.Value(i), 0)
		default:
			require.Zero(t, now.Value(i), line)
		}
	}
}

func TestSource_HasTheNumbersOfItsLines(t *testing.T) {
	w := watch.New(&list{{}}, 2, byName)
	counts, numbers := w.Source(), map[string]uint64{}
	for i, line := range w.SourceLines() {
		numbers[watch.Metrics[line.Metric].Name] = counts[i]
	}
	require.Equal(t, map[string]uint64{
		"circuitbreaker.breakers": 1, "circuitbreaker.breakers.limit": 9, "circuitbreaker.overflow": 2,
	}, numbers)
}
