package config

import (
	"cmp"
	"iter"
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
	nodes   *group.Group[*node]
	options options

	overflow   atomic.Pointer[map[shared]*handle] // replaced, never changed
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

// WithListener adds a listener to every breaker. If an algorithm takes over from
// another one, the listener goes on with it: see breaker.Event. It panics if l is
// nil.
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
	r.overflow.Store(new(map[shared]*handle))
	r.nodes = group.NewKeyed(func(key string) *node { return &node{rules: r, key: key} }, set.keys.group...)
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
	for h := range r.handles {
		h.current() // no lock is held: it may lead to a listener
	}
	r.prune(r.set.Load())
	if r.options.report != nil {
		r.options.report(report)
	}
	return report
}

// apply puts the set in force, of which each handle makes itself what it says
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
	r.nodes.Reconfigure(set.keys.group...)
	for h := range r.handles {
		from, to := h.ruleIn(before), h.ruleIn(set)
		if from.name != to.name || from.text != to.text {
			report.Changes = append(report.Changes, Change{
				Transport: h.transport, Key: h.key,
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
	v := r.handle(transport, key).current()
	p, err := v.breaker.Acquire()
	return p, v.rule.classify, err
}

// Breaker returns the breaker of a call, to be asked, looked at or overruled by
// hand. It is made if there is none. It stays the breaker of the key whatever
// the rules become.
func (r *Rules) Breaker(transport, key string) breaker.Controller {
	return &reference{r, transport, key}
}

// Breakers lists the breakers. Each key has up to one for each kind of transport,
// and the keys beyond the limit one for each of their rules. So that one can tell
// those of a key apart, the Key here, and the name in snapshots, events and
// errors, is "http:" or "grpc:" and the key; it is the key alone for calls over
// any other transport.
func (r *Rules) Breakers() iter.Seq[breaker.Listed] {
	return func(yield func(breaker.Listed) bool) {
		for h := range r.handles {
			if !yield(breaker.Listed{Key: h.name(), Overflow: h.shared != nil, Breaker: h}) {
				return
			}
		}
	}
}

// Keys says how many keys there are and may be.
func (r *Rules) Keys() breaker.Keys {
	return breaker.Keys{Held: r.nodes.Len(), Limit: r.nodes.Limit(), Overflows: r.nodes.Overflows()}
}

// handle returns the handle of a call, and makes it if there is none.
func (r *Rules) handle(transport, key string) *handle {
	n := r.nodes.Get(key)
	if n.key == "" && key != "" {
		return r.overflowing(transport, key)
	}
	if h := n.handles[indexOf(transport)].Load(); h != nil {
		return h
	}
	return n.make(transport)
}

func (r *Rules) handles(yield func(*handle) bool) {
	listed := func(n *node) bool {
		for i := range n.handles {
			if h := n.handles[i].Load(); h != nil && !yield(h) {
				return false
			}
		}
		return true
	}
	for _, n := range r.nodes.All() {
		if !listed(n) {
			return
		}
	}
	if n, ok := r.nodes.Overflow(); ok && !listed(n) { // if "" itself is beyond the limit
		return
	}
	for _, h := range *r.overflow.Load() {
		if !yield(h) {
			return
		}
	}
}

// node holds the handles of a key.
type node struct {
	rules   *Rules
	key     string // "" of the overflow, too
	handles [len(transports)]atomic.Pointer[handle]
	mu      sync.Mutex
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

func (n *node) make(transport string) *handle {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := indexOf(transport)
	if h := n.handles[i].Load(); h != nil {
		return h
	}
	h := newHandle(n.rules, transports[i], n.key, nil)
	n.handles[i].Store(h)
	return h
}

// Idle lets the group make room.
func (n *node) Idle() bool {
	for i := range n.handles {
		if h := n.handles[i].Load(); h != nil && !h.idle() {
			return false
		}
	}
	return true
}

// shared names the rule that keys beyond the limit share a handle of: by its
// pattern, since its place may change.
type shared struct{ match, transport string }

// overflowing returns the handle of a key beyond the limit. Nothing is kept of
// such a key, so its rule is looked for each time.
func (r *Rules) overflowing(transport, key string) *handle {
	rule := r.set.Load().find(transport, key)
	name := shared{rule.match.text, rule.transport}
	if h := (*r.overflow.Load())[name]; h != nil {
		return h
	}
	r.overflowMu.Lock()
	defer r.overflowMu.Unlock()
	old := *r.overflow.Load()
	if h := old[name]; h != nil {
		return h
	}
	h := newHandle(r, "", "", &name)
	all := map[shared]*handle{name: h}
	for name, h := range old {
		all[name] = h
	}
	r.overflow.Store(&all)
	return h
}

// prune forgets the handles of rules that are gone, for keys beyond the limit, if
// there are many of them. Otherwise their totals stay.
func (r *Rules) prune(set *Set) {
	r.overflowMu.Lock()
	defer r.overflowMu.Unlock()
	old := *r.overflow.Load()
	if len(old) <= maxRules {
		return
	}
	left := make(map[shared]*handle)
	for name, h := range old {
		if set.has(name) || !h.idle() {
			left[name] = h
		}
	}
	r.overflow.Store(&left)
}
