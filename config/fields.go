package config

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/sre"
)

// The table. A field has the name of its option, so that a test finds the options
// that have none.

var rootFields = []field{
	{name: "default", fields: policyFields},
	{name: "rules", fields: append([]field{matchField, transportField}, policyFields...), list: true, most: maxRules, inherits: true},
	{name: "keys", fields: keyFields},
}

const maxRules = 1000

var (
	matchField = field{
		name: "match", what: "a key, a beginning or a pattern", values: wantMatch, byDefault: "must be there",
		missing: missing + "; want " + wantMatch, read: readPattern,
	}
	transportField = word("transport", "the kind of transport", "both", "http", "grpc")
)

const wantMatch = "a key, a beginning followed by *, or a pattern"

var keyFields = []field{
	whole("limit", bounds.GroupLimit, to(toInt64(group.WithLimit))),
	duration("idle", bounds.GroupIdle, to(group.WithIdle)),
}

// policyFields are what the default or a rule may say.
var policyFields = []field{
	word("algorithm", "`sre` adapts, `circuit` has three states, `off` allows all calls and counts them", "`sre`", "sre", "circuit", "off"),
	word("mode", "who decides: the breaker, or the file", "`auto`", "auto", "force-open", "force-closed", "dry-run"),
	{name: "sre", fields: sreFields, across: acrossSRE},
	{name: "circuit", fields: circuitFields, across: acrossCircuit},
	{name: "classify", fields: []field{
		flag("overload", "429 and `ResourceExhausted` are failures", errors.WithOverload),
		outcome("other", "what errors are that are neither of HTTP nor of gRPC nor of the network", "failure", errors.WithOther),
		answers(breaker.Success, "a success"),
		answers(breaker.Failure, "a failure"),
		answers(breaker.Ignored, "ignored"),
	}, across: acrossClassify},
}

var sreFields = []field{
	number("success", bounds.Success, to(sre.WithSuccess)),
	whole("request", bounds.Request, to(sre.WithRequest)),
	duration("window", bounds.Window, to(sre.WithWindow)),
	whole("bucket", bounds.Bucket, to(toInt64(sre.WithBucket))),
	duration("probe_interval", bounds.ProbeInterval, to(sre.WithProbeInterval)),
	duration("max_probe_interval", bounds.MaxProbeInterval, to(sre.WithMaxProbeInterval)),
	flag("classic", "decide as go-kratos/aegis does", sre.Classic),
	flag("unmarked_rejections", "for a host that asks with `Allow` and does not mark rejections", sre.WithUnmarkedRejections),
}

func acrossSRE(v values, report report) {
	window, buckets := get(v, bounds.Window.Default, "window"), get(v, bounds.Bucket.Default, "bucket")
	if room := bounds.BucketOf(window); !room.Has(buckets) {
		report("bucket", buckets, "want buckets of at least 1µs; a window of %s has room for %d", brief(window), room.High)
	}
	every := get(v, bounds.ProbeInterval.Default, "probe_interval")
	if most := get(v, every, "max_probe_interval"); most < every {
		report("max_probe_interval", most, "want a duration in [%s, 1h], not below the probe_interval", brief(every))
	}
}

