package rule

import (
	"fmt"
	"time"
)

// InPeriod opens the breaker when so many calls failed within any stretch of time
// of the length of the period.
type InPeriod struct {
	Failures int
	Period   time.Duration
}

// Rule implements [Spec].
func (s InPeriod) Rule(c Counters) Rule {
	return &inPeriod{InPeriod: s, counters: c, log: newFailureLog(s.Failures, int64(s.Period))}
}

// Probes lets one success close the breaker, and as many failures reopen it.
func (s InPeriod) Probes() (Probes, string) { return Probes{Successes: 1, Of: s.Failures}, "" }

// inPeriod has the times of the failures in its log. The meter is only for what a
// snapshot shows.
type inPeriod struct {
	InPeriod
	metered
	counters Counters
	log      failureLog
}

// CarryOver takes over the failures of a rule with the same period, and the meter of
// any rule that has it.
func (r *inPeriod) CarryOver(before []Rule, at Evidence) {
	r.calls = meterOf(before, r.Period, r.counters.Calls, at.Now)
	for _, b := range before {
		if old, ok := b.(*inPeriod); ok && old.Period == r.Period {
			r.log.carryOver(old.log, at.Now)
			return
		}
	}
}

func (r *inPeriod) Clear(Evidence) { r.log.clear() }

func (r *inPeriod) Record(e Evidence) { r.log.add(e.Now) }

func (r *inPeriod) Needs() Needs { return Lock }

func (r *inPeriod) Evaluate(e Evidence) (Verdict, uint64) {
	if e.Row > 0 && r.log.holds() {
		return Opens, 0
	}
	return Stays, 1
}

func (r *inPeriod) Cause(Evidence) string {
	return fmt.Sprintf("%d failures within %v", r.Failures, r.Period)
}
