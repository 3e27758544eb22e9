package sre

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

// guard holds the adaptive law of a breaker that has seen what could be trouble.
// While the law is calm, calls that succeed do not touch it.
type guard struct {
	alert     atomic.Bool                           // whether the law is not calm
	notBefore atomic.Int64                          // every call is rejected before, ns
	skipped   atomic.Uint64                         // calls that were, which the law does not know of yet
	rejection atomic.Pointer[breaker.RejectedError] // while the backend is down: it says when the next probe is
	lastCause atomic.Pointer[string]                // of the last change of the state

	change   atomic.Int64  // when the state changed last, ns, and at bit 0 whether to open
	changing sync.Mutex    // held while a change of state is written down and its event added
	changes  atomic.Uint64 // of the state, from closed to open and back

	mu      sync.RWMutex // held to read by who only looks
	law     *adaptive.Law
	stamp   *stamp // of the calls that begin now
	planned int64  // the probe that rejection tells of
}

// stamp settles the permits of the calls that began in one cohort.
type stamp struct {
	b      *Breaker
	cohort *adaptive.Cohort
}

// Settle implements breaker.Settler.
func (s *stamp) Settle(t breaker.Ticket, o breaker.Outcome) {
	s.b.settle(t, breaker.Result{Outcome: o}, origin{s.cohort, true})
}

// SettleResult implements breaker.ResultSettler.
func (s *stamp) SettleResult(t breaker.Ticket, r breaker.Result) {
	s.b.settle(t, r, origin{s.cohort, true})
}

// Pause implements breaker.PauseSettler: the backend has answered, and the call goes
// on.
func (s *stamp) Pause(breaker.Ticket) bool {
	b := s.b
	g := b.guarded()
	g.mu.Lock()
	now := g.tell(b.window.Now())
	g.law.Answer(now, s.cohort)
	b.decided(now, g)
	g.mu.Unlock()
	b.deliver()
	return false // what comes later says nothing
}

// Resume implements breaker.PauseSettler.
func (s *stamp) Resume(breaker.Ticket) {}

// origin says when a call began: in a cohort, or before there were any. It is
// known of calls with a permit.
type origin struct {
	cohort *adaptive.Cohort
	known  bool
}

func (b *Breaker) newLaw() *adaptive.Law {
	s := b.lawSettings()
	return adaptive.New(s)
}

func (b *Breaker) lawSettings() adaptive.Settings {
	t := b.throttle()
	return adaptive.Settings{
		Accept: 1 / t.k, Enough: uint64(t.request), Probe: int64(t.every), MaxProbe: int64(t.rarest),
		Window: int64(b.window.Length()), Random: b.random,
	}
}

// guarded returns the guard, or nil if there is none yet.
func (b *Breaker) guarded() *guard {
	if c := b.control.Load(); c != nil {
		return c.guard.Load()
	}
	return nil
}

// changed returns when the state changed last, as guard.change.
func (b *Breaker) changed() int64 {
	if g := b.guarded(); g != nil {
		return g.change.Load()
	}
	return 0
}

func (b *Breaker) guardFor() *guard {
	c := b.controls()
	if g := c.guard.Load(); g != nil {
		return g
	}
	g := &guard{law: b.newLaw()}
	if !c.guard.CompareAndSwap(nil, g) {
		return c.guard.Load()
	}
	g.mu.Lock()
	g.law.Settings = b.lawSettings() // Reconfigure may have come before it could see g
	g.mu.Unlock()
	return g
}

// alerted reports whether calls concern the law.
func (b *Breaker) alerted() bool {
	g := b.guarded()
	return g != nil && g.alert.Load()
}

// asks asks the law about a call.
func (b *Breaker) asks(now int64) (s *stamp, allowed bool) {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		return nil, true
	}
	if now < g.notBefore.Load() {
		g.skipped.Add(1)
		return nil, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now = g.tell(now)
	c, allowed := g.law.Ask(now)
	if c != nil && (g.stamp == nil || g.stamp.cohort != c) {
		g.stamp = &stamp{b, c}
	}
	if c != nil {
		s = g.stamp
	}
	b.decided(now, g)
	return s, allowed
}

// tell tells the law of what it was not asked about. The lock is held.
func (g *guard) tell(now int64) int64 {
	if g.skipped.Load() > 0 {
		g.law.Rejected(g.skipped.Swap(0))
	}
	return max(now, g.law.Heard()) // whoever waited for the lock came late
}

