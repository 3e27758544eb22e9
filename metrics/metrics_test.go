package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/sre"
)

func TestRegister_MakesTheseInstruments(t *testing.T) {
	m := register(t, &list{})
	slices.Sort(m.made)
	require.Equal(t, []string{
		"counter circuitbreaker.calls {call}",
		"counter circuitbreaker.overflow {request}",
		"counter circuitbreaker.requests {request}",
		"counter circuitbreaker.state.transitions {transition}",
		"counter circuitbreaker.would_reject {request}",
		"gauge circuitbreaker.reject_ratio 1",
		"updowncounter circuitbreaker.breakers {breaker}",
		"updowncounter circuitbreaker.breakers.limit {breaker}",
		"updowncounter circuitbreaker.inflight {call}",
		"updowncounter circuitbreaker.mode 1",
		"updowncounter circuitbreaker.state 1",
		"updowncounter circuitbreaker.window.calls {call}",
	}, m.made)
}

func TestRegister_ABreakerWithoutCallsHasItsSeriesFromTheFirstCollectionOn(t *testing.T) {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) })
	m := register(t, breaker.SourceOf(g))
	require.Equal(t, collection{"breakers{}": 0, "breakers.limit{}": 256, "overflow{}": 0}, m.collect(t))
	g.Get("a")
	require.Equal(t, collection{
		"requests{decision=allowed,name=a}":             0,
		"requests{decision=rejected,name=a}":            0,
		"calls{name=a,outcome=success}":                 0,
		"calls{name=a,outcome=failure}":                 0,
		"calls{name=a,outcome=ignored}":                 0,
		"inflight{name=a}":                              0,
		"state{name=a,state=closed}":                    1,
		"state{name=a,state=half-open}":                 0,
		"state{name=a,state=open}":                      0,
		"state.transitions{from=closed,name=a,to=open}": 0,
		"state.transitions{from=open,name=a,to=closed}": 0,
		"mode{mode=auto,name=a}":                        1,
		"reject_ratio{name=a}":                          0,
		"window.calls{name=a,outcome=success}":          0,
		"window.calls{name=a,outcome=failure}":          0,
		"breakers{}":                                    1,
		"breakers.limit{}":                              256,
		"overflow{}":                                    0,
	}, m.collect(t))
}

func TestRegister_CountsWhatTheBreakerCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithFailureRate(0.5, 4, time.Minute), circuit.WithDelay(time.Second))
		source := &list{}
		source.set("a", b)
		m := register(t, source)
		call(b, 2, breaker.Success)
		call(b, 1, breaker.Ignored)
		call(b, 1, breaker.Failure)
		waits, err := b.Acquire()
		require.NoError(t, err)
		c := m.collect(t)
		require.Equal(t, collection{
			"requests{decision=allowed,name=a}":             5,
			"requests{decision=rejected,name=a}":            0,
			"calls{name=a,outcome=success}":                 2,
			"calls{name=a,outcome=failure}":                 1,
			"calls{name=a,outcome=ignored}":                 1,
			"inflight{name=a}":                              1,
			"state{name=a,state=closed}":                    1,
			"state{name=a,state=half-open}":                 0,
			"state{name=a,state=open}":                      0,
			"state.transitions{from=closed,name=a,to=open}": 0,
			"state.transitions{from=open,name=a,to=closed}": 0,
			"mode{mode=auto,name=a}":                        1,
			"reject_ratio{name=a}":                          0,
			"window.calls{name=a,outcome=success}":          2,
			"window.calls{name=a,outcome=failure}":          1,
		}, c.of("a"))

		call(b, 10, breaker.Failure) // after the first the window is half of failures
		waits.Done(breaker.Success)
		c = m.collect(t)
		c.requireIdentities(t, "a")
		require.InDelta(t, 6, c["requests{decision=allowed,name=a}"], 0)
		require.InDelta(t, 9, c["requests{decision=rejected,name=a}"], 0)
		require.InDelta(t, 1, c["state{name=a,state=open}"], 0)
		require.InDelta(t, 1, c["reject_ratio{name=a}"], 0)
		require.InDelta(t, 1, c["state.transitions{from=closed,name=a,to=open}"], 0)
		require.NotContains(t, c, "state.transitions{from=open,name=a,to=half-open}")

		time.Sleep(time.Second)
		c = m.collect(t)
		c.requireIdentities(t, "a")
		require.InDelta(t, 1, c["state{name=a,state=half-open}"], 0)
		require.InDelta(t, 1, c["state.transitions{from=open,name=a,to=half-open}"], 0)
		require.Contains(t, c, "state.transitions{from=half-open,name=a,to=closed}")

		b.Reset()
		c = m.collect(t)
		require.InDelta(t, 1, c["state{name=a,state=closed}"], 0)
		require.InDelta(t, 1, c["state.transitions{from=half-open,name=a,to=closed}"], 0)
		require.InDelta(t, 6, c["requests{decision=allowed,name=a}"], 0, "totals stay")
	})
}

