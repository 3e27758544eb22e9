// Package group keeps one value per key, makes it when the key is first asked for, and
// bounds how many there are. This module keeps breakers in groups: one per operation,
// host or node. The package itself knows nothing about breakers.
//
// The middleware and the transports make a group of their own. Take this package to
// share breakers between clients, to show them, or to give each a name:
//
//	breakers := group.NewKeyed(func(key string) *sre.Breaker {
//		return sre.NewBreaker(sre.WithName(key))
//	})
//	client := &http.Client{Transport: cbhttp.NewTransport(nil, cbhttp.WithGroup(breakers))}
//	source := breaker.SourceOf(breakers) // for metrics and dashboard
//
// # Limits
//
// Keys often come from outside, as raw paths do. So a group holds at most 256 keys, or
// what [WithLimit] says. Further keys share one overflow value. A value that has been
// idle for a while makes room for a new key: see [WithIdle].
//
// # Cost
//
// A Get of a key that is there takes no lock and allocates nothing, unless the key is
// longer than 256 bytes. A Get of a new key may take the lock of the group, but not
// while the factory runs. There is no timer and no goroutine.
package group

import (
	"hash/maphash"
	"iter"
	"maps"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker/internal/place"
)

// Group makes one value per key, when the key is first asked for. Make one
// with [NewGroup] or [NewKeyed]; the zero value is not valid. All methods are
// safe for concurrent use.
//
// A group holds a limited number of keys. Keys beyond the limit share one
// overflow value, so that a caller who makes keys of raw paths or user input
// cannot exhaust the memory.
//
// Values that have not been asked for in a while make room for new keys, if
// they say that nothing is lost with them, through a method
//
//	Idle() bool
//
// that reports whether the value is as good as a new one. A value without the
// method stays until Clear or Reset.
type Group[T any] struct {
	// settled is never written to once it is here; recent holds, as *entry[T],
	// the keys that came since. When they are an eighth as many, a new index
	// takes all. So a key costs O(1) to add, and nearly always one look or two
	// at what nobody writes to find.
	settled atomic.Pointer[index[T]]
	recent  sync.Map
	size    atomic.Int64
	limit   atomic.Int64
	// removals is odd while entries are taken out.
	removals atomic.Uint64
	idle     atomic.Int64 // ns

	base      time.Time
	nextSweep atomic.Int64 // ns since base

	overflow  atomic.Pointer[entry[T]]
	overflows atomic.Uint64

	// mu is held to add and remove entries, never while a value is made.
	mu      sync.Mutex
	factory func(key string) T
}

// index finds entries by their keys. It does not change.
type index[T any] struct {
	all map[string]*entry[T]
	// near has entries at the place that a part of their key leads to, which is
	// faster than the hash of a map: about nine of ten of them, if the keys differ
	// in that part or in length. Those at a place that another one has cost a look
	// at all besides. Its length is a power of two, and takes 32 to 64 bytes a key.
	near  []*entry[T]
	shift uint
}

func newIndex[T any](all map[string]*entry[T]) *index[T] {
	order := bits.Len(uint(4 * len(all)))
	x := &index[T]{all: all, near: make([]*entry[T], 1<<order), shift: uint(64 - order)}
	for key, e := range all {
		x.near[place.Of(key)>>x.shift] = e
	}
	return x
}

// entry holds a value. Its state says whether the value is there, whether
// somebody asked for it since the last sweep, and whether it was evicted.
type entry[T any] struct {
	state  atomic.Uint32
	shared bool       // whether it is the overflow value
	making sync.Mutex // held by the goroutine that makes the value
	make   func(key string) T
	key    string
	value  T
}

const (
	absent uint32 = iota // being made
	used
	unused
	evicted
)

const maxKeyLength = 256

// NewGroup returns an empty group whose values factory makes. It panics if
// factory is nil or an option is out of its range.
//
// The factory is called at most once per key that is in the group, whatever
// races, in the goroutine of a Get, with no lock held that Gets of other keys
// wait for. It must not Get its own key, nor, from a full group, a new one. If it
// panics, so does that Get; the key stays unmade and the next Get calls the
// factory again.
func NewGroup[T any](factory func() T, opts ...Option) *Group[T] {
	return NewKeyed(keyless(factory), opts...)
}

// NewKeyed is like [NewGroup] for a factory that wants to know the key. The
// key of the overflow value is "".
func NewKeyed[T any](factory func(key string) T, opts ...Option) *Group[T] {
	mustMake(factory == nil)
	g := &Group[T]{factory: factory, base: time.Now()}
	g.use(newOptions(opts))
	g.clearLocked()
	return g
}

