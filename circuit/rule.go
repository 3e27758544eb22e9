package circuit

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/window"
)

// recentRule opens the breaker when the last failures of a number lie close
// together.
type recentRule struct {
	kind     int
	failures int
	span     int64 // calls, or nanoseconds
}

const (
	inARow = iota // the last span calls, which all failed
	ofLast        // the last span calls
	within        // the last span nanoseconds
)

func (r recentRule) cause() string {
	switch r.kind {
	case inARow:
		return fmt.Sprintf("%d failures in a row", r.failures)
	case ofLast:
		return fmt.Sprintf("%d of the last %d calls failed", r.failures, r.span)
	}
	return fmt.Sprintf("%d failures within %v", r.failures, time.Duration(r.span))
}

// recent holds when the last failures happened: the numbers of the calls, or
// the times. Successes leave no trace in it, and need not. All failures of the
// span are there, or the rule would hold.
type recent struct {
	recentRule
	size int     // of the ring: the failures of the rule, or more
	at   []int64 // a ring of the last failures, once it is full
	next int
	from uint64 // calls that had ended before it began
}

// add takes in one more failure and reports whether the rule holds.
func (r *recent) add(at int64) bool {
	if r.kind == inARow {
		return false // the streak is counted anyway
	}
	if len(r.at) < r.size {
		r.at = append(r.at, at)
	} else {
		r.at[r.next] = at
	}
	r.next = (r.next + 1) % r.size
	return len(r.at) >= r.failures && at-r.at[(r.next-r.failures+r.size)%r.size] < r.span
}

// count returns the number of failures in the span that ends at now.
func (r *recent) count(now int64) (n uint64) {
	for _, at := range r.at {
		if now-at < r.span {
			n++
		}
	}
	return n
}

// begin makes it empty.
func (r *recent) begin(calls uint64) {
	r.size, r.at, r.next, r.from = r.failures, r.at[:0], 0, calls
}

// take takes over the failures of r for a rule of the same kind and span, at
// the number of a call or at a time.
func (r recent) take(rule recentRule, now int64) recent {
	if rule == r.recentRule {
		return r
	}
	taken := recent{recentRule: rule, from: r.from}
	oldest := 0
	if len(r.at) == r.size {
		oldest = r.next
	}
	for i := range r.at {
		if at := r.at[(oldest+i)%len(r.at)]; now-at < r.span {
			taken.at = append(taken.at, at)
		}
	}
	// If the rule holds already, the next failure opens, and is shown as well.
	taken.next = len(taken.at)
	taken.size = max(rule.failures, taken.next+1)
	return taken
}

// rateRule opens the breaker when a share of the calls within a period failed,
// or was slow.
type rateRule struct {
	slow     bool
	fraction fraction
	minCalls uint64
	period   time.Duration
}

// holds reports whether c, with what failed or was slow as failures, opens the
// breaker.
func (r rateRule) holds(c ledger.Counts) bool {
	n := c.Success + c.Failure
	return n >= r.minCalls && r.fraction.reached(c.Failure, n)
}

// mayHold reports whether successes alone could still make the rule hold: they
// can only add up to minCalls.
func (r rateRule) mayHold(c ledger.Counts) bool {
	return c.Success+c.Failure < r.minCalls && r.fraction.reached(c.Failure, r.minCalls)
}

func (r rateRule) cause(c ledger.Counts) string {
	what := "failed"
	if r.slow {
		what = "were slow"
	}
	return fmt.Sprintf("%d of %d calls within %v %s", c.Failure, c.Success+c.Failure, r.period, what)
}

// predicate is a rule of the user's.
type predicate struct {
	period time.Duration // 0: since the breaker closed
	holds  func(Counts) bool
}

// Counts is what a function of [WithOpenWhen] decides from.
type Counts struct {
	// Success and Failure count the calls that ended, within the period or
	// since the breaker closed.
	Success, Failure uint64
	// InFlight counts the permits that are not settled yet.
	InFlight uint64
	// ConsecutiveSuccesses and ConsecutiveFailures count since the last failure
	// and the last success, whatever the period. One of them is 0.
	ConsecutiveSuccesses, ConsecutiveFailures uint64
}

// meter counts the calls of a period.
type meter struct {
	period time.Duration
	ledger *ledger.Ledger
	window window.Rolling
}

func newMeter(period time.Duration, l *ledger.Ledger) *meter {
	m := &meter{period: period, ledger: l}
	m.window.Init(buckets, period/buckets)
	return m
}

func (m *meter) roll(now int64) { m.window.Roll(now, m.ledger, func() {}) }

func (m *meter) clear(now int64) { m.window.Clear(now, m.ledger, func() {}) }

func (m *meter) counts(now int64) ledger.Counts { return m.window.Counts(now, m.ledger) }
