package metrics_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/metrics"
	"github.com/kratos-breaker/breaker/sre"
)

func attributesOf(kind string) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("kind", kind)}
}

func TestWithAttributes_IsAskedOncePerBreaker(t *testing.T) {
	asked := map[string]int{}
	source := &list{breakers: []breaker.Listed{
		{Key: "a", Breaker: sre.NewBreaker()}, {Key: "b", Breaker: sre.NewBreaker()}, {Overflow: true, Breaker: sre.NewBreaker()},
	}}
	m := register(t, source, metrics.WithAttributes(func(l breaker.Listed) []attribute.KeyValue {
		asked[l.Key]++
		require.NotNil(t, l.Breaker)
		return attributesOf("of " + l.Key)
	}))
	for range 3 {
		require.Contains(t, m.collect(t), "inflight{kind=of a,name=a}")
	}
	require.Equal(t, map[string]int{"a": 1, "b": 1, "": 1}, asked)
	source.breakers[0].Breaker = sre.NewBreaker()
	m.collect(t)
	require.Equal(t, map[string]int{"a": 2, "b": 1, "": 1}, asked, "another breaker of the same key")
}

func TestRegister_KeepsNoBreakerThatIsNoLongerListed(t *testing.T) {
	source := &list{}
	gone := func() weak.Pointer[sre.Breaker] {
		b := sre.NewBreaker()
		source.set("a", b)
		return weak.Make(b)
	}()
	m := register(t, source)
	require.NotEmpty(t, m.collect(t).of("a"))
	source.breakers = nil
	require.Empty(t, m.collect(t).of("a"), "its series end")
	runtime.GC()
	require.Nil(t, gone.Value())
}

func TestRegister_ABreakerThatComesBackBeginsAtZero(t *testing.T) {
	source := &list{}
	m := register(t, source)
	for range 2 {
		b := sre.NewBreaker()
		call(b, 5, breaker.Success)
		source.set("a", b)
		require.InDelta(t, 5, m.collect(t)["calls{name=a,outcome=success}"], 0)
		source.breakers = nil
		m.collect(t)
	}
}

func TestRegister_BreakersWithTheSameAttributesAreAddedUp(t *testing.T) {
	good, bad := sre.NewBreaker(), &fixed{snapshot: breaker.Snapshot{
		State: breaker.Open, RejectRatio: 0.25, Totals: breaker.Totals{Offered: 3, Allowed: 2, Rejected: 1, Failure: 1, InFlight: 1},
	}}
	call(good, 4, breaker.Success)
	source := &list{breakers: []breaker.Listed{{Key: "a", Breaker: good}, {Key: "b", Breaker: bad}, {Key: "b", Breaker: bad}}}
	m := register(t, source, metrics.WithAttributes(func(breaker.Listed) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.String("circuitbreaker.name", "both")}
	}))
	c := m.collect(t).of("both")
	require.InDelta(t, 6, c["requests{decision=allowed,name=both}"], 0)
	require.InDelta(t, 1, c["requests{decision=rejected,name=both}"], 0)
	require.InDelta(t, 4, c["calls{name=both,outcome=success}"], 0)
	require.InDelta(t, 1, c["calls{name=both,outcome=failure}"], 0)
	require.InDelta(t, 1, c["inflight{name=both}"], 0)
	require.InDelta(t, 1, c["state{name=both,state=closed}"], 0)
	require.InDelta(t, 1, c["state{name=both,state=open}"], 0)
	require.InDelta(t, 2, c["mode{mode=auto,name=both}"], 0)
	require.InDelta(t, 0.25, c["reject_ratio{name=both}"], 0)

	source.breakers = source.breakers[:1]
	c = m.collect(t).of("both")
	require.InDelta(t, 6, c["requests{decision=allowed,name=both}"], 0, "what is gone stays counted")
	require.InDelta(t, 1, c["calls{name=both,outcome=failure}"], 0)
	require.InDelta(t, 1, c["calls{name=both,outcome=ignored}"], 0, "nobody knows how the one in flight ended")
	require.InDelta(t, 0, c["inflight{name=both}"], 0)
	require.InDelta(t, 0, c["state{name=both,state=open}"], 0)
	require.InDelta(t, 0, c["reject_ratio{name=both}"], 0)
}