// tellSuccess tells the law of a success that was counted.
func (b *Breaker) tellSuccess(now int64, from origin) {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now = g.tell(now)
	g.law.Succeed(now, from.cohort, from.known)
	b.decided(now, g)
}

// tellIgnored tells the law of an ignored outcome that was counted.
func (b *Breaker) tellIgnored(now int64, from origin, sent bool) {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now = g.tell(now)
	g.law.Ignore(now, from.cohort, from.known, sent)
	b.decided(now, g)
}

// tellFailure tells the law of a failure that was counted, the last of so many in a
// row. A failure now and then is no row, and takes no lock.
func (b *Breaker) tellFailure(now int64, row uint64, from origin) {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		if row >= uint64(max(3, b.doubt.Load())) {
			b.alarm(now, fmt.Sprintf("%d failures in a row", row))
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now = g.tell(now)
	g.law.Fail(now, from.cohort, from.known)
	b.decided(now, g)
}

// alarm tells the law that there may be trouble.
func (b *Breaker) alarm(now int64, cause string) {
	g := b.guardFor()
	g.mu.Lock()
	defer g.mu.Unlock()
	now = g.tell(now)
	if seen, ok := b.seen(now, g.law.Since()); ok {
		g.law.Alarm(now, seen, cause)
		b.decided(now, g)
	}
}

// seen describes the window, as far as it tells of what was since a time.
func (b *Breaker) seen(now, clean int64) (s adaptive.Seen, ok bool) {
	n, bucket := b.window.Shape()
	span := int64(bucket)
	length := int64(n) * span
	s.Flight = b.ledger.Totals().InFlight
	s.Latency = b.latency()
	from, silent := int64(-1), now // when Window begins, and the silence
	var since ledger.Counts        // the silence began
	ok = b.window.Suffixes(&b.ledger, func(c ledger.Counts, oldestFrom int64) {
		began := oldestFrom + span - length
		if began <= now-2*span { // at least two buckets
			s.Last, s.LastFor = c, now-began
		}
		if began < clean {
			return
		}
		if from < 0 {
			s.Window, from = c, began
		}
		if c.Success == 0 && silent == now {
			since, silent = c, began
		}
	})
	if from >= 0 {
		s.Before, s.BeforeFor = s.Window.Sub(since), silent-from
		if s.Before.Success > 0 && now-silent >= span {
			s.Silence = now - silent
		}
	}
	return s, ok
}

// look shows the law what ended before the bucket that has just begun.
func (b *Breaker) look(now int64) {
	if b.throttle().classic {
		return
	}
	g := b.guarded()
	clean := int64(0)
	if g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		now = g.tell(now)
		clean = g.law.Since()
	}
	seen, ok := b.seen(now, clean)
	if !ok {
		return // there is another bucket already
	}
	if doubt := uint32(adaptive.Streak(seen.Before)); doubt != b.doubt.Load() {
		b.doubt.Store(doubt)
	}
	if g == nil {
		// Most breakers need no guard: little has failed, and something succeeded just now.
		if seen.Silence == 0 && b.throttle().rejectRatio(seen.Window) == 0 {
			return
		}
		g = b.guardFor()
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	g.law.Look(now, seen)
	b.decided(now, g)
}

// decided does what follows from the law. The lock is held.
func (b *Breaker) decided(now int64, g *guard) {
	phase := g.law.Phase()
	if next := g.law.NotBefore(); next != g.notBefore.Load() {
		g.notBefore.Store(next)
	}
	if probe := g.law.NextProbe(); probe != 0 {
		if r := g.rejection.Load(); r == nil || g.planned != probe {
			g.planned = probe
			g.rejection.Store(breaker.NewRejectedError(b.name(), breaker.Open, breaker.ReasonThrottled, b.window.Time(probe), nil))
		}
	} else if g.rejection.Load() != nil {
		g.rejection.Store(nil)
	}
	if alert := phase != adaptive.Calm; alert != g.alert.Load() {
		g.alert.Store(alert)
		if alert {
			b.budget.shut() // so that calls ask
		} else {
			b.assess(1)
		}
	}
	p := g.law.RejectRatio()
	if p > 0 != (b.changed()&1 != 0) {
		b.recordState(now, p, b.window.Counts(now, &b.ledger), g.law.Cause())
	}
}
