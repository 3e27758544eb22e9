package circuit

import (
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
)

// The causes that have no numbers in them.
const (
	causeDelay  = "the delay has passed"
	causeProbes = "the results of the probes"
	causeHand   = "by hand"
	causeReset  = "reset"
	causeUser   = "the function of WithOpenWhen"
)

// become begins a state, at the time of its cause. The lock is held.
func (b *Breaker) become(to breaker.State, at int64, cause string) {
	m := &b.machine
	from := m.state
	ended := b.window(m, at)
	// What was withheld comes before what comes now.
	b.release()
	*m = machine{
		state: to, generation: m.generation + 1, since: at, cause: cause,
		until: m.until, openings: m.openings, base: m.base, ended: ended,
		strays: append(m.strays, m.running...), transitions: m.transitions,
	}
	if from != to {
		m.transitions[from][to]++
	}
	if from == breaker.Open {
		m.ended = breaker.Window{}
	}
	switch to {
	case breaker.Closed:
		m.openings, m.until = 0, 0
		b.forget(at)
	case breaker.HalfOpen:
		m.ifLost = b.options.delayOf(m.openings + 1)
	}
	b.publish()
	if b.events != nil && from != to {
		e := breaker.Event{From: from, To: to, Cause: cause, At: b.time(at), Snapshot: b.snapshot(m, at)}
		e.Snapshot.Window = ended
		b.withheld = &e
		if to != breaker.Open {
			b.release() // only an opening may have to wait for its delay
		}
	}
}

// release lets go of an event that was withheld.
func (b *Breaker) release() {
	if b.withheld != nil {
		b.events.Add(*b.withheld)
		b.withheld = nil
	}
}

// forget begins all that a closed breaker decides from anew.
func (b *Breaker) forget(now int64) {
	for _, meter := range b.meters {
		meter.clear(now)
	}
	b.setDue()
	b.machine.base = b.ledger.Counts()
	for i := range b.recent {
		b.recent[i].begin(b.machine.base.Success + b.machine.base.Failure)
	}
	b.streak.begin(b.machine.base.Success)
	b.watch.Store(false)
}

// open begins an open state after r, or without a result.
func (b *Breaker) open(at int64, cause string, r *breaker.Result) {
	m := &b.machine
	delay := m.ifLost
	if r != nil || m.state != breaker.HalfOpen {
		delay = b.options.delayOf(m.openings + 1)
	}
	asks := false
	if r != nil {
		switch o := b.options; {
		case o.retryAfter > 0 && r.RetryAfter > 0:
			delay = min(r.RetryAfter, o.retryAfter)
		case o.retryAfterOf != nil && r.Err != nil, o.delayFunc != nil:
			asks = true
		}
	}
	m.openings++
	m.until = at + int64(delay)
	if asks {
		m.until = never
	}
	b.become(breaker.Open, at, cause)
	if asks {
		b.asking = &asking{options: b.options, generation: m.generation, result: *r, opening: &Opening{
			Name: b.options.name, Result: *r, Number: m.openings, Delay: delay,
		}}
		return
	}
	b.release()
}

// asking is a question to a function of the user's, which is asked when the
// lock is no longer held.
type asking struct {
	options    *options
	generation uint64
	result     breaker.Result
	opening    *Opening // for the delay, or nil:
	counts     []Counts // for the functions of WithOpenWhen
}

// unlock ends what was done under the lock: it asks the functions of the user
// and delivers events. If one of them panics, a permit that the caller does not
// get is given back.
func (b *Breaker) unlock(p *breaker.Permit) {
	ask := b.asking
	b.asking = nil
	b.mu.Unlock()
	if ask == nil && b.events == nil {
		return
	}
	returned := false
	defer func() {
		if !returned && p != nil {
			p.Done(breaker.Ignored)
		}
	}()
	func() {
		defer b.events.Deliver()
		switch {
		case ask == nil:
		case ask.opening != nil:
			b.askDelay(ask)
		default:
			b.askOpen(ask)
		}
	}()
	returned = true
}

// askDelay sets the delay of an opening, unless the state has ended meanwhile.
func (b *Breaker) askDelay(ask *asking) {
	delay := ask.opening.Delay
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if m := &b.machine; m.generation == ask.generation {
			m.until = m.since + int64(delay)
			b.publish()
			if b.withheld != nil && b.withheld.Snapshot.Mode == breaker.Auto {
				b.withheld.Snapshot.RetryAfter = max(0, delay-time.Duration(b.now()-m.since))
			}
			b.release()
		}
	}()
	o := ask.options
	if err := ask.result.Err; o.retryAfterOf != nil && err != nil {
		if d, ok := o.retryAfterOf(err); ok && d > 0 {
			delay = min(d, o.retryAfter)
			return
		}
	}
	if o.delayFunc != nil {
		if d := o.delayFunc(*ask.opening); d >= 0 {
			delay = min(d, day)
		}
	}
}

// askOpen opens the breaker if a function of the user's says so, unless the
// state or the options have changed meanwhile.
func (b *Breaker) askOpen(ask *asking) {
	for i, p := range ask.options.openWhen {
		if !p.holds(ask.counts[i]) {
			continue
		}
		b.mu.Lock()
		defer b.unlock(nil)
		if b.current(ask.generation) && b.options == ask.options {
			b.open(b.now(), causeUser, &ask.result)
		}
		return
	}
}

// countsFor returns what the functions of WithOpenWhen are asked about.
func (b *Breaker) countsFor(now int64) []Counts {
	all := b.ledger.Counts()
	successes, failures := b.streak.at(all.Success)
	counts := make([]Counts, len(b.options.openWhen))
	for i, p := range b.options.openWhen {
		c := all.Sub(b.machine.base)
		if p.period > 0 {
			c = b.meter(p.period, &b.ledger).counts(now)
		}
		counts[i] = Counts{
			Success: c.Success, Failure: c.Failure, InFlight: b.totals().InFlight,
			ConsecutiveSuccesses: successes, ConsecutiveFailures: failures,
		}
	}
	return counts
}

// publish makes the view of the present state. The lock is held.
func (b *Breaker) publish() {
	m := &b.machine
	v := &view{breaker: b, options: b.options, generation: m.generation, metered: len(b.meters) > 0}
	switch {
	case b.mode == breaker.ForceOpen:
		v.rejects = b.modeUntil
		v.rejection = breaker.NewRejectedError(b.options.name, breaker.Open, breaker.ReasonForcedOpen, b.timeUnlessNever(b.modeUntil), nil)
	case m.state == breaker.Closed:
		v.closed = true
		v.timedCalls = b.slow != nil
		v.counting = !v.timedCalls && len(b.options.openWhen) == 0 &&
			!slices.ContainsFunc(b.recent, func(r recent) bool { return r.kind != inARow })
	case m.state == breaker.Open:
		v.rejection = breaker.NewRejectedError(b.options.name, breaker.Open, breaker.ReasonOpen, b.timeUnlessNever(m.until), nil)
		if !b.lenient() {
			v.rejects = m.until
		}
	default:
		v.rejection = breaker.NewRejectedError(b.options.name, breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, nil)
	}
	b.view.Store(v)
}

func (b *Breaker) timeUnlessNever(at int64) time.Time {
	if at == never {
		return time.Time{}
	}
	return b.time(at)
}
