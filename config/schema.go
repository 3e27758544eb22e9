package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// The ranges are those of the options of packages sre, circuit, errors and
// group. A test compares them with what the constructors accept.
const (
	day         = 24 * time.Hour
	minRatio    = 1e-6
	maxCalls    = 1_000_000
	maxMinCalls = 1_000_000_000
	minPeriod   = 10 * time.Millisecond
	minBucket   = time.Microsecond
	maxRules    = 1000
)

// policy reads what the default or a rule may say.
func (o *object) policy() (p policy) {
	p.Algorithm = o.word("algorithm", "sre", "circuit", "off")
	p.Mode = o.word("mode", "auto", "force-open", "force-closed", "dry-run")
	if c := o.child("sre"); c != nil {
		p.Sre = c.sre()
	}
	if c := o.child("circuit"); c != nil {
		p.Circuit = c.circuit()
	}
	if c := o.child("classify"); c != nil {
		p.Classify = c.classify()
	}
	return p
}

func (o *object) sre() *adaptive {
	defer o.done()
	return &adaptive{
		Success:          o.number("success", minRatio, 1),
		Request:          o.count("request", 1, maxMinCalls),
		Window:           o.duration("window", minBucket, day),
		Bucket:           o.count("bucket", 1, 100_000),
		ProbeInterval:    o.milliseconds("probe_interval", minPeriod, time.Minute),
		MaxProbeInterval: o.milliseconds("max_probe_interval", minPeriod, time.Hour),
		Classic:          o.flag("classic"),
	}
}

// milliseconds is duration for whole ones.
func (o *object) milliseconds(name string, low, high time.Duration) *span {
	d := o.duration(name, low, high)
	if rest := time.Duration(or(d, 0)); rest%time.Millisecond != 0 {
		o.add(o.at(name), rest, "want whole milliseconds")
		return nil
	}
	return d
}

func (o *object) circuit() *classic {
	defer o.done()
	c := &classic{
		ConsecutiveFailures: o.count("consecutive_failures", 1, maxCalls),
		ProbeLimit:          o.count("probe_limit", 1, maxCalls),
		ProbeFailures:       o.count("probe_failures", 1, maxCalls),
		ProbeLease:          o.duration("probe_lease", time.Millisecond, day),
		ProbesAsInClosed:    o.flag("probes_as_in_closed"),
		Delay:               o.duration("delay", 0, day),
		Jitter:              o.number("jitter", 0, 1),
		RetryAfter:          o.duration("retry_after", 1, day),
		UnmarkedRejections:  o.flag("unmarked_rejections"),
	}
	if f := o.child("failure_count"); f != nil {
		c.FailureCount = &failureCount{Failures: f.count("failures", 1, maxCalls), Of: f.count("of", 1, maxCalls)}
		f.done()
	}
	if f := o.child("failures_in_period"); f != nil {
		c.FailuresInPeriod = &inPeriod{Failures: f.count("failures", 1, maxCalls), Period: f.duration("period", minPeriod, day)}
		f.done()
	}
	if list := o.list("failure_rate"); list != nil {
		c.FailureRate = []rate{}
		for i, v := range list {
			if f, ok := objectAt(o.faults, fmt.Sprintf("%s[%d]", o.at("failure_rate"), i), v); ok {
				c.FailureRate = append(c.FailureRate, f.rate())
			}
		}
	}
	if s := o.child("slow_call_rate"); s != nil {
		c.SlowCallRate = &slowRate{
			Threshold: s.duration("threshold", 1, day), Ratio: s.number("ratio", minRatio, 1),
			MinCalls: s.count("min_calls", 1, maxMinCalls), Period: s.duration("period", minPeriod, day),
		}
		s.done()
	}
	if p := o.child("probes"); p != nil {
		c.Probes = &probes{Successes: p.count("successes", 1, maxCalls), Of: p.count("of", 1, maxCalls)}
		p.done()
	}
	if b := o.child("backoff"); b != nil {
		c.Backoff = &backoff{Factor: b.number("factor", 1, 100), Longest: b.duration("longest", 1, day)}
		b.done()
	}
	return c
}

// rate reads an element of failure_rate. It takes no value of a default, so all
// of it must be there.
func (o *object) rate() rate {
	clean := len(o.faults.fields)
	r := rate{
		Ratio: o.number("ratio", minRatio, 1), Percent: o.count("percent", 1, 100),
		MinCalls: o.count("min_calls", 1, maxMinCalls), Period: o.duration("period", minPeriod, day),
	}
	o.done()
	if len(o.faults.fields) > clean {
		return r
	}
	if (r.Ratio == nil) == (r.Percent == nil) {
		o.add(o.path, nil, "want either ratio or percent")
	}
	need(o.faults, o.at("min_calls"), r.MinCalls)
	need(o.faults, o.at("period"), r.Period)
	return r
}

const missing = "missing"

// need reports a value that has to be there and is not.
func need[T any](f *faults, path string, v *T) {
	if v == nil {
		f.add(path, nil, missing)
	}
}

