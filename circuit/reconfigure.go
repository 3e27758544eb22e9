package circuit

import (
	"reflect"
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Reconfigure makes the breaker what [NewBreaker] makes of opts, from the next
// decision on; an option that is not given has its default. It panics as
// NewBreaker does, and if [WithName] or [WithListener] is given, which cannot
// change. Then nothing has changed.
//
// What the breaker has come to stays: its state, how long it is open, openings,
// mode, totals and permits. So does what it has counted, where the new options
// count the same: outcomes in a row, calls since it closed, the last n calls of
// [WithFailureCount], failures of [WithFailuresInPeriod], and the calls of each
// period, whichever rule looks at it. What is new begins empty. So does
// [WithSlowCallRate] with another threshold, which changes what slow means;
// calls in flight are timed if they were when they began.
//
// A rule of a closed breaker that holds already opens it when it is next looked
// at: a rate after a success or failure, calls in flight that are slow with the
// next call, the rest after a failure. A half-open breaker keeps its probes and
// their results. If these decide by the new numbers, it closes or opens at once.
// A new lease is that of the probes in flight, too, and so is what is slow. A function that runs
// meanwhile still sets the delay that it was asked for, but one of
// [WithOpenWhen] no longer opens the breaker.
//
// Options that are equal to the present ones change nothing; functions are
// never equal. Others make the calls in flight take the breaker's lock when they
// end, once.
func (b *Breaker) Reconfigure(opts ...Option) {
	o := newOptions("Reconfigure", opts)
	if len(o.listeners) > 0 || slices.Contains(o.given, "WithName") {
		panic("circuit: Reconfigure: WithName and WithListener cannot change")
	}
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	o.name, o.given = b.options.name, nil
	if reflect.DeepEqual(o, b.options) { // functions never are
		return
	}
	b.use(o, now)
	b.watch.Store(true) // what holds now is for the next success to see
	if b.slow != nil {
		b.calls.nextCheck.Store(0)
	}
	m := &b.machine
	for _, probes := range [][]probe{m.running, m.strays} {
		for i := range probes {
			probes[i].leaseEnds = max(now, probes[i].began+int64(o.probes.lease))
		}
	}
	for i := range m.running {
		p := &m.running[i]
		p.slowAt = never
		if o.threshold > 0 && !p.anonymous && !p.paused {
			p.slowAt = max(now, p.began+int64(o.threshold))
		}
	}
	b.publish()
	if m.state == breaker.HalfOpen {
		m.ifLost = o.delayOf(m.openings + 1)
		b.conclude(now, nil)
	}
}

// use puts options in force. What they count as those before did, it keeps.
func (b *Breaker) use(o *options, now int64) {
	c := b.ledger.Counts()
	ended := c.Success + c.Failure
	var rules []recent
	for _, rule := range o.recent {
		r := recent{recentRule: rule}
		r.begin(ended)
		i := slices.IndexFunc(b.recent, func(r recent) bool { return r.kind == rule.kind && r.span == rule.span })
		switch {
		case i < 0:
		case rule.kind == ofLast:
			r = b.recent[i].take(rule, int64(ended))
		default:
			r = b.recent[i].take(rule, now)
		}
		rules = append(rules, r)
	}
	b.recent = rules

	periods, slow := o.periods()
	b.meters = slices.DeleteFunc(b.meters, func(m *meter) bool {
		if m == b.slow {
			return m.period != slow || b.options.threshold != o.threshold
		}
		return !slices.Contains(periods, m.period)
	})
	for _, period := range periods {
		b.addMeter(period, &b.ledger, now)
	}
	b.slow = nil
	if slow > 0 {
		if b.calls == nil {
			b.calls = newCalls()
		}
		b.slow = b.addMeter(slow, &b.calls.scratch, now)
	}
	b.setDue()
	b.options = o
}

// addMeter returns the meter of a period. If there is none yet, one begins.
func (c *core) addMeter(period time.Duration, l *ledger.Ledger, now int64) *meter {
	m := c.meter(period, l)
	if m == nil {
		m = newMeter(period, l)
		m.clear(now)
		c.meters = append(c.meters, m)
	}
	return m
}

// meter returns the meter of a period, or nil.
func (c *core) meter(period time.Duration, l *ledger.Ledger) *meter {
	for _, m := range c.meters {
		if m.period == period && m.ledger == l {
			return m
		}
	}
	return nil
}

// periods returns those in which calls are counted, and the one of them in
// which slow calls are, or 0.
func (o *options) periods() (calls []time.Duration, slow time.Duration) {
	for _, r := range o.recent {
		if r.kind == within {
			calls = append(calls, time.Duration(r.span))
		}
	}
	for _, r := range o.rates {
		calls = append(calls, r.period)
		if r.slow {
			slow = r.period
		}
	}
	for _, p := range o.openWhen {
		if p.period > 0 {
			calls = append(calls, p.period)
		}
	}
	return calls, slow
}
