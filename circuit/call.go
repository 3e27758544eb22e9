package circuit

import (
	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Acquire returns a permit for one call, or a *[breaker.RejectedError].
func (b *Breaker) Acquire() (breaker.Permit, error) {
	v := b.published.Load()
	if v.closed && !v.timedCalls { // nearly every call, without a call of its own
		if word, serial, ok := b.ledger.TryTake(); ok {
			return breaker.NewPermit(v, breaker.Ticket{Word: word, Serial: serial}), nil
		}
	}
	return b.acquireSlow(v)
}

func (b *Breaker) acquireSlow(v *published) (breaker.Permit, error) {
	switch {
	case v.closed && !v.timedCalls:
		word, serial := b.ledger.Take()
		return breaker.NewPermit(v, breaker.Ticket{Word: word, Serial: serial}), nil
	case v.closed:
		calls := b.cold.closed.calls
		if now := b.now(); now < calls.nextCheck.Load() {
			return calls.take(now, v.generation), nil
		}
	case v.rejects > 0 && b.now() < v.rejects:
		b.ledger.Reject()
		return breaker.Permit{}, v.rejection
	}
	return b.acquireLocked()
}

// acquireLocked decides under the lock.
func (b *Breaker) acquireLocked() (p breaker.Permit, err error) {
	c := b.cold
	c.mu.Lock()
	defer c.unlock(&p)
	now := b.now()
	rejection := c.decide(now)
	v := b.published.Load()
	switch {
	case rejection != nil && c.mode.LetsThrough(c.mode.Last()):
		return c.mode.Permit(), nil
	case rejection != nil:
		b.ledger.Reject()
		return p, rejection
	case c.machine.state == breaker.HalfOpen:
		t := ticket(&c.mode.Outside)
		c.machine.probes.run(probe{ticket: t}, now, c.options)
		return breaker.NewPermit(v, t), nil
	case v.timedCalls:
		return c.closed.calls.take(now, v.generation), nil
	}
	return breaker.NewPermit(v, ticket(&b.ledger)), nil
}

func ticket(l *ledger.Ledger) breaker.Ticket {
	word, serial, ok := l.TryTake()
	if !ok {
		word, serial = l.Take()
	}
	return breaker.Ticket{Word: word, Serial: serial}
}

// decide returns the rejection of a call, or nil. If the breaker is half-open
// then, the call is a probe.
func (c *cold) decide(now int64) *breaker.RejectedError {
	c.advance(now)
	if c.machine.state == breaker.Closed && c.options.threshold > 0 && c.closed.calls.check(now, c.options.threshold) {
		c.closed.askSuccesses()
		c.evaluate(c.closed.evidence(now), breaker.Result{Outcome: breaker.Failure})
	}
	m := &c.machine
	forced, _ := c.mode.Last().Rejection()
	switch {
	case forced != nil:
	case m.state == breaker.Closed:
		return nil
	case m.state == breaker.Open && now < m.until:
	default:
		if m.state == breaker.Open {
			c.become(breaker.HalfOpen, m.until, causeDelay)
		}
		if m.probes.admits(c.options.probes) {
			return nil
		}
	}
	return c.owner.published.Load().rejection
}

// Settle implements [breaker.Settler].
func (v *published) Settle(t breaker.Ticket, o breaker.Outcome) {
	if o == breaker.Success && v.closed {
		// Nearly every call, without a lock.
		b := v.breaker
		if b.published.Load() == v && (!v.metered || b.now() < b.due.Load()) &&
			(ledger.TrySettle(t.Word, t.Serial, 1) || b.ledger.Settle(t.Word, t.Serial, 1)) {
			if b.successMayOpen.Load() {
				b.cold.succeeded(v.generation)
			}
			return
		}
	}
	v.SettleResult(t, breaker.Result{Outcome: o})
}

// SettleResult implements [breaker.ResultSettler].
func (v *published) SettleResult(t breaker.Ticket, r breaker.Result) {
	b, c := v.breaker, v.breaker.cold
	if v.closed && r.Outcome == breaker.Ignored {
		if b.ledger.Settle(t.Word, t.Serial, 0) {
			b.ledger.Ignore() // not outside, or a snapshot could see it twice
		}
		return
	}
	if v.unlocked && r.Outcome > breaker.Success && v.fail(t, r) {
		return
	}
	c.mu.Lock()
	defer c.unlock(nil)
	now := b.now()
	c.advance(now)
	if v.closed {
		if b.ledger.Settle(t.Word, t.Serial, 0) {
			c.record(now, v.generation, r)
		}
		return
	}
	wanted := c.machine.probes.end(t)
	switch {
	case !c.mode.Outside.Settle(t.Word, t.Serial, 0):
	case wanted:
		c.probed(now, r)
	default:
		c.mode.Count(r.Outcome)
	}
}

// fail counts a failure of the closed state v without the lock, and opens the breaker
// if a rule holds. It returns false, having done nothing, if the lock is needed.
func (v *published) fail(t breaker.Ticket, r breaker.Result) bool {
	now := int64(0)
	if v.metered {
		now = v.breaker.now()
	}
	came, row := v.tryFail(now, t)
	if came == mayOpen {
		v.breaker.cold.failed(v.generation, row, r)
	}
	return came != notCounted
}

// unlockedFailure is what came of a failure that was counted without the lock.
type unlockedFailure uint8

const (
	notCounted unlockedFailure = iota // the lock is needed
	counted                           // and nothing follows
	mayOpen                           // and the rules have to be asked under the lock
)

// tryFail counts a failure of the closed state v without the lock. The ticket's word
// is nil for a call that has none.
//
// It writes to what belongs to the lane of the call alone. Whoever changes the state
// publishes that, and then waits until nobody is inside of a lane any more.
func (v *published) tryFail(now int64, t breaker.Ticket) (f unlockedFailure, row uint64) {
	b := v.breaker
	in := b.ledger.Failures().Enter(t.Word)
	switch {
	case b.published.Load() != v || now >= b.due.Load():
		in.Leave()
		return notCounted, 0
	case t.Word != nil && !b.ledger.Settle(t.Word, t.Serial, 0):
		in.Leave()
		return counted, 0
	}
	ended := in.Fail()
	if int32(uint32(ended.Failure)-b.quiet.Load()) < 0 {
		return counted, 0
	}
	row = 1
	if v.rows {
		row = b.ledger.Failures().RowAt(ended.Success)
	}
	verdict, failures, _ := v.rules.Evaluate(rule.Evidence{Now: now, Ended: ended, Row: row})
	if verdict != rule.Stays || failures > worthALock {
		return mayOpen, row
	}
	return counted, row
}

// worthALock is for how many quiet failures one takes the lock, to make that known.
const worthALock = 100

// failed asks the rules after a failure was counted without the lock.
func (c *cold) failed(generation, row uint64, r breaker.Result) {
	c.mu.Lock()
	defer c.unlock(nil)
	now := c.owner.now()
	c.advance(now)
	if !c.current(generation) {
		return
	}
	c.closed.roll(now)
	c.closed.askSuccesses()
	e := c.closed.evidence(now)
	e.Row = max(row, c.closed.ledger.Failures().RowAt(e.Ended.Success))
	c.evaluate(e, r)
}

// succeeded is called after a success of the closed state if one could open the
// breaker.
func (c *cold) succeeded(generation uint64) {
	c.mu.Lock()
	defer c.unlock(nil)
	if c.current(generation) {
		c.evaluate(c.closed.evidence(c.owner.now()), breaker.Result{Outcome: breaker.Success})
	}
}

// record counts the end of a call that was let through by the closed state of
// the given generation.
func (c *cold) record(now int64, generation uint64, r breaker.Result) {
	if !c.current(generation) || r.Outcome == breaker.Ignored {
		c.mode.Count(r.Outcome)
		return
	}
	c.evaluate(c.closed.record(now, r.Outcome == breaker.Success), r)
}

// probed takes in the end of a probe that is still wanted.
func (c *cold) probed(now int64, r breaker.Result) {
	c.mode.Count(r.Outcome)
	if r.Outcome != breaker.Ignored {
		c.machine.probes.record(r.Outcome == breaker.Success)
		c.conclude(now, &r)
	}
}

// Pause implements [breaker.PauseSettler]: it stops the clock of a probe.
func (v *published) Pause(t breaker.Ticket) (timed bool) {
	v.clock(func(h *halfOpen, _ int64) { timed = h.pause(t) })
	return timed
}

// Resume starts it anew.
func (v *published) Resume(t breaker.Ticket) {
	v.clock(func(h *halfOpen, now int64) { h.resume(t, now, v.breaker.cold.options.threshold) })
}

// clock changes the probes, if these are timed.
func (v *published) clock(change func(h *halfOpen, now int64)) {
	if v.closed {
		return // or it would be a timed call
	}
	c := v.breaker.cold
	c.mu.Lock()
	defer c.unlock(nil)
	now := v.breaker.now()
	c.advance(now)
	if c.options.threshold > 0 {
		change(&c.machine.probes, now)
	}
}