func (o *object) classify() *classify {
	defer o.done()
	c := &classify{Overload: o.flag("overload"), Other: o.word("other", "success", "failure", "ignored")}
	if a := o.child("success"); a != nil {
		c.Success = a.answers()
	}
	if a := o.child("failure"); a != nil {
		c.Failure = a.answers()
	}
	if a := o.child("ignored"); a != nil {
		c.Ignored = a.answers()
	}
	return c
}

func (o *object) answers() *answers {
	defer o.done()
	return &answers{
		HTTP:    elements(o, "http", `an HTTP status in [100, 599], or a range as "500-599"`, toStatuses),
		GRPC:    elements(o, "grpc", "the name of a gRPC code but OK, or a number in [1, 16]", toCode),
		Reasons: elements(o, "reasons", "the reason of a Kratos error", toReason),
	}
}

// elements reads a list of one kind of elements.
func elements[T any](o *object, name, want string, to func(any) (T, bool)) []T {
	list := o.list(name)
	if list == nil {
		return nil
	}
	all := []T{}
	for i, v := range list {
		e, ok := to(v)
		if !ok {
			o.add(fmt.Sprintf("%s[%d]", o.at(name), i), orNull(v), "want %s", want)
			continue
		}
		all = append(all, e)
	}
	return all
}

func orNull(v any) any {
	if v == nil {
		return json.Number("null")
	}
	return v
}

func toStatuses(v any) (s statuses, ok bool) {
	if n, ok := toInt(v); ok {
		return statuses{int(n), int(n)}, n >= 100 && n < 600
	}
	text, _ := toText(v)
	from, to, ok := strings.Cut(text, "-")
	first, err1 := strconv.Atoi(strings.TrimSpace(from))
	last, err2 := strconv.Atoi(strings.TrimSpace(to))
	ok = ok && err1 == nil && err2 == nil && 100 <= first && first <= last && last < 600
	return statuses{first, last}, ok
}

// toCode knows the codes by the names of gRPC, NOT_FOUND, and of Go, NotFound.
func toCode(v any) (code, bool) {
	if n, ok := toInt(v); ok {
		return code(n), n >= 1 && n <= int64(codes.Unauthenticated)
	}
	text, _ := toText(v)
	name := strings.ToLower(strings.ReplaceAll(text, "_", ""))
	if name == "cancelled" {
		name = "canceled"
	}
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		if strings.ToLower(c.String()) == name {
			return code(c), true
		}
	}
	return 0, false
}

func toReason(v any) (string, bool) {
	s, ok := toText(v)
	return s, ok && s != ""
}

// check reports what in a whole policy, with what it inherited, does not fit
// together. Single values have been checked.
func (p policy) check(f *faults, path string) {
	at := func(field string) string { return path + "." + field }
	if a := p.Sre; a != nil {
		window, buckets := time.Duration(or(a.Window, span(3*time.Second))), or(a.Bucket, 10)
		if window/time.Duration(buckets) < minBucket {
			f.add(at("sre.bucket"), buckets, "want buckets of at least 1µs; a window of %s has room for %d",
				brief(window), window/minBucket)
		}
		every := time.Duration(or(a.ProbeInterval, span(900*time.Millisecond)))
		if most := time.Duration(or(a.MaxProbeInterval, span(every))); most < every {
			f.add(at("sre.max_probe_interval"), most, "want a duration in [%s, 1h], not below the probe_interval", brief(every))
		}
	}
	if p.Circuit != nil {
		p.Circuit.check(f, at)
	}
	if p.Classify != nil {
		p.Classify.check(f, at)
	}
}

func (c *classic) check(f *faults, at func(string) string) {
	if n := c.FailureCount; n != nil {
		need(f, at("circuit.failure_count.of"), n.Of)
		need(f, at("circuit.failure_count.failures"), n.Failures)
		if m, of := or(n.Failures, 1), or(n.Of, maxCalls); m > of {
			f.add(at("circuit.failure_count.failures"), m, "want a whole number in [1, %d]", of)
		}
	}
	if n := c.FailuresInPeriod; n != nil {
		need(f, at("circuit.failures_in_period.failures"), n.Failures)
		need(f, at("circuit.failures_in_period.period"), n.Period)
	}
	if s := c.SlowCallRate; s != nil {
		need(f, at("circuit.slow_call_rate.threshold"), s.Threshold)
		need(f, at("circuit.slow_call_rate.ratio"), s.Ratio)
		need(f, at("circuit.slow_call_rate.min_calls"), s.MinCalls)
		need(f, at("circuit.slow_call_rate.period"), s.Period)
	}
	c.checkProbes(f, at)
	delay := time.Duration(or(c.Delay, span(30*time.Second)))
	if b := c.Backoff; b != nil {
		need(f, at("circuit.backoff.factor"), b.Factor)
		need(f, at("circuit.backoff.longest"), b.Longest)
		longest := time.Duration(or(b.Longest, span(day)))
		switch {
		case delay == 0:
			f.add(at("circuit.backoff"), nil, "want a delay above 0s")
		case longest < delay:
			f.add(at("circuit.backoff.longest"), longest, "want a duration in [%s, 24h], not below the delay", brief(delay))
		}
	}
}

