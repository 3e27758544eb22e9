package config_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

func TestParse_TellsAllFaultsAtOnceWithPathValueAndRange(t *testing.T) {
	_, err := config.Parse([]byte(`
default:
  mode: dryrun
  sre: {success: 1.5, windoww: 3, window: -1s, bucket: "20", request: 1e400}
  circuit:
    failure_count: {failures: 3}
    backoff: {factor: .nan}
    probes: {successes: 3, of: 2}
    failure_rate: [{ratio: 0.5, percent: 50, min_calls: 1, period: 1s}, {ratio: 0.5, period: 1ms}, {percent: 50}, 3]
  classify: {failure: {http: ["404", "500-599", 600], grpc: [NOT_FOUND, Foo, 5]}, success: {http: [404], reasons: [""]}}
rules:
- {match: ""}
- {match: "/a[", algorithm: off, transport: tcp}
- {algorithm: cirucit}
- null
- {match: /x, algorithm: false, circuit: {delay: 5m, backoff: {factor: 2, longest: 1m}}}
- [1]
keys: {limit: 0, idle: 9999h, 1: 2}
"a b": 1
`), config.YAML)
	require.Equal(t, []string{
		`default.mode: "dryrun", want auto, force-open, force-closed or dry-run; did you mean "dry-run"?`,
		`default.sre.success: 1.5, want a number in [0.000001, 1]`,
		`default.sre.request: "1e400", want a whole number in [1, 1000000000]`,
		`default.sre.window: "-1s", want a duration in [1µs, 24h], as "1.5s"`,
		`default.sre.windoww: unknown field, did you mean "window"?`,
		`default.circuit.failure_rate[0]: want either ratio or percent`,
		`default.circuit.failure_rate[1].period: "1ms", want a duration in [10ms, 24h], as "1.5s"`,
		`default.circuit.failure_rate[2].min_calls: missing`,
		`default.circuit.failure_rate[2].period: missing`,
		`default.circuit.failure_rate[3]: 3, want an object with fields`,
		`default.circuit.backoff.factor: NaN, want a number in [1, 100]`,
		`default.classify.success.reasons[0]: "", want the reason of a Kratos error`,
		`default.classify.failure.http[2]: 600, want an HTTP status in [100, 599], or a range as "500-599"`,
		`default.classify.failure.grpc[1]: "Foo", want the name of a gRPC code but OK, or a number in [1, 16]`,
		`rules[0].match: "", want a key, a beginning followed by *, or a pattern`,
		`rules[1].match: "/a[", want a ] for every [`,
		`rules[1].transport: "tcp", want http or grpc`,
		`rules[2].match: missing; want a key, a beginning followed by *, or a pattern`,
		`rules[2].algorithm: "cirucit", want sre, circuit or off; did you mean "circuit"?`,
		`rules[3]: null, want an object with fields`,
		`rules[4].algorithm: false, want sre, circuit or off; did you mean "off", in quotes?`,
		`rules[5]: a list, want an object with fields`,
		`keys.limit: 0, want a whole number in [1, 9223372036854775807]`,
		`keys.idle: "9999h", want a duration in [1ms, 8760h], as "1.5s"`,
		`keys.1: unknown field`,
		`"a b": unknown field`,
		`default.circuit.failure_count.of: missing`,
		`default.circuit.probes.successes: 3, want a whole number in [1, 2]`,
		`default.circuit.backoff.longest: missing`,
		`default.classify.failure.http: 404, it is in classify.success.http, too`,
		`rules[4].circuit.backoff.longest: 1m, want a duration in [5m, 24h], not below the delay`,
	}, faultsOf(t, err))
}

