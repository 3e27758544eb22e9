package watch

import "github.com/kratos-breaker/breaker"

const (
	decisions = 2 // allowed, rejected
	outcomes  = int(breaker.Failure) + 1
	states    = int(breaker.Open) + 1
	modes     = int(breaker.DryRun) + 1
	results   = 3 // applied, unchanged, rejected
)

// Label is a label in the words of OpenTelemetry, which calls it an attribute.
type Label struct{ Key, Value string }

// Where in [Sets] the labels begin.
const (
	plain        = 0 // without labels
	byDecision   = plain + 1
	byOutcome    = byDecision + decisions
	byState      = byOutcome + outcomes
	byMode       = byState + states
	byTransition = byMode + modes
	numSets      = byTransition + states*states

	byResult = plain + 1 // in SourceSets
)

// Sets are the sets of labels that the lines of a series have besides those of
// the series. Several lines may have the same set. SourceSets are those of what
// belongs to no breaker.
var (
	Sets = func() (all [numSets][]Label) {
		for d, text := range [decisions]string{"allowed", "rejected"} {
			all[byDecision+d] = []Label{{DecisionKey, text}}
		}
		for o := range outcomes {
			all[byOutcome+o] = []Label{{OutcomeKey, breaker.Outcome(o).String()}}
		}
		for s := range states {
			all[byState+s] = []Label{{StateKey, breaker.State(s).String()}}
		}
		for m := range modes {
			all[byMode+m] = []Label{{ModeKey, breaker.Mode(m).String()}}
		}
		for t := range states * states {
			from, to := breaker.State(t/states), breaker.State(t%states)
			all[byTransition+t] = []Label{{FromKey, from.String()}, {ToKey, to.String()}}
		}
		return all
	}()
	SourceSets = [...][]Label{
		plain:        nil,
		byResult:     {{ResultKey, "applied"}},
		byResult + 1: {{ResultKey, "unchanged"}},
		byResult + 2: {{ResultKey, "rejected"}},
	}
)

// Where in [Lines] those of a metric begin.
const (
	requests    = 0
	calls       = requests + decisions
	windowCalls = calls + outcomes
	state       = windowCalls + outcomes
	mode        = state + states
	transitions = mode + modes
	wouldReject = transitions + states*states
	inFlight    = wouldReject + 1
	rejectRatio = inFlight + 1
	numLines    = rejectRatio + 1
)

// Line is one number under one set of labels: Metric is an index of [Metrics],
// and Set one of [Sets] or [SourceSets].
type Line struct{ Metric, Set int }

// Lines are the lines of a series. Not each of them is there at all times.
// SourceLines are those of what belongs to no breaker; the last of them only if
// the source has rules.
var (
	Lines = func() (all [numLines]Line) {
		put := func(metric, first, set, n int) {
			for i := range n {
				all[first+i] = Line{metric, set + i}
			}
		}
		put(Requests, requests, byDecision, decisions)
		put(Calls, calls, byOutcome, outcomes)
		put(WindowCalls, windowCalls, byOutcome, outcomes)
		put(State, state, byState, states)
		put(Mode, mode, byMode, modes)
		put(Transitions, transitions, byTransition, states*states)
		put(WouldReject, wouldReject, plain, 1)
		put(InFlight, inFlight, plain, 1)
		put(RejectRatio, rejectRatio, plain, 1)
		return all
	}()
	SourceLines = [numSourceLines]Line{
		{Breakers, plain},
		{BreakersLimit, plain},
		{Overflow, plain},
		{Reloads, byResult},
		{Reloads, byResult + 1},
		{Reloads, byResult + 2},
	}
)

const numSourceLines = 3 + results
