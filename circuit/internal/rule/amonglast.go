package rule

import (
	"fmt"

	"github.com/kratos-breaker/breaker"
)

// AmongLast opens the breaker when so many of the last calls failed.
type AmongLast struct{ Failures, Calls int }

// Rule implements [Spec].
func (s AmongLast) Rule(Counters) Rule {
	return &amongLast{AmongLast: s, log: newFailureLog(s.Failures, int64(s.Calls))}
}

// Probes lets as many probes decide as there are calls.
func (s AmongLast) Probes() (Probes, string) {
	return Probes{Successes: s.Calls - s.Failures + 1, Of: s.Calls}, ""
}

// amongLast has the numbers of the calls that failed in its log.
type amongLast struct {
	AmongLast
	log  failureLog
	from uint64 // calls that had ended before it began
}

// CarryOver takes over the failures of a rule that looks at as many calls.
func (r *amongLast) CarryOver(before []Rule, at Evidence) {
	r.from = at.calls()
	for _, b := range before {
		if old, ok := b.(*amongLast); ok && old.Calls == r.Calls {
			r.from = old.from
			r.log.carryOver(old.log, int64(at.calls()))
			return
		}
	}
}

func (r *amongLast) Clear(at Evidence) {
	r.from = at.calls()
	r.log.clear()
}

func (r *amongLast) Record(e Evidence) { r.log.add(int64(e.calls())) }

func (r *amongLast) Needs() Needs { return Lock }

func (r *amongLast) Evaluate(e Evidence) (Verdict, uint64) {
	if e.Row > 0 && r.log.holds() {
		return Opens, 0
	}
	return Stays, 1
}

func (r *amongLast) Cause(Evidence) string {
	return fmt.Sprintf("%d of the last %d calls failed", r.Failures, r.Calls)
}

// Show shows the last calls, unless there is a period to be shown.
func (r *amongLast) Show(e Evidence, w breaker.Window) breaker.Window {
	if w.Length == 0 {
		w.Failure = r.log.count(int64(e.calls()))
		w.Success = min(uint64(r.Calls), e.calls()-r.from) - w.Failure
	}
	return w
}
