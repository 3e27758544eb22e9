package bounds

import "time"

const (
	maxFailures = 1_000_000
	minPeriod   = 10 * time.Millisecond
)

// The options of package circuit.
var (
	ConsecutiveFailures = add(Of[int64]{
		Option: "circuit.WithConsecutiveFailures", What: "failures in a row that open it",
		Unit: "a number of calls", Low: 1, High: maxFailures, Default: 5, Otherwise: ", if nothing else opens it",
	})

	FailureCountFailures = few("circuit.WithFailureCount", "failures among the last calls that open it", "a number of failures m")
	FailureCountOf       = few("circuit.WithFailureCount", "how many calls these are", "a number of calls n")

	PeriodFailures = few("circuit.WithFailuresInPeriod", "failures within a period that open it", "a number of failures")
	Period         = period("circuit.WithFailuresInPeriod")

	FailureRatio    = ratio("circuit.WithFailureRate", "share of failures within a period that opens it")
	FailureMinCalls = minCalls("circuit.WithFailureRate")
	FailurePeriod   = period("circuit.WithFailureRate")

	FailurePercent = add(Of[int64]{
		Option: "circuit.WithFailurePercent", What: "the same in percent",
		Unit: "a number of percent", Low: 1, High: 100, Otherwise: "-",
	})
	_ = minCalls("circuit.WithFailurePercent")
	_ = period("circuit.WithFailurePercent")

	SlowThreshold = add(Of[time.Duration]{
		Option: "circuit.WithSlowCallRate", What: "time from which on a call is slow; without a rule of failures beside it, 5 failures in a row open the breaker, too",
		Unit: "a threshold", Above: true, High: day, Otherwise: "-",
	})
	SlowRatio    = ratio("circuit.WithSlowCallRate", "share of slow calls within a period that opens it")
	SlowMinCalls = minCalls("circuit.WithSlowCallRate")
	SlowPeriod   = period("circuit.WithSlowCallRate")

	OpenWhenPeriod = period("circuit.WithOpenWhen")

	ProbeSuccesses = add(Of[int64]{
		Option: "circuit.WithProbes", What: "successful probes that close it",
		Unit: "a number of successes", Low: 1, High: maxFailures, Default: 1,
	})
	ProbesOf = add(Of[int64]{
		Option: "circuit.WithProbes", What: "of so many probes at most",
		Unit: "a number of probes", Low: 1, High: maxFailures, Default: 1,
	})
	ProbeLimit    = few("circuit.WithProbeLimit", "probes that may run at once, of those of `circuit.WithProbes`", "a number of probes")
	ProbeFailures = few("circuit.WithProbeFailures", "failed probes that reopen it", "a number of probes")
	ProbeLease    = add(Of[time.Duration]{
		Option: "circuit.WithProbeLease", What: "time that a probe may take",
		Unit: "a duration", Low: time.Millisecond, High: day, Default: 30 * time.Second,
	})

	Delay = add(Of[time.Duration]{
		Option: "circuit.WithDelay", What: "time from opening to the first probe",
		Unit: "a duration", High: day, Default: 30 * time.Second,
	})
	BackoffFactor = add(Of[float64]{
		Option: "circuit.WithBackoff", What: "the delay grows by it with each opening in a row",
		Unit: "a factor", Low: 1, High: 100, Otherwise: "-",
	})
	BackoffLongest = add(Of[time.Duration]{
		Option: "circuit.WithBackoff", What: "up to this delay",
		Unit: "a longest delay", Above: true, High: day, Otherwise: "-",
	})
	Jitter = add(Of[float64]{
		Option: "circuit.WithJitter", What: "share of the delay that may be cut off at random",
		Unit: "a ratio", High: 1,
	})
	RetryAfter = add(Of[time.Duration]{
		Option: "circuit.WithRetryAfter", What: "the delay is what the backend asks for, but at most this",
		Unit: "a duration", Above: true, High: day, Otherwise: "it is not asked",
	})
)

// few is a number of calls that are remembered one by one.
func few(option, what, unit string) *Of[int64] {
	b := Of[int64]{Option: option, What: what, Unit: unit, Low: 1, High: maxFailures, Otherwise: "-"}
	switch option {
	case "circuit.WithProbeLimit":
		b.Otherwise = "all"
	case "circuit.WithProbeFailures":
		b.Otherwise = "as many as make closing impossible"
	}
	return add(b)
}

func ratio(option, what string) *Of[float64] {
	return add(Of[float64]{Option: option, What: what, Unit: "a ratio", Low: minRatio, High: 1, Otherwise: "-"})
}

func minCalls(option string) *Of[int64] {
	return add(Of[int64]{
		Option: option, What: "calls below which the share means nothing",
		Unit: "a number of calls", Low: 1, High: maxCalls, Otherwise: "-",
	})
}

func period(option string) *Of[time.Duration] {
	return add(Of[time.Duration]{
		Option: option, What: "length of the period",
		Unit: "a period", Low: minPeriod, High: day, Otherwise: "-",
	})
}

// FailuresAmong is what is left of [FailureCountFailures] among the last calls.
func FailuresAmong(calls int64) *Of[int64] { return FailureCountFailures.UpTo(calls) }

// SuccessesAmong is what is left of [ProbeSuccesses] among so many probes.
func SuccessesAmong(probes int64) *Of[int64] { return ProbeSuccesses.UpTo(probes) }

// ProbeLimitAmong is what is left of [ProbeLimit] among so many probes.
func ProbeLimitAmong(probes int64) *Of[int64] { return ProbeLimit.UpTo(probes) }

// ProbeFailuresAmong is what is left of [ProbeFailures] if of so many probes that
// many have to succeed: with one more, they cannot.
func ProbeFailuresAmong(successes, probes int64) *Of[int64] {
	return ProbeFailures.UpTo(probes - successes + 1)
}

// LongestFrom is what is left of [BackoffLongest] after a delay, which is above 0.
func LongestFrom(delay time.Duration) *Of[time.Duration] { return BackoffLongest.From(delay) }
