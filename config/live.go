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

// liveBreaker is the breaker of a key, whatever the rules say: it stays, and what is
// inside changes.
type liveBreaker struct {
	rules     *Rules
	transport string
	key       string
	overflow  *overflowRule // the rule of keys beyond the limit; nil for one key

	view atomic.Pointer[view]

	telling  sync.Mutex
	events   *notify.Queue[breaker.Event] // nil without listeners
	deciding kind                         // the breaker whose events count
	told     breaker.State                // what the listeners know
	changing atomic.Bool                  // whether mu is held, so that no listener may be called

	mu    sync.Mutex
	mode  breaker.Mode // the last one that the rules asked for
	built string       // the settings that the breaker has
}

// view is what a call needs to know. It is replaced, never changed.
type view struct {
	set      *Set // that it was made of
	rule     *rule
	breaker  breaker.Controller        // that decides
	breakers [kinds]breaker.Controller // those that there are: the totals are of all
}

func newLiveBreaker(r *Rules, transport, key string, o *overflowRule) *liveBreaker {
	b := &liveBreaker{rules: r, transport: transport, key: key, overflow: o}
	b.events = notify.New[breaker.Event](r.options.listeners)
	b.renew()
	return b
}

// name tells the breaker from that of the same key over another transport.
func (b *liveBreaker) name() string {
	if b.transport == "" {
		return b.key
	}
	return b.transport + ":" + b.key
}

// ruleIn returns the rule of the breaker in a set.
func (b *liveBreaker) ruleIn(s *Set) *rule {
	if b.overflow != nil {
		return s.named(*b.overflow)
	}
	return s.find(b.transport, b.key)
}

// current returns the view of the rules that are in force.
func (b *liveBreaker) current() *view {
	if v := b.view.Load(); v.set == b.rules.set.Load() {
		return v
	}
	return b.renew()
}

// renew makes the breaker what the rules say now.
func (b *liveBreaker) renew() (v *view) {
	b.exclusively(func() {
		for v = b.view.Load(); v == nil || v.set != b.rules.set.Load(); {
			set := b.rules.set.Load()
			v = b.follow(v, &view{set: set, rule: b.ruleIn(set)})
			b.view.Store(v)
		}
	})
	return v
}

// exclusively calls f with the lock held. What listeners are to be told, they
// are told after it.
func (b *liveBreaker) exclusively(f func()) {
	defer b.events.Deliver()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changing.Store(true)
	defer b.changing.Store(false)
	f()
}

// follow completes the view that follows old, which is nil at first. Another
// algorithm begins closed.
func (b *liveBreaker) follow(old, v *view) *view {
	if old == nil {
		b.deciding = v.rule.kind
		b.begin(v, breaker.Auto, time.Time{})
		return v
	}
	v.breakers, v.breaker = old.breakers, old.breaker
	if old.rule.kind == v.rule.kind {
		b.reconfigure(v)
		return v
	}
	s := old.breaker.Snapshot()
	b.begin(v, s.Mode, s.ModeUntil)
	b.tellBeginning(v, old.rule.kind, s)
	// Its mode stays, for calls that are on their way to it.
	old.breaker.Reset()
	return v
}

// begin lets a closed breaker of the kind of v decide, in the given mode unless
// the rules say another.
func (b *liveBreaker) begin(v *view, mode breaker.Mode, until time.Time) {
	v.breaker = v.breakers[v.rule.kind]
	b.built = "" // if it was there, it has what rules of another time said
	if v.breaker == nil {
		v.breaker = b.make(v.rule)
		v.breakers[v.rule.kind] = v.breaker
		b.built = v.rule.settings
	} else {
		v.breaker.Reset()
	}
	left := time.Until(until)
	switch {
	case !until.IsZero() && left > 0:
		v.breaker.SetModeFor(mode, left)
	case !until.IsZero(): // it ended just now
		v.breaker.SetMode(breaker.Auto)
	case v.breaker.Snapshot().Mode != mode:
		v.breaker.SetMode(mode)
	}
	b.reconfigure(v)
}

// make makes a breaker. Its options have been checked.
func (b *liveBreaker) make(r *rule) breaker.Controller {
	listener := func(e breaker.Event) { b.changed(r.kind, e) }
	ofCircuit := []circuit.Option{circuit.WithName(b.name()), circuit.WithListener(listener)}
	switch r.kind {
	case kindCircuit:
		return circuit.NewBreaker(slices.Concat(r.made.circuit, ofCircuit)...)
	case kindOff:
		// It counts, and can be forced, and never opens by itself.
		return circuit.NewBreaker(append(ofCircuit, circuit.WithOpenWhen(0, func(circuit.Counts) bool { return false }))...)
	}
	return sre.NewBreaker(slices.Concat(r.made.sre, []sre.Option{sre.WithName(b.name()), sre.WithListener(listener)})...)
}

