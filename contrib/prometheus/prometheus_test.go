package prometheus_test

import (
	"fmt"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"weak"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/contrib/prometheus"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

func TestCollector_ABreakerWithoutCallsHasItsSeriesFromTheFirstScrapeOn(t *testing.T) {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	registry := registryOf(t, prometheus.NewCollector(breaker.SourceOf(g)))
	require.Equal(t, map[string]float64{"breakers{}": 0, "breakers_limit{}": 256, "overflow_total{}": 0}, scrape(t, registry))
	g.Get("a")
	require.Equal(t, map[string]float64{
		"requests_total{decision=allowed,name=a}":             0,
		"requests_total{decision=rejected,name=a}":            0,
		"calls_total{name=a,outcome=success}":                 0,
		"calls_total{name=a,outcome=failure}":                 0,
		"calls_total{name=a,outcome=ignored}":                 0,
		"inflight{name=a}":                                    0,
		"state{name=a,state=closed}":                          1,
		"state{name=a,state=half-open}":                       0,
		"state{name=a,state=open}":                            0,
		"state_transitions_total{name=a,from=closed,to=open}": 0,
		"state_transitions_total{name=a,from=open,to=closed}": 0,
		"mode{mode=auto,name=a}":                              1,
		"reject_ratio{name=a}":                                0,
		"window_calls{name=a,outcome=success}":                0,
		"window_calls{name=a,outcome=failure}":                0,
		"breakers{}":                                          1,
		"breakers_limit{}":                                    256,
		"overflow_total{}":                                    0,
	}, scrape(t, registry))
}

func TestCollector_CountsWhatTheBreakerCounted(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	call(b, 4, breaker.Success)
	call(b, 1, breaker.Ignored)
	call(b, 10, breaker.Failure)
	got := scrape(t, registryOf(t, prometheus.NewCollector(listOf(b, "a"))))
	for line, want := range map[string]float64{
		"requests_total{decision=allowed,name=a}":             8,
		"requests_total{decision=rejected,name=a}":            7,
		"calls_total{name=a,outcome=success}":                 4,
		"calls_total{name=a,outcome=failure}":                 3,
		"calls_total{name=a,outcome=ignored}":                 1,
		"inflight{name=a}":                                    0,
		"state{name=a,state=closed}":                          0,
		"state{name=a,state=open}":                            1,
		"state_transitions_total{name=a,from=closed,to=open}": 1,
		"reject_ratio{name=a}":                                1,
	} {
		require.Contains(t, got, line)
		require.InDelta(t, want, got[line], 0, line)
	}
}

// ruled is a source that has rules.
type ruled struct{ list }

func (*ruled) Reloads() breaker.Reloads {
	return breaker.Reloads{Applied: 1, Unchanged: 2, Rejected: 3}
}

func TestCollector_CountsTheReloadsOfASourceThatHasRules(t *testing.T) {
	require.Equal(t, map[string]float64{
		"breakers{}": 0, "breakers_limit{}": 0, "overflow_total{}": 0,
		"config_reloads_total{result=applied}":   1,
		"config_reloads_total{result=unchanged}": 2,
		"config_reloads_total{result=rejected}":  3,
	}, scrape(t, registryOf(t, prometheus.NewCollector(&ruled{}))))
}

func TestWithCommonLabels_TellsTheSourcesOfOneRegistryApart(t *testing.T) {
	one, two := listOf(sre.NewBreaker(), "a"), listOf(sre.NewBreaker(), "a")
	one.keys.Held, two.keys.Held = 1, 2
	got := scrape(t, registryOf(t,
		prometheus.NewCollector(one, prometheus.WithCommonLabels(client.Labels{"kind": "http"})),
		prometheus.NewCollector(two, prometheus.WithCommonLabels(client.Labels{"kind": "grpc"})),
	))
	require.InDelta(t, 1, got["breakers{kind=http}"], 0)
	require.InDelta(t, 2, got["breakers{kind=grpc}"], 0)
	require.Contains(t, got, "state{name=a,state=open,kind=http}")
	require.Contains(t, got, "state{name=a,state=open,kind=grpc}")
}

// A scrape with a series twice would fail as a whole, with all else that the
// program says.
func TestCollector_IsRefusedASecondTime(t *testing.T) {
	source := listOf(sre.NewBreaker(), "a")
	c := prometheus.NewCollector(source)
	registry := registryOf(t, c)
	require.ErrorAs(t, registry.Register(prometheus.NewCollector(source)), &client.AlreadyRegisteredError{})
	require.ErrorContains(t, registry.Register(prometheus.NewCollector(source, prometheus.WithCommonLabels(client.Labels{"kind": "http"}))),
		"different label names")
	require.NotEmpty(t, scrape(t, registry))
	require.True(t, registry.Unregister(c))
	require.Empty(t, scrape(t, registry))
}

func TestWithLabel_IsAskedOncePerBreaker(t *testing.T) {
	asked := map[string]int{}
	source := listOf(sre.NewBreaker(), "a", "b")
	registry := registryOf(t, prometheus.NewCollector(source, prometheus.WithLabel("a_team", func(l breaker.Listed) string {
		asked[l.Key]++
		return "of " + l.Key + "\xff"
	})))
	for range 3 {
		require.Contains(t, scrape(t, registry), "inflight{a_team=of a\uFFFD,name=a}")
	}
	require.Equal(t, map[string]int{"a": 1, "b": 1}, asked)
}

func TestWithLabel_BreakersWithTheSameLabelsAreAddedUp(t *testing.T) {
	b := sre.NewBreaker()
	call(b, 3, breaker.Success)
	registry := registryOf(t, prometheus.NewCollector(listOf(b, "a", "b"),
		prometheus.WithLabel("circuitbreaker_name", func(breaker.Listed) string { return "both" })))
	require.InDelta(t, 6, scrape(t, registry)["calls_total{name=both,outcome=success}"], 0)
}

func TestWithLimit_TheBreakersBeyondItAreOther(t *testing.T) {
	b := sre.NewBreaker()
	call(b, 3, breaker.Success)
	got := scrape(t, registryOf(t, prometheus.NewCollector(listOf(b, "a", "b", "c"), prometheus.WithLimit(1),
		prometheus.WithLabel("kind", func(breaker.Listed) string { return "http" }))))
	require.InDelta(t, 3, got["calls_total{name=a,outcome=success,kind=http}"], 0)
	require.InDelta(t, 6, got["calls_total{name="+prometheus.Other+",outcome=success,kind=}"], 0)
}

func TestCollector_ReplacesWhatIsNotUTF8(t *testing.T) {
	got := scrape(t, registryOf(t, prometheus.NewCollector(listOf(sre.NewBreaker(), "/a\xff\xfe/b"))))
	require.NotEmpty(t, of(got, "/a\uFFFD/b"))
}

func TestCollector_KeepsNoBreakerThatIsNoLongerListed(t *testing.T) {
	source := &list{}
	gone := func() weak.Pointer[sre.Breaker] {
		b := sre.NewBreaker()
		source.breakers = listOf(b, "a").breakers
		return weak.Make(b)
	}()
	registry := registryOf(t, prometheus.NewCollector(source))
	require.NotEmpty(t, of(scrape(t, registry), "a"))
	source.breakers = nil
	require.Empty(t, of(scrape(t, registry), "a"), "its series end")
	runtime.GC()
	require.Nil(t, gone.Value())
}

func TestCollector_NoCounterFallsWhileACallIsBeingSettled(t *testing.T) {
	b := &fixed{snapshot: breaker.Snapshot{Totals: breaker.Totals{Offered: 10, Allowed: 10, Success: 9, InFlight: 1}}}
	registry := registryOf(t, prometheus.NewCollector(listOf(b, "a")))
	scrape(t, registry)
	b.snapshot.Totals = breaker.Totals{Offered: 9, Allowed: 9, Success: 9}
	got := scrape(t, registry)
	require.InDelta(t, 10, got["requests_total{decision=allowed,name=a}"], 0)
	require.InDelta(t, 1, got["inflight{name=a}"], 0, "it is still in flight")
}

// A registry that wraps the collector adds labels of its own to each line.
func TestCollector_MayBeScrapedByManyAtOnceAlsoWrapped(t *testing.T) {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	c := prometheus.NewCollector(breaker.SourceOf(g), prometheus.WithCommonLabels(client.Labels{"kind": "http"}))
	plain := registryOf(t, c)
	wrapped := client.NewPedanticRegistry()
	for _, zone := range []string{"a", "b"} {
		require.NoError(t, client.WrapRegistererWith(client.Labels{"aa": zone, "zone": zone}, wrapped).Register(c))
	}
	var scraping sync.WaitGroup
	for n, registry := range []client.Gatherer{plain, wrapped, plain, wrapped} {
		handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
		scraping.Go(func() {
			for i := range 50 {
				call(g.Get(fmt.Sprint(i%8)), 3, breaker.Success)
				r := httptest.NewRequest("GET", "/metrics", nil)
				if n < 2 {
					r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != 200 {
					t.Error(w.Body)
				}
			}
		})
	}
	scraping.Wait()
	for i := range 8 {
		calls := float64(0)
		for n := range 50 {
			if n%8 == i {
				calls += 4 * 3
			}
		}
		require.InDelta(t, calls, scrape(t, plain)[fmt.Sprintf("calls_total{name=%d,outcome=success,kind=http}", i)], 0)
		require.InDelta(t, calls, scrape(t, wrapped)[fmt.Sprintf("calls_total{aa=b,name=%d,outcome=success,kind=http,zone=b}", i)], 0)
	}
}

// The registry says so instead of the scrape, and the next one is served.
func TestCollector_SurvivesALabelThatPanics(t *testing.T) {
	panics := true
	registry := registryOf(t, prometheus.NewCollector(listOf(sre.NewBreaker(), "a", "b"), prometheus.WithLabel("kind", func(l breaker.Listed) string {
		if panics && l.Key == "b" {
			panic("boom")
		}
		return "http"
	})))
	_, err := registry.Gather()
	require.ErrorContains(t, err, "boom")
	panics = false
	got := scrape(t, registry)
	require.NotEmpty(t, of(got, "a"))
	require.NotEmpty(t, of(got, "b"))
}

// A sort of what is in order already takes a registry a fraction of the time.
func TestCollector_SendsEachMetricInTheOrderOfTheRegistry(t *testing.T) {
	c := prometheus.NewCollector(listOf(sre.NewBreaker(), "c", "a", "b"), prometheus.WithLabel("app", func(l breaker.Listed) string {
		return map[string]string{"a": "3", "b": "1", "c": "2"}[l.Key]
	}))
	families, err := registryOf(t, c).Gather()
	require.NoError(t, err)
	var sorted []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sorted = append(sorted, f.GetName()+fmt.Sprint(m.GetLabel()))
		}
	}
	metrics := make(chan client.Metric)
	go func() {
		c.Collect(metrics)
		close(metrics)
	}()
	var sent []string
	for m := range metrics {
		var written dto.Metric
		require.NoError(t, m.Write(&written))
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(m.Desc().String())[1]
		sent = append(sent, name+fmt.Sprint(written.GetLabel()))
	}
	slices.SortStableFunc(sent, func(a, b string) int { // the metrics themselves come in any order
		nameOfA, _, _ := strings.Cut(a, "[")
		nameOfB, _, _ := strings.Cut(b, "[")
		return strings.Compare(nameOfA, nameOfB)
	})
	require.Equal(t, sorted, sent)
}

