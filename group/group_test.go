package group_test

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/group"
)

func TestGroup_AKeyKeepsItsValue(t *testing.T) {
	var m maker
	g := group.NewGroup(m.item)
	require.Zero(t, m.calls.Load(), "a group makes nothing before it is asked")
	a, b := g.Get("a"), g.Get("b")
	require.NotSame(t, a, b)
	for range 3 {
		require.Same(t, a, g.Get("a"))
		require.Same(t, b, g.Get("b"))
	}
	require.EqualValues(t, 2, m.calls.Load())
	require.Equal(t, 2, g.Len())
}

// Keys go from one map to another as the group grows.
func TestGroup_EveryKeyKeepsItsValueWhileTheGroupGrows(t *testing.T) {
	g := group.NewGroup(new(maker).item, group.WithLimit(3000))
	var values []*item
	for i := range 2000 {
		values = append(values, g.Get(fmt.Sprint(i)))
		require.Equal(t, i+1, g.Len())
		for _, j := range []int{0, i / 2, i} {
			require.Same(t, values[j], g.Get(fmt.Sprint(j)), "key %d of %d", j, i)
		}
	}
	for i, v := range values {
		require.Same(t, v, g.Get(fmt.Sprint(i)))
	}
}

func TestGroup_TheFactoryIsCalledOncePerKeyUnderRacingGets(t *testing.T) {
	const goroutines, keys = 64, 200
	var m maker
	g := group.NewGroup(func() *item {
		runtime.Gosched() // so that the others find a value that is being made
		return m.item()
	})
	var got [goroutines][keys]*item
	var start, done sync.WaitGroup
	start.Add(goroutines)
	for i := range goroutines {
		done.Go(func() {
			start.Done()
			start.Wait()
			for k := range keys {
				got[i][k] = g.Get(fmt.Sprint(k))
			}
		})
	}
	done.Wait()
	require.EqualValues(t, keys, m.calls.Load())
	for i := range got {
		for k := range got[i] {
			require.Same(t, got[0][k], got[i][k], "key %d", k)
		}
	}
}

func TestGroup_TheOverflowValueIsMadeOnceUnderRacingGets(t *testing.T) {
	var m maker
	g := group.NewGroup(func() *item {
		runtime.Gosched()
		return m.item()
	}, group.WithLimit(1))
	g.Get("a")
	var start, done sync.WaitGroup
	start.Add(64)
	for i := range 64 {
		done.Go(func() {
			start.Done()
			start.Wait()
			g.Get(fmt.Sprint(i))
		})
	}
	done.Wait()
	require.EqualValues(t, 2, m.calls.Load())
	require.EqualValues(t, 64, g.Overflows())
}

func TestGroup_ASlowFactoryDelaysNoOtherKey(t *testing.T) {
	making, release := make(chan struct{}), make(chan struct{})
	g := group.NewKeyed(func(key string) *item {
		if key == "slow" {
			close(making)
			<-release
		}
		return &item{key: key}
	}, group.WithLimit(4))
	there := g.Get("there")
	slow := make(chan *item, 1)
	go func() { slow <- g.Get("slow") }()
	waitFor(t, making)
	returns(t, func() {
		require.Same(t, there, g.Get("there"))
		require.Equal(t, "new", g.Get("new").key)
		require.Equal(t, "newer", g.Get("newer").key)
		require.Empty(t, g.Get("overflow").key)
		seen := maps.Collect(g.All())
		require.Len(t, seen, 3, "a value that is not there yet is not among them")
		require.NotContains(t, seen, "slow")
		g.Clear()
		require.NotSame(t, there, g.Get("there"))
		require.Equal(t, 1, g.Len())
	})
	close(release)
	require.Equal(t, "slow", (<-slow).key, "it was cleared meanwhile, and its caller gets it")
	require.Equal(t, 1, g.Len(), "but it does not come back")
}

func TestGroup_ASlowOverflowValueDelaysNoKey(t *testing.T) {
	making, release := make(chan struct{}), make(chan struct{})
	g := group.NewKeyed(func(key string) *item {
		if key == "" {
			close(making)
			<-release
		}
		return &item{key: key}
	}, group.WithLimit(1))
	there := g.Get("there")
	overflow := make(chan *item, 1)
	go func() { overflow <- g.Get("other") }()
	waitFor(t, making)
	returns(t, func() {
		require.Same(t, there, g.Get("there"))
		_, ok := g.Overflow()
		require.False(t, ok)
	})
	close(release)
	v := <-overflow
	got, ok := g.Overflow()
	require.True(t, ok)
	require.Same(t, v, got)
}

