package rule

import (
	"math"
	"slices"

	"github.com/kratos-breaker/breaker"
)

// Never is a time that does not come.
const Never = math.MaxInt64

// maxFailures leaves room for more failures in a word of 32 bits.
const maxFailures = 1 << 30

// Set is the rules in force for one breaker. Other rules make another Set.
type Set struct {
	rules  []Rule
	meters []*meter
	needs  Needs
}

// NewSet returns the rules of specs, which carry over what those of before have
// counted. At first, before is nil.
func NewSet(specs []Spec, c Counters, before *Set, at Evidence) *Set {
	s := &Set{}
	var known []Rule
	if before != nil {
		known = slices.Clone(before.rules)
	}
	for _, spec := range specs {
		r := spec.Rule(c)
		r.CarryOver(known, at)
		known = append(known, r)
		s.rules = append(s.rules, r)
		s.needs |= r.Needs()
		for _, m := range metersOf(r) {
			if !slices.Contains(s.meters, m) {
				s.meters = append(s.meters, m)
			}
		}
	}
	return s
}

// Needs returns what the rules need with a failure.
func (s *Set) Needs() Needs { return s.needs }

// Metered reports whether a rule looks at a period: then calls need the time.
func (s *Set) Metered() bool { return len(s.meters) > 0 }

// Clear forgets everything that was counted.
func (s *Set) Clear(at Evidence) {
	for _, m := range s.meters {
		m.clear(at.Now)
	}
	for _, r := range s.rules {
		r.Clear(at)
	}
}

// Roll begins the buckets that now lies in.
func (s *Set) Roll(now int64) {
	for _, m := range s.meters {
		m.roll(now)
	}
}

// Due returns when Roll has to be called next.
func (s *Set) Due() int64 {
	due := int64(Never)
	for _, m := range s.meters {
		due = min(due, m.window.Until())
	}
	return due
}

// Record lets the rules take in a failure.
func (s *Set) Record(e Evidence) {
	for _, r := range s.rules {
		r.Record(e)
	}
}

// Evaluate returns what the rules say and, if one opens the breaker, which. Before so
// many more failures, at most maxFailures, nothing can follow.
func (s *Set) Evaluate(e Evidence) (v Verdict, failures uint64, opens Rule) {
	failures = maxFailures
	for _, r := range s.rules {
		said, n := r.Evaluate(e)
		if said&Opens != 0 {
			return said, 0, r
		}
		v |= said
		failures = min(failures, n)
	}
	return v, failures, nil
}

// Show returns the window w with what the rules look at: the longest period, or
// else the last n calls.
func (s *Set) Show(e Evidence, w breaker.Window) breaker.Window {
	for _, r := range s.rules {
		w = r.Show(e, w)
	}
	return w
}

// Empty reports whether no call lies within a period.
func (s *Set) Empty(now int64) bool {
	return !slices.ContainsFunc(s.meters, func(m *meter) bool { return m.counts(now).Total() > 0 })
}
