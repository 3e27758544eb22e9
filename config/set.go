package config

import (
	"fmt"
	"slices"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

// Set is a whole set of valid rules. Nothing changes it; [Parse] and [FromProto]
// make one.
type Set struct {
	byDefault *rule
	rules     []*rule
	keys      made
	warnings  []string
	text      string // tells it from others
}

// rule is the default, or a rule with what it inherited from it.
type rule struct {
	name      string // rules[2] /x/*
	match     pattern
	transport string // "" for all
	own       values // what it says itself
	made      made
	kind      kind
	mode      breaker.Mode
	classify  breaker.Classifier
	settings  string // what the breaker is made of
	text      string // all of it
}

// complete derives the rest from the policy, which is valid.
func (r *rule) complete(policy values) {
	policy.apply(&r.made, policyFields)
	r.kind, r.mode, r.text = kindOf(policy), modeOf(policy), policy.text(policyFields)
	if len(get(policy, values(nil), "classify")) > 0 {
		r.classify = errors.NewClassifier(r.made.errors...)
	}
	switch r.kind {
	case kindSRE, kindClassic:
		r.settings = get(policy, values(nil), "sre").text(sreFields)
	case kindCircuit:
		r.settings = get(policy, values(nil), "circuit").text(circuitFields)
	}
}

// String returns what a snapshot shows.
func (r *rule) String() string { return r.name + " (" + r.kind.String() + ")" }

// kind is an algorithm. A classic breaker of package sre is one of its own,
// since no other can become one.
type kind uint8

const (
	kindSRE kind = iota
	kindClassic
	kindCircuit
	kindOff
	kinds
)

func (k kind) String() string {
	return [...]string{"sre", "classic sre", "circuit", "off"}[k]
}

func kindOf(policy values) kind {
	switch get(policy, "sre", "algorithm") {
	case "circuit":
		return kindCircuit
	case "off":
		return kindOff
	}
	if get(policy, false, "sre", "classic") {
		return kindClassic
	}
	return kindSRE
}

func modeOf(policy values) breaker.Mode {
	for _, m := range []breaker.Mode{breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun} {
		if m.String() == policy["mode"] {
			return m
		}
	}
	return breaker.Auto
}

// newSet checks a parsed text.
func newSet(tree any) (*Set, error) {
	f := &faults{}
	if tree == nil {
		f.add("", nil, "there are no rules; want at least {}, for the defaults")
		return nil, &InvalidError{f.fields}
	}
	root := f.object("", tree, rootFields)
	s := &Set{}
	for i, e := range get(root, []any(nil), "rules") {
		if own, ok := e.(values); ok {
			s.rules = append(s.rules, &rule{
				name: fmt.Sprintf("rules[%d]", i), match: get(own, pattern{}, "match"), transport: get(own, "", "transport"), own: own,
			})
		}
	}
	s.resolve(f, get(root, values(nil), "default"))
	if len(f.fields) > 0 {
		return nil, &InvalidError{f.fields}
	}
	s.warn()
	keys := get(root, values(nil), "keys")
	keys.apply(&s.keys, keyFields)
	s.text = keys.text(keyFields) + s.byDefault.text
	for _, r := range s.rules {
		s.text += "\n" + r.name + "\n" + r.text
	}
	return s, nil
}

// resolve lets the rules inherit, and checks what comes of it. A fault of the
// default alone is not told of each rule.
func (s *Set) resolve(f *faults, byDefault values) {
	bad := make(map[string]bool) // values that were not taken, and so are not missing
	for _, fault := range f.fields {
		bad[fault.Path] = true
	}
	policy := &field{fields: policyFields}
	var inDefault faults
	inDefault.check("default", byDefault, policy)
	for _, fault := range inDefault.fields {
		if fault.Problem != missing || !bad[fault.Path] {
			f.fields = append(f.fields, fault)
		}
	}
	for _, r := range s.rules {
		var here faults
		here.check(r.name, r.own.inherit(byDefault), policy)
		for _, fault := range here.fields {
			inherited := "default" + fault.Path[len(r.name):]
			isBad := fault.Problem == missing && (bad[fault.Path] || bad[inherited])
			if !isBad && !inDefault.has(inherited, fault) {
				f.fields = append(f.fields, fault)
			}
		}
	}
	if len(f.fields) > 0 {
		return
	}
	s.byDefault = &rule{name: "default"}
	s.byDefault.complete(byDefault)
	for _, r := range s.rules {
		r.name += " " + r.match.text
		if r.transport != "" {
			r.name += " " + r.transport
		}
		r.complete(r.own.inherit(byDefault))
	}
}

// has reports whether there is the same fault at another path.
func (f *faults) has(path string, fault *FieldError) bool {
	return slices.ContainsFunc(f.fields, func(other *FieldError) bool {
		return other.Path == path && other.Problem == fault.Problem && fmt.Sprint(other.Value) == fmt.Sprint(fault.Value)
	})
}

// warn collects what is valid and is hardly meant.
func (s *Set) warn() {
	for i, r := range s.rules {
		path := fmt.Sprintf("rules[%d]", i)
		for j, before := range s.rules[:i] {
			if before.transport != "" && before.transport != r.transport || !before.match.covers(&r.match) {
				continue
			}
			word := "is never reached"
			if before.match.text == r.match.text && before.transport == r.transport {
				word = "is there twice"
			}
			s.warnings = append(s.warnings, fmt.Sprintf("%s: %q %s: rules[%d] with %q comes first",
				path, r.match.text, word, j, before.match.text))
			break
		}
		adaptive := r.kind == kindSRE || r.kind == kindClassic
		if r.own["sre"] != nil && !adaptive {
			s.warnings = append(s.warnings, fmt.Sprintf("%s.sre: is not used: the algorithm is %v", path, r.kind))
		}
		if r.own["circuit"] != nil && r.kind != kindCircuit {
			s.warnings = append(s.warnings, fmt.Sprintf("%s.circuit: is not used: the algorithm is %v", path, r.kind))
		}
	}
}

// Warnings returns what is valid and is hardly meant: rules that another one
// comes before, and options of an algorithm that is not the rule's.
func (s *Set) Warnings() []string { return append([]string(nil), s.warnings...) }

// Match is what a [Set] says about a call.
type Match struct {
	// Rule is the rule that applies, with its algorithm, as in a snapshot:
	// "rules[2] /pay/* (circuit)".
	Rule string
	// Settings are what the rule and the default say together, as JSON. What is
	// not there has the default of the breaker.
	Settings string
}

// Match returns the rule of a call. The transport is "http" or "grpc"; any other
// one is only matched by rules that name none.
func (s *Set) Match(transport, key string) Match {
	r := s.find(transport, key)
	return Match{Rule: r.String(), Settings: r.text}
}

const (
	maxKey    = 256 // bytes
	beginning = 242
)

// find returns the first rule that matches. It costs a look at each rule. Of a
// longer key it sees what a group leaves of it, the beginning before a hash: so
// it has the same rule within the limit and beyond, and no key costs too much.
func (s *Set) find(transport, key string) *rule {
	if len(key) > maxKey {
		key = key[:beginning] + "#"
	}
	for _, r := range s.rules {
		if (r.transport == "" || r.transport == transport) && r.match.matches(key) {
			return r
		}
	}
	return s.byDefault
}

// named returns the rule of keys beyond the limit, or the default if there is none.
func (s *Set) named(o overflowRule) *rule {
	for _, r := range s.rules {
		if r.match.text == o.match && r.transport == o.transport {
			return r
		}
	}
	return s.byDefault
}