func TestParse_ChecksWhatARuleInheritedTogetherWithWhatItSays(t *testing.T) {
	for text, want := range map[string]string{
		`{default: {sre: {window: 10us, bucket: 11}}}`:                                                           `default.sre.bucket: 11, want buckets of at least 1µs; a window of 10µs has room for 10`,
		`{default: {sre: {bucket: 100000}}, rules: [{match: a, sre: {window: 10ms}}]}`:                           `rules[0].sre.bucket: 100000, want buckets of at least 1µs; a window of 10ms has room for 10000`,
		`{default: {sre: {max_probe_interval: 899ms}}}`:                                                          `default.sre.max_probe_interval: 899ms, want a duration in [900ms, 1h], not below the probe_interval`,
		`{default: {sre: {max_probe_interval: 5s}}, rules: [{match: a, sre: {probe_interval: 6s}}]}`:             `rules[0].sre.max_probe_interval: 5s, want a duration in [6s, 1h], not below the probe_interval`,
		`{default: {circuit: {probes: {successes: 2, of: 3}}}, rules: [{match: a, circuit: {probes: {of: 1}}}]}`: `rules[0].circuit.probes.successes: 2, want a whole number in [1, 1]`,
		`{rules: [{match: a, circuit: {probe_limit: 2}}]}`:                                                       `rules[0].circuit.probe_limit: 2, want a whole number in [1, 1], the number of probes`,
		`{rules: [{match: a, circuit: {delay: 0, backoff: {factor: 2, longest: 1s}}}]}`:                          `rules[0].circuit.backoff: want a delay above 0s`,
		asInClosed(1_000_001): `default.circuit.probes_as_in_closed: true, want min_calls of at most 1000000`,
		`{default: {circuit: {probes_as_in_closed: true, probes: {successes: 1, of: 1}}}}`: `default.circuit.probes_as_in_closed: true, want no probes besides`,
	} {
		_, err := config.Parse([]byte(text), config.YAML)
		require.Equal(t, []string{want}, faultsOf(t, err), text)
	}
}

func asInClosed(minCalls int) string {
	return fmt.Sprintf("{default: {algorithm: circuit, circuit: {probes_as_in_closed: true, failure_rate: [{ratio: 0.5, min_calls: %d, period: 1s}]}}}", minCalls)
}

func TestParse_TakesTheMostCallsThatProbesCanBe(t *testing.T) {
	r := config.New(parsed(t, asInClosed(1_000_000)))
	require.Equal(t, breaker.Closed, r.Breaker("", "x").Snapshot().State)
}

func TestParse_ShowsAPercentSignAsItIs(t *testing.T) {
	_, err := config.Parse([]byte(`{"a%d": 1, rules: [{match: "/%s[", mode: "%v"}]}`), config.YAML)
	require.Equal(t, []string{
		`rules[0].match: "/%s[", want a ] for every [`,
		`rules[0].mode: "%v", want auto, force-open, force-closed or dry-run`,
		`"a%d": unknown field`,
	}, faultsOf(t, err))
	require.Equal(t, `rules[0] /%s (sre)`, parsed(t, `{rules: [{match: "/%s"}]}`).Match("", "/%s").Rule)
	for _, path := range []string{"100%d.yaml", "100%d.toml"} {
		_, err := config.File(path).Section("%s").Read()
		require.ErrorContains(t, err, path+", section %s")
	}
}

func TestParse_RefusesTextsThatAreNoRules(t *testing.T) {
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	for _, c := range []struct {
		text   string
		format config.Format
		want   string
	}{
		{"", config.YAML, "there are no rules"},
		{"# nothing", config.YAML, "there are no rules"},
		{"null", config.JSON, "there are no rules"},
		{"", config.JSON, "unexpected EOF"},
		{"3", config.YAML, "want an object"},
		{"{} {}", config.JSON, "want one value"},
		{"{}\n---\n{}", config.YAML, "want one document"},
		{"{}\n---\n]", config.YAML, "yaml"},
		{"a: 1\na: 2", config.YAML, "already defined"},
		{`{"rules": [], "rules": []}`, config.JSON, `key "rules" is there twice`},
		{`{"rules": [`, config.JSON, "EOF"},
		{`{"rules"`, config.JSON, "EOF"},
		{`{"rules": }`, config.JSON, "invalid character"},
		{deep, config.JSON, "nested"},
		{strings.Repeat(" ", 1<<20+1), config.YAML, "want at most 1048576"},
		{"{}", "toml", `the format is "toml", want "yaml" or "json"`},
	} {
		_, err := config.Parse([]byte(c.text), c.format)
		require.ErrorContains(t, err, c.want, "%.40s", c.text)
	}
	many := `{"rules": [` + strings.TrimSuffix(strings.Repeat(`{"match":"a"},`, 1001), ",") + `]}`
	_, err := config.Parse([]byte(many), config.JSON)
	require.Equal(t, []string{"rules: a list, of 1001 rules, want at most 1000"}, faultsOf(t, err))
}

