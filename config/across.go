package config

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// What of a policy does not fit together. The ranges that one field leaves of
// another are those of package bounds.

func acrossFailureCount(v values, report report) {
	m, of := get(v, int64(1), "failures"), get(v, bounds.FailureCountOf.High, "of")
	if left := bounds.FailuresAmong(of); !left.Has(m) {
		report("failures", m, "want a whole number in %s", left.Range())
	}
}

func acrossFailureRate(v values, report report) {
	if (v["ratio"] == nil) == (v["percent"] == nil) {
		report("", nil, "want either ratio or percent")
	}
}

func acrossProbes(v values, report report) {
	successes, of := get(v, int64(1), "successes"), get(v, bounds.ProbesOf.High, "of")
	if left := bounds.SuccessesAmong(of); !left.Has(successes) {
		report("successes", successes, "want a whole number in %s", left.Range())
	}
}

func acrossCircuit(v values, report report) {
	if successes, of, ok := probesOf(v, report); ok {
		if left, n := bounds.ProbeLimitAmong(of), get(v, int64(1), "probe_limit"); !left.Has(n) {
			report("probe_limit", n, "want a whole number in %s, the number of probes", left.Range())
		}
		if left, n := bounds.ProbeFailuresAmong(successes, of), get(v, int64(1), "probe_failures"); !left.Has(n) {
			report("probe_failures", n, "want a whole number in %s, with which %d of %d probes can no longer succeed", left.Range(), successes, of)
		}
	}
	if v["backoff"] == nil {
		return
	}
	delay := get(v, bounds.Delay.Default, "delay")
	left, longest := bounds.LongestFrom(delay), get(v, bounds.BackoffLongest.High, "backoff", "longest")
	switch {
	case delay == 0:
		report("backoff", nil, "want a delay above 0s")
	case !left.Has(longest):
		report("backoff.longest", longest, "want a duration in %s, not below the delay", left.Range())
	}
}

// probesOf returns the numbers of probes, which may follow from the rule that opens
// the breaker; ok is false if they do not fit together.
func probesOf(v values, report report) (successes, of int64, ok bool) {
	successes, of = bounds.ProbeSuccesses.Default, bounds.ProbesOf.Default
	if p, given := v["probes"].(values); given {
		successes, of = get(p, int64(1), "successes"), get(p, bounds.ProbesOf.High, "of")
	}
	if !bounds.SuccessesAmong(of).Has(successes) {
		return 0, 0, false
	}
	if !get(v, false, "probes_as_in_closed") {
		return successes, of, true
	}
	successes, of, problem := probesAsInClosed(v)
	if problem != "" {
		report("probes_as_in_closed", true, "%s", problem)
	}
	return successes, of, problem == "" && bounds.SuccessesAmong(of).Has(successes)
}

// probesAsInClosed returns the numbers of probes that follow from the opening rule,
// or why none do.
func probesAsInClosed(v values) (successes, of int64, problem string) {
	rules := 0
	for _, name := range []string{"consecutive_failures", "failure_count", "failures_in_period"} {
		if v[name] != nil {
			rules++
		}
	}
	rates := get(v, []any(nil), "failure_rate")
	if s := v["slow_call_rate"]; s != nil {
		rates = append(rates[:len(rates):len(rates)], s)
	}
	switch {
	case v["probes"] != nil:
		return 0, 0, "want no probes besides"
	case rules+len(rates) > 1:
		return 0, 0, "want one rule that opens the breaker, and no further one"
	case len(rates) == 1:
		rate, _ := rates[0].(values)
		minCalls := get(rate, int64(1), "min_calls")
		switch {
		case !bounds.ProbesOf.Has(minCalls):
			return 0, 0, "want min_calls of at most 1000000"
		case v["probe_failures"] != nil:
			return 0, 0, "want no probe_failures besides, with a rate"
		}
		return 1, minCalls, ""
	case v["failure_count"] != nil:
		m, n := get(v, int64(1), "failure_count", "failures"), get(v, int64(1), "failure_count", "of")
		return n - m + 1, n, ""
	case v["failures_in_period"] != nil:
		return 1, get(v, int64(1), "failures_in_period", "failures"), ""
	}
	return 1, get(v, bounds.ConsecutiveFailures.Default, "consecutive_failures"), ""
}

// acrossClassify reports answers that are to be two things at once.
func acrossClassify(v values, report report) {
	seen, told := make(map[any]string), make(map[[2]string]bool)
	twice := func(name string, key, shown any) {
		before, ok := seen[key]
		if ok && before != name && !told[[2]string{name, before}] {
			report(name, shown, "it is in classify.%s, too", before)
			told[[2]string{name, before}] = true // a range has many
		}
		seen[key] = name
	}
	for _, o := range []string{"success", "failure", "ignored"} {
		for _, of := range []string{"http", "grpc", "reasons"} {
			for _, e := range get(v, []any(nil), o, of) {
				name := o + "." + of
				switch e := e.(type) {
				case statuses:
					for status := e.First; status <= e.Last; status++ {
						twice(name, status, status)
					}
				case code:
					twice(name, e, codes.Code(e).String())
				default:
					twice(name, e, e)
				}
			}
		}
	}
}

func brief(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	return bounds.Brief(d)
}
