package group_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/group"
)

// lease is a value that is idle when nobody uses it, like a breaker without
// calls in flight.
type lease struct{ users atomic.Int64 }

func (l *lease) Idle() bool { return l.users.Load() == 0 }

// The clock is synctest's: it stands still while anybody works. So a value is
// in use at the very moment that it was got, and the race is in the Gets and
// the evictions, which are done by many goroutines at one moment.
func TestStress_NoValueIsEvictedThatIsInUseOrWasAskedForWithinTheIdleTime(t *testing.T) {
	const goroutines, keys, rounds = 8, 60, 800
	var made atomic.Int64
	var replacedInUse, replacedTooSoon, replaced int64
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(func() *lease {
			made.Add(1)
			return new(lease)
		}, group.WithLimit(1000), group.WithIdle(idle))
		var done sync.WaitGroup
		for i := range goroutines {
			done.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				// part of the idle time, in whole steps so that goroutines meet
				part := func(most int64) time.Duration { return time.Duration(1+random.Int64N(most)) * (idle / 4) }
				for round := range rounds {
					g.Get(fmt.Sprint("new ", i, " ", round)) // which is what evicts
					key := fmt.Sprint(random.IntN(keys))
					v := g.Get(key)
					v.users.Add(1)
					if random.IntN(2) == 0 {
						time.Sleep(part(20))
					}
					if g.Get(key) != v {
						atomic.AddInt64(&replacedInUse, 1)
					}
					v.users.Add(-1)
					time.Sleep(part(3))
					if g.Get(key) != v {
						atomic.AddInt64(&replacedTooSoon, 1)
					}
					time.Sleep(part(12))
					if g.Get(key) != v {
						atomic.AddInt64(&replaced, 1)
					}
				}
			})
		}
		done.Wait()
		require.Less(t, g.Len(), 2*keys, "of %d", made.Load())
		require.Zero(t, g.Overflows())
	})
	require.Zero(t, replacedInUse)
	require.Zero(t, replacedTooSoon)
	require.Greater(t, replaced, int64(100), "evictions went on")
}

// All goroutines come to the same keys at the moment that these may be evicted.
func TestStress_AnEvictionAndAGetOfTheSameKeyLeaveOneValue(t *testing.T) {
	const goroutines, keys, rounds = 8, 6, 2000
	evictions := 0
	synctest.Test(t, func(t *testing.T) {
		// Just enough for the keys, the one that marks, and those that evict in
		// this round and in the last.
		const limit = keys + 3
		g := group.NewGroup(func() *lease { return new(lease) }, group.WithLimit(limit), group.WithIdle(idle))
		previous := make(map[string]*lease)
		for round := range rounds {
			time.Sleep(2 * idle)
			g.Get(fmt.Sprint("marks the others ", round))
			time.Sleep(idle)
			var got [goroutines][keys]*lease
			var start, done sync.WaitGroup
			start.Add(goroutines)
			for i := range goroutines {
				done.Go(func() {
					start.Done()
					start.Wait()
					if i%2 == 0 {
						g.Get(fmt.Sprint("evicts ", round))
					}
					for k := range keys {
						got[i][k] = g.Get(fmt.Sprint((k + i) % keys))
					}
				})
			}
			done.Wait()
			all := maps.Collect(g.All())
			for k := range keys {
				key := fmt.Sprint(k)
				v := all[key]
				require.NotNil(t, v)
				for i := range goroutines {
					require.Same(t, v, got[i][(k-i%keys+keys)%keys], "round %d: all get the value that is in the group", round)
				}
				if v != previous[key] {
					evictions++
				}
			}
			previous = all
			require.Len(t, all, g.Len())
			require.LessOrEqual(t, g.Len(), limit)
		}
		require.Zero(t, g.Overflows(), "a key that is evicted just when it is asked for still has room")
	})
	require.Greater(t, evictions, keys+100)
	t.Log(evictions, "evictions")
}

func TestStress_AGetThatRacesWithAResetPutsNoOldValueInTheNewGroup(t *testing.T) {
	const resets, keys, goroutines = 10_000, 8, 4
	g := group.NewGroup(func() int { return 0 }, group.WithLimit(keys-2)) // so that some share the overflow value
	var current, old atomic.Int64
	stop := make(chan struct{})
	var done sync.WaitGroup
	for i := range goroutines {
		done.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				runtime.Gosched() // there may be one processor
				least := current.Load()
				if int64(g.Get(fmt.Sprint(n%keys))) < least {
					old.Add(1)
				}
			}
		})
	}
	for generation := 1; generation <= resets; generation++ {
		g.Reset(func() int { return generation })
		current.Store(int64(generation))
		for k := range keys {
			if v := g.Get(fmt.Sprint(k)); v != generation {
				old.Add(1)
			}
		}
		for _, v := range g.All() {
			if v != generation {
				old.Add(1)
			}
		}
		if v, ok := g.Overflow(); ok && v != generation {
			old.Add(1)
		}
	}
	close(stop)
	done.Wait()
	require.Zero(t, old.Load())
}

