package group_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/group"
)

const idle = time.Minute

// has reports whether key is in the group, without asking for its value.
func has[T any](g *group.Group[T], key string) bool {
	_, ok := maps.Collect(g.All())[key]
	return ok
}

// fresh asks for keys that nobody asked for before.
func fresh[T any](g *group.Group[T]) func() {
	n := 0
	return func() {
		n++
		g.Get(fmt.Sprint("fresh ", n))
	}
}

func TestIdle_AnIdleValueIsEvictedAfterBetweenOneAndTwoTimes(t *testing.T) {
	const step = idle / 20
	for age := time.Duration(0); age < 3*idle; age += step { // of the group when the value is last asked for
		synctest.Test(t, func(t *testing.T) {
			g := group.NewGroup(new(maker).item, group.WithLimit(1000), group.WithIdle(idle))
			ask := fresh(g)
			for range age / step {
				g.Get("key")
				time.Sleep(step)
				ask()
			}
			g.Get("key")
			asked := time.Now()
			for has(g, "key") {
				require.Less(t, time.Since(asked), 2*idle+step, "last asked for at %v", age)
				time.Sleep(step)
				ask()
			}
			require.GreaterOrEqual(t, time.Since(asked), idle, "last asked for at %v", age)
		})
	}
}

func TestIdle_TheDefaultIsTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item)
		v := g.Get("key")
		time.Sleep(10*time.Minute - 1)
		g.Get("a")
		time.Sleep(10*time.Minute - 1)
		g.Get("b")
		require.True(t, has(g, "key"))
		require.Same(t, v, g.Get("key"))
		time.Sleep(10 * time.Minute)
		g.Get("c")
		time.Sleep(10 * time.Minute)
		g.Get("d")
		require.False(t, has(g, "key"))
		require.NotSame(t, v, g.Get("key"))
	})
}

func TestIdle_AValueThatIsAskedForStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithLimit(1000), group.WithIdle(idle))
		ask := fresh(g)
		v := g.Get("key")
		for range 200 {
			time.Sleep(idle - 1)
			ask()
			require.Same(t, v, g.Get("key"))
		}
		require.LessOrEqual(t, g.Len(), 4, "while the others went")
	})
}

func TestIdle_AValueThatIsBusyStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithLimit(1000), group.WithIdle(idle))
		ask := fresh(g)
		v := g.Get("key")
		v.busy.Store(true)
		for range 20 {
			time.Sleep(idle)
			ask()
			require.True(t, has(g, "key"))
		}
		v.busy.Store(false)
		time.Sleep(idle)
		ask()
		require.False(t, has(g, "key"), "until it is not")
	})
}

func TestIdle_AValueThatDoesNotSayStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(func() *stone { return new(stone) }, group.WithIdle(idle))
		ask := fresh(g)
		v := g.Get("key")
		for range 10 {
			time.Sleep(2 * idle)
			ask()
		}
		require.Equal(t, 11, g.Len())
		require.Same(t, v, g.Get("key"))
	})
}

func TestIdle_OnlyANewKeyEvicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithIdle(idle))
		v := g.Get("key")
		g.Get("other")
		for range 10 {
			time.Sleep(2 * idle)
			g.Get("other")
			require.True(t, has(g, "key"))
			require.Equal(t, 2, g.Len())
			g.Overflow()
		}
		require.Same(t, v, g.Get("key"))
	})
}

func TestIdle_LookingIsNotAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithLimit(1000), group.WithIdle(idle))
		ask := fresh(g)
		g.Get("key")
		start := time.Now()
		for has(g, "key") {
			require.LessOrEqual(t, time.Since(start), 2*idle)
			for range g.All() {
			}
			g.Len()
			time.Sleep(idle / 10)
			ask()
		}
	})
}

func TestIdle_EvictionMakesRoomBelowTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewKeyed(new(maker).keyed, group.WithLimit(3), group.WithIdle(idle))
		a, b, c := g.Get("a"), g.Get("b"), g.Get("c")
		b.busy.Store(true)
		overflow := g.Get("d")
		require.Empty(t, overflow.key)
		time.Sleep(idle)
		require.Same(t, overflow, g.Get("d"))
		require.Same(t, c, g.Get("c"))
		time.Sleep(idle)
		d := g.Get("d")
		require.Equal(t, "d", d.key, "a key that had to share gets a value of its own")
		require.Equal(t, []string{"b", "c", "d"}, slices.Sorted(maps.Keys(maps.Collect(g.All()))))
		require.Equal(t, 3, g.Len())
		require.EqualValues(t, 2, g.Overflows())
		require.Same(t, overflow, g.Get("a"), "there is no room for a again")
		require.NotSame(t, a, g.Get("a"))
		require.Same(t, b, g.Get("b"))
	})
}

func TestIdle_TheOverflowValueStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(new(maker).item, group.WithLimit(1), group.WithIdle(idle))
		g.Get("a").busy.Store(true)
		overflow := g.Get("b")
		for range 10 {
			time.Sleep(idle)
			require.Same(t, overflow, g.Get(time.Now().String()))
		}
	})
}

// hook is a value whose Idle is the test's.
type hook struct{ idle func() bool }

func (h *hook) Idle() bool { return h.idle() }

// evictable returns a group of hooks with the keys "a" and "b", whose next new
// key makes it ask each hook whether it is idle.
func evictable(idleFunc func(g *group.Group[*hook], key string) bool) *group.Group[*hook] {
	var g *group.Group[*hook]
	g = group.NewKeyed(func(key string) *hook {
		return &hook{func() bool { return idleFunc(g, key) }}
	}, group.WithIdle(idle))
	g.Get("a")
	g.Get("b")
	time.Sleep(idle)
	g.Get("c")
	time.Sleep(idle)
	return g
}

func TestIdle_AValueThatIsAskedForWhileItIsJudgedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judged := 0
		g := evictable(func(g *group.Group[*hook], key string) bool {
			if key == "a" {
				judged++
				g.Get("a")
			}
			return true
		})
		a := maps.Collect(g.All())["a"]
		g.Get("d")
		require.Equal(t, 1, judged)
		require.False(t, has(g, "b"))
		require.Same(t, a, g.Get("a"))
	})
}

func TestIdle_ItMayUseTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judged := 0
		g := evictable(func(g *group.Group[*hook], key string) bool {
			judged++
			g.Get(key + " another")
			g.Len()
			g.Overflow()
			for range g.All() {
			}
			return true
		})
		g.Get("d")
		require.Equal(t, 2, judged)
		require.False(t, has(g, "a"))
		require.True(t, has(g, "a another"))
	})
}

func TestIdle_ItMayClearAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := evictable(func(g *group.Group[*hook], key string) bool {
			g.Clear()
			g.Reset(func() *hook { return nil })
			return true
		})
		require.Nil(t, g.Get("d"), "the new factory's")
		require.Equal(t, 1, g.Len(), "what was cleared is not taken away twice")
		require.Nil(t, g.Get("a"))
		require.Equal(t, 2, g.Len())
	})
}

func TestIdle_APanicInItHarmsNothing(t *testing.T) {
	for range 10 { // the order in which values are judged is none
		synctest.Test(t, func(t *testing.T) {
			bad := true
			g := evictable(func(g *group.Group[*hook], key string) bool {
				if key == "a" && bad {
					panic("boom")
				}
				return true
			})
			require.PanicsWithValue(t, "boom", func() { g.Get("d") })
			require.True(t, has(g, "a"))
			require.False(t, has(g, "d"))
			require.Len(t, maps.Collect(g.All()), g.Len(), "b and c may be gone, and then they take no room")
			require.NotNil(t, g.Get("d"), "the next Get does not judge again so soon")
			bad = false
			time.Sleep(idle)
			g.Get("e")
			require.False(t, has(g, "a"))
			require.False(t, has(g, "b"))
		})
	}
}

func TestIdle_AClearedValueIsNotEvictedFromTheNewGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var successor *hook
		g := evictable(func(g *group.Group[*hook], key string) bool {
			if key == "a" {
				g.Clear()
				successor = g.Get("a")
			}
			return true
		})
		g.Get("d")
		require.Same(t, successor, g.Get("a"))
	})
}
