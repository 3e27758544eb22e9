package scrape_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

var errDown = errors.New("down")

// books are what the callers know of the calls of one series.
type books struct {
	mu                                           sync.Mutex
	allowed, rejected, success, failure, ignored float64
}

type keyOfCall struct{}

// load is a random load through the Kratos middleware, over more keys than the
// group holds.
type load struct {
	breakers *group.Group[breaker.Controller]
	books    map[string]*books // by the name of the series
	call     middleware.Handler
	release  chan struct{} // what the calls that hang wait for
}

const heldKeys = 4

func newLoad() *load {
	l := &load{books: map[string]*books{"_OTHER": {}}, release: make(chan struct{})}
	l.breakers = group.NewKeyed(func(key string) breaker.Controller {
		if key == "3" {
			return sre.NewBreaker(sre.WithName(key), sre.Classic(), sre.WithRequest(10), sre.WithSuccess(0.9), sre.WithWindow(20*time.Millisecond))
		}
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithConsecutiveFailures(5), circuit.WithDelay(2*time.Millisecond))
	}, group.WithLimit(heldKeys))
	for i := range heldKeys { // those that come first get a breaker of their own
		l.breakers.Get(fmt.Sprint(i))
		l.books[fmt.Sprint(i)] = &books{}
	}
	l.call = circuitbreaker.Client(
		circuitbreaker.WithGroup(l.breakers),
		circuitbreaker.WithKey(func(ctx context.Context, _ any) string { return ctx.Value(keyOfCall{}).(string) }),
	)(func(ctx context.Context, end any) (any, error) {
		switch end {
		case "panic":
			panic("boom")
		case "fail":
			return nil, errDown
		case "cancel":
			return nil, ctx.Err()
		case "hang":
			<-l.release
		}
		return nil, nil
	})
	return l
}

// one makes one call and books it.
func (l *load) one(ctx context.Context, key, end string) {
	b := l.books[key]
	if b == nil {
		b = l.books["_OTHER"]
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, keyOfCall{}, key))
	defer cancel()
	if end == "cancel" {
		cancel()
	}
	var err error
	func() {
		defer func() {
			if recover() != nil {
				err = errDown
			}
		}()
		_, err = l.call(ctx, end)
	}()
	b.mu.Lock()
	defer b.mu.Unlock()
	var rejection *breaker.RejectedError
	switch {
	case errors.As(err, &rejection):
		b.rejected++
		return
	case errors.Is(err, errDown):
		b.failure++
	case errors.Is(err, context.Canceled):
		b.ignored++
	default:
		b.success++
	}
	b.allowed++
}

func (l *load) run(ctx context.Context, goroutines, calls int) {
	var wg sync.WaitGroup
	for g := range goroutines {
		r := rand.New(rand.NewPCG(uint64(g), 1))
		wg.Go(func() {
			for n := range calls {
				// Bad and good times of 100 calls, so that breakers open and close.
				end := "succeed"
				switch p := r.IntN(20); {
				case n/100%2 == 0 && p < 12:
					end = "fail"
				case p < 14:
				case p < 16:
					end = "panic"
				case p < 18:
					end = "cancel"
				}
				l.one(ctx, fmt.Sprint(r.IntN(2*heldKeys)), end)
			}
		})
	}
	wg.Wait()
}

// requireIdentities requires what holds in every scrape, and returns the values.
func requireIdentities(t *testing.T, g *target, names []string) map[string]float64 {
	t.Helper()
	v := g.scrape(t).values(t)
	for _, name := range names {
		get := func(format string) float64 {
			k := fmt.Sprintf(format, name)
			require.Contains(t, v, k)
			return v[k]
		}
		require.InDelta(t, get(`requests_total{decision="allowed",name=%q}`),
			get(`calls_total{name=%q,outcome="success"}`)+get(`calls_total{name=%q,outcome="failure"}`)+
				get(`calls_total{name=%q,outcome="ignored"}`)+get(`inflight{name=%q}`), 0, name)
		require.InDelta(t, 1, get(`state{name=%q,state="closed"}`)+get(`state{name=%q,state="half-open"}`)+
			get(`state{name=%q,state="open"}`), 0, name)
	}
	return v
}

func TestScrape_TheIdentitiesHoldExactlyAfterARandomLoad(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			l := newLoad()
			requireBooks(t, l, way(t, breaker.SourceOf(l.breakers)))
		})
	}
}

// requireBooks requires that g says of a random load what its callers know.
func requireBooks(t *testing.T, l *load, g *target) {
	t.Helper()
	names := []string{"0", "1", "2", "3"}

	before := requireIdentities(t, g, names)
	require.Zero(t, before[`calls_total{name="0",outcome="success"}`])
	l.one(t.Context(), "4", "succeed") // the first beyond the limit
	names = append(names, "_OTHER")

	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(t.Context(), 32, 4000)
	}()
	scrapes := 0
	for loading := true; loading; scrapes++ {
		select {
		case <-done:
			loading = false
		default:
		}
		now := requireIdentities(t, g, names) // under load, too
		for k, v := range now {
			if strings.Contains(k, "_total{") {
				require.GreaterOrEqual(t, v, before[k], "a counter fell: %s", k)
			}
		}
		before = now
	}
	t.Log(scrapes, "scrapes under load")

	var hanging sync.WaitGroup
	l.breakers.Get("0").Reset()
	for range 3 {
		hanging.Go(func() { l.one(t.Context(), "0", "hang") })
	}
	require.Eventually(t, func() bool { return l.breakers.Get("0").Snapshot().Totals.InFlight == 3 }, 10*time.Second, time.Millisecond)
	v := requireIdentities(t, g, names)
	require.InDelta(t, 3, v[`inflight{name="0"}`], 0)
	close(l.release)
	hanging.Wait()

	v = requireIdentities(t, g, names)
	var rejected float64
	for _, name := range names {
		b := l.books[name]
		for format, want := range map[string]float64{
			`requests_total{decision="allowed",name=%q}`:  b.allowed,
			`requests_total{decision="rejected",name=%q}`: b.rejected,
			`calls_total{name=%q,outcome="success"}`:      b.success,
			`calls_total{name=%q,outcome="failure"}`:      b.failure,
			`calls_total{name=%q,outcome="ignored"}`:      b.ignored,
			`inflight{name=%q}`:                           0,
		} {
			k := fmt.Sprintf(format, name)
			require.InDelta(t, want, v[k], 0, k)
		}
		require.Positive(t, b.failure)
		require.Positive(t, b.ignored)
		require.Positive(t, v[fmt.Sprintf(`state_transitions_total{name=%q,from="closed",to="open"}`, name)])
		rejected += b.rejected
	}
	require.Positive(t, rejected)
	require.InDelta(t, heldKeys, v["breakers{}"], 0)
	require.Positive(t, v["overflow_total{}"])
}