// reconfigure changes the breaker of v in place. A mode that takes the decision
// away is set first, one that gives it back last: so every decision is that of
// the old rule or of the new one.
func (b *liveBreaker) reconfigure(v *view) {
	if v.rule.mode != breaker.Auto {
		b.force(v)
	}
	if b.built != v.rule.settings {
		b.built = v.rule.settings
		switch c := v.breaker.(type) {
		case *sre.Breaker:
			c.Reconfigure(v.rule.made.sre...)
		case *circuit.Breaker:
			if v.rule.kind == kindCircuit {
				c.Reconfigure(v.rule.made.circuit...)
			}
		}
	}
	b.force(v)
}

// force sets the mode of the rule, if the rules have changed it. One that a
// person has set stays until then.
func (b *liveBreaker) force(v *view) {
	if b.mode != v.rule.mode {
		b.mode = v.rule.mode
		v.breaker.SetMode(b.mode)
	}
}

// changed is told of every change of the state of a breaker.
func (b *liveBreaker) changed(k kind, e breaker.Event) {
	v := b.view.Load()
	if v == nil || b.events == nil {
		return
	}
	b.telling.Lock()
	// One that no longer decides only settles what it had allowed.
	if k == b.deciding && e.From == b.told {
		v.complete(&e.Snapshot, k)
		b.events.Add(e)
		b.told = e.To
	}
	b.telling.Unlock()
	if !b.changing.Load() {
		b.events.Deliver()
	}
}

// tellBeginning makes the breaker of v the one whose events count. The one before it
// had the snapshot s. If the listeners do not know that it is closed, they hear so.
func (b *liveBreaker) tellBeginning(v *view, before kind, s breaker.Snapshot) {
	b.telling.Lock()
	defer b.telling.Unlock()
	b.deciding = v.rule.kind
	if b.told == breaker.Closed {
		return
	}
	e := breaker.Event{From: b.told, To: breaker.Closed, Cause: "another algorithm, by the rules", At: time.Now()}
	s.State, s.Since, s.Cause, s.RejectRatio, s.RetryAfter = e.To, e.At, e.Cause, 0, 0
	e.Snapshot = s
	v.complete(&e.Snapshot, before)
	b.events.Add(e)
	b.told = e.To
}

// complete adds the rule to a snapshot of the breaker of a kind, and what the
// others have counted.
func (v *view) complete(s *breaker.Snapshot, k kind) {
	s.Rule = v.rule.String()
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

// idle reports whether a new breaker would do as well.
func (b *liveBreaker) idle() bool {
	v := b.view.Load()
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

// controller is a breaker for those who hold it: whatever the rules become, and also
// after the group has made room and there is another one for the key.
type controller struct{ find func() *liveBreaker }

func (c controller) decides() breaker.Controller { return c.find().current().breaker }

func (c controller) Acquire() (breaker.Permit, error) { return c.decides().Acquire() }
func (c controller) Allow() error                     { return c.decides().Allow() }
func (c controller) MarkSuccess()                     { c.decides().MarkSuccess() }
func (c controller) MarkFailed()                      { c.decides().MarkFailed() }

func (c controller) MarkIgnored() {
	if i, ok := c.decides().(interface{ MarkIgnored() }); ok {
		i.MarkIgnored()
	}
}

func (c controller) Snapshot() breaker.Snapshot {
	v := c.find().current()
	s := v.breaker.Snapshot()
	v.complete(&s, v.rule.kind)
	return s
}

func (c controller) SetMode(m breaker.Mode) {
	c.byHand(func(b breaker.Controller) { b.SetMode(m) })
}

func (c controller) SetModeFor(m breaker.Mode, d time.Duration) {
	c.byHand(func(b breaker.Controller) { b.SetModeFor(m, d) })
}

func (c controller) Reset() { c.byHand(breaker.Controller.Reset) }

// byHand does what a person has decided to the breaker that decides, and to no
// other one.
func (c controller) byHand(do func(breaker.Controller)) {
	b := c.find()
	b.current()
	b.exclusively(func() { do(b.view.Load().breaker) })
}