func TestGroup_AFactoryMayGetOtherKeys(t *testing.T) {
	var g *group.Group[*item]
	g = group.NewKeyed(func(key string) *item {
		if key != "0" {
			g.Get(string(key[0] - 1)) // "5" gets "4", and so on
		}
		return &item{key: key}
	})
	returns(t, func() { require.Equal(t, "5", g.Get("5").key) })
	require.Equal(t, 6, g.Len())
	for key, v := range g.All() {
		require.Equal(t, key, v.key)
	}
}

func TestGroup_AFactoryMayClearAndLook(t *testing.T) {
	var g *group.Group[*item]
	g = group.NewKeyed(func(key string) *item {
		if key == "clears" {
			g.Clear()
		}
		g.Len()
		g.Overflow()
		for range g.All() {
		}
		return &item{key: key}
	})
	returns(t, func() {
		g.Get("a")
		first := g.Get("clears")
		require.Equal(t, 0, g.Len())
		require.NotSame(t, first, g.Get("clears"), "the first was cleared before it was there")
	})
}

func TestGroup_AFactoryMayNotBeNil(t *testing.T) {
	const message = "group: the factory is nil"
	require.PanicsWithValue(t, message, func() { group.NewGroup[int](nil) })
	require.PanicsWithValue(t, message, func() { group.NewKeyed[int](nil) })
	g := group.NewGroup(func() int { return 1 })
	g.Get("a")
	require.PanicsWithValue(t, message, func() { g.Reset(nil) })
	require.Equal(t, 1, g.Len(), "a Reset that panics changes nothing")
	returns(t, func() { require.Equal(t, 1, g.Get("b")) })
}

func TestOption_OutOfRangePanicsWithItsNameValueAndRange(t *testing.T) {
	const year = 8760 * time.Hour
	for _, c := range []struct {
		opt  group.Option
		want string
	}{
		{nil, "group: nil Option"},
		{group.WithLimit(0), "group: WithLimit(0): want a number in [1, 9223372036854775807]"},
		{group.WithLimit(-1), "group: WithLimit(-1): want a number in [1, 9223372036854775807]"},
		{group.WithLimit(math.MinInt), "group: WithLimit(-9223372036854775808): want a number in [1, 9223372036854775807]"},
		{group.WithIdle(0), "group: WithIdle(0s): want a duration in [1ms, 8760h]"},
		{group.WithIdle(-time.Second), "group: WithIdle(-1s): want a duration in [1ms, 8760h]"},
		{group.WithIdle(time.Millisecond - 1), "group: WithIdle(999.999µs): want a duration in [1ms, 8760h]"},
		{group.WithIdle(year + 1), "group: WithIdle(8760h0m0.000000001s): want a duration in [1ms, 8760h]"},
		{group.WithIdle(math.MaxInt64), "group: WithIdle(2562047h47m16.854775807s): want a duration in [1ms, 8760h]"},
	} {
		if strings.Contains(c.want, "9223372036854775807") && math.MaxInt != math.MaxInt64 {
			continue
		}
		require.PanicsWithValue(t, c.want, func() { group.NewGroup(func() int { return 0 }, c.opt) })
		require.PanicsWithValue(t, c.want, func() { group.NewKeyed(func(string) int { return 0 }, c.opt) })
		g := group.NewGroup(func() int { return 0 }, group.WithLimit(3))
		require.PanicsWithValue(t, c.want, func() { g.Reconfigure(group.WithLimit(5), c.opt) })
		require.Equal(t, 3, g.Limit(), "nothing has changed")
	}
	for _, opt := range []group.Option{
		group.WithLimit(1), group.WithLimit(math.MaxInt), group.WithIdle(time.Millisecond), group.WithIdle(year),
	} {
		g := group.NewGroup(func() int { return 7 }, opt)
		require.Equal(t, 7, g.Get("a"))
	}
}

func TestOption_TheLastOfAKindCounts(t *testing.T) {
	g := group.NewGroup(new(maker).item, group.WithLimit(1), group.WithLimit(2))
	g.Get("a")
	g.Get("b")
	require.Equal(t, 2, g.Len())
	require.Zero(t, g.Overflows())
}

func TestReconfigure_AnOptionThatIsNotGivenHasItsDefault(t *testing.T) {
	g := group.NewGroup(new(maker).item, group.WithLimit(1))
	require.Equal(t, 1, g.Limit())
	g.Reconfigure()
	require.Equal(t, 256, g.Limit())
}