// Prometheus takes a counter that falls for a restart, and all that it ever
// counted for new.
func TestRegister_NoCounterFallsWhileACallIsBeingSettled(t *testing.T) {
	b := &fixed{snapshot: breaker.Snapshot{Totals: breaker.Totals{Offered: 12, Allowed: 10, Rejected: 2, Success: 7, Failure: 2, InFlight: 1, WouldReject: 3}}}
	b.snapshot.Transitions[breaker.Closed][breaker.Open] = 2
	source := &list{}
	source.set("a", b)
	m := register(t, source)
	m.collect(t)
	// A failure has freed its slot, and is not counted yet; nor is a rejection
	// that is being booked.
	b.snapshot.Totals = breaker.Totals{Offered: 10, Allowed: 9, Rejected: 1, Success: 7, Failure: 2, WouldReject: 2}
	b.snapshot.Transitions[breaker.Closed][breaker.Open] = 1
	c := m.collect(t)
	c.requireIdentities(t, "a")
	require.InDelta(t, 10, c["requests{decision=allowed,name=a}"], 0)
	require.InDelta(t, 2, c["requests{decision=rejected,name=a}"], 0)
	require.InDelta(t, 1, c["inflight{name=a}"], 0, "it is still in flight")
	require.InDelta(t, 3, c["would_reject{name=a}"], 0)
	require.InDelta(t, 2, c["state.transitions{from=closed,name=a,to=open}"], 0)
	b.snapshot.Totals = breaker.Totals{Offered: 12, Allowed: 10, Rejected: 2, Success: 7, Failure: 3}
	c = m.collect(t)
	require.InDelta(t, 3, c["calls{name=a,outcome=failure}"], 0)
	require.InDelta(t, 0, c["inflight{name=a}"], 0)
}

// widest returns the number of attribute sets of the instrument that has most.
func (c collection) widest() int {
	sets, most := map[string]int{}, 0
	for k := range c {
		instrument, _, _ := strings.Cut(k, "{")
		sets[instrument]++
		most = max(most, sets[instrument])
	}
	return most
}

func TestWithLimit_TheDefaultKeepsEveryInstrumentBelow2000Sets(t *testing.T) {
	source := &list{}
	for i := range 5000 {
		b := &fixed{snapshot: breaker.Snapshot{Mode: breaker.Mode(i % 4), Totals: breaker.Totals{Offered: 1, Allowed: 1, Success: 1}}}
		b.snapshot.Transitions[breaker.Open][breaker.HalfOpen] = 1 // and so it has all of its series
		source.breakers = append(source.breakers, breaker.Listed{Key: fmt.Sprint(i), Breaker: b})
	}
	c := register(t, source).collect(t)
	require.Equal(t, 321*6, c.widest())
	require.Less(t, c.widest(), 2000)
	require.InDelta(t, 5000-320, c["calls{name=_OTHER,outcome=success}"], 0)
}

func TestRegister_NothingIsLostOrFallsWhileBreakersComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 3
		source := &list{}
		m := register(t, source, metrics.WithLimit(limit))
		before := collection{}
		keys := rapid.IntRange(0, 7)
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				key := fmt.Sprint(keys.Draw(t, "key"))
				source.breakers = append(source.breakers, breaker.Listed{Key: key, Breaker: sre.NewBreaker()})
			},
			"go": func(t *rapid.T) {
				if len(source.breakers) == 0 {
					t.Skip("there is none")
				}
				i := rapid.IntRange(0, len(source.breakers)-1).Draw(t, "breaker")
				source.breakers = append(source.breakers[:i:i], source.breakers[i+1:]...)
			},
			"call": func(t *rapid.T) {
				for _, l := range source.breakers {
					call(l.Breaker, rapid.IntRange(0, 3).Draw(t, "calls"), breaker.Success)
				}
			},
			"": func(t *rapid.T) {
				now := m.collect(t)
				require.LessOrEqual(t, now.widest(), (limit+1)*3)
				var counted, offered float64
				for k, v := range now {
					switch {
					case strings.HasPrefix(k, "requests{"):
						counted += v
						fallthrough
					case strings.HasPrefix(k, "calls{"):
						require.GreaterOrEqual(t, v, before[k], k)
					}
				}
				for _, l := range source.breakers {
					offered += float64(l.Breaker.Snapshot().Totals.Offered)
				}
				require.GreaterOrEqual(t, counted, offered)
				before = now
			},
		})
	})
}
