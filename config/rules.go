package config

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/bounds"
)

var (
	_ breaker.Rules  = (*Rules)(nil)
	_ breaker.Source = (*Rules)(nil)
)

// Rules are rules in force, and the breakers that they made: one for each key
// and transport. Make them with [Load] or [New]; the zero value is not valid. All
// methods are safe for concurrent use.
//
// Adapters take them with WithRules. Metrics and pages take them as a
// breaker.Source.
//
// The keys are bounded as those of a group. The keys beyond the limit share a
// breaker with those that have the same rule. It has no name.
type Rules struct {
	set     atomic.Pointer[Set]
	keys    *group.Group[*keyEntry]
	options options

	overflow   atomic.Pointer[map[overflowRule]*liveBreaker] // replaced, never changed
	overflowMu sync.Mutex

	applying                     sync.Mutex
	applied, unchanged, rejected atomic.Uint64
	follower                     follower
}

// Option configures [Load] and [New].
type Option func(*options)

type options struct {
	listeners []breaker.Listener
	report    func(Report)
	interval  time.Duration
}

// WithListener adds a listener to every breaker, whatever algorithm the rules give
// it: see breaker.Event. It panics if l is nil.
func WithListener(l breaker.Listener) Option {
	if l == nil {
		panic("config: WithListener: the listener is nil")
	}
	return func(o *options) { o.listeners = append(o.listeners, l) }
}

// WithReport sets who is told of changed rules: of those that are now in force,
// and once of each change that is not valid. f is called by the goroutine that
// applied them or follows their source. The default is nobody. It panics if f is
// nil.
func WithReport(f func(Report)) Option {
	if f == nil {
		panic("config: WithReport: the function is nil")
	}
	return func(o *options) { o.report = f }
}

// Report is what came of changed rules.
type Report struct {
	// Err says why the change is not in force; nil if it is.
	Err error
	// Warnings are those of the new set.
	Warnings []string
	// Changes are the breakers that the rules say something new of.
	Changes []Change
}

// Change is a breaker that the rules say something new of.
type Change struct {
	// Transport is the kind of transport that the calls come from, and Key what
	// the breaker is found by. Both are "" for keys beyond the limit.
	Transport, Key string
	// From and To are the rules of before and now.
	From, To Match
}

// Reloads counts what came of changed rules.
type Reloads = breaker.Reloads

// New puts a set in force. It panics if set is nil.
func New(set *Set, opts ...Option) *Rules {
	if set == nil {
		panic("config: New: the set is nil")
	}
	r := &Rules{options: options{interval: bounds.Interval.Default}}
	for _, opt := range opts {
		if opt == nil {
			panic("config: New: nil Option")
		}
		opt(&r.options)
	}
	r.set.Store(set)
	r.overflow.Store(&map[overflowRule]*liveBreaker{})
	r.keys = group.NewKeyed(func(key string) *keyEntry { return &keyEntry{rules: r, key: key} }, set.keys.group...)
	return r
}

// Set returns the set that is in force.
func (r *Rules) Set() *Set { return r.set.Load() }

// Reloads returns how often the rules were changed.
func (r *Rules) Reloads() Reloads {
	return Reloads{Applied: r.applied.Load(), Unchanged: r.unchanged.Load(), Rejected: r.rejected.Load()}
}

// Apply puts another set in force, for all calls that begin from now on. Calls
// that begin meanwhile have the one set or the other, whole. A set that says the
// same is no change. It panics if set is nil.
//
// Breakers change in place, and keep what the package documentation says. A lower
// limit of keys leaves those that there are; with a higher one, keys that were
// beyond it get breakers of their own, which begin closed.
//
// It costs a look at every breaker. A listener may call Apply, too. One that
// panics makes Apply panic, with the set in force.
func (r *Rules) Apply(set *Set) Report {
	if set == nil {
		panic("config: Apply: the set is nil")
	}
	report, changed := r.apply(set)
	if !changed {
		return report
	}
	for b := range r.live {
		b.current() // no lock is held: it may lead to a listener
	}
	r.prune(r.set.Load())
	if r.options.report != nil {
		r.options.report(report)
	}
	return report
}

// apply puts the set in force, of which each breaker makes itself what it says
// when it is next looked at.
func (r *Rules) apply(set *Set) (report Report, changed bool) {
	r.applying.Lock()
	defer r.applying.Unlock()
	report.Warnings = set.Warnings()
	before := r.set.Load()
	if before.text == set.text {
		r.unchanged.Add(1)
		return report, false
	}
	r.applied.Add(1)
	r.set.Store(set)
	r.keys.Reconfigure(set.keys.group...)
	for b := range r.live {
		from, to := b.ruleIn(before), b.ruleIn(set)
		if from.name != to.name || from.text != to.text {
			report.Changes = append(report.Changes, Change{
				Transport: b.transport, Key: b.key,
				From: Match{from.String(), from.text}, To: Match{to.String(), to.text},
			})
		}
	}
	slices.SortFunc(report.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Transport, b.Transport))
	})
	return report, true
}

