package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
)

// Set is a whole set of valid rules. Nothing changes it; [Parse] and [FromProto]
// make one.
type Set struct {
	byDefault *rule
	rules     []*rule
	keys      limits
	warnings  []string
	text      string // tells it from others
}

// rule is the default, or a rule with what it inherited from it.
type rule struct {
	name      string // rules[2] /x/*
	match     pattern
	transport string // "" for all
	policy    policy
	kind      kind
	mode      breaker.Mode
	classify  breaker.Classifier
	settings  [kinds]string // what a breaker of each kind is made of
	text      string        // all of it
}

// complete derives the rest from the policy, which is valid.
func (r *rule) complete() {
	p := r.policy
	r.kind, r.mode, r.text = p.kind(), p.mode(), text(p)
	if p.Classify != nil && text(p.Classify) != "{}" {
		r.classify = p.Classify.classifier()
	}
	r.settings[kindSRE] = text(p.Sre)
	r.settings[kindClassic] = r.settings[kindSRE]
	r.settings[kindCircuit] = text(p.Circuit)
}

// String returns what a snapshot shows.
func (r *rule) String() string { return r.name + " (" + r.kind.String() + ")" }

// newSet checks a parsed text.
func newSet(tree any) (*Set, error) {
	f := &faults{}
	if tree == nil {
		f.add("", nil, "there are no rules; want at least {}, for the defaults")
		return nil, &InvalidError{f.fields}
	}
	root, ok := objectAt(f, "", tree)
	if !ok {
		return nil, &InvalidError{f.fields}
	}
	s := &Set{}
	var byDefault policy
	if c := root.child("default"); c != nil {
		byDefault = c.policy()
		c.done()
	}
	own := root.rules(s)
	if c := root.child("keys"); c != nil {
		s.keys = *c.keys()
	}
	root.done()
	s.resolve(f, byDefault, own)
	if len(f.fields) > 0 {
		return nil, &InvalidError{f.fields}
	}
	s.warn(own)
	s.text = s.fingerprint()
	return s, nil
}

// rules reads the list of rules, and returns what each says itself.
func (o *object) rules(s *Set) (own []policy) {
	list := o.list("rules")
	if len(list) > maxRules {
		o.add("rules", list, "of %d rules, want at most %d", len(list), maxRules)
		return nil
	}
	for i, v := range list {
		path := fmt.Sprintf("rules[%d]", i)
		c, ok := objectAt(o.faults, path, orNull(v))
		if !ok {
			continue
		}
		r := &rule{name: path, match: c.match(), transport: c.transport()}
		s.rules, own = append(s.rules, r), append(own, c.policy())
		c.done()
	}
	return own
}

// resolve lets the rules inherit, and checks what comes of it. A fault of the
// default alone is not told of each rule.
func (s *Set) resolve(f *faults, byDefault policy, own []policy) {
	bad := make(map[string]bool) // values that were not taken, and so are not missing
	for _, fault := range f.fields {
		bad[fault.Path] = true
	}
	var inDefault faults
	byDefault.check(&inDefault, "default")
	for _, fault := range inDefault.fields {
		if fault.Problem != missing || !bad[fault.Path] {
			f.fields = append(f.fields, fault)
		}
	}
	for i, r := range s.rules {
		var here faults
		r.policy = own[i].inherit(byDefault)
		r.policy.check(&here, r.name)
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
	s.byDefault = &rule{name: "default", policy: byDefault}
	s.byDefault.complete()
	for _, r := range s.rules {
		r.name += " " + r.match.text
		if r.transport != "" {
			r.name += " " + r.transport
		}
		r.complete()
	}
}

// has reports whether there is the same fault at another path.
func (f *faults) has(path string, fault *FieldError) bool {
	return slices.ContainsFunc(f.fields, func(other *FieldError) bool {
		return other.Path == path && other.Problem == fault.Problem && fmt.Sprint(other.Value) == fmt.Sprint(fault.Value)
	})
}

// warn collects what is valid and is hardly meant.
func (s *Set) warn(own []policy) {
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
		if own[i].Sre != nil && !adaptive {
			s.warnings = append(s.warnings, fmt.Sprintf("%s.sre: is not used: the algorithm is %v", path, r.kind))
		}
		if own[i].Circuit != nil && r.kind != kindCircuit {
			s.warnings = append(s.warnings, fmt.Sprintf("%s.circuit: is not used: the algorithm is %v", path, r.kind))
		}
	}
}

func (s *Set) fingerprint() string {
	all := text(s.keys) + s.byDefault.text
	for _, r := range s.rules {
		all += "\n" + r.name + "\n" + r.text
	}
	return all
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

// named returns the rule with the pattern and the transport of other, or the
// default if there is none.
func (s *Set) named(match, transport string) *rule {
	for _, r := range s.rules {
		if r.match.text == match && r.transport == transport {
			return r
		}
	}
	return s.byDefault
}

func (s *Set) has(name shared) bool {
	return name == shared{} || s.named(name.match, name.transport) != s.byDefault
}

func (l limits) options() []group.Option {
	opts := give([]group.Option(nil), l.Limit, func(n int64) group.Option { return group.WithLimit(int(n)) })
	return give(opts, l.Idle, func(d span) group.Option { return group.WithIdle(time.Duration(d)) })
}
