// Package watch reads the breakers of a source for those who publish them, in
// whatever form: which metrics there are, what each says, counters that never
// fall, a bounded number of series.
package watch

import (
	"reflect"
	"strings"

	"github.com/kratos-breaker/breaker"
)

// Other is the name of the overflow breaker of a group, and of the breakers
// beyond the limit.
const Other = "_OTHER"

// Watcher reads the breakers of a source, and keeps a series for each set of
// labels: K tells the sets apart, L is what the publisher makes of one. It is not
// safe for concurrent use.
type Watcher[K comparable, L any] struct {
	source  breaker.Source
	reloads reloader // nil if the source has no rules
	limit   int
	label   Labeler[K, L]

	round   uint64
	watched map[identity]*watched[L]
	series  map[K]*Series[L]
	changed bool // series have come or gone
}

// Labeler makes the labels of a series. It is asked once per breaker, when it is
// first read. l is nil for the series of the breakers beyond the limit.
type Labeler[K comparable, L any] func(name string, l *breaker.Listed) (K, L)

// Series are what is published under one set of labels.
type Series[L any] struct {
	Labels L
	Now    Reading

	gone    Reading
	members int
}

// reloader is a source that has rules.
type reloader interface{ Reloads() breaker.Reloads }

// identity tells the breakers of a source apart.
type identity struct {
	key      string
	overflow bool
	breaker  breaker.Breaker
}

// watched is a breaker that was listed when it was last read.
type watched[L any] struct {
	series *Series[L]
	last   Reading
	round  uint64
}

// New returns a watcher of source, with at most limit series besides that of
// [Other].
func New[K comparable, L any](source breaker.Source, limit int, label Labeler[K, L]) *Watcher[K, L] {
	w := &Watcher[K, L]{source: source, limit: limit, label: label}
	w.reloads, _ = source.(reloader)
	w.watched = make(map[identity]*watched[L])
	w.series = make(map[K]*Series[L])
	return w
}

// Read takes a snapshot of every breaker and returns the series, which nobody
// may change, and whether some have come or gone since the last time.
func (w *Watcher[K, L]) Read() (series map[K]*Series[L], changed bool) {
	w.round++
	for _, s := range w.series {
		s.Now = s.gone
	}
	for l := range w.source.Breakers() {
		if l.Breaker == nil {
			continue
		}
		if b := w.watch(l); b.round != w.round { // once, if two sources list it
			b.round = w.round
			b.last.read(l.Breaker.Snapshot())
			b.series.Now.add(&b.last)
		}
	}
	w.forget()
	changed, w.changed = w.changed, false
	return w.series, changed
}

// HasReloads reports whether the source has rules.
func (w *Watcher[K, L]) HasReloads() bool { return w.reloads != nil }

// SourceLines returns the lines of what belongs to no breaker.
func (w *Watcher[K, L]) SourceLines() []Line {
	if !w.HasReloads() {
		return SourceLines[:numSourceLines-results]
	}
	return SourceLines[:]
}

// Source returns the numbers of [Watcher.SourceLines].
func (w *Watcher[K, L]) Source() (counts [numSourceLines]uint64) {
	k := w.source.Keys()
	counts[0], counts[1], counts[2] = uint64(k.Held), uint64(k.Limit), k.Overflows
	if w.HasReloads() {
		r := w.reloads.Reloads()
		counts[3], counts[4], counts[5] = r.Applied, r.Unchanged, r.Rejected
	}
	return counts
}

// watch returns what is known of a breaker.
func (w *Watcher[K, L]) watch(l breaker.Listed) *watched[L] {
	id := identity{l.Key, l.Overflow, l.Breaker}
	if !reflect.ValueOf(l.Breaker).Comparable() {
		id.breaker = nil // such a breaker can be no key of a map: its name must do
	}
	b := w.watched[id]
	if b == nil {
		b = &watched[L]{series: w.seriesOf(l)}
		b.series.members++
		w.watched[id] = b
	}
	return b
}

// seriesOf returns the series of a breaker that was not listed before.
func (w *Watcher[K, L]) seriesOf(l breaker.Listed) *Series[L] {
	key, labels := w.label(nameOf(l), &l)
	s := w.series[key]
	if s == nil && len(w.series) >= w.limit {
		other, its := w.label(Other, nil)
		if o := w.series[other]; o == nil || len(w.series) > w.limit { // it does not count itself
			key, labels, s = other, its, o
		}
	}
	if s == nil {
		s = &Series[L]{Labels: labels}
		w.series[key] = s
		w.changed = true
	}
	return s
}

// nameOf returns a name without what is not UTF-8, for Prometheus takes no other.
func nameOf(l breaker.Listed) string {
	name := l.Key
	switch {
	case l.Overflow:
		name = Other
	case name == "":
		name = l.Breaker.Snapshot().Name
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// forget drops the breakers that are no longer listed, and the series that no
// breaker is left of. In one that several share, their counts stay.
func (w *Watcher[K, L]) forget() {
	for id, b := range w.watched {
		if b.round == w.round {
			continue
		}
		delete(w.watched, id)
		b.series.members--
		counts := b.last.left()
		b.series.gone.add(&counts)
		b.series.Now.add(&counts)
	}
	for key, s := range w.series {
		if s.members == 0 {
			delete(w.series, key)
			w.changed = true
		}
	}
}
