package circuit

import (
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// closed is the closed state: it counts how calls end, and asks the rules what
// follows. The breaker's lock is held, but for what calls do with the ledger by
// themselves.
type closed struct {
	*hot
	rules *rule.Set
	calls *calls        // in flight, from the first time on that slow ones count
	base  ledger.Counts // what was counted before the state began
}

// hot is what calls of a closed breaker touch without the lock.
type hot struct {
	due            atomic.Int64  // when a rule has to begin a bucket; never without periods
	quiet          atomic.Uint32 // before so many failures, modulo 2^32, none can open
	successMayOpen atomic.Bool
	ledger         ledger.Ledger // calls of the closed state, and rejections
}

// evidence returns what rules decide from, apart from a failure.
func (c *closed) evidence(now int64) rule.Evidence {
	return rule.Evidence{Now: now, Ended: c.ledger.Ended()}
}

// use puts rules in force. What they count as those before did, they keep. Owner is
// whose calls are timed.
func (c *closed) use(o *options, now int64, owner callOwner) {
	counters := rule.Counters{Calls: &c.ledger}
	if o.threshold > 0 {
		if c.calls == nil {
			c.calls = newCalls(owner)
		}
		c.calls.nextCheck.Store(0)
		counters.Timed = c.calls
	}
	c.rules = rule.NewSet(o.rules, counters, c.rules, c.evidence(now))
	c.begun()
}

// begin forgets everything, as the breaker closes. No call is inside of the ledger.
func (c *closed) begin(now int64) {
	at := c.evidence(now)
	c.base = at.Ended
	c.ledger.Failures().BeginRow()
	c.rules.Clear(at)
	c.begun()
	c.successMayOpen.Store(false)
}

// begun makes known that a bucket has begun: the next failure asks the rules.
func (c *closed) begun() {
	c.due.Store(c.rules.Due())
	c.quiet.Store(uint32(c.ledger.Ended().Failure))
}

// roll lets the rules begin a bucket.
func (c *closed) roll(now int64) {
	if now >= c.due.Load() {
		c.rules.Roll(now)
		c.begun()
	}
}

// record counts the end of a call.
func (c *closed) record(now int64, success bool) rule.Evidence {
	c.roll(now)
	if success {
		c.ledger.Succeed()
		return c.evidence(now)
	}
	c.askSuccesses()
	ended := c.ledger.Failures().Enter(nil).Fail()
	e := rule.Evidence{Now: now, Ended: ended, Row: c.ledger.Failures().RowAt(ended.Success)}
	c.rules.Record(e)
	return e
}

// askSuccesses makes each success ask the rules, until evaluate knows better. It comes
// before the counts are read, and a success looks at it after it was counted: so one
// of the two sees the other.
func (c *closed) askSuccesses() { c.successMayOpen.Store(true) }

// evaluate asks the rules. It returns the cause if the breaker opens, and whether
// functions of the user have to be asked if it does not.
func (c *closed) evaluate(e rule.Evidence) (cause string, asks bool) {
	v, failures, opens := c.rules.Evaluate(e)
	if opens != nil {
		return opens.Cause(e), false
	}
	if e.Row > 0 { // otherwise the row is not known
		c.quiet.Store(uint32(e.Ended.Failure + failures))
	}
	c.successMayOpen.Store(v&rule.SuccessMayOpen != 0)
	return "", v&rule.Asks != 0
}

// questions returns those for the functions of the user, after a failure.
func (c *closed) questions(e rule.Evidence, inFlight uint64) []rule.Question {
	known := rule.Counts{InFlight: inFlight, ConsecutiveFailures: e.Row}
	return c.rules.Questions(e, e.Ended.Sub(c.base), known)
}

// row returns how many successes or failures there are in a row.
func (c *closed) row() (successes, failures uint64) { return c.ledger.Failures().Row(c.base.Success) }

// window returns what a snapshot shows.
func (c *closed) window(now int64) breaker.Window {
	e := c.evidence(now)
	n := e.Ended.Sub(c.base)
	return c.rules.Show(e, breaker.Window{Success: n.Success, Failure: n.Failure})
}

// emptyWindow returns what a snapshot shows of a state that begins now.
func (c *closed) emptyWindow(now int64) breaker.Window {
	return breaker.Window{Length: c.rules.Show(c.evidence(now), breaker.Window{}).Length}
}