func TestParse_TakesNumbersAndBoolsThatAPlaceholderMadeATextOf(t *testing.T) {
	set := parsed(t, `{default: {sre: {success: "0.5", request: "1e2", bucket: "20", classic: "true", window: "0h3s"}, circuit: {delay: 0, jitter: "0", failure_count: {failures: 2.0, of: "3"}}}}`)
	require.JSONEq(t, `{"sre": {"success": 0.5, "request": 100, "bucket": 20, "classic": true, "window": "3s"},
		"circuit": {"delay": "0s", "jitter": 0, "failure_count": {"failures": 2, "of": 3}}}`, set.Match("", "x").Settings)
}

func TestParse_TakesANullForNothing(t *testing.T) {
	set := parsed(t, "default: {sre: null, mode: ~, circuit: {delay: null}, classify: }\nrules:\nkeys:")
	require.JSONEq(t, `{"circuit": {}}`, set.Match("", "x").Settings)
}

func TestParse_WarnsOfWhatIsHardlyMeant(t *testing.T) {
	require.Equal(t, []string{
		`rules[1]: "/a/b" is never reached: rules[0] with "/a/*" comes first`,
		`rules[2]: "/a/*" is there twice: rules[0] with "/a/*" comes first`,
		`rules[3].sre: is not used: the algorithm is off`,
		`rules[4].circuit: is not used: the algorithm is sre`,
		`rules[7]: "/e" is never reached: rules[6] with "/[a-e]" comes first`,
		`rules[9]: "/f?" is never reached: rules[8] with "/f*" comes first`,
		`rules[12]: "/z" is never reached: rules[11] with "*" comes first`,
	}, parsed(t, `
rules:
- {match: /a/*}
- {match: /a/b}
- {match: /a/*}
- {match: /c, algorithm: off, sre: {window: 1m}}
- {match: /d, circuit: {delay: 1s}}
- {match: /e, transport: grpc}
- {match: "/[a-e]"}
- {match: /e, transport: http}
- {match: /f*}
- {match: "/f?"}
- {match: "*", transport: http}
- {match: "*"}
- {match: /z}
`).Warnings())
	require.Empty(t, parsed(t, `{rules: [{match: /a, transport: http}, {match: /a}, {match: "/?", circuit: {delay: 1s}, algorithm: circuit}, {match: "/*"}]}`).Warnings())
}

func TestFromProto_RefusesWhatAFileMustNotSay(t *testing.T) {
	_, err := config.FromProto(nil)
	require.ErrorContains(t, err, "the message is nil")
	// What is no JSON is told by the one who writes it.
	for want, m := range map[string]*conf.Rules{
		"google.protobuf.Duration": {Default: &conf.Policy{Circuit: &conf.Circuit{Delay: &durationpb.Duration{Seconds: 1, Nanos: -1}}}},
		"invalid UTF-8":            {Rules: []*conf.Rule{{Match: "/\xff"}}},
	} {
		_, err := config.FromProto(m)
		require.ErrorContains(t, err, "config: FromProto: proto:")
		require.ErrorContains(t, err, want)
	}

	unknown := &conf.Rules{}
	require.NoError(t, proto.Unmarshal(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1), unknown))
	for want, m := range map[string]*conf.Rules{
		`default.sre.success: "NaN", want a number in [0.000001, 1]`:                                          {Default: &conf.Policy{Sre: &conf.Sre{Success: proto.Float64(math.NaN())}}},
		`default.circuit.jitter: "Infinity", want a number in [0, 1]`:                                         {Default: &conf.Policy{Circuit: &conf.Circuit{Jitter: proto.Float64(math.Inf(1))}}},
		`default.sre.window: "-1s", want a duration in [1µs, 24h], as "1.5s"`:                                 {Default: &conf.Policy{Sre: &conf.Sre{Window: durationpb.New(-time.Second)}}},
		`keys.idle: "9223372037s", want a duration in [1ms, 8760h], as "1.5s"`:                                {Keys: &conf.Keys{Idle: &durationpb.Duration{Seconds: 9223372037}}},
		`default.sre.request: "9223372036854775807", want a whole number in [1, 1000000000]`:                  {Default: &conf.Policy{Sre: &conf.Sre{Request: proto.Int64(math.MaxInt64)}}},
		`default.sre.max_probe_interval: "0.001500s", want whole milliseconds in [10ms, 1h], as "1.5s"`:       {Default: &conf.Policy{Sre: &conf.Sre{MaxProbeInterval: durationpb.New(1500 * time.Microsecond)}}},
		`default.sre.max_probe_interval: "1.000000001s", want whole milliseconds in [10ms, 1h], as "1.5s"`:    {Default: &conf.Policy{Sre: &conf.Sre{MaxProbeInterval: durationpb.New(time.Second + 1)}}},
		`rules[0].match: missing; want a key, a beginning followed by *, or a pattern`:                        {Rules: []*conf.Rule{{}}},
		`"(fields of another version)": unknown field`:                                                        unknown,
		`default.circuit.failure_rate[0].period: "0s", want a duration in [10ms, 24h], as "1.5s"`:             {Default: &conf.Policy{Circuit: &conf.Circuit{FailureRate: []*conf.FailureRate{{Ratio: proto.Float64(1), MinCalls: proto.Int64(1), Period: &durationpb.Duration{}}}}}},
		`default.classify.ignored.grpc[0]: "OK", want the name of a gRPC code but OK, or a number in [1, 16]`: {Default: &conf.Policy{Classify: &conf.Classify{Ignored: &conf.Answers{Grpc: []string{"OK"}}}}},
	} {
		_, err := config.FromProto(m)
		require.Equal(t, []string{want}, faultsOf(t, err))
	}
}

