package rule

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// UserCall opens the breaker when a function of the user's says so. It is asked
// after failures, when the breaker has given its lock back.
type UserCall struct {
	Period time.Duration // 0: since the breaker closed
	Opens  func(Counts) bool
}

// Counts is what a function of the user's decides from. It has the fields of
// circuit.Counts.
type Counts struct {
	Success, Failure                          uint64
	InFlight                                  uint64
	ConsecutiveSuccesses, ConsecutiveFailures uint64
}

// Rule implements [Spec].
func (s UserCall) Rule(c Counters) Rule { return &userCall{UserCall: s, counters: c} }

// Probes says that a function cannot judge probes.
func (s UserCall) Probes() (Probes, string) { return Probes{}, exactlyOne }

type userCall struct {
	UserCall
	metered
	counters Counters
}

func (r *userCall) meters() []*meter {
	if r.calls == nil {
		return nil
	}
	return []*meter{r.calls}
}

// CarryOver takes over the meter of any rule with the same period. What was counted
// since the breaker closed, the breaker knows.
func (r *userCall) CarryOver(before []Rule, at Evidence) {
	if r.Period > 0 {
		r.calls = meterOf(before, r.Period, r.counters.Calls, at.Now)
	}
}

// Needs the lock, since the questions are written down under the lock.
func (r *userCall) Needs() Needs { return Lock }

func (r *userCall) Evaluate(e Evidence) (Verdict, uint64) {
	if e.Row > 0 {
		return Asks, 0
	}
	return Stays, 1
}

// Cause of an opening that the function has asked for.
func (r *userCall) Cause(Evidence) string { return "the function of WithOpenWhen" }

func (r *userCall) Show(e Evidence, w breaker.Window) breaker.Window {
	if r.calls == nil {
		return w
	}
	return r.metered.Show(e, w)
}

// Question is one for a function of the user's.
type Question struct {
	Rule   Rule
	opens  func(Counts) bool
	counts Counts
}

// Ask asks the function, and reports whether it wants the breaker to open.
func (q Question) Ask() bool { return q.opens(q.counts) }

// Questions returns what has to be asked after a failure. The state of the breaker is
// in known: the calls in flight, outcomes in a row; since holds the calls since it
// closed.
func (s *Set) Questions(e Evidence, since ledger.Counts, known Counts) (questions []Question) {
	for _, r := range s.rules {
		u, ok := r.(*userCall)
		if !ok {
			continue
		}
		c := since
		if u.Period > 0 {
			c = u.within(e)
		}
		known.Success, known.Failure = c.Success, c.Failure
		questions = append(questions, Question{Rule: u, opens: u.Opens, counts: known})
	}
	return questions
}
