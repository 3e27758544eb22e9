package sre

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// guard holds the decision of a breaker that has seen what could be trouble.
// While it is calm, calls that succeed do not touch it: see [Breaker.assess].
type guard struct {
	alert     atomic.Bool            // whether the decision is not calm
	nextProbe atomic.Int64           // while the backend is down, no call is allowed before, ns
	lastCause atomic.Pointer[string] // of the last change of the state

	change   atomic.Int64  // when the state changed last, ns, and at bit 0 whether to open
	changing sync.Mutex    // held while a change of state is written down and its event added
	changes  atomic.Uint64 // of the state, from closed to open and back

	// In a trial that lets all calls through, the decision is only interested in
	// their numbers until then, ns; 0 otherwise. They wait here for the lock.
	counting         atomic.Int64
	asked, succeeded atomic.Uint64
	// Failures that came while somebody had the lock, who takes them in.
	missed atomic.Int64

	mu sync.RWMutex // held to read by who only looks
	decision
}

func (b *Breaker) newDecision() decision {
	var d decision
	b.tune(&d)
	return d
}

// tune sets what d takes from the options.
func (b *Breaker) tune(d *decision) {
	law := b.throttle()
	n, span := b.window.Shape()
	d.accept, d.enough, d.every = 1/law.k, uint64(law.request), int64(law.every)
	d.span, d.window = int64(span), int64(n)*int64(span)
	d.turn = min(max(d.span, 300*ms), sec)
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
	g := &guard{decision: b.newDecision()}
	if !c.guard.CompareAndSwap(nil, g) {
		return c.guard.Load()
	}
	g.mu.Lock()
	b.tune(&g.decision) // Reconfigure may have come before it could see g
	b.unlock(g)
	return g
}

// alerted reports whether calls and successes concern the decision.
func (b *Breaker) alerted() bool {
	g := b.guarded()
	return g != nil && g.alert.Load()
}

// asks asks the decision about a call.
func (b *Breaker) asks(now int64) bool {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		return true
	}
	if now < g.nextProbe.Load() {
		return false
	}
	if now < g.counting.Load() {
		g.asked.Add(1)
		return true
	}
	g.mu.Lock()
	defer b.unlock(g)
	g.count()
	if g.phase == calm {
		return true
	}
	allowed := g.ask(now, b.random)
	b.decided(now, g)
	return allowed
}

// count takes in the calls that were only counted. The lock is held.
func (g *guard) count() {
	if g.asked.Load() == 0 && g.succeeded.Load() == 0 {
		return
	}
	asked, succeeded := float64(g.asked.Swap(0)), float64(g.succeeded.Swap(0))
	if g.phase != trial {
		return // a few that were late
	}
	g.now.asked += asked
	g.now.allowed += asked
	g.now.success += succeeded
	g.now.ended += succeeded
}

// unlock gives the lock back and takes in the failures that came meanwhile.
func (b *Breaker) unlock(g *guard) {
	g.mu.Unlock()
	b.catchUp(g)
}

// catchUp takes in the failures that came while somebody had the lock, unless
// somebody has it now who will. Who holds it to read will not. It looks again after
// each time that it gave the lock back: a failure that found it taken is left to it.
func (b *Breaker) catchUp(g *guard) {
	for g.missed.Load() > 0 {
		if !g.mu.TryLock() {
			if !g.mu.TryRLock() {
				return
			}
			g.mu.RUnlock()
			g.mu.Lock()
		}
		b.takeMissed(g)
	}
}

func (b *Breaker) takeMissed(g *guard) {
	defer g.mu.Unlock()
	now := b.window.Now()
	g.count()
	for n := g.missed.Swap(0); n > 0; n-- {
		// They are in a row only if nothing has succeeded since the streak began. If
		// something has, nobody knows between which of them: the last one begins a
		// streak, and the others are no more than failures of this stretch.
		if n > 1 && !g.inStreak(b.ledger.Counts().Success) {
			g.now.ended += float64(n - 1)
			n = 1
		}
		b.failed(now, g, 0)
	}
	b.decided(now, g)
}

// tellSuccess tells the decision of a success that was counted.
func (b *Breaker) tellSuccess(now int64) {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		return
	}
	if now < g.counting.Load() {
		g.succeeded.Add(1)
		return
	}
	g.mu.Lock()
	defer b.unlock(g)
	g.count()
	var flight uint64
	if g.phase == down {
		flight = b.ledger.Totals().InFlight
	}
	g.succeed(now, flight, b.random)
	b.decided(now, g)
}

// tellIgnored tells the decision of an ignored outcome that was counted.
func (b *Breaker) tellIgnored() {
	g := b.guarded()
	if g == nil || !g.alert.Load() {
		return
	}
	g.mu.Lock()
	g.ignore()
	b.unlock(g)
	b.deliver()
}