var circuitFields = []field{
	whole("consecutive_failures", bounds.ConsecutiveFailures, to(toInt64(circuit.WithConsecutiveFailures))),
	{
		name: "failure_count", across: acrossFailureCount,
		fields: needed(
			whole("failures", bounds.FailureCountFailures, nil),
			whole("of", bounds.FailureCountOf, nil)),
		apply: to(func(v values) circuit.Option {
			return circuit.WithFailureCount(v.int("failures"), v.int("of"))
		}),
	},
	{
		name: "failures_in_period",
		fields: needed(
			whole("failures", bounds.PeriodFailures, nil),
			duration("period", bounds.Period, nil)),
		apply: to(func(v values) circuit.Option {
			return circuit.WithFailuresInPeriod(v.int("failures"), v.duration("period"))
		}),
	},
	{
		name: "failure_rate", list: true, across: acrossFailureRate,
		fields: append([]field{
			number("ratio", bounds.FailureRatio, nil),
			whole("percent", bounds.FailurePercent, nil),
		}, needed(
			whole("min_calls", bounds.FailureMinCalls, nil),
			duration("period", bounds.FailurePeriod, nil))...),
		apply: each(rateOption),
	},
	{
		name: "slow_call_rate",
		fields: needed(
			duration("threshold", bounds.SlowThreshold, nil),
			number("ratio", bounds.SlowRatio, nil),
			whole("min_calls", bounds.SlowMinCalls, nil),
			duration("period", bounds.SlowPeriod, nil)),
		apply: to(func(v values) circuit.Option {
			return circuit.WithSlowCallRate(v.duration("threshold"), v["ratio"].(float64), v.int("min_calls"), v.duration("period"))
		}),
	},
	{
		name: "probes", across: acrossProbes,
		fields: needed(
			whole("successes", bounds.ProbeSuccesses, nil),
			whole("of", bounds.ProbesOf, nil)),
		apply: to(func(v values) circuit.Option { return circuit.WithProbes(v.int("successes"), v.int("of")) }),
	},
	whole("probe_limit", bounds.ProbeLimit, to(toInt64(circuit.WithProbeLimit))),
	whole("probe_failures", bounds.ProbeFailures, to(toInt64(circuit.WithProbeFailures))),
	duration("probe_lease", bounds.ProbeLease, to(circuit.WithProbeLease)),
	flag("probes_as_in_closed", "judge the probes by the one rule that opens it", circuit.WithProbesAsInClosed),
	duration("delay", bounds.Delay, to(circuit.WithDelay)),
	{
		name: "backoff",
		fields: needed(
			number("factor", bounds.BackoffFactor, nil),
			duration("longest", bounds.BackoffLongest, nil)),
		apply: to(func(v values) circuit.Option {
			return circuit.WithBackoff(v["factor"].(float64), v.duration("longest"))
		}),
	},
	number("jitter", bounds.Jitter, to(circuit.WithJitter)),
	duration("retry_after", bounds.RetryAfter, to(func(d time.Duration) circuit.Option {
		return circuit.WithRetryAfter(d, errors.RetryAfter)
	})),
	flag("unmarked_rejections", "for a host that asks with `Allow` and does not mark rejections", circuit.WithUnmarkedRejections),
	flag("slow_calls_only", "where `circuit.WithSlowCallRate` is the only rule, failures in a row do not open it", circuit.WithSlowCallsOnly),
}

func rateOption(v values) circuit.Option {
	if v["percent"] != nil {
		return circuit.WithFailurePercent(v.int("percent"), v.int("min_calls"), v.duration("period"))
	}
	return circuit.WithFailureRate(v["ratio"].(float64), v.int("min_calls"), v.duration("period"))
}

// outcome is the name of an outcome.
func outcome(name, what, byDefault string, option func(breaker.Outcome) errors.Option) field {
	f := word(name, what, byDefault, "success", "failure", "ignored")
	f.apply = to(func(word string) errors.Option {
		return option(map[string]breaker.Outcome{"success": breaker.Success, "failure": breaker.Failure, "ignored": breaker.Ignored}[word])
	})
	return f
}

// answers says which answers have an outcome.
func answers(o breaker.Outcome, are string) field {
	http := element("http", "HTTP statuses that are "+are+", and ranges of them: `\"404\"`, `\"500-599\"`", bounds.HTTPStatus.Range(),
		"an HTTP status in "+bounds.HTTPStatus.Range()+`, or a range as "500-599"`, toStatuses, func(s statuses) errors.Option {
			var all []int
			for status := s.First; status <= s.Last; status++ {
				all = append(all, status)
			}
			return errors.WithHTTPStatus(o, all...)
		})
	grpc := element("grpc", "gRPC codes that are "+are+", by name or number", "[1, 16]",
		"the name of a gRPC code but OK, or a number in [1, 16]", toCode,
		func(c code) errors.Option { return errors.WithGRPCCode(o, codes.Code(c)) })
	reasons := element("reasons", "reasons of Kratos errors that are "+are, "the reason of a Kratos error",
		"the reason of a Kratos error", toReason,
		func(s string) errors.Option { return errors.WithReason(o, s) })
	return field{name: o.String(), fields: []field{http, grpc, reasons}}
}

// int returns a number that is there.
func (v values) int(name string) int { return int(v[name].(int64)) }

// duration returns a duration that is there.
func (v values) duration(name string) time.Duration { return v[name].(time.Duration) }