func TestReconfigure_ALowerLimitTakesNoKeyAwayAndAHigherOneLetsThemIn(t *testing.T) {
	g := group.NewGroup(new(maker).item, group.WithLimit(2))
	a, b, overflow := g.Get("a"), g.Get("b"), g.Get("c")
	g.Reconfigure(group.WithLimit(1))
	require.Same(t, a, g.Get("a"))
	require.Same(t, b, g.Get("b"))
	require.Same(t, overflow, g.Get("d"))
	g.Reconfigure(group.WithLimit(3))
	require.NotSame(t, overflow, g.Get("c"))
	require.Same(t, overflow, g.Get("d"))
	require.Equal(t, 3, g.Len())
	require.EqualValues(t, 3, g.Overflows())
}

func TestReconfigure_RacesWithGets(t *testing.T) {
	const most = 8
	g := group.NewGroup(new(maker).item, group.WithLimit(most))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				require.NotNil(t, g.Get(fmt.Sprint(i%20)))
			}
		})
	}
	for i := range 2000 {
		g.Reconfigure(group.WithLimit(1+i%most), group.WithIdle(time.Duration(1+i%2)*time.Millisecond))
	}
	wg.Wait()
	require.LessOrEqual(t, g.Len(), most)
}

func TestOption_TheDefaultLimitIs256(t *testing.T) {
	g := group.NewGroup(new(maker).item)
	for i := range 300 {
		g.Get(fmt.Sprint(i))
	}
	require.Equal(t, 256, g.Len())
	require.EqualValues(t, 44, g.Overflows())
}

func TestGroup_AnyStringIsAKeyOfItsOwn(t *testing.T) {
	prefix := strings.Repeat("p", 300)
	megabyte := strings.Repeat("m", 1<<20)
	keys := []string{
		"", " ", "\x00", "\x00\x00", "a", "A", "a ", "\xff", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "é", "e\u0301",
		prefix, prefix + "a", prefix + "b", prefix + "ab", prefix[:299] + "q", "q" + prefix[1:],
		megabyte, megabyte[:len(megabyte)-1], megabyte[:len(megabyte)-1] + "n", megabyte + "m",
		strings.Repeat("p", 255), strings.Repeat("p", 256), strings.Repeat("p", 257), strings.Repeat("\xff", 300),
		strings.Repeat("é", 128), strings.Repeat("é", 129), strings.Repeat("é", 130),
	}
	g := group.NewGroup(new(maker).item)
	values := make(map[*item]string)
	for _, key := range keys {
		v := g.Get(key)
		other, taken := values[v]
		require.False(t, taken, "%.20q… (%d bytes) and %.20q… (%d bytes) have one value", key, len(key), other, len(other))
		values[v] = key
	}
	require.Equal(t, len(keys), g.Len())
	for v, key := range values {
		require.Same(t, v, g.Get(strings.Clone(key)))
	}
	for key := range g.All() {
		require.LessOrEqual(t, len(key), 256)
	}
}

// Keys are found by their length, their middle and their end, as far as possible.
func TestGroup_KeysThatDifferOnlyAtTheirBeginningAreToldApart(t *testing.T) {
	g := group.NewGroup(new(maker).item)
	key := func(i int) string { return fmt.Sprintf("/%02d%s", i, strings.Repeat("x", 40)) }
	values := map[*item]int{}
	for i := range 50 {
		values[g.Get(key(i))] = i
	}
	require.Len(t, values, 50)
	for v, i := range values {
		require.Same(t, v, g.Get(key(i)))
	}
}

func TestNewKeyed_TheFactoryIsToldTheKey(t *testing.T) {
	g := group.NewKeyed(new(maker).keyed, group.WithLimit(4))
	for _, key := range []string{"a", "", "\xff", strings.Repeat("x", 256)} {
		require.Equal(t, key, g.Get(key).key)
	}
	require.Equal(t, "", g.Get("overflow").key)

	long := strings.Repeat("x", 300)
	g = group.NewKeyed(new(maker).keyed)
	short := g.Get(long).key
	require.LessOrEqual(t, len(short), 256)
	require.True(t, strings.HasPrefix(short, long[:200]), "it begins like the key")
	for key := range g.All() {
		require.Equal(t, short, key, "and it is the key that All tells")
	}
}

