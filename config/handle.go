package config

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/notify"
	"github.com/kratos-breaker/breaker/sre"
)

// handle is the breaker of a key, whatever the rules say: it stays, and what is
// inside changes.
type handle struct {
	rules     *Rules
	transport string
	key       string
	shared    *shared // the rule of keys beyond the limit; nil for the breaker of one key

	view atomic.Pointer[view]

	telling  sync.Mutex
	events   *notify.Queue[breaker.Event] // nil without listeners
	teller   kind                         // the breaker whose events count
	told     breaker.State                // what the listeners know
	changing atomic.Bool                  // whether mu is held, so that no listener may be called

	mu    sync.Mutex
	mode  breaker.Mode  // the last one that the rules asked for
	built [kinds]string // the settings that each breaker has
}

// view is what a call needs to know. It is replaced, never changed.
type view struct {
	set      *Set // that it was made of; nil if it has to be looked at anew
	rule     *rule
	kind     kind // of the breaker; another than the rule's if a change is pending
	breaker  breaker.Controller
	breakers [kinds]breaker.Controller // those that there are: the totals are of all
}

// pending reports whether the algorithm of the rule waits until the breaker is
// closed.
func (v *view) pending() bool { return v.kind != v.rule.kind }

func newHandle(r *Rules, transport, key string, s *shared) *handle {
	h := &handle{rules: r, transport: transport, key: key, shared: s}
	h.events = notify.New[breaker.Event](r.options.listeners)
	h.renew()
	return h
}

// name tells the handle from that of the same key over another transport.
func (h *handle) name() string {
	if h.transport == "" {
		return h.key
	}
	return h.transport + ":" + h.key
}

// ruleIn returns the rule of the handle in a set.
func (h *handle) ruleIn(s *Set) *rule {
	if h.shared != nil {
		return s.named(h.shared.match, h.shared.transport)
	}
	return s.find(h.transport, h.key)
}

// current returns the view of the rules that are in force.
func (h *handle) current() *view {
	if v := h.view.Load(); v.set == h.rules.set.Load() {
		return v
	}
	return h.renew()
}

// renew makes the handle what the rules say now.
func (h *handle) renew() (v *view) {
	h.exclusively(func() {
		for v = h.view.Load(); v == nil || v.set != h.rules.set.Load(); {
			set := h.rules.set.Load()
			v = h.apply(v, set, h.ruleIn(set))
			h.view.Store(v)
			if v.pending() && v.breaker.Snapshot().State == breaker.Closed {
				again := *v // it closed before the view could be told
				again.set = nil
				v = &again
			}
		}
	})
	return v
}

// exclusively calls f with the lock held. What listeners are to be told, they
// are told after it.
func (h *handle) exclusively(f func()) {
	defer h.events.Deliver()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changing.Store(true)
	defer h.changing.Store(false)
	f()
}

// apply returns the view that follows old, which is nil at first.
func (h *handle) apply(old *view, set *Set, r *rule) *view {
	v := &view{set: set, rule: r, kind: r.kind}
	switch {
	case old == nil:
		h.teller = r.kind
		h.adopt(v, breaker.Auto, time.Time{})
	case old.kind == r.kind:
		v.breakers, v.breaker = old.breakers, old.breaker
		h.reconfigure(v)
	default:
		v.breakers = old.breakers
		s := old.breaker.Snapshot()
		if s.State != breaker.Closed && r.kind != kindOff {
			// An algorithm that takes over begins closed. So it waits until the
			// one before it is.
			v.kind, v.breaker = old.kind, old.breaker
			h.overrule(v)
			return v
		}
		h.adopt(v, s.Mode, s.ModeUntil)
		h.handOver(v, s)
		// Its mode stays, for calls that are on their way to it.
		old.breaker.Reset()
	}
	return v
}

