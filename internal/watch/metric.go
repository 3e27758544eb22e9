package watch

// Kind says how the numbers of a metric go on.
type Kind uint8

// The kinds of metrics.
const (
	Counter Kind = iota // it only grows
	Number              // it comes and goes, and can be added up
	Gauge               // it comes and goes, and cannot be added up
)

// Metric is one metric, in the words of OpenTelemetry.
type Metric struct {
	Name, Unit, Help string
	Kind             Kind
	// Keys are the keys of the labels that a line has besides those of its
	// series.
	Keys []string
}

// The indexes of [Metrics]. Those of a breaker come first.
const (
	Requests = iota
	WouldReject
	Calls
	InFlight
	State
	Transitions
	Mode
	RejectRatio
	WindowCalls
	Breakers
	BreakersLimit
	Overflow
	Reloads // only if the source has rules
	NumMetrics
)

// The keys of the labels.
const (
	NameKey     = "circuitbreaker.name"
	DecisionKey = "circuitbreaker.decision" // allowed, rejected
	OutcomeKey  = "circuitbreaker.outcome"  // success, failure, ignored
	StateKey    = "circuitbreaker.state"    // closed, half-open, open
	ModeKey     = "circuitbreaker.mode"     // auto, force-open, force-closed, dry-run
	FromKey     = "from"                    // a state
	ToKey       = "to"                      // a state
	ResultKey   = "result"                  // applied, unchanged, rejected
)

// Metrics are all that there are.
var Metrics = [NumMetrics]Metric{
	Requests: {
		Name: "circuitbreaker.requests", Unit: "{request}", Kind: Counter, Keys: []string{DecisionKey},
		Help: "Calls that asked the breaker, by what it decided.",
	},
	WouldReject: {
		Name: "circuitbreaker.would_reject", Unit: "{request}", Kind: Counter,
		Help: "Calls that a dry run allowed although the breaker had come to reject them.",
	},
	Calls: {
		Name: "circuitbreaker.calls", Unit: "{call}", Kind: Counter, Keys: []string{OutcomeKey},
		Help: "Allowed calls that ended, by what their end said about the backend.",
	},
	InFlight: {
		Name: "circuitbreaker.inflight", Unit: "{call}", Kind: Number,
		Help: "Allowed calls that have not ended.",
	},
	State: {
		Name: "circuitbreaker.state", Unit: "1", Kind: Number, Keys: []string{StateKey},
		Help: "1 for the state that the breaker is in, 0 for the others.",
	},
	Transitions: {
		Name: "circuitbreaker.state.transitions", Unit: "{transition}", Kind: Counter, Keys: []string{FromKey, ToKey},
		Help: "Changes of the breaker's state.",
	},
	Mode: {
		Name: "circuitbreaker.mode", Unit: "1", Kind: Number, Keys: []string{ModeKey},
		Help: "1 for the mode that the breaker is in, 0 for the others. In auto, its state decides about calls.",
	},
	RejectRatio: {
		Name: "circuitbreaker.reject_ratio", Unit: "1", Kind: Gauge,
		Help: "Share of the calls that the breaker rejects now.",
	},
	WindowCalls: {
		Name: "circuitbreaker.window.calls", Unit: "{call}", Kind: Number, Keys: []string{OutcomeKey},
		Help: "Calls that the breaker decides from.",
	},
	Breakers: {
		Name: "circuitbreaker.breakers", Unit: "{breaker}", Kind: Number,
		Help: "Keys that have a breaker of their own.",
	},
	BreakersLimit: {
		Name: "circuitbreaker.breakers.limit", Unit: "{breaker}", Kind: Number,
		Help: "Keys that can have a breaker of their own.",
	},
	Overflow: {
		Name: "circuitbreaker.overflow", Unit: "{request}", Kind: Counter,
		Help: "Calls whose key was beyond the limit, so that they shared a breaker.",
	},
	Reloads: {
		Name: "circuitbreaker.config.reloads", Unit: "{reload}", Kind: Counter, Keys: []string{ResultKey},
		Help: "Changes of the rules, by what came of them.",
	},
}
