// Package rule has the rules that open a closed breaker, and the verdict of the
// probes that close or reopen a half-open one.
//
// Each rule has a file of its own, with two types. A [Spec] is the rule as the
// options give it: plain data, which may serve many breakers. A [Rule] is the rule
// in force for one breaker, with what it has counted. A new rule is a new file
// with both, and an option that makes the Spec; nothing else asks which rules
// there are. The breaker counts calls and asks its [Set] of rules.
package rule

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Spec is a rule as the options give it. Two that are equal are the same rule.
type Spec interface {
	// Rule returns the rule for a breaker that counts in c. Its CarryOver comes
	// before all else.
	Rule(c Counters) Rule

	// Probes returns how the rule judges probes if it decides about them, too, or
	// says what keeps it from that.
	Probes() (p Probes, problem string)
}

// exactlyOne is what a verdict by the opening rule needs.
const exactlyOne = "want exactly one opening rule, and no WithOpenWhen"

// ProbesOf returns how the only one of some rules judges probes, or says what keeps
// it from that.
func ProbesOf(specs []Spec) (p Probes, problem string) {
	if len(specs) != 1 {
		return p, exactlyOne
	}
	return specs[0].Probes()
}

// Rule is a rule in force for one breaker. The breaker holds its lock whenever it
// calls a method, but for Evaluate of a rule that does not need it.
type Rule interface {
	// CarryOver takes over what the rules that were in force until now, and those of
	// the same Set that come before this one, have counted of the same. There is no
	// default, since a rule that forgets its state on a Reconfigure is a rule that a
	// reload switches off. Without such a rule it begins empty.
	CarryOver(before []Rule, at Evidence)

	// Clear forgets everything: the breaker has closed.
	Clear(at Evidence)

	// Record takes in a failure, right before Evaluate is asked about it. If no rule
	// of the Set needs the lock, it is not called.
	Record(e Evidence)

	// Evaluate says what follows after a call has ended, or when calls in flight may
	// have become slow. If nothing does, it also says how many more failures it takes,
	// at least, until something can, provided that no bucket begins. So most failures
	// need not ask. Without an idea it is 1.
	Evaluate(e Evidence) (v Verdict, failures uint64)

	// Needs says what the rule needs with each failure. It never changes.
	Needs() Needs

	// Cause says why the rule opens the breaker.
	Cause(e Evidence) string

	// Show returns the window w of a snapshot with what the rule looks at, if that is
	// more than what w shows.
	Show(e Evidence, w breaker.Window) breaker.Window
}

// Counters are what the rules of a breaker count with.
type Counters struct {
	Calls *ledger.Ledger // of the closed state
	Timed Timed          // nil unless calls are timed
}

// Timed tells how long calls take.
type Timed interface {
	// Scratch counts calls on time as successes and slow ones as failures.
	Scratch() *ledger.Ledger
	// Overdue returns how many calls in flight are slow by now.
	Overdue(now int64, threshold time.Duration) uint64
}

// Evidence is what rules decide from. It is passed by value, so that a failure
// allocates nothing.
type Evidence struct {
	Now   int64         // nanoseconds since the breaker was made
	Ended ledger.Counts // calls of closed states since the breaker was made
	Row   uint64        // failures in a row, at least those of Ended; 0 if the call at hand is none
}

// calls returns the number of calls that have ended.
func (e Evidence) calls() uint64 { return e.Ended.Success + e.Ended.Failure }

// Needs is what rules need with a failure. That of several rules is or-ed.
type Needs uint8

const (
	// Lock means that Record and Evaluate are called, with the lock held.
	Lock Needs = 1 << iota
	// Row means that Evidence.Row is exact. Otherwise it only tells failures from
	// all else.
	Row

	// Nothing means that Evaluate may be called without the lock, and Record need not
	// be.
	Nothing Needs = 0
)

// Verdict is what rules say. Those of several rules are or-ed.
type Verdict uint8

const (
	// SuccessMayOpen means that successes alone can make the rule hold.
	SuccessMayOpen Verdict = 1 << iota
	// Asks means that a function of the user's has to be asked.
	Asks
	// Opens means that the rule holds.
	Opens

	// Stays means that nothing follows.
	Stays Verdict = 0
)