// reconfigure changes the breaker of v in place. A mode that takes the decision
// away is set first, one that gives it back last: so every decision is that of
// the old rule or of the new one.
func (h *handle) reconfigure(v *view) {
	if v.rule.mode != breaker.Auto {
		h.overrule(v)
	}
	if settings := v.rule.settings[v.kind]; h.built[v.kind] != settings {
		h.built[v.kind] = settings
		switch b := v.breaker.(type) {
		case *sre.Breaker:
			b.Reconfigure(v.rule.made.sre...)
		case *circuit.Breaker:
			b.Reconfigure(v.rule.made.circuit...)
		}
	}
	h.overrule(v)
}

// overrule sets the mode of the rule, if the rules have changed it. One that a
// person has set stays until then.
func (h *handle) overrule(v *view) {
	if h.mode != v.rule.mode {
		h.mode = v.rule.mode
		v.breaker.SetMode(h.mode)
	}
}

// adopt lets a closed breaker of the kind of v decide, in the given mode unless
// the rules say another.
func (h *handle) adopt(v *view, mode breaker.Mode, until time.Time) {
	b := v.breakers[v.kind]
	if b == nil {
		b = h.make(v.kind, v.rule)
		h.built[v.kind] = v.rule.settings[v.kind]
		v.breakers[v.kind] = b
	} else {
		b.Reset() // what it knew is of another time
	}
	v.breaker = b
	left := time.Until(until)
	if !until.IsZero() && left <= 0 {
		mode, until = breaker.Auto, time.Time{} // it ended just now
	}
	switch {
	case !until.IsZero():
		b.SetModeFor(mode, left)
	case b.Snapshot().Mode != mode:
		b.SetMode(mode)
	}
	h.reconfigure(v)
}

// make makes a breaker. Its options have been checked.
func (h *handle) make(k kind, r *rule) breaker.Controller {
	listener := func(e breaker.Event) { h.changed(k, e) }
	switch k {
	case kindCircuit:
		return circuit.NewBreaker(slices.Concat(r.made.circuit, []circuit.Option{circuit.WithName(h.name()), circuit.WithListener(listener)})...)
	case kindOff:
		// It counts, and can be overruled, and never opens by itself.
		never := circuit.WithOpenWhen(0, func(circuit.Counts) bool { return false })
		return circuit.NewBreaker(never, circuit.WithName(h.name()), circuit.WithListener(listener))
	}
	return sre.NewBreaker(slices.Concat(r.made.sre, []sre.Option{sre.WithName(h.name()), sre.WithListener(listener)})...)
}

// changed is told of every change of the state of a breaker.
func (h *handle) changed(k kind, e breaker.Event) {
	v := h.view.Load()
	if v == nil {
		return
	}
	if v.kind == k && v.pending() && e.To == breaker.Closed {
		again := *v
		again.set = nil
		h.view.CompareAndSwap(v, &again) // the next call changes the algorithm
	}
	if h.events == nil {
		return
	}
	h.telling.Lock()
	// One that no longer decides only settles what it had allowed.
	if k == h.teller && e.From == h.told {
		v.complete(&e.Snapshot, k)
		h.events.Add(e)
		h.told = e.To
	}
	h.telling.Unlock()
	if !h.changing.Load() {
		h.events.Deliver()
	}
}

// handOver makes the breaker of v the one whose events count. The one before it
// had the snapshot s. If the listeners do not know that it is closed, since it is
// switched off, or no call has met it, they hear so.
func (h *handle) handOver(v *view, s breaker.Snapshot) {
	h.telling.Lock()
	defer h.telling.Unlock()
	before := h.teller
	h.teller = v.kind
	if h.told == breaker.Closed {
		return
	}
	e := breaker.Event{From: h.told, To: breaker.Closed, Cause: "another algorithm, by the rules", At: time.Now()}
	s.State, s.Since, s.Cause, s.RejectRatio, s.RetryAfter = e.To, e.At, e.Cause, 0, 0
	e.Snapshot = s
	v.complete(&e.Snapshot, before)
	h.events.Add(e)
	h.told = e.To
}

