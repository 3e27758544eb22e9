package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
)

// What is here leads from one state to another. The lock is held, but for what asks
// the functions of the user.

// become begins a state, at the time of its cause.
func (c *cold) become(to breaker.State, at int64, cause string) {
	m := &c.machine
	from := m.state
	c.halt()
	ended := c.window(m, at)
	c.release() // what was withheld comes before what comes now
	m.enter(to, at, cause, ended)
	switch to {
	case breaker.Closed:
		c.closed.begin(at)
	case breaker.HalfOpen:
		m.probes.ifLost = c.options.delays.of(m.openings + 1)
	}
	c.publish()
	if c.events != nil && from != to {
		e := breaker.Event{From: from, To: to, Cause: cause, At: c.owner.time(at), Snapshot: c.snapshot(m, at)}
		e.Snapshot.Window = ended
		c.withheld = &e
		if to != breaker.Open {
			c.release() // only an opening may have to wait for its delay
		}
	}
}

// open begins an open state after r, or without a result.
func (c *cold) open(at int64, cause string, r *breaker.Result) {
	m := &c.machine
	delay := m.probes.ifLost
	if r != nil || m.state != breaker.HalfOpen {
		delay = c.options.delays.of(m.openings + 1)
	}
	asks, otherwise := false, delay
	if r != nil {
		delay, asks = c.options.delays.after(*r, delay)
	}
	m.open(at, delay)
	if asks {
		m.until = never
	}
	c.become(breaker.Open, at, cause)
	if asks {
		c.userCall = &userCall{options: c.options, generation: m.generation, result: *r, opening: &Opening{
			Name: c.options.name, Result: *r, Number: m.openings, Delay: otherwise,
		}}
		return
	}
	c.release()
}

// advance does what the passing of time has led to: the mode ends, and probes
// are slow or lost.
func (c *cold) advance(now int64) {
	if c.mode.Expire(now) {
		c.publish()
	}
	h := &c.machine.probes
	for p, at, lost, ok := h.takeFailed(now); ok; p, at, lost, ok = h.takeFailed(now) {
		if lost {
			c.lose(p)
		}
		h.record(false)
		c.conclude(at, nil)
	}
	for p, ok := h.takeStray(now); ok; p, ok = h.takeStray(now) {
		c.lose(p)
	}
}

// lose gives a probe up.
func (c *cold) lose(p probe) {
	if !p.anonymous { // such a call counts when it is marked
		c.mode.Settle(p.ticket, breaker.Failure)
	}
}

// conclude ends the half-open state if the results of the probes do, after r
// or without a result.
func (c *cold) conclude(at int64, r *breaker.Result) {
	switch c.machine.probes.verdict(c.options.probes) {
	case breaker.Closed:
		c.become(breaker.Closed, at, causeProbes)
	case breaker.Open:
		c.open(at, causeProbes, r)
	}
}

// current reports whether generation is that of the closed state that the
// breaker is in.
func (c *cold) current(generation uint64) bool {
	return c.machine.state == breaker.Closed && c.machine.generation == generation
}

// evaluate asks the rules, and opens the breaker by r if one holds.
func (c *cold) evaluate(e rule.Evidence, r breaker.Result) {
	cause, asks := c.closed.evaluate(e)
	switch {
	case cause != "":
		c.open(e.Now, cause, &r)
	case asks:
		c.userCall = &userCall{
			options: c.options, generation: c.machine.generation, result: r,
			questions: c.closed.questions(e, c.totals().InFlight),
		}
	}
}

// release lets go of an event that was withheld.
func (c *cold) release() {
	if c.withheld != nil {
		c.events.Add(*c.withheld)
		c.withheld = nil
	}
}

// unlock ends what was done under the lock: it asks the functions of the user
// and delivers events. If one of them panics, a permit that the caller does not
// get is given back.
func (c *cold) unlock(p *breaker.Permit) {
	call := c.userCall
	c.userCall = nil
	c.mu.Unlock()
	if call == nil && c.events == nil {
		return
	}
	returned := false
	defer func() {
		if !returned && p != nil {
			p.Done(breaker.Ignored)
		}
	}()
	func() {
		defer c.events.Deliver()
		switch {
		case call == nil:
		case call.opening != nil:
			c.askDelay(call)
		default:
			c.askOpen(call)
		}
	}()
	returned = true
}

// askDelay sets the delay of an opening, unless the state has ended meanwhile.
func (c *cold) askDelay(call *userCall) {
	delay := call.opening.Delay
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if m := &c.machine; m.generation == call.generation {
			m.until = m.since + int64(delay)
			c.publish()
			if c.withheld != nil && c.withheld.Snapshot.Mode == breaker.Auto {
				c.withheld.Snapshot.RetryAfter = max(0, delay-time.Duration(c.owner.now()-m.since))
			}
			c.release()
		}
	}()
	if d := call.options.delays.ask(*call.opening); d >= 0 {
		delay = d
	}
}

// askOpen opens the breaker if a function of the user's says so, unless the
// state or the options have changed meanwhile.
func (c *cold) askOpen(call *userCall) {
	for _, q := range call.questions {
		if !q.Ask() {
			continue
		}
		c.mu.Lock()
		defer c.unlock(nil)
		if c.current(call.generation) && c.options == call.options {
			c.open(c.owner.now(), q.Rule.Cause(rule.Evidence{}), &call.result)
		}
		return
	}
}