// What a constructor accepts, validation does, and nothing else.

func TestModel_ValidationAcceptsWhatSREAccepts(t *testing.T) {
	defer drawsAll(t, "sre.")()
	rapid.Check(t, func(t *rapid.T) {
		m, opts := &conf.Sre{}, []sre.Option(nil)
		if v, ok := number(t, "success", 1e-6, 1); ok {
			m.Success, opts = &v, append(opts, sre.WithSuccess(v))
		}
		if v, ok := whole(t, "request", 1, 1e9); ok {
			m.Request, opts = &v, append(opts, sre.WithRequest(v))
		}
		if v, ok := span(t, "window", time.Microsecond, 24*time.Hour); ok {
			m.Window, opts = durationpb.New(v), append(opts, sre.WithWindow(v))
		}
		if v, ok := whole(t, "bucket", 1, 100_000); ok {
			m.Bucket, opts = &v, append(opts, sre.WithBucket(int(v)))
		}
		if v, ok := span(t, "probe_interval", 10*time.Millisecond, time.Minute); ok {
			m.ProbeInterval, opts = durationpb.New(v), append(opts, sre.WithProbeInterval(v))
		}
		if v, ok := span(t, "max_probe_interval", 10*time.Millisecond, time.Hour); ok {
			m.MaxProbeInterval, opts = durationpb.New(v), append(opts, sre.WithMaxProbeInterval(v))
		}
		if rapid.Bool().Draw(t, "classic") {
			m.Classic, opts = proto.Bool(true), append(opts, sre.Classic())
		}
		if rapid.Bool().Draw(t, "unmarked") {
			m.UnmarkedRejections, opts = proto.Bool(true), append(opts, sre.WithUnmarkedRejections())
		}
		agree(t, &conf.Rules{Default: &conf.Policy{Sre: m}}, func() { sre.NewBreaker(opts...) })
	})
}

func TestModel_ValidationAcceptsWhatCircuitAccepts(t *testing.T) {
	defer drawsAll(t, "circuit.")()
	rapid.Check(t, func(t *rapid.T) {
		m, opts := circuitModel(t)
		agree(t, &conf.Rules{Default: &conf.Policy{Circuit: m}}, func() { circuit.NewBreaker(opts...) })
	})
}

