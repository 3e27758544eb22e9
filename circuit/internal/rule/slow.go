package rule

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Slow opens the breaker when a share of the calls within the period took the
// threshold or longer. Calls in flight count as soon as they have.
type Slow struct {
	Rate
	Threshold time.Duration
}

// Rule implements [Spec].
func (s Slow) Rule(c Counters) Rule { return &slow{Slow: s, counters: c} }

// slow has a meter of calls on time and slow ones, besides that of what a snapshot
// shows.
type slow struct {
	Slow
	metered
	counters Counters
	timed    *meter
}

func (r *slow) meters() []*meter { return []*meter{r.calls, r.timed} }

// CarryOver takes over the meter of any rule with the same period, and what was
// slow if a rule with the same threshold said so.
func (r *slow) CarryOver(before []Rule, at Evidence) {
	r.calls = meterOf(before, r.Period, r.counters.Calls, at.Now)
	var same []Rule
	for _, b := range before {
		if old, ok := b.(*slow); ok && old.Threshold == r.Threshold {
			same = append(same, old)
		}
	}
	r.timed = meterOf(same, r.Period, r.counters.Timed.Scratch(), at.Now)
}

// Needs the lock, since a success can be slow.
func (r *slow) Needs() Needs { return Lock }

func (r *slow) Evaluate(e Evidence) (Verdict, uint64) { return r.evaluate(r.counts(e.Now)) }

func (r *slow) Cause(e Evidence) string { return r.cause(r.counts(e.Now), "were slow") }

// counts has the slow calls, those in flight, too, as failures.
func (r *slow) counts(now int64) ledger.Counts {
	c := r.timed.counts(now)
	c.Failure += r.counters.Timed.Overdue(now, r.Threshold)
	return c
}

// Show adds the slow calls.
func (r *slow) Show(e Evidence, w breaker.Window) breaker.Window {
	w = r.metered.Show(e, w)
	w.Slow = r.counts(e.Now).Failure
	return w
}
