package bench_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/afex/hystrix-go/hystrix"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/kratos-breaker/breaker/group"
)

// keyed finds the breaker of a key that is there, of 1, 1 000 or 100 000 keys.
var keyed = table{"Keyed", []row{
	{"keys-1", lookups(1)},
	{"keys-1000", lookups(1000)},
	{"keys-100000", lookups(100_000)},
}}

type value struct {
	n int
	_ [56]byte
}

func (v *value) ok() bool { return v.n == 0 }

func lookups(n int) []contender {
	cs := []contender{
		timed("breaker", func() loop {
			g := group.NewGroup(func() *value { return new(value) }, group.WithLimit(n))
			return look(n, g.Get, (*value).ok)
		}),
		timed("kratos", func() loop { return look(n, kratosGroup().Get, (*value).ok) }),
		timed("sync.Map", func() loop {
			var m sync.Map
			for _, key := range keysOf(n) {
				m.Store(key, new(value))
			}
			return look(n, func(key string) *value {
				v, _ := m.Load(key)
				return v.(*value)
			}, (*value).ok)
		}),
		timed("go-zero", func() loop {
			return look(n, gozero.GetBreaker, func(x gozero.Breaker) bool { return x.Name() != "" })
		}),
		timed("floor", func() loop { return floorMap(n) }),
	}
	if n > 1000 {
		return cs // hystrix-go has two goroutines and 22 kB per key
	}
	return append(cs, timed("hystrix-go", func() loop {
		return look(n, func(key string) *hystrix.CircuitBreaker {
			x, _, _ := hystrix.GetCircuit(key)
			return x
		}, func(x *hystrix.CircuitBreaker) bool { return x.Name != "" })
	}))
}

// look gets each key and looks at what it got, as a call does.
func look[T any](n int, get func(key string) T, ok func(T) bool) loop {
	keys := keysOf(n)
	for _, key := range keys {
		get(key)
	}
	return func(pb *testing.PB) {
		for i := range indexes(n) {
			if !pb.Next() {
				return
			}
			if !ok(get(keys[i])) {
				odd.Add(1)
			}
		}
	}
}

func keysOf(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("/helloworld.v1.Greeter%d/SayHello%d", i/1000, i)
	}
	return keys
}

// indexes yields numbers below n for ever, in no order that a cache could
// learn.
func indexes(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for x := uint64(n); yield(int(x >> 32 * uint64(n) >> 32)); {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
}

// copiedGroup does what the group inside of Kratos does, which nobody else can
// import.
type copiedGroup struct {
	sync.RWMutex
	values map[string]*value
}

func kratosGroup() *copiedGroup { return &copiedGroup{values: make(map[string]*value)} }

func (g *copiedGroup) Get(key string) *value {
	g.RLock()
	v, ok := g.values[key]
	if ok {
		g.RUnlock()
		return v
	}
	g.RUnlock()
	g.Lock()
	defer g.Unlock()
	if v, ok := g.values[key]; ok {
		return v
	}
	v = new(value)
	g.values[key] = v
	return v
}