func TestNewCollector_PanicsForWhatCannotBe(t *testing.T) {
	var typedNil *list
	label := func(name string) prometheus.Option {
		return prometheus.WithLabel(name, func(breaker.Listed) string { return "" })
	}
	common := func(name, value string) prometheus.Option {
		return prometheus.WithCommonLabels(client.Labels{name: value})
	}
	const form = ": want letters, digits and _, and no digit and no __ in front"
	for want, opts := range map[string][]prometheus.Option{
		"prometheus: NewCollector: nil Option":                                                        {nil},
		"prometheus: WithLimit(0): want a number in [1, 1000000]":                                     {prometheus.WithLimit(0)},
		"prometheus: WithLimit(1000001): want a number in [1, 1000000]":                               {prometheus.WithLimit(1000001)},
		`prometheus: WithLabel("")` + form:                                                            {label("")},
		`prometheus: WithLabel("a.b")` + form:                                                         {label("a.b")},
		`prometheus: WithLabel("__name__")` + form:                                                    {label("__name__")},
		`prometheus: WithCommonLabels("1a")` + form:                                                   {common("1a", "")},
		`prometheus: WithLabel("from"): the metrics have this label themselves`:                       {label("from")},
		`prometheus: WithCommonLabels("result"): the metrics have this label themselves`:              {common("result", "")},
		`prometheus: WithCommonLabels("circuitbreaker_name"): the metrics have this label themselves`: {common("circuitbreaker_name", "")},
		`prometheus: WithLabel("kind"): there is such a label already`:                                {common("kind", ""), label("kind")},
		`prometheus: WithLabel("team"): there is such a label already`:                                {label("team"), label("team")},
		`prometheus: WithCommonLabels("kind"): there is such a label already`:                         {common("kind", "a"), common("kind", "b")},
		`prometheus: WithCommonLabels("kind"): "\xff" is not UTF-8`:                                   {common("kind", "\xff")},
		`prometheus: WithLabel("circuitbreaker_name"): the metrics have this label themselves`:        {label("circuitbreaker_name"), label("circuitbreaker_name")},
	} {
		require.PanicsWithValue(t, want, func() { prometheus.NewCollector(&list{}, opts...) })
	}
	require.PanicsWithValue(t, "prometheus: NewCollector: the source is nil", func() { prometheus.NewCollector(typedNil) })
	require.PanicsWithValue(t, `prometheus: WithLabel("kind"): the function is nil`, func() { prometheus.WithLabel("kind", nil) })
}
