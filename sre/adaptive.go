package sre

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

// guarded decides for a Breaker by [adaptive.Law], which it locks. Most breakers never
// need one.
type guarded Breaker

// with runs f with the law locked, and does what follows from the law.
func (g *guarded) with(d *lockedDecision, now int64, f func(now int64)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now = d.drainMissed(now)
	f(now)
	g.publish(d)
	b, p := (*Breaker)(g), d.law.RejectRatio()
	if _, open := b.lazy.peek().transitions.changed(); open != (p > 0) {
		b.record(now, p, b.window.Counts(now, &b.ledger), d.law.Cause())
	}
}

func (g *guarded) decision() *lockedDecision { return g.lazy.peek().decision.Load() }

// alerted returns the decision if the law is not calm, and otherwise nil.
func (g *guarded) alerted() *lockedDecision {
	if d := g.decision(); d != nil && d.alert.Load() {
		return d
	}
	return nil
}

func (g *guarded) needDecision() *lockedDecision {
	made := &g.lazy.need().decision
	if made.Load() == nil {
		made.CompareAndSwap(nil, &lockedDecision{law: adaptive.New(g.tuning())})
	}
	d := made.Load()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.law.Settings = g.tuning() // Reconfigure may have come before it could see d
	return d
}

func (g *guarded) tuning() adaptive.Settings {
	s := g.settings.Load()
	return adaptive.Settings{
		Accept: 1 / s.K, Enough: uint64(s.Request), Probe: int64(s.probe), MaxProbe: int64(s.maxProbe),
		Random: g.lazy.need().random,
	}
}

// Admit lets the first call of a bucket set the budget, and times it.
func (g *guarded) Admit(now int64, permit bool) (by breaker.Settler, allowed bool) {
	b, d := (*Breaker)(g), g.alerted()
	switch {
	case d == nil:
		if set := b.budget.left() || b.assess(1) >= 0; set && permit && g.meter.begin(now) {
			return (*timed)(b), true
		}
		return nil, true
	case d.tooEarly(now):
		d.missed.Add(1)
		return nil, false
	}
	g.with(d, now, func(now int64) {
		var c *adaptive.Cohort
		if c, allowed = d.law.Ask(now); c == nil {
			return
		}
		if d.stamp == nil || d.stamp.cohort != c {
			d.stamp = &stamp{b, d.law, c}
		}
		by = d.stamp
	})
	return by, allowed
}

// Report takes no lock for a failure now and then: one is no row.
func (g *guarded) Report(now int64, r law.Report) {
	d := g.alerted()
	if d == nil || r.What == law.Rejected {
		if r.Row >= uint64(max(3, g.doubt.Load())) {
			g.alarm(now, r.Row)
		}
		return
	}
	g.with(d, now, func(now int64) {
		c, known := d.of(r.From)
		switch r.What {
		case law.Succeeded:
			d.law.Succeed(now, c, known)
		case law.Failed:
			d.law.Fail(now, c, known)
		case law.Answered:
			d.law.Answer(now, c)
		case law.Ignored, law.NotSent:
			d.law.Ignore(now, c, known, r.What == law.Ignored)
		}
	})
}

// alarm tells the law of so many failures in a row, which are not what was before them.
func (g *guarded) alarm(now int64, row uint64) {
	d := g.needDecision()
	g.with(d, now, func(now int64) {
		if seen, ok := g.seen(now, d.law.Since()); ok {
			since := seen.Window.Failure - seen.Before.Failure
			seen.Before.Failure -= min(seen.Before.Failure, row-min(row, since))
			d.law.Alarm(now, seen, fmt.Sprintf("%d failures in a row", row))
		}
	})
}

