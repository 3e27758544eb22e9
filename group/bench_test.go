package group_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

func skipWithRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}

func TestGet_OfAValueThatIsThereDoesNotAllocate(t *testing.T) {
	skipWithRace(t)
	g := group.NewGroup(new(maker).item)
	var keys []string
	for i := range 200 {
		keys = append(keys, fmt.Sprintf("/helloworld.v1.Greeter/SayHello%d", i))
		g.Get(keys[i])
		// The newest key is in the map of recent ones more often than not.
		for _, key := range []string{keys[i], keys[i/2], keys[0]} {
			require.Zero(t, testing.AllocsPerRun(10, func() { g.Get(key) }), "key %s of %d", key, i+1)
		}
	}
	full := strings.Repeat("x", 256)
	g.Get(full)
	require.Zero(t, testing.AllocsPerRun(100, func() { g.Get(full) }))
}

func TestGet_AllocatesTheSameForALongKeyOfAnyLength(t *testing.T) {
	skipWithRace(t)
	g := group.NewGroup(new(maker).item)
	for _, length := range []int{257, 1000, 1 << 20} {
		long := strings.Repeat("x", length)
		g.Get(long)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { g.Get(long) }), 2.0, "%d bytes", length)
	}
}

func TestGet_OfTheOverflowValueDoesNotAllocate(t *testing.T) {
	skipWithRace(t)
	g := group.NewGroup(new(maker).item, group.WithLimit(1))
	g.Get("a")
	g.Get("b")
	require.Zero(t, testing.AllocsPerRun(100, func() { g.Get("c") }))
}

func TestGet_AfterAnEvictionRoundDoesNotAllocate(t *testing.T) {
	skipWithRace(t)
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithIdle(idle))
		keys := make([]string, 101) // and once more to warm up
		for i := range keys {
			keys[i] = fmt.Sprint(i)
			g.Get(keys[i])
		}
		time.Sleep(idle)
		g.Get("other")
		// The values are marked now, and a Get takes the mark of its value away.
		next := 0
		require.Zero(t, testing.AllocsPerRun(100, func() {
			g.Get(keys[next])
			next++
		}))
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestMemory_AMillionKeysOfBreakersTakeLessThan2MB(t *testing.T) {
	keys := 1_000_000
	if raceEnabled || testing.Short() {
		keys = 100_000
	}
	before := heap()
	g := group.NewKeyed(func(key string) *sre.Breaker { return sre.NewBreaker(sre.WithName(key)) }, group.WithLimit(256))
	for i := range keys {
		b := g.Get(fmt.Sprintf("/v1/users/%d/orders/%d?token=%032d", i, i*7, i))
		if i%100 == 0 {
			permit, err := b.Acquire()
			require.NoError(t, err)
			permit.Done(breaker.Success)
		}
	}
	grown := heap() - before
	require.Less(t, grown, int64(2<<20), "bytes")
	require.Equal(t, 256, g.Len())
	require.EqualValues(t, keys-256, g.Overflows())
}

// What is evicted or cleared is given back.
func TestMemory_AKeyThatIsGoneTakesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type big struct {
			item
			_ [1 << 12]byte
		}
		g := group.NewGroup(func() *big { return new(big) }, group.WithIdle(idle))
		before := heap()
		for round := range 20 {
			for i := range 256 {
				g.Get(fmt.Sprint(round, " ", i))
			}
			time.Sleep(idle)
			g.Get(fmt.Sprint("first ", round))
			time.Sleep(idle)
			g.Get(fmt.Sprint("second ", round))
			require.LessOrEqual(t, g.Len(), 2)
			for i := range 256 {
				g.Get(fmt.Sprint("cleared ", round, " ", i))
			}
			g.Clear()
		}
		require.Less(t, heap()-before, int64(1<<20), "of more than 40 MB that went through the group")
		runtime.KeepAlive(g)
	})
}

// The time of the Get that evicts is mostly that of copying. With 8000 keys and
// a copy of what is left for each that goes, it takes 3 s and 2 GB.
func TestMemory_AGetThatEvictsManyKeysDoesNotCopyTheRestForEachOfThem(t *testing.T) {
	const keys = 4000
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithLimit(keys), group.WithIdle(idle))
		for i := range keys {
			g.Get(fmt.Sprint(i))
		}
		time.Sleep(idle)
		g.Get("mark")
		time.Sleep(idle)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		g.Get("evict")
		runtime.ReadMemStats(&after)
		require.Equal(t, 1, g.Len())
		require.Less(t, (after.TotalAlloc-before.TotalAlloc)/keys, uint64(1000), "bytes for each key that went")
	})
}

// BenchmarkGet compares a hit with that of the maps that one would write by
// hand. They have no limit and never forget.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("/helloworld.v1.Greeter/SayHello%d", i)
		}
		g := group.NewGroup(new(maker).item, group.WithLimit(n))
		var syncMap sync.Map
		var mu sync.RWMutex
		plain := make(map[string]*item)
		for _, key := range keys {
			syncMap.Store(key, g.Get(key))
			plain[key] = g.Get(key)
		}
		for _, c := range []struct {
			name string
			get  func(key string) *item
		}{
			{"group", g.Get},
			{"syncmap", func(key string) *item {
				v, _ := syncMap.Load(key)
				return v.(*item)
			}},
			{"rwmutex", func(key string) *item {
				mu.RLock()
				defer mu.RUnlock()
				return plain[key]
			}},
		} {
			b.Run(fmt.Sprintf("keys=%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						if c.get(keys[i%n]) == nil {
							b.Error("no value")
						}
					}
				})
			})
		}
	}
}

// BenchmarkGetOverflow is the cost of a key beyond the limit.
func BenchmarkGetOverflow(b *testing.B) {
	g := group.NewGroup(new(maker).item, group.WithLimit(256))
	for i := range 256 {
		g.Get(fmt.Sprint(i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Get("beyond")
		}
	})
}

// BenchmarkGetNew is the cost of a key that is not there yet.
func BenchmarkGetNew(b *testing.B) {
	keys := make([]string, b.N)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	g := group.NewGroup(new(maker).item, group.WithLimit(1<<30))
	b.ReportAllocs()
	b.ResetTimer()
	for _, key := range keys {
		g.Get(key)
	}
}
