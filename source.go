package breaker

import (
	"iter"
	"reflect"
)

// SourceOf lists the breakers of a group. A value that is no [Breaker], as a
// foreign one with aegis' three methods only, cannot be looked into and is left
// out: a factory that returns [Adapt] of it makes it visible. SourceOf panics
// if g is nil.
func SourceOf[B CircuitBreaker](g Keyed[B]) Source {
	if v := reflect.ValueOf(g); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("breaker: SourceOf: the group is nil")
	}
	return groupSource[B]{g}
}

type groupSource[B CircuitBreaker] struct{ group Keyed[B] }

func (s groupSource[B]) Breakers() iter.Seq[Listed] {
	return func(yield func(Listed) bool) {
		for key, v := range s.group.All() {
			if b, ok := any(v).(Breaker); ok && !yield(Listed{Key: key, Breaker: b}) {
				return
			}
		}
		if v, ok := s.group.Overflow(); ok {
			if b, ok := any(v).(Breaker); ok {
				yield(Listed{Overflow: true, Breaker: b})
			}
		}
	}
}

func (s groupSource[B]) Keys() Keys {
	return Keys{Held: s.group.Len(), Limit: s.group.Limit(), Overflows: s.group.Overflows()}
}

// Sources lists what several sources list, one after the other. If some of them
// have rules, it has the sum of their [Reloads]. It panics if one is nil.
func Sources(all ...Source) Source {
	var reload reloading
	for _, s := range all {
		if s == nil {
			panic("breaker: Sources: a source is nil")
		}
		if r, ok := s.(reloader); ok {
			reload.of = append(reload.of, r)
		}
	}
	if reload.of == nil {
		return sources(all)
	}
	reload.sources = all
	return reload
}

type sources []Source

func (all sources) Breakers() iter.Seq[Listed] {
	return func(yield func(Listed) bool) {
		for _, s := range all {
			for l := range s.Breakers() {
				if !yield(l) {
					return
				}
			}
		}
	}
}

func (all sources) Keys() (sum Keys) {
	for _, s := range all {
		k := s.Keys()
		sum.Held += k.Held
		sum.Limit += k.Limit
		sum.Overflows += k.Overflows
	}
	return sum
}

// reloader is a source that has rules.
type reloader interface{ Reloads() Reloads }

// reloading are sources of which some have rules.
type reloading struct {
	sources
	of []reloader
}

func (all reloading) Reloads() (sum Reloads) {
	for _, s := range all.of {
		r := s.Reloads()
		sum.Applied += r.Applied
		sum.Unchanged += r.Unchanged
		sum.Rejected += r.Rejected
	}
	return sum
}