func TestRegister_ShowsWhatAPersonDecided(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	source := &list{}
	source.set("a", b)
	m := register(t, source)
	modesOf := func() []string {
		var on []string
		for k, v := range m.collect(t) {
			if strings.HasPrefix(k, "mode{") {
				on = append(on, fmt.Sprint(k, v))
			}
		}
		slices.Sort(on)
		return on
	}
	require.Equal(t, []string{"mode{mode=auto,name=a}1"}, modesOf())
	for _, mode := range []breaker.Mode{breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun} {
		b.SetMode(mode)
		require.Equal(t, []string{"mode{mode=auto,name=a}0", "mode{mode=" + mode.String() + ",name=a}1"}, modesOf())
	}
	require.Contains(t, m.collect(t), "would_reject{name=a}", "from the dry run on, not from what it would reject first")
	call(b, 100, breaker.Failure)
	c := m.collect(t)
	require.InDelta(t, 99, c["would_reject{name=a}"], 0)
	require.Zero(t, c["requests{decision=rejected,name=a}"])
	b.SetMode(breaker.Auto)
	require.Equal(t, c["would_reject{name=a}"], m.collect(t)["would_reject{name=a}"], "it does not end with the dry run")
	require.Equal(t, []string{"mode{mode=auto,name=a}1"}, modesOf())
}

func TestRegister_TheOverflowBreakerIsOther(t *testing.T) {
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) }, group.WithLimit(1))
	m := register(t, breaker.SourceOf(g))
	for _, key := range []string{"a", "b", "c"} {
		call(g.Get(key), 2, breaker.Success)
	}
	c := m.collect(t)
	require.InDelta(t, 2, c["calls{name=a,outcome=success}"], 0)
	require.InDelta(t, 4, c["calls{name="+metrics.Other+",outcome=success}"], 0)
	require.InDelta(t, 1, c["breakers{}"], 0)
	require.InDelta(t, 1, c["breakers.limit{}"], 0)
	require.InDelta(t, 2, c["overflow{}"], 0)
}

func TestRegister_ABreakerWithoutAKeyHasItsOwnName(t *testing.T) {
	source := &list{}
	source.set("", sre.NewBreaker(sre.WithName("geocoder")))
	require.NotEmpty(t, register(t, source).collect(t).of("geocoder"))
}

// Prometheus' client refuses a whole scrape for one such label.
func TestRegister_ReplacesWhatIsNotUTF8(t *testing.T) {
	source := &list{}
	source.set("/a\xff\xfe/b", sre.NewBreaker())
	require.NotEmpty(t, register(t, source).collect(t).of("/a\uFFFD/b"))
}

func TestRegister_TakesAnyBreakerAndSkipsNone(t *testing.T) {
	type incomparable struct {
		breaker.Breaker
		_ []int
	}
	b := sre.NewBreaker()
	call(b, 3, breaker.Success)
	source := &list{breakers: []breaker.Listed{
		{Key: "nil"},
		{Key: "a", Breaker: incomparable{Breaker: b}},
		{Key: "foreign", Breaker: &fixed{snapshot: breaker.Snapshot{State: 9, Mode: 9}}},
	}}
	m := register(t, source)
	for range 2 {
		c := m.collect(t)
		require.InDelta(t, 3, c["calls{name=a,outcome=success}"], 0)
		require.Empty(t, c.of("nil"))
		require.InDelta(t, 0, c["state{name=foreign,state=closed}"], 0)
	}
}

func TestRegister_NothingIsPublishedAfterUnregister(t *testing.T) {
	m := newMeter()
	r, err := metrics.Register(m, &list{})
	require.NoError(t, err)
	require.NotEmpty(t, m.collect(t))
	require.NoError(t, r.Unregister())
	require.Empty(t, m.collect(t))
}

// ruled is a source that has rules.
type ruled struct {
	list
	reloads breaker.Reloads
}