// A key is often a part of something large: a request, a line of a log.
func TestGroup_TheCallersStringIsNotRetained(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int
	}{{"short", 20}, {"of the full length", 256}, {"long", 257}, {"very long", 1 << 20}} {
		t.Run(c.name, func(t *testing.T) {
			g := group.NewKeyed(new(maker).keyed, group.WithLimit(20))
			freed := make(chan struct{})
			func() {
				buffer := new([1 << 20]byte)
				runtime.AddCleanup(buffer, func(c chan struct{}) { close(c) }, freed)
				for i := range 30 { // in either map, and beyond the limit
					buffer[0] = byte(i)
					v := g.Get(unsafe.String(&buffer[0], c.length))
					require.Same(t, v, g.Get(unsafe.String(&buffer[0], c.length)))
				}
			}()
			require.Eventually(t, func() bool {
				runtime.GC()
				select {
				case <-freed:
					return true
				default:
					return false
				}
			}, patience, time.Millisecond)
			require.Equal(t, 20, g.Len())
		})
	}
}

// Which goroutine of those that race for a new key makes the value is luck.
// None may hand its own string to the factory.
func TestGroup_TheCallersStringIsNotRetainedWhoeverMakesTheValue(t *testing.T) {
	const goroutines, rounds = 4, 50_000
	var theirs [goroutines]atomic.Pointer[byte]
	var callers atomic.Int64
	g := group.NewKeyed(func(key string) *item {
		for i := range theirs {
			if theirs[i].Load() == unsafe.StringData(key) {
				callers.Add(1)
			}
		}
		return nil
	})
	for round := range rounds {
		g.Clear()
		var done sync.WaitGroup
		for i := range goroutines {
			key := fmt.Sprint("key ", round)
			theirs[i].Store(unsafe.StringData(key))
			done.Go(func() { g.Get(key) })
		}
		done.Wait()
	}
	require.Zero(t, callers.Load(), "of %d factory calls, so many were given a caller's own string", rounds)
}

func TestGroup_KeysBeyondTheLimitShareOneValueAndAreCounted(t *testing.T) {
	var m maker
	g := group.NewKeyed(m.keyed, group.WithLimit(3))
	_, ok := g.Overflow()
	require.False(t, ok)
	var own []*item
	for _, key := range []string{"a", "b", "c"} {
		own = append(own, g.Get(key))
	}
	_, ok = g.Overflow()
	require.False(t, ok, "the group is full, and no key was beyond")
	require.Zero(t, g.Overflows())

	shared := g.Get("d")
	require.NotContains(t, own, shared)
	for i := range 10 {
		require.Same(t, shared, g.Get("d"))
		require.Same(t, shared, g.Get(fmt.Sprint("e", i)))
		require.Same(t, own[0], g.Get("a"), "and those within the limit keep theirs")
	}
	require.EqualValues(t, 21, g.Overflows())
	require.Equal(t, 3, g.Len())
	require.EqualValues(t, 4, m.calls.Load())
	v, ok := g.Overflow()
	require.True(t, ok)
	require.Same(t, shared, v)
	require.EqualValues(t, 21, g.Overflows(), "looking at it does not count")
	for key, v := range g.All() {
		require.NotSame(t, shared, v, key)
	}
}

func TestGroup_TheLimitHoldsUnderRacingGets(t *testing.T) {
	const goroutines, keys, limit = 16, 500, 37
	var m maker
	g := group.NewGroup(m.item, group.WithLimit(limit))
	var inGroup [goroutines]map[string]*item
	var beyond, tooMany atomic.Int64
	var start, done sync.WaitGroup
	start.Add(goroutines)
	for i := range goroutines {
		inGroup[i] = make(map[string]*item)
		done.Go(func() {
			start.Done()
			start.Wait()
			for k := range keys {
				key := fmt.Sprint((k*31 + i*7) % keys)
				v := g.Get(key)
				if g.Len() > limit {
					tooMany.Add(1)
				}
				if o, ok := g.Overflow(); ok && o == v {
					beyond.Add(1)
				} else {
					inGroup[i][key] = v
				}
			}
		})
	}
	done.Wait()
	require.Zero(t, tooMany.Load())
	require.Equal(t, limit, g.Len())
	require.EqualValues(t, limit+1, m.calls.Load())
	require.EqualValues(t, beyond.Load(), g.Overflows(), "each answer with the overflow value is counted once")
	all := maps.Collect(g.All())
	require.Len(t, all, limit)
	for i := range inGroup {
		for key, v := range inGroup[i] {
			require.Same(t, all[key], v)
		}
	}
}

