package rule

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Rate opens the breaker when a share of the calls within the period failed, if
// there were enough of them.
type Rate struct {
	Ratio    Fraction
	MinCalls uint64
	Period   time.Duration
}

// Rule implements [Spec].
func (s Rate) Rule(c Counters) Rule { return &rate{Rate: s, counters: c} }

// Probes lets as many probes decide as calls are needed, when all have ended. The
// breaker may close with the most failures that do not reach the rate.
func (s Rate) Probes() (Probes, string) {
	if !bounds.ProbesOf.Has(int64(s.MinCalls)) {
		return Probes{}, "want at most 1000000 calls to decide from"
	}
	failures := uint64(0)
	for !s.Ratio.reached(failures+1, s.MinCalls) {
		failures++
	}
	return Probes{Successes: int(s.MinCalls - failures), Of: int(s.MinCalls), All: true}, ""
}

// evaluate judges counts, with what failed or was slow as failures.
func (s Rate) evaluate(c ledger.Counts) (Verdict, uint64) {
	n := c.Success + c.Failure
	switch missing := s.Ratio.missing(c.Failure, max(n, s.MinCalls), n >= s.MinCalls); {
	case missing > 0:
		return Stays, missing
	case n >= s.MinCalls:
		return Opens, 0
	}
	return SuccessMayOpen, 0 // only MinCalls is not reached
}

func (s Rate) cause(c ledger.Counts, what string) string {
	return fmt.Sprintf("%d of %d calls within %v %s", c.Failure, c.Success+c.Failure, s.Period, what)
}

type rate struct {
	Rate
	metered
	counters Counters
}

// CarryOver takes over the meter of any rule with the same period.
func (r *rate) CarryOver(before []Rule, at Evidence) {
	r.calls = meterOf(before, r.Period, r.counters.Calls, at.Now)
}

func (r *rate) Needs() Needs { return Nothing }

func (r *rate) Evaluate(e Evidence) (Verdict, uint64) { return r.evaluate(r.within(e)) }

func (r *rate) Cause(e Evidence) string { return r.cause(r.within(e), "failed") }