// tellFailure tells the decision of a failure that was counted. Unless it is the
// first one, it does not wait for the lock: who holds it takes the failure in.
func (b *Breaker) tellFailure(now int64) {
	g := b.guarded()
	seen := uint64(0) // of the streak, before there was a guard
	if g == nil {
		// Most breakers need no guard: a failure now and then is no streak.
		const bits = 8 // of the word, for its length; the rest is as failures.after
		after, n := b.ledger.Counts().Success<<bits, uint64(1)
		if last := b.streak.Load(); last>>bits<<bits == after {
			n += last - after
		}
		if n < 3 {
			b.streak.Store(after | n)
			return
		}
		g, seen = b.guardFor(), n-1
	}
	if seen > 0 {
		g.mu.Lock()
	} else if !g.mu.TryLock() {
		g.missed.Add(1)
		b.catchUp(g) // the lock may have been given back before that could be seen there
		return
	}
	defer b.unlock(g)
	g.count()
	b.failed(now, g, seen)
	b.decided(now, g)
}

// failed takes in a failure that continues a streak or begins one, of which
// seen failures are known.
func (b *Breaker) failed(now int64, g *guard, seen uint64) {
	if after := b.ledger.Counts().Success; !g.inStreak(after) {
		g.streak = failures{n: seen, from: now, after: after, flight: b.ledger.Totals().InFlight}
		// What waits by now failed before the streak began.
		g.now.ended += float64(g.missed.Swap(0))
	}
	var w ledger.Counts
	if g.streak.n+1 >= fewFailures {
		w = b.window.Counts(now, &b.ledger)
	}
	if g.streak.n+1 == fewFailures && w.Success > 0 && g.streak.flight > 0 {
		g.streak.from = min(g.streak.from, b.silentFrom(now))
	}
	g.fail(now, w, b.random)
}

// silentFrom returns since when nothing has succeeded, as far as the buckets
// know: while calls hang, nothing succeeds before the first one fails.
func (b *Breaker) silentFrom(now int64) int64 {
	from := now
	length, span := int64(b.window.Length()), int64(b.window.Length())/int64(b.window.Buckets())
	stable := b.window.Suffixes(&b.ledger, func(c ledger.Counts, oldestFrom int64) {
		if began := oldestFrom + span - length; c.Success == 0 && began < from {
			from = began
		}
	})
	if !stable {
		return now
	}
	return from
}

// look shows the decision what ended before the bucket that has just begun.
func (b *Breaker) look(now int64) {
	if b.throttle().classic {
		return
	}
	g := b.guarded()
	if g == nil { // failures that are no streak can be too many, too
		if b.throttle().rejectRatio(b.window.Counts(now, &b.ledger)) == 0 {
			return
		}
		g = b.guardFor()
	}
	g.mu.Lock()
	defer b.unlock(g)
	g.count()
	var v outlook
	length := int64(b.window.Length())
	stable := b.window.Suffixes(&b.ledger, func(c ledger.Counts, oldestFrom int64) {
		began := oldestFrom + g.span - length
		full := began <= now-2*g.span // at least two buckets
		if full {
			v.last, v.lastFor = c, now-began
		}
		if began < g.since {
			return // it tells nothing about the present phase
		}
		if v.phaseFor == 0 {
			v.phase, v.phaseFor = c, now-began
		}
		if full && c.Success+c.Failure >= g.enough {
			v.recent, v.recentFor = c, now-began
		}
	})
	if !stable {
		return // there is another bucket already
	}
	g.look(now, v)
	b.decided(now, g)
}

// decided does what follows from the decision. The lock is held.
func (b *Breaker) decided(now int64, g *guard) {
	probe := int64(0)
	if g.phase == down {
		probe = g.decision.nextProbe
	}
	set(&g.nextProbe, probe)
	counting := int64(0)
	if g.phase == trial && g.share == 1 {
		counting = g.ends
	}
	set(&g.counting, counting)
	if alert := g.phase != calm; alert != g.alert.Load() {
		g.alert.Store(alert)
		if alert {
			b.budget.shut() // so that calls ask
		} else {
			b.assess(1)
		}
	}
	p := g.rejects()
	if p > 0 != (b.changed()&1 != 0) {
		b.recordState(now, p, b.window.Counts(now, &b.ledger), g.cause)
	}
}

// set stores n if it is not there. Others read it with every call.
func set(to *atomic.Int64, n int64) {
	if to.Load() != n {
		to.Store(n)
	}
}

// classically writes down what the state of a classic breaker is, now that the
// reject ratio after c is p.
func (b *Breaker) classically(now int64, p float64, c ledger.Counts) {
	if p > 0 != (b.changed()&1 != 0) {
		b.recordState(now, p, c, fmt.Sprintf("%d of %d calls within %v succeeded", c.Success, b.throttle().total(c), b.window.Length()))
	}
	if p == 0 {
		b.adoptPostponed()
	}
}
