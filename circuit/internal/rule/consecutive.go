package rule

import (
	"fmt"

	"github.com/kratos-breaker/breaker"
)

// Consecutive opens the breaker after that many failures in a row.
type Consecutive struct{ Failures int }

// Rule implements [Spec].
func (s Consecutive) Rule(Counters) Rule { return consecutive{s} }

// Probes lets one success close the breaker, and as many failures reopen it.
func (s Consecutive) Probes() (Probes, string) { return Probes{Successes: 1, Of: s.Failures}, "" }

type consecutive struct{ Consecutive }

// CarryOver has nothing to take over: the breaker counts the row, whatever its
// rules are.
func (consecutive) CarryOver([]Rule, Evidence) {}

func (consecutive) Clear(Evidence) {}

func (consecutive) Record(Evidence) {}

func (consecutive) Needs() Needs { return Row }

func (r consecutive) Evaluate(e Evidence) (Verdict, uint64) {
	n := uint64(r.Failures)
	if e.Row >= n {
		return Opens, 0
	}
	return Stays, n - e.Row
}

func (r consecutive) Cause(Evidence) string { return fmt.Sprintf("%d failures in a row", r.Failures) }

func (consecutive) Show(_ Evidence, w breaker.Window) breaker.Window { return w }
