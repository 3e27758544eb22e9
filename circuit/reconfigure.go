package circuit

import (
	"reflect"

	"github.com/kratos-breaker/breaker"
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
	if len(o.listeners) > 0 || o.named {
		panic("circuit: Reconfigure: WithName and WithListener cannot change")
	}
	c := b.cold
	c.mu.Lock()
	defer c.unlock(nil)
	now := b.now()
	c.advance(now)
	o.name = c.options.name
	if reflect.DeepEqual(o, c.options) { // functions never are
		return
	}
	c.halt()
	c.options = o
	c.closed.use(o, now, (*timing)(b))
	c.closed.askSuccesses() // what holds now is for the next success to see
	m := &c.machine
	m.probes.retime(now, o)
	c.publish()
	if m.state == breaker.HalfOpen {
		m.probes.ifLost = o.delays.of(m.openings + 1)
		c.conclude(now, nil)
	}
}