func circuitModel(t *rapid.T) (*conf.Circuit, []circuit.Option) {
	m, opts := &conf.Circuit{}, []circuit.Option(nil)
	give := func(o circuit.Option) { opts = append(opts, o) }
	const top = 1_000_000
	if v, ok := whole(t, "consecutive_failures", 1, top); ok {
		m.ConsecutiveFailures = &v
		give(circuit.WithConsecutiveFailures(int(v)))
	}
	if v, ok := whole(t, "failures", 1, 20); ok {
		of, _ := whole(t, "of", 1, 20)
		m.FailureCount = &conf.FailureCount{Failures: &v, Of: &of}
		give(circuit.WithFailureCount(int(v), int(of)))
	}
	if v, ok := whole(t, "failures in period", 1, 1000); ok {
		d, _ := span(t, "period", 10*time.Millisecond, 24*time.Hour)
		m.FailuresInPeriod = &conf.FailuresInPeriod{Failures: &v, Period: durationpb.New(d)}
		give(circuit.WithFailuresInPeriod(int(v), d))
	}
	for range rapid.IntRange(0, 2).Draw(t, "rates") {
		r := &conf.FailureRate{}
		n, _ := whole(t, "min_calls", 1, 1e9)
		d, _ := span(t, "period", 10*time.Millisecond, 24*time.Hour)
		r.MinCalls, r.Period = &n, durationpb.New(d)
		if v, ok := whole(t, "percent", 1, 100); ok {
			r.Percent = &v
			give(circuit.WithFailurePercent(int(v), int(n), d))
		} else {
			v, _ := number(t, "ratio", 1e-6, 1)
			r.Ratio = &v
			give(circuit.WithFailureRate(v, int(n), d))
		}
		m.FailureRate = append(m.FailureRate, r)
	}
	if v, ok := span(t, "threshold", 1, 24*time.Hour); ok {
		r, _ := number(t, "ratio", 1e-6, 1)
		n, _ := whole(t, "min_calls", 1, 1e9)
		d, _ := span(t, "period", 10*time.Millisecond, 24*time.Hour)
		m.SlowCallRate = &conf.SlowCallRate{Threshold: durationpb.New(v), Ratio: &r, MinCalls: &n, Period: durationpb.New(d)}
		give(circuit.WithSlowCallRate(v, r, int(n), d))
	}
	if v, ok := whole(t, "successes", 1, 5); ok {
		of, _ := whole(t, "of", 1, 5)
		m.Probes = &conf.Probes{Successes: &v, Of: &of}
		give(circuit.WithProbes(int(v), int(of)))
	}
	if v, ok := whole(t, "probe_limit", 1, 5); ok {
		m.ProbeLimit = &v
		give(circuit.WithProbeLimit(int(v)))
	}
	if v, ok := whole(t, "probe_failures", 1, 5); ok {
		m.ProbeFailures = &v
		give(circuit.WithProbeFailures(int(v)))
	}
	if v, ok := span(t, "probe_lease", time.Millisecond, 24*time.Hour); ok {
		m.ProbeLease = durationpb.New(v)
		give(circuit.WithProbeLease(v))
	}
	if rapid.Bool().Draw(t, "as in closed") {
		m.ProbesAsInClosed = proto.Bool(true)
		give(circuit.WithProbesAsInClosed())
	}
	if v, ok := span(t, "delay", 0, 24*time.Hour); ok {
		m.Delay = durationpb.New(v)
		give(circuit.WithDelay(v))
	}
	if v, ok := number(t, "factor", 1, 100); ok {
		d, _ := span(t, "longest", 1, 24*time.Hour)
		m.Backoff = &conf.Backoff{Factor: &v, Longest: durationpb.New(d)}
		give(circuit.WithBackoff(v, d))
	}
	if v, ok := number(t, "jitter", 0, 1); ok {
		m.Jitter = &v
		give(circuit.WithJitter(v))
	}
	if v, ok := span(t, "retry_after", 1, 24*time.Hour); ok {
		m.RetryAfter = durationpb.New(v)
		give(circuit.WithRetryAfter(v, errors.RetryAfter))
	}
	if rapid.Bool().Draw(t, "unmarked") {
		m.UnmarkedRejections = proto.Bool(true)
		give(circuit.WithUnmarkedRejections())
	}
	if rapid.Bool().Draw(t, "slow calls only") {
		m.SlowCallsOnly = proto.Bool(true)
		give(circuit.WithSlowCallsOnly())
	}
	return m, opts
}