func TestStress_AGetThatRacesWithAClearPutsNoOldValueInTheNewGroup(t *testing.T) {
	const clears, keys, goroutines = 10_000, 8, 4
	var begun, finished, old atomic.Int64
	g := group.NewGroup(begun.Load, group.WithLimit(keys-2)) // a value is the number of clears before it was made
	stop := make(chan struct{})
	var done sync.WaitGroup
	for i := range goroutines {
		done.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				runtime.Gosched()
				least := finished.Load()
				if g.Get(fmt.Sprint(n%keys)) < least {
					old.Add(1)
				}
			}
		})
	}
	for range clears {
		begun.Add(1)
		g.Clear()
		finished.Add(1)
		g.Get("0")
	}
	close(stop)
	done.Wait()
	require.Zero(t, old.Load())
	require.LessOrEqual(t, g.Len(), keys-2)
}

// Keys go from one map to another while the group grows, and that is when an
// iteration could lose one or yield it twice. Many small groups have many such
// moments.
func TestStress_AllYieldsEachKeyOnceWhileKeysAreAdded(t *testing.T) {
	const groups, keys, iterators = 4000, 40, 2
	var twice, missing, wrong atomic.Int64
	for range groups {
		g := group.NewGroup(new(maker).item, group.WithLimit(keys))
		var values [keys]*item
		var added atomic.Int64
		var done sync.WaitGroup
		done.Go(func() {
			for i := range keys {
				values[i] = g.Get(fmt.Sprint(i))
				added.Store(int64(i + 1))
			}
		})
		for range iterators {
			done.Go(func() {
				for before := int64(0); before < keys; {
					runtime.Gosched()
					before = added.Load()
					seen := make(map[string]*item)
					for key, v := range g.All() {
						if _, ok := seen[key]; ok {
							twice.Add(1)
						}
						seen[key] = v
					}
					for i := range before {
						if v, ok := seen[fmt.Sprint(i)]; !ok {
							missing.Add(1)
						} else if v != values[i] {
							wrong.Add(1)
						}
					}
				}
			})
		}
		done.Wait()
		require.Len(t, maps.Collect(g.All()), keys)
	}
	require.Zero(t, twice.Load(), "keys that were yielded twice")
	require.Zero(t, missing.Load(), "keys that were there before and were not yielded")
	require.Zero(t, wrong.Load())
}

// Keys race for the last place.
func TestStress_TheLimitHoldsWhoeverComesFirst(t *testing.T) {
	const groups, goroutines = 3000, 4
	for range groups {
		g := group.NewGroup(new(maker).item, group.WithLimit(2))
		g.Get("first")
		var start, done sync.WaitGroup
		start.Add(goroutines)
		for i := range goroutines {
			done.Go(func() {
				start.Done()
				start.Wait()
				g.Get(fmt.Sprint(i))
			})
		}
		done.Wait()
		require.Equal(t, 2, g.Len())
		require.Len(t, maps.Collect(g.All()), 2)
		require.EqualValues(t, goroutines-1, g.Overflows())
	}
}

// Nothing here has an answer that is right: it is for the race detector, and
// for what must hold when all is quiet.
func TestStress_EverythingAtOnceLeavesASoundGroup(t *testing.T) {
	const goroutines, rounds, limit = 8, 4000, 20
	synctest.Test(t, func(t *testing.T) {
		g := group.NewGroup(func() *lease { return new(lease) }, group.WithLimit(limit), group.WithIdle(idle))
		var done sync.WaitGroup
		for i := range goroutines {
			done.Go(func() {
				random := rand.New(rand.NewPCG(2, uint64(i)))
				for range rounds {
					switch n := random.IntN(100); {
					case n == 0:
						g.Clear()
					case n == 1:
						g.Reset(func() *lease { return new(lease) })
					case n == 2:
						func() {
							defer func() { _ = recover() }()
							g.Reset(func() *lease {
								if rand.IntN(3) == 0 {
									panic("boom")
								}
								return new(lease)
							})
							g.Get(fmt.Sprint(random.IntN(2 * limit)))
						}()
					case n < 10:
						for _, v := range g.All() {
							v.Idle()
						}
						g.Overflow()
						g.Overflows()
					case n < 30:
						time.Sleep(idle / 2)
					default:
						func() {
							defer func() { _ = recover() }()
							g.Get(fmt.Sprint(random.IntN(2 * limit))).Idle()
						}()
					}
				}
			})
		}
		done.Wait()
		require.Len(t, maps.Collect(g.All()), g.Len())
		require.LessOrEqual(t, g.Len(), limit)
		g.Reset(func() *lease { return new(lease) })
		require.Zero(t, g.Len())
		for i := range 2 * limit {
			g.Get(fmt.Sprint(i))
		}
		require.Equal(t, limit, g.Len())
		require.Len(t, maps.Collect(g.All()), limit)
	})
}