// checkProbes checks the numbers of probes, which may follow from the rule that
// opens the breaker.
func (c *classic) checkProbes(f *faults, at func(string) string) {
	successes, of := int64(1), int64(1)
	if p := c.Probes; p != nil {
		need(f, at("circuit.probes.successes"), p.Successes)
		need(f, at("circuit.probes.of"), p.Of)
		successes, of = or(p.Successes, 1), or(p.Of, maxCalls)
		if successes > of {
			f.add(at("circuit.probes.successes"), successes, "want a whole number in [1, %d]", of)
			return
		}
	}
	if or(c.ProbesAsInClosed, false) {
		ok := false
		if successes, of, ok = c.probesAsInClosed(f, at); !ok {
			return
		}
	}
	if n := or(c.ProbeLimit, 1); n > of {
		f.add(at("circuit.probe_limit"), n, "want a whole number in [1, %d], the number of probes", of)
	}
	if n := or(c.ProbeFailures, 1); n > of-successes+1 {
		f.add(at("circuit.probe_failures"), n, "want a whole number in [1, %d], with which %d of %d probes can no longer succeed",
			of-successes+1, successes, of)
	}
}

// probesAsInClosed returns the number of probes that follows from the opening
// rule.
func (c *classic) probesAsInClosed(f *faults, at func(string) string) (successes, of int64, ok bool) {
	bad := func(problem string) (int64, int64, bool) {
		f.add(at("circuit.probes_as_in_closed"), true, "%s", problem)
		return 0, 0, false
	}
	var rules, rates int
	minCalls := int64(0)
	for _, given := range []bool{c.ConsecutiveFailures != nil, c.FailureCount != nil, c.FailuresInPeriod != nil} {
		if given {
			rules++
		}
	}
	for _, r := range c.FailureRate {
		rates++
		minCalls = or(r.MinCalls, 1)
	}
	if s := c.SlowCallRate; s != nil {
		rates++
		minCalls = or(s.MinCalls, 1)
	}
	switch {
	case c.Probes != nil:
		return bad("want no probes besides")
	case rules+rates > 1:
		return bad("want one rule that opens the breaker, and no further one")
	case rates == 1 && minCalls > maxCalls:
		return bad("want min_calls of at most 1000000")
	case rates == 1 && c.ProbeFailures != nil:
		return bad("want no probe_failures besides, with a rate")
	case rates == 1:
		return 1, minCalls, true
	case c.FailureCount != nil:
		m, n := or(c.FailureCount.Failures, 1), or(c.FailureCount.Of, 1)
		return n - m + 1, n, m <= n
	case c.FailuresInPeriod != nil:
		return 1, or(c.FailuresInPeriod.Failures, 1), true
	}
	return 1, or(c.ConsecutiveFailures, 5), true
}

// check reports answers that are to be two things at once.
func (c *classify) check(f *faults, at func(string) string) {
	seen, told := make(map[any]string), make(map[[2]string]bool)
	twice := func(name string, key, shown any) {
		before, ok := seen[key]
		if ok && before != name && !told[[2]string{name, before}] {
			f.add(at("classify."+name), shown, "it is in classify.%s, too", before)
			told[[2]string{name, before}] = true // a range has many
		}
		seen[key] = name
	}
	for _, o := range outcomes {
		a, name := c.answers(o), o.String()
		if a == nil {
			continue
		}
		for _, s := range a.HTTP {
			for status := s.First; status <= s.Last; status++ {
				twice(name+".http", status, status)
			}
		}
		for _, c := range a.GRPC {
			twice(name+".grpc", c, codes.Code(c).String())
		}
		for _, r := range a.Reasons {
			twice(name+".reasons", r, r)
		}
	}
}

// keys reads the limits of the group.
func (o *object) keys() *limits {
	defer o.done()
	return &limits{
		Limit: o.count("limit", 1, math.MaxInt),
		Idle:  o.duration("idle", time.Millisecond, 8760*time.Hour),
	}
}

// transport reads the kind of transport that a rule is for.
func (o *object) transport() string {
	return or(o.word("transport", "http", "grpc"), "")
}

// match reads the pattern of a rule.
func (o *object) match() pattern {
	v, ok := o.take("match")
	if !ok {
		o.add(o.at("match"), nil, "missing; want a key, a beginning followed by *, or a pattern")
		return pattern{}
	}
	s, ok := toText(v)
	if !ok {
		o.add(o.at("match"), v, "want text")
		return pattern{}
	}
	p, problem := parsePattern(s)
	if problem != "" {
		o.add(o.at("match"), s, "%s", problem)
	}
	return p
}