func TestModel_ValidationAcceptsWhatAGroupAccepts(t *testing.T) {
	defer drawsAll(t, "keys.")()
	rapid.Check(t, func(t *rapid.T) {
		m, opts := &conf.Keys{}, []group.Option(nil)
		if v, ok := whole(t, "limit", 1, math.MaxInt64); ok {
			m.Limit, opts = &v, append(opts, group.WithLimit(int(v)))
		}
		if v, ok := span(t, "idle", time.Millisecond, 8760*time.Hour); ok {
			m.Idle, opts = durationpb.New(v), append(opts, group.WithIdle(v))
		}
		agree(t, &conf.Rules{Keys: m}, func() { group.NewGroup(func() int { return 0 }, opts...) })
	})
}

// agree requires that the rules are valid exactly if construct does not panic,
// and that breakers can be made of them then.
func agree(t *rapid.T, m *conf.Rules, construct func()) {
	for _, path := range set("", m.ProtoReflect()) {
		drawn[strings.TrimPrefix(path, "default.")] = true
	}
	set, err := config.FromProto(m)
	panicked := panics(construct)
	if panicked != nil {
		require.Error(t, err, "the constructor panics: %v", panicked)
		return
	}
	require.NoError(t, err)
	require.Nil(t, panics(func() {
		for _, algorithm := range []string{"sre", "circuit", "off"} {
			if m.Default == nil {
				m.Default = &conf.Policy{}
			}
			m.Default.Algorithm = &algorithm
			next, err := config.FromProto(m)
			require.NoError(t, err)
			r := config.New(set)
			r.Breaker("", "x").Snapshot()
			r.Apply(next)
			r.Breaker("", "x").Snapshot()
		}
	}))
}

// drawn are the fields that a model has drawn.
var drawn map[string]bool

// drawsAll returns what requires that a model has drawn each field whose path begins
// so.
func drawsAll(t *testing.T, prefix string) func() {
	drawn = make(map[string]bool)
	return func() {
		for _, path := range paths() {
			if strings.HasPrefix(path, prefix) && !t.Failed() {
				require.True(t, drawn[path], "the model never draws %s", path)
			}
		}
	}
}

// set returns the paths of the fields of a message that are set.
func set(path string, m protoreflect.Message) (all []string) {
	for f, v := range m.Range {
		name := path + f.TextName()
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				all = append(all, set(name+"[].", v.List().Get(i).Message())...)
			}
		case f.Message() == nil || f.Message().FullName() == "google.protobuf.Duration":
			all = append(all, name)
		default:
			all = append(all, set(name+".", v.Message())...)
		}
	}
	return all
}

func panics(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// number draws a number in or near a range, or none.
func number(t *rapid.T, name string, low, high float64) (float64, bool) {
	edges := []float64{low, high, math.Nextafter(low, -1e9), math.Nextafter(high, 1e9), (low + high) / 3, -1, math.NaN(), math.Inf(1)}
	switch rapid.IntRange(0, 9).Draw(t, name+"?") {
	case 0:
		return rapid.SampledFrom(edges).Draw(t, name), true
	case 1, 2, 3, 4:
		return rapid.Float64Range(low, high).Draw(t, name), true
	}
	return low, false
}

// whole draws a whole number in or near a range, or none.
func whole(t *rapid.T, name string, low, high int64) (int64, bool) {
	switch rapid.IntRange(0, 9).Draw(t, name+"?") {
	case 0:
		return rapid.SampledFrom([]int64{low, high, low - 1, high + 1, 0, -1, math.MinInt64, 3}).Draw(t, name), true
	case 1, 2, 3, 4:
		return rapid.Int64Range(low, min(high, 1000)).Draw(t, name), true
	}
	return low, false
}

// span draws a duration in or near a range, or none.
func span(t *rapid.T, name string, low, high time.Duration) (time.Duration, bool) {
	switch rapid.IntRange(0, 9).Draw(t, name+"?") {
	case 0:
		return rapid.SampledFrom([]time.Duration{low, high, low - 1, high + 1, 0, -1, math.MaxInt64, math.MinInt64}).Draw(t, name), true
	case 1, 2:
		return time.Duration(rapid.Int64Range(int64(low), int64(high)).Draw(t, name)), true
	case 3, 4:
		return low + time.Duration(rapid.IntRange(0, 1000).Draw(t, name))*time.Millisecond, true
	}
	return low, false
}