// complete adds the rule to a snapshot of the breaker of a kind, and what the
// others have counted.
func (v *view) complete(s *breaker.Snapshot, k kind) {
	s.Rule = v.rule.String()
	if v.pending() {
		s.Rule = v.rule.name + " (" + v.rule.kind.String() + ", once " + v.kind.String() + " is closed)"
	}
	for i, b := range v.breakers {
		if b == nil || kind(i) == k {
			continue
		}
		other := b.Snapshot()
		add(&s.Totals, other.Totals)
		for from := range s.Transitions {
			for to := range s.Transitions[from] {
				s.Transitions[from][to] += other.Transitions[from][to]
			}
		}
	}
}

func add(t *breaker.Totals, other breaker.Totals) {
	t.Offered += other.Offered
	t.Allowed += other.Allowed
	t.Rejected += other.Rejected
	t.Success += other.Success
	t.Failure += other.Failure
	t.Ignored += other.Ignored
	t.InFlight += other.InFlight
	t.WouldReject += other.WouldReject
}

// idle reports whether a new handle would do as well.
func (h *handle) idle() bool {
	v := h.view.Load()
	s := v.breaker.Snapshot()
	if s.Mode != v.rule.mode || !s.ModeUntil.IsZero() {
		return false // a person's decision would be lost
	}
	for _, b := range v.breakers {
		if b != nil && b.Snapshot().Totals.InFlight > 0 {
			return false
		}
	}
	if i, ok := v.breaker.(interface{ Idle() bool }); ok && s.Mode == breaker.Auto {
		return i.Idle()
	}
	return s.State == breaker.Closed && (s.Window.Length == 0 || s.Window.Total() == 0)
}

func (h *handle) Acquire() (breaker.Permit, error) { return h.current().breaker.Acquire() }
func (h *handle) Allow() error                     { return h.current().breaker.Allow() }
func (h *handle) MarkSuccess()                     { h.current().breaker.MarkSuccess() }
func (h *handle) MarkFailed()                      { h.current().breaker.MarkFailed() }

func (h *handle) MarkIgnored() {
	if i, ok := h.current().breaker.(interface{ MarkIgnored() }); ok {
		i.MarkIgnored()
	}
}

func (h *handle) Snapshot() breaker.Snapshot {
	v := h.current()
	s := v.breaker.Snapshot()
	v.complete(&s, v.kind)
	return s
}

func (h *handle) SetMode(m breaker.Mode) {
	h.decided(func(b breaker.Controller) { b.SetMode(m) })
}

func (h *handle) SetModeFor(m breaker.Mode, d time.Duration) {
	h.decided(func(b breaker.Controller) { b.SetModeFor(m, d) })
}

func (h *handle) Reset() { h.decided(breaker.Controller.Reset) }

// decided does what a person has decided to the breaker that decides, and to no
// other one.
func (h *handle) decided(f func(breaker.Controller)) {
	h.current()
	h.exclusively(func() { f(h.view.Load().breaker) })
}

// reference is the breaker of a key for those who hold it: also after the group
// has made room and there is another handle.
type reference struct {
	rules          *Rules
	transport, key string
}

func (r *reference) handle() *handle { return r.rules.handle(r.transport, r.key) }

func (r *reference) Acquire() (breaker.Permit, error)           { return r.handle().Acquire() }
func (r *reference) Allow() error                               { return r.handle().Allow() }
func (r *reference) MarkSuccess()                               { r.handle().MarkSuccess() }
func (r *reference) MarkFailed()                                { r.handle().MarkFailed() }
func (r *reference) MarkIgnored()                               { r.handle().MarkIgnored() }
func (r *reference) Snapshot() breaker.Snapshot                 { return r.handle().Snapshot() }
func (r *reference) SetMode(m breaker.Mode)                     { r.handle().SetMode(m) }
func (r *reference) SetModeFor(m breaker.Mode, d time.Duration) { r.handle().SetModeFor(m, d) }
func (r *reference) Reset()                                     { r.handle().Reset() }