// Look shows the law what ended before the bucket that has just begun. Most breakers
// need no law: little has failed, and something succeeded just now.
func (g *guarded) Look(now int64) {
	d := g.decision()
	if d == nil {
		if seen, ok := g.look(now, 0); !ok || !g.maybeTrouble(seen) {
			return
		}
		d = g.needDecision()
	}
	g.with(d, now, func(now int64) {
		if seen, ok := g.look(now, d.law.Since()); ok {
			d.law.Look(now, seen)
		}
	})
}

// look returns what the window shows, and sets how many failures in a row are a reason
// to alarm the law.
func (g *guarded) look(now, clean int64) (seen adaptive.Seen, ok bool) {
	if seen, ok = g.seen(now, clean); !ok {
		return seen, false // there is another bucket already
	}
	if doubt := uint32(adaptive.Streak(seen.Before)); doubt != g.doubt.Load() {
		g.doubt.Store(doubt)
	}
	return seen, true
}

// maybeTrouble reports whether the law may find trouble in what it sees.
func (g *guarded) maybeTrouble(seen adaptive.Seen) bool {
	s, ended := g.settings.Load(), seen.Window.Success+seen.Window.Failure
	return seen.Silence > 0 || ended >= uint64(s.Request) && float64(ended) > s.K*float64(seen.Window.Success)
}

// seen describes the window, as far as it tells of what was since a time.
func (g *guarded) seen(now, clean int64) (s adaptive.Seen, ok bool) {
	n, bucket := g.window.Shape()
	span := int64(bucket)
	s.Flight, s.Latency = g.ledger.Totals().InFlight, g.meter.latency()
	from, silent := int64(-1), now // when Window begins, and the silence
	var since ledger.Counts        // the silence began
	ok = g.window.Suffixes(&g.ledger, func(c ledger.Counts, oldestFrom int64) {
		began := oldestFrom - span*int64(n-1)
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

// publish tells calls what they look at before they ask the law. The lock is held.
func (g *guarded) publish(d *lockedDecision) {
	b := (*Breaker)(g)
	if next := d.law.NotBefore(); next != d.notBefore.Load() {
		d.notBefore.Store(next)
	}
	if probe := d.law.NextProbe(); probe != d.probe {
		d.probe = probe
		var at time.Time
		if probe != 0 {
			at = b.window.Time(probe)
		}
		s := b.lazy.need()
		s.rejected.Store(breaker.NewRejectedError(s.name(), breaker.Open, breaker.ReasonThrottled, at, nil))
	}
	if alert := d.law.Phase() != adaptive.Calm; alert != d.alert.Load() {
		d.alert.Store(alert)
		if alert {
			b.budget.shut() // so that calls ask
		} else {
			d.stamp = nil // which holds the calls that began with it
			b.assess(1)
		}
	}
}

// Headroom has no bound while the law is calm: a row of failures alarms it.
func (g *guarded) Headroom() (int64, bool) {
	if g.alerted() != nil {
		return -1, true
	}
	return budgetMax, true
}

func (g *guarded) Status(now int64, _ ledger.Counts) (s law.Status) {
	d := g.decision()
	if d == nil {
		return s
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	since, open := g.lazy.peek().transitions.changed()
	s.Since, s.Busy = since, d.law.PhaseAt(now) != adaptive.Calm
	if d.law.PhaseAt(now) == d.law.Phase() {
		s.RejectRatio, s.Probe = d.law.RejectRatio(), d.law.NextProbe()
	} else if open {
		s.Since = d.law.Heard() + d.law.Forgets()
	}
	return s
}

// Reset begins with a new law, which knows no stamp of the old one.
func (g *guarded) Reset(now int64, before ledger.Counts) {
	d := g.decision()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.law, d.stamp = adaptive.New(g.tuning()), nil
	d.missed.Store(0)
	g.publish(d)
	(*Breaker)(g).record(now, 0, before, "reset")
}

func (g *guarded) Tune(now int64, emptied bool) {
	if d := g.decision(); d != nil {
		g.with(d, now, func(now int64) { d.law.Tune(now, g.tuning(), emptied) })
	}
}