// Reconfigure gives the group other options, for the Gets from now on; one that
// is not given has its default. It panics as NewGroup does, and then nothing has
// changed.
//
// A lower limit takes no key away: those that there are stay until they are idle,
// and new ones share the overflow value until fewer than the limit are left. With
// a higher one, the next Get of a key that shared the overflow value makes a
// value of its own. With another time for [WithIdle], the next look for values
// that nobody asks for is due when it has passed.
func (g *Group[T]) Reconfigure(opts ...Option) {
	o := newOptions(opts)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.use(o)
}

func (g *Group[T]) use(o options) {
	g.limit.Store(int64(o.limit))
	if g.idle.Swap(int64(o.idle)) != int64(o.idle) {
		// Whatever was noted as unused by now, was so for that long by then.
		g.nextSweep.Store(int64(time.Since(g.base) + o.idle))
	}
}

func keyless[T any](factory func() T) func(string) T {
	mustMake(factory == nil)
	return func(string) T { return factory() }
}

func mustMake(isNil bool) {
	if isNil {
		panic("group: the factory is nil")
	}
}

// Get returns the value of key, and makes it if there is none. Any string is a
// key; one of more than 256 bytes is shortened to its beginning and a hash,
// which allocates. Otherwise, getting a value that is there takes no lock and
// does not allocate.
func (g *Group[T]) Get(key string) T {
	if len(key) > maxKeyLength {
		key = shorten(key)
	}
	x := g.settled.Load()
	e := x.near[place.Of(key)>>x.shift]
	if e == nil || e.key != key {
		e = x.all[key]
	}
	if e != nil && e.use() {
		return e.value
	}
	return g.getSlow(key)
}

func (g *Group[T]) lookup(key string) *entry[T] {
	if e := g.settled.Load().all[key]; e != nil {
		return e
	}
	if e, ok := g.recent.Load(key); ok {
		return e.(*entry[T])
	}
	// It may have been settled between the two looks.
	return g.settled.Load().all[key]
}

// use notes that the value was asked for and reports whether it is there.
func (e *entry[T]) use() bool {
	switch e.state.Load() {
	case used:
		return true
	case unused:
		return e.state.CompareAndSwap(unused, used) || e.state.Load() == used
	}
	return false
}

func (g *Group[T]) getSlow(key string) T {
	if e := g.lookup(key); e != nil && e.use() {
		return e.value
	}
	for {
		e := g.reserve(key)
		if !e.use() && !g.make(e) {
			continue // another goroutine's factory panicked
		}
		if e.shared {
			g.overflows.Add(1)
		}
		return e.value
	}
}