func (r *ruled) Reloads() breaker.Reloads { return r.reloads }

func TestRegister_CountsTheReloadsOfASourceThatHasRules(t *testing.T) {
	source := &ruled{}
	m := newMeter()
	_, err := metrics.Register(m, source, metrics.WithCommonAttributes(attributesOf("http")...))
	require.NoError(t, err)
	require.Contains(t, m.made, "counter circuitbreaker.config.reloads {reload}")
	reloads := func() collection {
		c := m.collect(t)
		maps.DeleteFunc(c, func(k string, _ float64) bool { return !strings.HasPrefix(k, "config.reloads{") })
		return c
	}
	require.Equal(t, collection{
		"config.reloads{kind=http,result=applied}":   0,
		"config.reloads{kind=http,result=unchanged}": 0,
		"config.reloads{kind=http,result=rejected}":  0,
	}, reloads(), "they are there before the first change")
	source.reloads = breaker.Reloads{Applied: 1, Unchanged: 2, Rejected: 3}
	require.Equal(t, collection{
		"config.reloads{kind=http,result=applied}":   1,
		"config.reloads{kind=http,result=unchanged}": 2,
		"config.reloads{kind=http,result=rejected}":  3,
	}, reloads())
}

func TestRegister_CommonAttributesTellTwoSourcesApart(t *testing.T) {
	one, two := &list{keys: breaker.Keys{Held: 1}}, &list{keys: breaker.Keys{Held: 2}}
	one.set("a", sre.NewBreaker())
	two.set("a", sre.NewBreaker())
	m := newMeter()
	for kind, s := range map[string]breaker.Source{"http": one, "grpc": two} {
		_, err := metrics.Register(m, s, metrics.WithCommonAttributes(attributesOf(kind)...))
		require.NoError(t, err)
	}
	c := m.collect(t) // which fails if something is there twice
	require.InDelta(t, 1, c["breakers{kind=http}"], 0)
	require.InDelta(t, 2, c["breakers{kind=grpc}"], 0)
	require.Contains(t, c, "state{kind=grpc,name=a,state=open}")
}

func TestRegister_ReturnsTheErrorsOfTheMeter(t *testing.T) {
	m := newMeter()
	m.fails = errors.New("no")
	for _, source := range []breaker.Source{&list{}, &ruled{}} {
		r, err := metrics.Register(m, source)
		require.ErrorIs(t, err, m.fails)
		require.Nil(t, r)
		require.Empty(t, m.callbacks)
	}
}

func TestRegister_PanicsForWhatCannotBe(t *testing.T) {
	var typedNil *list
	for want, f := range map[string]func(){
		"metrics: Register: the meter is nil":                        func() { _, _ = metrics.Register(nil, &list{}) },
		"metrics: Register: the source is nil":                       func() { _, _ = metrics.Register(newMeter(), typedNil) },
		"metrics: Register: nil Option":                              func() { _, _ = metrics.Register(newMeter(), &list{}, nil) },
		"metrics: WithAttributes: the function is nil":               func() { metrics.WithAttributes(nil) },
		"metrics: WithLimit(0): want a number in [1, 1000000]":       func() { register(t, &list{}, metrics.WithLimit(0)) },
		"metrics: WithLimit(1000001): want a number in [1, 1000000]": func() { register(t, &list{}, metrics.WithLimit(1000001)) },
	} {
		require.PanicsWithValue(t, want, f)
	}
}

// A program without an SDK has meters that do nothing.
func TestRegister_TakesAMeterThatDoesNothing(t *testing.T) {
	r, err := metrics.Register(noop.Meter{}, &list{})
	require.NoError(t, err)
	require.NoError(t, r.Unregister())
}

// Two readers of one SDK may collect at the same time.
func TestRegister_MayCollectFromManyGoroutines(t *testing.T) {
	g := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() })
	m := register(t, breaker.SourceOf(g))
	collect := slices.Collect(maps.Values(m.callbacks))[0]
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 200 {
				call(g.Get(fmt.Sprint(i%8)), 3, breaker.Success)
				_ = collect(context.Background(), noop.Observer{})
			}
		}()
	}
	for range 4 {
		<-done
	}
	c := m.collect(t)
	for i := range 8 {
		require.InDelta(t, 4*200/8*3, c[fmt.Sprintf("calls{name=%d,outcome=success}", i)], 0)
	}
}

var _ metric.Meter = (*meter)(nil)
