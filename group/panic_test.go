package group_test

import (
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/group"
)

// ends is how a factory can end without a value.
var ends = []struct {
	name string
	end  func()
	is   func(t *testing.T, recovered any, returned bool)
}{
	{"panic", func() { panic("boom") }, func(t *testing.T, recovered any, returned bool) {
		require.Equal(t, "boom", recovered, "the panic goes on with its value")
		require.False(t, returned)
	}},
	{"nil panic", func() { panic(nil) }, func(t *testing.T, recovered any, returned bool) {
		require.IsType(t, (*runtime.PanicNilError)(nil), recovered)
		require.False(t, returned)
	}},
	{"Goexit", runtime.Goexit, func(t *testing.T, recovered any, returned bool) {
		require.Nil(t, recovered)
		require.False(t, returned)
	}},
}

// attempt runs f in a goroutine of its own and tells how it ended.
func attempt(t *testing.T, f func()) (recovered any, returned bool) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { recovered = recover() }()
		f()
		returned = true
	}()
	waitFor(t, done)
	return recovered, returned
}

func TestGroup_AFactoryThatEndsWithoutAValueLeavesTheKeyUnmade(t *testing.T) {
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			bad := true
			calls := 0
			g := group.NewKeyed(func(key string) *item {
				calls++
				if bad {
					end.end()
				}
				return &item{key: key}
			}, group.WithLimit(2))
			for range 3 {
				recovered, returned := attempt(t, func() { g.Get("a") })
				end.is(t, recovered, returned)
				require.Zero(t, g.Len(), "a key without a value takes no room")
				require.Empty(t, maps.Collect(g.All()))
			}
			require.Equal(t, 3, calls)
			bad = false
			returns(t, func() {
				v := g.Get("a")
				require.Equal(t, "a", v.key)
				require.Same(t, v, g.Get("a"))
				require.Equal(t, "b", g.Get("b").key)
			})
			require.Equal(t, 5, calls)
			require.Equal(t, 2, g.Len())
		})
	}
}

func TestGroup_AFactoryThatEndsWithoutAValueHarmsNoOtherKey(t *testing.T) {
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			g := group.NewKeyed(func(key string) *item {
				if key == "bad" {
					end.end()
				}
				return &item{key: key}
			}, group.WithLimit(100))
			want := make(map[string]*item)
			for i := range 50 { // so that the bad key passes through either map
				key := string(rune('a' + i))
				want[key] = g.Get(key)
				recovered, returned := attempt(t, func() { g.Get("bad") })
				end.is(t, recovered, returned)
				require.Equal(t, want, maps.Collect(g.All()))
				require.Equal(t, len(want), g.Len())
			}
			for key, v := range want {
				require.Same(t, v, g.Get(key))
			}
		})
	}
}

func TestGroup_WaitersTryAgainAfterAFactoryEndedWithoutAValue(t *testing.T) {
	const waiters = 16
	for _, end := range ends {
		for _, overflow := range []bool{false, true} {
			name := end.name
			if overflow {
				name += " of the overflow value"
			}
			t.Run(name, func(t *testing.T) {
				making, release := make(chan struct{}), make(chan struct{})
				var calls atomic.Int64
				g := group.NewKeyed(func(key string) *item {
					if key == "first" {
						return nil
					}
					if calls.Add(1) == 1 {
						close(making)
						<-release
						end.end()
					}
					return &item{key: key}
				}, group.WithLimit(1))
				if overflow {
					g.Get("first")
				}
				var done sync.WaitGroup
				done.Go(func() {
					recovered, returned := attempt(t, func() { g.Get("key") })
					end.is(t, recovered, returned)
				})
				waitFor(t, making)
				var start sync.WaitGroup
				start.Add(waiters)
				var got [waiters]*item
				for i := range waiters {
					done.Go(func() {
						start.Done()
						got[i] = g.Get("key")
					})
				}
				start.Wait()
				for range 100 {
					runtime.Gosched() // most of them get to where they wait
				}
				close(release)
				returns(t, done.Wait)
				require.EqualValues(t, 2, calls.Load(), "one of the waiters makes the value")
				require.NotNil(t, got[0])
				for i := range got {
					require.Same(t, got[0], got[i])
				}
				require.Same(t, got[0], g.Get("key"))
				require.Equal(t, 1, g.Len())
			})
		}
	}
}

func TestGroup_AFactoryThatEndsWithoutAValueInAClearedGroupLeavesTheNewOneAlone(t *testing.T) {
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			for others := range 20 { // so that the new one is in either map
				making, release := make(chan struct{}), make(chan struct{})
				var bad atomic.Bool
				bad.Store(true)
				g := group.NewKeyed(func(key string) *item {
					if bad.Swap(false) {
						close(making)
						<-release
						end.end()
					}
					return &item{key: key}
				})
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					attempt(t, func() { g.Get("a") })
				}()
				waitFor(t, making)
				g.Clear()
				for i := range others {
					g.Get(fmt.Sprint(i))
				}
				a := g.Get("a")
				close(release)
				waitFor(t, ended)
				require.Equal(t, others+1, g.Len())
				require.Same(t, a, g.Get("a"), "the dead entry takes itself away, not its successor")
			}
		})
	}
}

func TestOverflow_AFactoryThatEndsWithoutAValueIsCalledAgain(t *testing.T) {
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			bad := true
			g := group.NewKeyed(func(key string) *item {
				if key == "" && bad {
					end.end()
				}
				return &item{key: key}
			}, group.WithLimit(1))
			first := g.Get("first")
			for range 3 {
				recovered, returned := attempt(t, func() { g.Get("x") })
				end.is(t, recovered, returned)
				_, ok := g.Overflow()
				require.False(t, ok)
				require.Same(t, first, g.Get("first"))
			}
			bad = false
			returns(t, func() {
				v := g.Get("x")
				require.Same(t, v, g.Get("y"))
				o, ok := g.Overflow()
				require.True(t, ok)
				require.Same(t, v, o)
			})
			require.Equal(t, 1, g.Len())
		})
	}
}

// Overflows is documented as the number of Gets that were answered.
func TestOverflows_AGetThatPanickedWasNotAnswered(t *testing.T) {
	bad := true
	g := group.NewKeyed(func(key string) *item {
		if key == "" && bad {
			panic("boom")
		}
		return nil
	}, group.WithLimit(1))
	g.Get("first")
	for range 3 {
		require.Panics(t, func() { g.Get("x") })
	}
	bad = false
	g.Get("x")
	g.Get("y")
	require.EqualValues(t, 2, g.Overflows())
}
