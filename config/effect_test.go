package config_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
)

// effects has for each field two sets of rules that differ in nothing else, and what
// has to be done to see it.
var effects = map[string]struct{ without, with, script string }{
	"algorithm": {"mode: auto", "algorithm: circuit", "FFFFFN"},
	"mode":      {"mode: auto", "mode: force-open", "S"},

	"sre.success":             {"sre: {classic: true, request: 1}", "sre: {classic: true, request: 1, success: 0.1}", "gfffQ"},
	"sre.request":             {"sre: {classic: true}", "sre: {classic: true, request: 2}", "ffQ"},
	"sre.window":              {"sre: {classic: true}", "sre: {classic: true, window: 1m}", "W"},
	"sre.bucket":              {"sre: {classic: true}", "sre: {classic: true, bucket: 1}", ".S..wS"},
	"sre.probe_interval":      {"sre: {success: 0.5}", "sre: {success: 0.5, probe_interval: 1m}", "P"},
	"sre.max_probe_interval":  {"sre: {success: 0.5}", "sre: {success: 0.5, max_probe_interval: 1h}", "L"},
	"sre.classic":             {"sre: {request: 30}", "sre: {request: 30, classic: true}", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"},
	"sre.unmarked_rejections": {"mode: force-open", "mode: force-open, sre: {unmarked_rejections: true}", "MT"},

	"circuit.consecutive_failures":        {"algorithm: circuit", "algorithm: circuit, circuit: {consecutive_failures: 2}", "FF"},
	"circuit.failure_count.failures":      {counted(2, 3), counted(3, 3), "FF"},
	"circuit.failure_count.of":            {counted(2, 3), counted(2, 4), "FSSF"},
	"circuit.failures_in_period.failures": {inPeriod(2, "5s"), inPeriod(3, "5s"), "FF"},
	"circuit.failures_in_period.period":   {inPeriod(2, "5s"), inPeriod(2, "1s"), "F..F"},
	"circuit.failure_rate[].ratio":        {rate("ratio: 0.5", 2, "10s"), rate("ratio: 0.9", 2, "10s"), "SFF"},
	"circuit.failure_rate[].percent":      {rate("percent: 50", 2, "10s"), rate("percent: 90", 2, "10s"), "SFF"},
	"circuit.failure_rate[].min_calls":    {rate("ratio: 0.5", 2, "10s"), rate("ratio: 0.5", 3, "10s"), "FF"},
	"circuit.failure_rate[].period":       {rate("ratio: 0.5", 2, "10s"), rate("ratio: 0.5", 2, "1s"), "F..F"},
	"circuit.slow_call_rate.threshold":    {slow("1s", 1, 2, "10s"), slow("2s", 1, 2, "10s"), "ss"},
	"circuit.slow_call_rate.ratio":        {slow("1s", 0.5, 2, "10s"), slow("1s", 1, 2, "10s"), "Ss"},
	"circuit.slow_call_rate.min_calls":    {slow("1s", 1, 2, "10s"), slow("1s", 1, 3, "10s"), "ss"},
	"circuit.slow_call_rate.period":       {slow("1s", 1, 2, "10s"), slow("1s", 1, 2, "2s"), "s....s"},
	"circuit.probes.successes":            {quick("probes: {successes: 1, of: 2}"), quick("probes: {successes: 2, of: 2}"), "F.S"},
	"circuit.probes.of":                   {quick("probes: {successes: 1, of: 1}"), quick("probes: {successes: 1, of: 2}"), "F.F"},
	"circuit.probe_limit":                 {quick("probes: {successes: 2, of: 2}"), quick("probes: {successes: 2, of: 2}, probe_limit: 1"), "F.HH"},
	"circuit.probe_failures":              {quick("probes: {successes: 1, of: 2}"), quick("probes: {successes: 1, of: 2}, probe_failures: 1"), "F.F"},
	"circuit.probe_lease":                 {quick("probes: {successes: 1, of: 1}"), quick("probe_lease: 1s"), "F.H.N"},
	"circuit.probes_as_in_closed":         {counted(1, 2), "algorithm: circuit, circuit: {delay: 1s, failure_count: {failures: 1, of: 2}, probes_as_in_closed: true}", "F.S"},
	"circuit.delay":                       {quick("delay: 1s"), quick("delay: 5s"), "FA"},
	"circuit.backoff.factor":              {quick("backoff: {factor: 2, longest: 1m}"), quick("backoff: {factor: 3, longest: 1m}"), "F.FA"},
	"circuit.backoff.longest":             {quick("backoff: {factor: 9, longest: 1m}"), quick("backoff: {factor: 9, longest: 2s}"), "F.FA"},
	"circuit.jitter":                      {quick("delay: 24h"), quick("delay: 24h, jitter: 1"), "FA"},
	"circuit.retry_after":                 {quick("delay: 1s"), quick("retry_after: 7s"), "RA"},
	"circuit.unmarked_rejections":         {"algorithm: circuit, mode: force-open", "algorithm: circuit, mode: force-open, circuit: {unmarked_rejections: true}", "MT"},
	"circuit.slow_calls_only": {
		"algorithm: circuit, circuit: {slow_call_rate: {threshold: 1s, ratio: 1, min_calls: 2, period: 10s}}",
		"algorithm: circuit, circuit: {slow_calls_only: true, slow_call_rate: {threshold: 1s, ratio: 1, min_calls: 2, period: 10s}}", "FFFFF",
	},

	"classify.overload":        {"classify: {other: failure}", "classify: {other: failure, overload: true}", "C"},
	"classify.other":           {"classify: {other: failure}", "classify: {other: ignored}", "C"},
	"classify.success.http":    {"classify: {other: failure}", "classify: {other: failure, success: {http: [500-503]}}", "C"},
	"classify.success.grpc":    {"classify: {other: failure}", "classify: {other: failure, success: {grpc: [INTERNAL]}}", "C"},
	"classify.success.reasons": {"classify: {other: failure}", "classify: {other: failure, success: {reasons: [BAD]}}", "C"},
	"classify.failure.http":    {"classify: {other: failure}", "classify: {other: failure, failure: {http: [404]}}", "C"},
	"classify.failure.grpc":    {"classify: {other: failure}", "classify: {other: failure, failure: {grpc: [NOT_FOUND]}}", "C"},
	"classify.failure.reasons": {"classify: {other: failure}", "classify: {other: failure, failure: {reasons: [NONE]}}", "C"},
	"classify.ignored.http":    {"classify: {other: failure}", "classify: {other: failure, ignored: {http: [404]}}", "C"},
	"classify.ignored.grpc":    {"classify: {other: failure}", "classify: {other: failure, ignored: {grpc: [NOT_FOUND]}}", "C"},
	"classify.ignored.reasons": {"classify: {other: failure}", "classify: {other: failure, ignored: {reasons: [NONE]}}", "C"},

	"rules[].match":     {"}, rules: [{match: /x, algorithm: off}], keys: {", "}, rules: [{match: /y, algorithm: off}], keys: {", "N"},
	"rules[].transport": {"}, rules: [{match: /x, algorithm: off}], keys: {", "}, rules: [{match: /x, transport: grpc, algorithm: off}], keys: {", "N"},
	"keys.limit":        {"}, keys: {limit: 1", "}, keys: {limit: 2", "KKK"},
	"keys.idle":         {"}, keys: {limit: 1, idle: 1h", "}, keys: {limit: 1, idle: 1s", "K..K..K..K"},
}

func counted(failures, of int) string {
	return fmt.Sprintf("algorithm: circuit, circuit: {delay: 1s, failure_count: {failures: %d, of: %d}}", failures, of)
}

func inPeriod(failures int, period string) string {
	return fmt.Sprintf("algorithm: circuit, circuit: {failures_in_period: {failures: %d, period: %s}}", failures, period)
}

func rate(share string, minCalls int, period string) string {
	return fmt.Sprintf("algorithm: circuit, circuit: {failure_rate: [{%s, min_calls: %d, period: %s}]}", share, minCalls, period)
}

func slow(threshold string, ratio float64, minCalls int, period string) string {
	return fmt.Sprintf("algorithm: circuit, circuit: {slow_call_rate: {threshold: %s, ratio: %v, min_calls: %d, period: %s}}", threshold, ratio, minCalls, period)
}

// quick are rules of a breaker that a single failure opens.
func quick(more string) string {
	delay := "delay: 1s, "
	if len(more) > 5 && more[:5] == "delay" {
		delay = ""
	}
	return "algorithm: circuit, circuit: {consecutive_failures: 1, " + delay + more + "}"
}

// probes counts the calls that are let through in an outage.
func probes(b breaker.Acquirer, outage time.Duration) (n int) {
	fail(b, 1000)
	const every = 100 * time.Millisecond
	for range outage / every {
		time.Sleep(every)
		n += 1 - fail(b, 1)
	}
	return n
}

// history does what the script says to a breaker by rules, and returns what is seen.
func history(t *testing.T, rules, script string) (seen string) {
	synctest.Test(t, func(t *testing.T) {
		r := config.New(parsed(t, "{default: {"+rules+"}}"))
		b := r.Breaker("http", "/x")
		b.Snapshot() // makes it
		call := func(result breaker.Result, takes time.Duration) {
			p, err := b.Acquire()
			time.Sleep(takes)
			if p.DoneWith(result); err != nil {
				seen += "rejected "
			}
		}
		for i, op := range script {
			switch op {
			case 'F':
				call(breaker.Result{Outcome: breaker.Failure}, 0)
			case 'S':
				call(breaker.Result{Outcome: breaker.Success}, 0)
			case 'f': // without a permit, so that no lot is drawn
				b.MarkFailed()
			case 'g':
				b.MarkSuccess()
			case 's': // slowly
				call(breaker.Result{Outcome: breaker.Success}, time.Second)
			case 'R': // and says when to come again
				call(breaker.Result{Outcome: breaker.Failure, RetryAfter: time.Hour}, 0)
			case 'H': // and does not end
				_, err := b.Acquire()
				seen += fmt.Sprint(err != nil, " ")
			case 'M':
				seen += fmt.Sprint(b.Allow() != nil, " ")
				b.MarkFailed()
			case 'P': // in an outage of a minute
				seen += fmt.Sprint(probes(b, time.Minute) > 30)
			case 'L': // in one of ten
				seen += fmt.Sprint(probes(b, 10*time.Minute) > 400)
			case 'K':
				r.Breaker("http", fmt.Sprint("/key", i)).Snapshot()
				seen += fmt.Sprint(r.Keys(), " ")
			case 'C':
				seen += classified(t, r)
			case '.':
				time.Sleep(time.Second)
			}
			if op == '.' || op == 'K' {
				continue // a look would keep the key
			}
			s := b.Snapshot()
			switch op {
			case 'N':
				seen += s.Rule
			case 'Q':
				seen += fmt.Sprint(s.RejectRatio)
			case 'W':
				seen += fmt.Sprint(s.Window.Length)
			case 'w':
				seen += fmt.Sprint(s.Window.Success)
			case 'A':
				seen += fmt.Sprint(s.RetryAfter)
			case 'T':
				seen += fmt.Sprint(s.Totals)
			}
			seen += s.State.String() + "\n"
		}
	})
	return seen
}

func classified(t *testing.T, r *config.Rules) (seen string) {
	_, classify, err := r.Admit("http", "/x")
	require.NoError(t, err)
	for _, err := range []error{
		errBackend, kratoserrors.New(429, "", ""), kratoserrors.New(503, "", ""), kratoserrors.New(404, "", ""),
		kratoserrors.New(500, "BAD", ""), kratoserrors.New(400, "NONE", ""), status.Error(codes.Internal, ""), status.Error(codes.NotFound, ""),
	} {
		seen += classify(err).String() + " "
	}
	return seen
}

// A rule's request had no effect, and nothing noticed it.
func TestFields_EachChangesWhatABreakerDoes(t *testing.T) {
	require.ElementsMatch(t, paths(), slices.Collect(maps.Keys(effects)))
	for path, e := range effects {
		t.Run(path, func(t *testing.T) {
			without := history(t, e.without, e.script)
			require.NotEqual(t, without, history(t, e.with, e.script))
			require.Equal(t, without, history(t, e.without, e.script), "it is no matter of chance")
		})
	}
}