// reserve returns the entry of key, whose value may have to be made.
func (g *Group[T]) reserve(key string) *entry[T] {
	due := int64(time.Since(g.base)) >= g.nextSweep.Load()
	if due && g.lookup(key) == nil {
		g.sweep()
	}
	// Without this look a group that is full would take the lock for each key
	// that is not in it. Neither the size nor the keys may change between.
	if r := g.removals.Load(); r%2 == 0 && g.size.Load() >= g.limit.Load() && g.lookup(key) == nil && g.removals.Load() == r {
		return g.overflow.Load()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.lookup(key); e != nil && e.state.Load() != evicted {
		return e
	} else if e != nil {
		g.removeLocked(e) // its evictor has not come round to it yet
	}
	if g.size.Load() >= g.limit.Load() {
		return g.overflow.Load()
	}
	return g.addLocked(key)
}

// make makes the value of e, or waits until another goroutine has. It returns
// false if that one's factory panicked.
func (g *Group[T]) make(e *entry[T]) (ok bool) {
	e.making.Lock()
	defer e.making.Unlock()
	if e.use() {
		return true
	}
	if e.state.Load() == evicted {
		return false
	}
	defer func() {
		if !ok && !e.shared { // the factory panicked or called Goexit
			e.state.Store(evicted)
			g.remove(e)
		}
	}()
	e.value = e.make(e.key)
	e.make = nil
	e.state.Store(used)
	return true
}

func (g *Group[T]) addLocked(key string) *entry[T] {
	// The caller's string may be part of something large.
	e := &entry[T]{make: g.factory, key: strings.Clone(key)}
	g.recent.Store(e.key, e)
	size := g.size.Add(1)
	old := g.settled.Load().all
	if 8*(size-int64(len(old))) < int64(len(old)) {
		return e
	}
	all := make(map[string]*entry[T], size)
	maps.Copy(all, old)
	g.recent.Range(func(key, e any) bool {
		all[key.(string)] = e.(*entry[T])
		return true
	})
	g.settled.Store(newIndex(all))
	g.recent.Clear()
	return e
}

// remove takes entries out of the group, unless others have their keys by now.
func (g *Group[T]) remove(es ...*entry[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removeLocked(es...)
}

func (g *Group[T]) removeLocked(es ...*entry[T]) {
	g.removals.Add(1)
	defer g.removals.Add(1)
	old := g.settled.Load().all
	var rest map[string]*entry[T]
	for _, e := range es {
		if g.recent.CompareAndDelete(e.key, e) {
			g.size.Add(-1)
		} else if old[e.key] == e {
			if rest == nil {
				rest = maps.Clone(old)
			}
			delete(rest, e.key)
			g.size.Add(-1)
		}
	}
	if rest != nil {
		g.settled.Store(newIndex(rest))
	}
}

// sweep evicts what has not been used since the last sweep and is idle.
func (g *Group[T]) sweep() {
	now, next := int64(time.Since(g.base)), g.nextSweep.Load()
	if now < next || !g.nextSweep.CompareAndSwap(next, now+g.idle.Load()) {
		return // somebody else does it
	}
	var gone []*entry[T]
	defer func() { g.remove(gone...) }() // an Idle may panic
	for _, e := range g.each {
		if e.state.CompareAndSwap(used, unused) || e.state.Load() != unused {
			continue
		}
		idler, ok := any(e.value).(interface{ Idle() bool })
		// From unused to evicted in one step: whoever asks at this moment
		// either keeps the value alive or gets a new one.
		if ok && idler.Idle() && e.state.CompareAndSwap(unused, evicted) {
			gone = append(gone, e)
		}
	}
}

// each yields every entry once.
func (g *Group[T]) each(yield func(string, *entry[T]) bool) {
	var recent map[string]*entry[T]
	g.recent.Range(func(key, e any) bool {
		if recent == nil {
			recent = make(map[string]*entry[T])
		}
		recent[key.(string)] = e.(*entry[T])
		return true
	})
	// Read after recent, so that a key which is settled meanwhile is not missed.
	for key, e := range g.settled.Load().all {
		delete(recent, key)
		if !yield(key, e) {
			return
		}
	}
	for key, e := range recent {
		if !yield(key, e) {
			return
		}
	}
}

// Reset makes factory the one for every value from now on, and forgets all
// values, the overflow value too. Who holds a value keeps it. It panics if
// factory is nil.
func (g *Group[T]) Reset(factory func() T) {
	f := keyless(factory)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.factory = f
	g.clearLocked()
}

// Clear forgets all values, the overflow value too. Who holds one keeps it.
func (g *Group[T]) Clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clearLocked()
}

func (g *Group[T]) clearLocked() {
	g.settled.Store(newIndex[T](nil))
	g.recent.Clear()
	g.size.Store(0)
	g.overflow.Store(&entry[T]{make: g.factory, shared: true})
}

// Len returns the number of keys in the group, without the overflow value.
func (g *Group[T]) Len() int { return int(g.size.Load()) }

// Limit returns how many keys the group holds at most.
func (g *Group[T]) Limit() int { return int(g.limit.Load()) }

// All iterates over the keys and values that are there, in no order and
// without the overflow value. Looking does not count as asking for a value.
func (g *Group[T]) All() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for key, e := range g.each {
			if v, ok := e.peek(); ok && !yield(key, v) {
				return
			}
		}
	}
}

// Overflow returns the value that the keys beyond the limit share, if there
// was such a key.
func (g *Group[T]) Overflow() (value T, ok bool) { return g.overflow.Load().peek() }

// Overflows returns how many Gets were answered with the overflow value.
func (g *Group[T]) Overflows() uint64 { return g.overflows.Load() }

func (e *entry[T]) peek() (v T, ok bool) {
	if s := e.state.Load(); s == used || s == unused {
		return e.value, true
	}
	return v, false
}

var seed = maphash.MakeSeed()

func shorten(key string) string {
	const hash = 1 + 13 // "#" and a 64-bit number in base 36
	return key[:maxKeyLength-hash] + "#" + strconv.FormatUint(maphash.String(seed, key), 36)
}
