package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

func (t *timing) now() int64 { return (*Breaker)(t).now() }

func (t *timing) slowFrom() time.Duration {
	if v := t.published.Load(); v.options != nil {
		return v.options.threshold
	}
	t.cold.mu.Lock() // the state changes just now
	defer t.cold.mu.Unlock()
	return t.cold.options.threshold
}

// pausedSlow counts a call as slow that has not ended.
func (t *timing) pausedSlow(now int64, generation uint64) {
	c := t.cold
	c.mu.Lock()
	defer c.unlock(nil)
	c.advance(now)
	if c.options.threshold == 0 || !c.current(generation) {
		return
	}
	c.closed.roll(now)
	c.closed.askSuccesses()
	c.closed.calls.scratch.AddFailure()
	c.evaluate(c.closed.evidence(now), breaker.Result{Outcome: breaker.Failure})
}

func (t *timing) endTimed(e timedEnd, r breaker.Result) {
	v, c := t.published.Load(), t.cold
	if r.Outcome == breaker.Success && v.timedCalls && v.generation == e.generation && !e.wasSlow &&
		e.took < int64(v.options.threshold) && e.now < t.due.Load() {
		c.closed.calls.scratch.Succeed()
		t.ledger.Succeed()
		if t.successMayOpen.Load() {
			c.succeeded(v.generation)
		}
		return
	}
	c.mu.Lock()
	defer c.unlock(nil)
	c.advance(e.now)
	if !c.current(e.generation) {
		c.mode.Count(r.Outcome)
		return
	}
	slow := c.options.threshold > 0 && !r.NotSent && e.took >= int64(c.options.threshold)
	if slow || r.Outcome != breaker.Ignored {
		c.closed.roll(e.now)
	}
	switch {
	case e.wasSlow:
	case slow:
		c.closed.askSuccesses()
		c.closed.calls.scratch.AddFailure()
	case r.Outcome != breaker.Ignored:
		c.closed.calls.scratch.Succeed()
	}
	c.record(e.now, e.generation, r)
	if slow && r.Outcome == breaker.Ignored {
		c.evaluate(c.closed.evidence(e.now), r)
	}
}