func TestAll_YieldsEachKeyOnceAndCanBeStopped(t *testing.T) {
	g := group.NewGroup(new(maker).item)
	for range g.All() {
		require.FailNow(t, "an empty group has nothing")
	}
	want := make(map[string]*item)
	for i := range 100 {
		key := fmt.Sprint(i)
		want[key] = g.Get(key)
		got := make(map[string]*item)
		for key, v := range g.All() {
			require.NotContains(t, got, key)
			got[key] = v
		}
		require.Equal(t, want, got)
		for stop := range i { // in either map
			n := 0
			for range g.All() {
				if n == stop {
					break
				}
				n++
			}
			require.Equal(t, stop, n)
		}
	}
}

func TestAll_ItsBodyMayUseTheGroup(t *testing.T) {
	g := group.NewGroup(new(maker).item)
	for i := range 20 {
		g.Get(fmt.Sprint(i))
	}
	returns(t, func() {
		for key := range g.All() {
			g.Get(key + " new")
			g.Get(key)
		}
		for range g.All() {
			g.Clear()
		}
		require.Zero(t, g.Len())
		for range g.All() {
			require.FailNow(t, "it was cleared")
		}
	})
}

func TestClear_ForgetsEveryValueAndHoldersKeepTheirs(t *testing.T) {
	var m maker
	g := group.NewKeyed(m.keyed, group.WithLimit(2))
	a, b, overflow := g.Get("a"), g.Get("b"), g.Get("c")
	g.Clear()
	require.Zero(t, g.Len())
	require.Empty(t, maps.Collect(g.All()))
	_, ok := g.Overflow()
	require.False(t, ok)
	require.Equal(t, "a", a.key, "who holds one keeps it")
	require.NotSame(t, a, g.Get("a"))
	require.NotSame(t, b, g.Get("b"))
	require.NotSame(t, overflow, g.Get("c"))
	require.EqualValues(t, 6, m.calls.Load())
	require.EqualValues(t, 2, g.Overflows(), "the count is a total: it only grows")
	g.Clear()
	c := g.Get("c")
	o, ok := g.Overflow()
	require.False(t, ok, "there is room again: %v", o)
	require.Equal(t, "c", c.key)
}

func TestReset_MakesEveryValueAnewWithTheNewFactory(t *testing.T) {
	g := group.NewGroup(func() string { return "old" }, group.WithLimit(2))
	hold := []string{g.Get("a"), g.Get("b"), g.Get("c")}
	g.Reset(func() string { return "new" })
	require.Equal(t, []string{"old", "old", "old"}, hold)
	require.Zero(t, g.Len())
	for _, key := range []string{"a", "b", "c", "d"} {
		require.Equal(t, "new", g.Get(key))
	}
	g.Clear()
	require.Equal(t, "new", g.Get("a"), "the factory outlives a Clear")
}

func TestReset_AValueThatWasBeingMadeDoesNotComeIntoTheNewGroup(t *testing.T) {
	for _, key := range []string{"in the group", "beyond"} {
		t.Run(key, func(t *testing.T) {
			making, release := make(chan struct{}), make(chan struct{})
			var block atomic.Bool
			g := group.NewGroup(func() string {
				if block.Load() {
					close(making)
					<-release
				}
				return "old"
			}, group.WithLimit(1))
			if key == "beyond" {
				g.Get("first")
			}
			block.Store(true)
			old := make(chan string, 1)
			go func() { old <- g.Get(key) }()
			waitFor(t, making)
			returns(t, func() {
				g.Reset(func() string { return "new" })
				if key == "beyond" {
					require.Equal(t, "new", g.Get("first"))
				}
				require.Equal(t, "new", g.Get(key))
			})
			close(release)
			require.Equal(t, "old", <-old)
			require.Equal(t, "new", g.Get(key))
			require.Equal(t, 1, g.Len())
		})
	}
}

func TestGroup_HoldsValuesOfAnyType(t *testing.T) {
	require.Equal(t, 3, group.NewGroup(func() int { return 3 }).Get(""))
	require.Equal(t, [2]string{"a", "b"}, group.NewGroup(func() [2]string { return [2]string{"a", "b"} }).Get(""))
	require.Nil(t, group.NewGroup(func() any { return nil }).Get(""), "nil is a value")
	require.Nil(t, group.NewGroup(func() error { return nil }).Get(""))
	calls := 0
	g := group.NewGroup(func() *item { calls++; return nil })
	g.Get("a")
	g.Get("a")
	require.Equal(t, 1, calls)
	require.Equal(t, map[string]*item{"a": nil}, maps.Collect(g.All()))
}