// reject counts and tells a change that cannot come into force.
func (r *Rules) reject(err error) {
	r.rejected.Add(1)
	if r.options.report != nil {
		r.options.report(Report{Err: err})
	}
}

// Admit asks the breaker of a call for a permit, for an adapter. The classifier
// is nil if the rule says nothing about errors; the error is nil or a
// *[breaker.RejectedError]. A call whose key was there before costs a look into a
// map and two atomic loads more than asking its breaker, and does not allocate.
func (r *Rules) Admit(transport, key string) (breaker.Permit, breaker.Classifier, error) {
	v := r.find(transport, key).current()
	p, err := v.breaker.Acquire()
	return p, v.rule.classify, err
}

// Breaker returns the breaker of a call, to be asked, looked at or forced by
// hand. It is made if there is none. It stays the breaker of the key whatever
// the rules become.
func (r *Rules) Breaker(transport, key string) breaker.Controller {
	return controller{func() *liveBreaker { return r.find(transport, key) }}
}

// Breakers lists the breakers. Each key has up to one for each kind of transport,
// and the keys beyond the limit one for each of their rules. So that one can tell
// those of a key apart, the Key here, and the name in snapshots, events and
// errors, is "http:" or "grpc:" and the key; it is the key alone for calls over
// any other transport.
func (r *Rules) Breakers() iter.Seq[breaker.Listed] {
	return func(yield func(breaker.Listed) bool) {
		for b := range r.live {
			held := controller{func() *liveBreaker { return b }}
			if !yield(breaker.Listed{Key: b.name(), Overflow: b.overflow != nil, Breaker: held}) {
				return
			}
		}
	}
}

// Keys says how many keys there are and may be.
func (r *Rules) Keys() breaker.Keys {
	return breaker.Keys{Held: r.keys.Len(), Limit: r.keys.Limit(), Overflows: r.keys.Overflows()}
}

// find returns the breaker of a call, and makes it if there is none.
func (r *Rules) find(transport, key string) *liveBreaker {
	e := r.keys.Get(key)
	if e.key == "" && key != "" {
		return r.beyond(transport, key)
	}
	if b := e.breakers[indexOf(transport)].Load(); b != nil {
		return b
	}
	return e.make(transport)
}

// live yields all breakers.
func (r *Rules) live(yield func(*liveBreaker) bool) {
	for _, e := range r.keys.All() {
		if !e.live(yield) {
			return
		}
	}
	if e, ok := r.keys.Overflow(); ok && !e.live(yield) { // if "" itself is beyond the limit
		return
	}
	for _, b := range *r.overflow.Load() {
		if !yield(b) {
			return
		}
	}
}

// keyEntry holds the breakers of a key.
type keyEntry struct {
	rules    *Rules
	key      string // "" of the overflow, too
	breakers [len(transports)]atomic.Pointer[liveBreaker]
	mu       sync.Mutex
}

// transports are the kinds that rules can name, and all others.
var transports = [...]string{"http", "grpc", ""}

func indexOf(transport string) int {
	switch transport {
	case "http":
		return 0
	case "grpc":
		return 1
	}
	return 2
}

func (e *keyEntry) make(transport string) *liveBreaker {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := indexOf(transport)
	if e.breakers[i].Load() == nil {
		e.breakers[i].Store(newLiveBreaker(e.rules, transports[i], e.key, nil))
	}
	return e.breakers[i].Load()
}

// live yields those that there are, and reports whether more are wanted.
func (e *keyEntry) live(yield func(*liveBreaker) bool) bool {
	for i := range e.breakers {
		if b := e.breakers[i].Load(); b != nil && !yield(b) {
			return false
		}
	}
	return true
}

// Idle lets the group make room.
func (e *keyEntry) Idle() bool { return e.live((*liveBreaker).idle) }

// overflowRule names the rule that keys beyond the limit share a breaker of: by its
// pattern, since its place may change.
type overflowRule struct{ match, transport string }

// beyond returns the breaker of a key beyond the limit. Nothing is kept of
// such a key, so its rule is looked for each time.
func (r *Rules) beyond(transport, key string) *liveBreaker {
	rule := r.set.Load().find(transport, key)
	name := overflowRule{rule.match.text, rule.transport}
	if b := (*r.overflow.Load())[name]; b != nil {
		return b
	}
	r.overflowMu.Lock()
	defer r.overflowMu.Unlock()
	all := maps.Clone(*r.overflow.Load())
	if all[name] == nil {
		all[name] = newLiveBreaker(r, "", "", &name)
		r.overflow.Store(&all)
	}
	return all[name]
}

// prune forgets the breakers of rules that are gone, for keys beyond the limit, if
// there are many of them. Otherwise their totals stay.
func (r *Rules) prune(set *Set) {
	r.overflowMu.Lock()
	defer r.overflowMu.Unlock()
	left := maps.Clone(*r.overflow.Load())
	if len(left) <= maxRules {
		return
	}
	maps.DeleteFunc(left, func(name overflowRule, b *liveBreaker) bool {
		return name != overflowRule{} && set.named(name) == set.byDefault && b.idle()
	})
	r.overflow.Store(&left)
}
