package config_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	"github.com/kratos-breaker/breaker/config"
)

func TestRules_TheFirstRuleThatMatchesApplies(t *testing.T) {
	set := parsed(t, `
default: {sre: {success: 0.5, request: 30}}
rules:
- {match: /pay.Pay/Charge, sre: {success: 0.9}}
- {match: /pay.Pay/*, transport: grpc, algorithm: circuit}
- {match: "/pay.*/List?", algorithm: off}
- {match: "/*", sre: {request: 40}}
`)
	for call, want := range map[[2]string]string{
		{"http", "/pay.Pay/Charge"}: `rules[0] /pay.Pay/Charge (sre) {"sre":{"success":0.9,"request":30}}`,
		{"grpc", "/pay.Pay/Refund"}: `rules[1] /pay.Pay/* grpc (circuit) {"algorithm":"circuit","sre":{"success":0.5,"request":30}}`,
		{"http", "/pay.Pay/Lists"}:  `rules[2] /pay.*/List? (off) {"algorithm":"off","sre":{"success":0.5,"request":30}}`,
		{"http", "/pay.Pay/Refund"}: `rules[3] /* (sre) {"sre":{"success":0.5,"request":40}}`,
		{"", "/"}:                   `rules[3] /* (sre) {"sre":{"success":0.5,"request":40}}`,
		{"mqtt", "x"}:               `default (sre) {"sre":{"success":0.5,"request":30}}`,
		{"http", ""}:                `default (sre) {"sre":{"success":0.5,"request":30}}`,
	} {
		m := set.Match(call[0], call[1])
		require.Equal(t, want, m.Rule+" "+m.Settings, call)
	}
}

func TestRules_OverrideTheDefaultFieldByFieldAndListsAsAWhole(t *testing.T) {
	set := parsed(t, `
default:
  mode: dry-run
  circuit: {backoff: {factor: 2, longest: 1m}, failure_rate: [{percent: 50, min_calls: 10, period: 1s}]}
  classify: {failure: {http: [404], reasons: [A]}, overload: true}
rules:
- {match: a, mode: auto, circuit: {backoff: {longest: 2m}, failure_rate: []}, classify: {failure: {http: []}}}
- {match: b, circuit: {failure_rate: [{ratio: 1, min_calls: 1, period: 1m}]}}
`)
	require.JSONEq(t, `{"mode": "auto", "circuit": {"backoff": {"factor": 2, "longest": "2m"}}, "classify": {"failure": {"reasons": ["A"]}, "overload": true}}`, set.Match("", "a").Settings)
	require.JSONEq(t, `{"mode": "dry-run", "circuit": {"backoff": {"factor": 2, "longest": "1m"}, "failure_rate": [{"ratio": 1, "min_calls": 1, "period": "1m"}]},
		"classify": {"failure": {"http": ["404"], "reasons": ["A"]}, "overload": true}}`, set.Match("", "b").Settings)
}

func TestRules_SayWhatErrorsMean(t *testing.T) {
	r := config.New(parsed(t, `
rules:
- match: plain
- match: strict
  classify:
    overload: true
    other: ignored
    success: {http: [500], reasons: [FINE]}
    failure: {http: ["404", 410-411], grpc: [NOT_FOUND, Aborted, "11", CANCELLED]}
    ignored: {grpc: [internal]}
- {match: empty, classify: {}}
`))
	_, classify, err := r.Admit("http", "plain")
	require.NoError(t, err)
	require.Nil(t, classify, "the adapter knows more of the call")
	_, classify, err = r.Admit("http", "empty")
	require.NoError(t, err)
	require.Nil(t, classify)
	_, classify, err = r.Admit("http", "strict")
	require.NoError(t, err)
	for err, want := range map[error]breaker.Outcome{
		nil:                                   breaker.Success,
		errBackend:                            breaker.Ignored,
		kratoserrors.New(429, "", ""):         breaker.Failure,
		kratoserrors.New(500, "", ""):         breaker.Success,
		kratoserrors.New(502, "FINE", ""):     breaker.Success,
		kratoserrors.New(502, "", ""):         breaker.Failure,
		kratoserrors.New(404, "", ""):         breaker.Failure,
		kratoserrors.New(409, "", ""):         breaker.Success,
		kratoserrors.New(411, "", ""):         breaker.Failure,
		status.Error(codes.NotFound, ""):      breaker.Failure,
		status.Error(codes.OutOfRange, ""):    breaker.Failure,
		status.Error(codes.Canceled, ""):      breaker.Failure,
		status.Error(codes.Internal, ""):      breaker.Ignored,
		status.Error(codes.AlreadyExists, ""): breaker.Success,
	} {
		require.Equal(t, want, classify(err), "%v", err)
	}
}

func TestRules_AllOptionsReachTheirBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := config.New(parsed(t, `
default: {algorithm: circuit, circuit: {delay: 10s}}
rules:
- {match: row, circuit: {consecutive_failures: 2}}
- {match: count, circuit: {failure_count: {failures: 2, of: 3}}}
- {match: period, circuit: {failures_in_period: {failures: 2, period: 1s}}}
- {match: rate, circuit: {failure_rate: [{ratio: 0.5, min_calls: 2, period: 1s}, {percent: 90, min_calls: 100, period: 1s}]}}
- {match: slow, circuit: {slow_call_rate: {threshold: 1s, ratio: 0.5, min_calls: 2, period: 10s}}}
- {match: probes, circuit: {consecutive_failures: 1, probes: {successes: 2, of: 3}, probe_limit: 1, probe_failures: 1}}
- {match: likewise, circuit: {failure_count: {failures: 1, of: 3}, probes_as_in_closed: true}}
- {match: lease, circuit: {consecutive_failures: 1, probe_lease: 1s}}
- {match: later, circuit: {consecutive_failures: 1, backoff: {factor: 3, longest: 20s}}}
- {match: jitter, circuit: {consecutive_failures: 1, jitter: 1}}
- {match: asked, circuit: {consecutive_failures: 1, retry_after: 2s}}
`))
		b := func(key string) breaker.Controller { return r.Breaker("", key) }
		for _, key := range []string{"row", "count", "period", "rate"} {
			require.Zero(t, fail(b(key), 2), key)
			require.Equal(t, 1, fail(b(key), 1), key)
		}
		for range 2 {
			p, err := b("slow").Acquire()
			require.NoError(t, err)
			time.Sleep(time.Second)
			p.Done(breaker.Success)
		}
		require.Equal(t, 1, fail(b("slow"), 1))
		for _, key := range []string{"probes", "likewise", "lease", "later", "asked"} {
			if p, err := b(key).Acquire(); key == "asked" {
				require.NoError(t, err)
				p.DoneWith(breaker.Result{Outcome: breaker.Failure, RetryAfter: time.Hour})
			} else {
				p.Done(breaker.Failure)
			}
			require.Equal(t, breaker.Open, b(key).Snapshot().State, key)
		}
		require.Equal(t, 2*time.Second, b("asked").Snapshot().RetryAfter)
		fail(b("jitter"), 1)
		require.Less(t, b("jitter").Snapshot().RetryAfter, 10*time.Second)
		time.Sleep(10 * time.Second)
		p, err := b("probes").Acquire()
		require.NoError(t, err)
		require.Equal(t, 1, fail(b("probes"), 1), "one at a time")
		p.Done(breaker.Failure)
		require.Equal(t, breaker.Open, b("probes").Snapshot().State, "one failure reopens it")
		require.Zero(t, succeed(b("likewise"), 3))
		require.Equal(t, breaker.Closed, b("likewise").Snapshot().State)
		_, err = b("lease").Acquire()
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.Equal(t, breaker.Open, b("lease").Snapshot().State)
		fail(b("later"), 1)
		require.Equal(t, 20*time.Second, b("later").Snapshot().RetryAfter, "3 · 10 s, but at most 20 s")
	})
}

func TestRules_HTTPAndGRPCHaveBreakersOfTheirOwn(t *testing.T) {
	r := config.New(parsed(t, threeFailures))
	fail(r.Breaker("http", "/x"), 3)
	require.Equal(t, 1, succeed(r.Breaker("http", "/x"), 1))
	require.Zero(t, succeed(r.Breaker("grpc", "/x"), 1))
	require.Zero(t, succeed(r.Breaker("other", "/x"), 1))
	require.Equal(t, breaker.Keys{Held: 1, Limit: 256}, r.Keys())
	require.Len(t, slices.Collect(r.Breakers()), 3)
}

// Both breakers of a key were listed, and named in events, by the key alone.
func TestRules_TheBreakersOfAKeyHaveDifferentNames(t *testing.T) {
	var events []string
	r := config.New(parsed(t, threeFailures), config.WithListener(func(e breaker.Event) { events = append(events, e.Snapshot.Name) }))
	for _, transport := range []string{"http", "grpc", "other"} {
		fail(r.Breaker(transport, "/x"), 3)
	}
	names := []string{"http:/x", "grpc:/x", "/x"}
	require.Equal(t, names, events)
	var listed []string
	for l := range r.Breakers() {
		require.Equal(t, l.Key, l.Breaker.Snapshot().Name)
		listed = append(listed, l.Key)
	}
	require.ElementsMatch(t, names, listed)
	_, err := r.Breaker("grpc", "/x").Acquire()
	var rejected *breaker.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, "grpc:/x", rejected.Name())
}

func TestRules_KeysBeyondTheLimitShareABreakerWithThoseOfTheSameRule(t *testing.T) {
	r := config.New(parsed(t, `{default: {algorithm: circuit, circuit: {consecutive_failures: 3}}, rules: [{match: /off/*, algorithm: off}, {match: /b*}], keys: {limit: 2}}`))
	for _, key := range []string{"/a", "/b"} {
		require.Zero(t, fail(r.Breaker("http", key), 3), key)
	}
	for i := range 10 {
		require.Zero(t, fail(r.Breaker("http", fmt.Sprint("/off/", i)), 10), "a rule counts also beyond the limit")
	}
	require.Zero(t, fail(r.Breaker("http", "/c"), 3))
	require.Equal(t, 1, succeed(r.Breaker("http", "/d"), 1), "it has the breaker of /c")
	require.Zero(t, succeed(r.Breaker("http", "/b2"), 1), "it has another rule")
	_, _, err := r.Admit("http", "/e")
	require.ErrorContains(t, err, "circuit breaker rejected", "it has no name")

	var listed []string
	for l := range r.Breakers() {
		listed = append(listed, fmt.Sprint(l.Key, " ", l.Overflow, " ", l.Breaker.Snapshot().Rule))
	}
	require.ElementsMatch(t, []string{
		"http:/a false default (circuit)", "http:/b false rules[1] /b* (circuit)",
		" true default (circuit)", " true rules[0] /off/* (off)", " true rules[1] /b* (circuit)",
	}, listed)
	require.NotZero(t, r.Keys().Overflows)
}

func TestRules_TheListOfBreakersMayBeLeftAnywhere(t *testing.T) {
	r := config.New(parsed(t, `{rules: [{match: /off*, algorithm: off}], keys: {limit: 2}}`))
	for _, key := range []string{"/a", "/b", "/off", "/c", ""} { // of which the last three are beyond the limit
		r.Breaker("http", key).Snapshot()
		r.Breaker("grpc", key).Snapshot()
	}
	all := len(slices.Collect(r.Breakers()))
	require.Equal(t, 8, all, "two of each key, and of the empty one, and one for each rule")
	for upTo := 1; upTo <= all; upTo++ {
		n := 0
		for range r.Breakers() {
			if n++; n == upTo {
				break
			}
		}
		require.Equal(t, upTo, n)
	}
}

func TestRules_OfRulesThatComeAndGoOnlySomeAreRememberedForKeysBeyondTheLimit(t *testing.T) {
	r := config.New(parsed(t, `{keys: {limit: 1}}`))
	succeed(r.Breaker("http", "/held"), 1)
	for generation := range 5 {
		text := "keys: {limit: 1}\nrules:\n"
		for i := range 500 {
			text += fmt.Sprintf("- {match: /%d/%d, algorithm: off}\n", generation, i)
		}
		r.Apply(parsed(t, text))
		for i := range 500 {
			succeed(r.Breaker("http", fmt.Sprintf("/%d/%d", generation, i)), 1)
		}
		require.Less(t, len(slices.Collect(r.Breakers())), 2000)
	}
	last := 0
	for l := range r.Breakers() {
		if l.Breaker.Snapshot().Rule != "default (sre)" {
			last++
		}
	}
	require.Equal(t, 500, last)
}

func TestRules_AnEmptyKeyIsAKeyAndALongOneIsShortened(t *testing.T) {
	r := config.New(parsed(t, `{default: {algorithm: circuit, circuit: {consecutive_failures: 3}}, rules: [{match: long*, algorithm: off}], keys: {limit: 2}}`))
	long := "long" + strings.Repeat("x", 1000)
	require.Zero(t, fail(r.Breaker("", ""), 3))
	require.Equal(t, 1, fail(r.Breaker("", ""), 1))
	require.Zero(t, fail(r.Breaker("", long), 10))
	require.Zero(t, fail(r.Breaker("", "third"), 3))
	require.Equal(t, 1, fail(r.Breaker("", "fourth"), 1))
	require.Equal(t, 1, fail(r.Breaker("", ""), 1))
	require.Len(t, slices.Collect(r.Breakers()), 3)
}

// Each byte of a key was the end of what a pattern was compared with, so one of
// 64 KB took 18 s, at every call if it was beyond the limit of keys.
func TestSet_ALongKeyIsMatchedByItsBeginningAtOnce(t *testing.T) {
	s := parsed(t, `{rules: [{match: "/v1/*/x*"}, {match: "/v1/*end"}, {match: /v1/a*}]}`)
	for _, long := range []string{"/v1/" + strings.Repeat("a", 10e6) + "end", "/v1/a" + strings.Repeat("/", 10e6) + "end"} {
		began := time.Now()
		require.Equal(t, "rules[2] /v1/a* (sre)", s.Match("http", long).Rule)
		require.Less(t, time.Since(began), patience)
		r := config.New(s)
		require.Equal(t, "rules[2] /v1/a* (sre)", r.Breaker("http", long).Snapshot().Rule, "the group shortens it")
	}
	require.Equal(t, "rules[1] /v1/*end (sre)", s.Match("http", "/v1/aend").Rule)
}

// path.Match lets a * end in the middle of a character, and a class stand for a
// slash.
func TestSet_PatternsMatchCharactersNotBytes(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"*??0", "웠0", false},
		{"*??0", "a웠0", true},
		{"?", "웠", true},
		{"??", "\xff\xfe", true}, // each byte that is of no character is one
		{"??", "\xff", false},
		{"/[가-힣]/x", "/웠/x", true},
		{"/[가-힣]/x", "/a/x", false},
		{"/[^a]/x", "///x", false},
		{"/[!-~]/x", "/a/x", true},
		{"/[!-~]/x", "///x", false},
		{"/*a*b/*/c*d", "/xaab/abb/y/ced", false},
		{"/*a*b/*/c*d", "/xaabb/y/cedd", true},
		{"/*ab?", "/aabab/", false},
		{"/*ab?", "/aababc", true},
		{"/\ufffd*?x", "/\xff-x", false},
		{"/\ufffd*?x", "/\ufffd-x", true},
		{"/[^\ufffd]/x", "/\xff/x", true},
		{"/[^a]/x", "/\n/x", true},
		{`/[\^\-\]\\a-c]`, `/^`, true},
		{`/[\^\-\]\\a-c]`, `/-`, true},
		{`/[\^\-\]\\a-c]`, `/]`, true},
		{`/[\^\-\]\\a-c]`, `/\`, true},
		{`/[\^\-\]\\a-c]`, `/b`, true},
		{`/[\^\-\]\\a-c]`, `/d`, false},
		{`/?(.+)$|\[x]*`, "/a(.+)$|[x]/\n/more", true},
		{`/?(.+)$|\[x]*`, "/abb$|[x]", false},
	} {
		text, err := json.Marshal(c.pattern)
		require.NoError(t, err)
		s := parsed(t, `{rules: [{match: `+string(text)+`}]}`)
		require.Equal(t, c.want, strings.HasPrefix(s.Match("", c.key).Rule, "rules[0]"), "%s %q", c.pattern, c.key)
	}
}

func TestSet_MatchesWhatARegularExpressionDoes(t *testing.T) {
	elements := [][2]string{
		{"a", "a"},
		{"b", "b"},
		{"/", "/"},
		{"웠", "웠"},
		{"*", "[^/]*"},
		{"?", "[^/]"},
		{"[ab]", "[ab]"},
		{"[^a]", "[^/a]"},
		{"[!-~]", "[!-.0-~]"},
		{"[^웠-웡b]", "[^/웠-웡b]"},
		{`\*`, `\*`},
		{`\?`, `\?`},
	}
	characters := []string{"a", "b", "/", "웠", "웡", "*", "?", "\xff"}
	matched := 0
	for range 10_000 {
		var text, expr string
		for range 1 + rand.IntN(8) {
			e := elements[rand.IntN(len(elements))]
			text, expr = text+e[0], expr+e[1]
		}
		if strings.HasSuffix(expr, "[^/]*") { // a * at the end stands for anything
			expr = strings.TrimSuffix(expr, "[^/]*") + "(?s:.*)"
		}
		encoded, err := json.Marshal(text)
		require.NoError(t, err)
		set := parsed(t, `{rules: [{match: `+string(encoded)+`}]}`)
		want := regexp.MustCompile(`\A` + expr + `\z`)
		for range 10 {
			key := ""
			for range rand.IntN(9) {
				key += characters[rand.IntN(len(characters))]
			}
			matches := want.MatchString(key)
			if matches {
				matched++
			}
			require.Equal(t, matches, strings.HasPrefix(set.Match("", key).Rule, "rules[0]"), "%q %q", text, key)
		}
	}
	require.Greater(t, matched, 1000)
}

func TestParse_SaysWhatIsWrongWithAPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		`/a[`:      "want a ] for every [",
		`/a[b*`:    "want a ] for every [",
		`/a[b\`:    "want a ] for every [",
		`/a[b-`:    "want a character in [], with a \\ before a ] or - that stands for itself",
		`/[]`:      "want a character in [], with a \\ before a ] or - that stands for itself",
		`/[^]`:     "want a character in [], with a \\ before a ] or - that stands for itself",
		`/[-a]`:    "want a character in [], with a \\ before a ] or - that stands for itself",
		`/[a-]`:    "want a character in [], with a \\ before a ] or - that stands for itself",
		`/[c-a]`:   "want a range in [] from low to high, not from 'c' to 'a'",
		"/[\n-\t]": `want a range in [] from low to high, not from '\n' to '\t'`,
		`/[a/]`:    "want no slash in [], which never stands for one",
		`/[+-/]`:   "want no slash in [], which never stands for one",
		`/a\`:      "want a character after the last \\",
	} {
		_, err := config.FromProto(&conf.Rules{Rules: []*conf.Rule{{Match: pattern}}})
		require.ErrorContains(t, err, fmt.Sprintf("rules[0].match: %q, %s", pattern, want))
	}
	_, err := config.Parse([]byte(`{rules: [{match: !!binary L/8=}]}`), config.YAML)
	require.Equal(t, []string{`rules[0].match: "/\xff", want UTF-8`}, faultsOf(t, err))
}

func TestRules_AnIdleBreakerMakesRoomAndItsHolderGetsTheNextOne(t *testing.T) {
	for _, rule := range []string{`{}`, `{mode: dry-run}`, `{algorithm: off}`, `{algorithm: circuit, circuit: {failure_rate: [{ratio: 1, min_calls: 5, period: 1s}]}}`} {
		synctest.Test(t, func(t *testing.T) {
			r := config.New(parsed(t, `{default: `+rule+`, keys: {limit: 1, idle: 1m}}`))
			held := r.Breaker("http", "/a")
			succeed(held, 3)
			time.Sleep(2 * time.Minute)
			succeed(r.Breaker("http", "/b"), 1)
			time.Sleep(2 * time.Minute)
			succeed(r.Breaker("http", "/b"), 1)
			require.EqualValues(t, 1, r.Keys().Overflows, "until it was clear who asks")
			succeed(held, 1)
			require.EqualValues(t, 2, r.Keys().Overflows, "its key is beyond the limit now")
			for l := range r.Breakers() {
				require.NotEqual(t, "http:/a", l.Key)
			}
		})
	}
}

func TestRules_AnOverruledOrBusyBreakerMakesNoRoom(t *testing.T) {
	for what, keep := range map[string]func(breaker.Controller){
		"forced by hand":          func(b breaker.Controller) { b.SetMode(breaker.ForceOpen) },
		"by hand unlike the rule": func(b breaker.Controller) { b.SetMode(breaker.ForceClosed) },
		"in flight":               func(b breaker.Controller) { _, _ = b.Acquire() },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := config.New(parsed(t, `{default: {mode: dry-run}, keys: {limit: 1, idle: 1m}}`))
			keep(r.Breaker("http", "/a"))
			for range 5 {
				time.Sleep(2 * time.Minute)
				succeed(r.Breaker("http", "/b"), 1)
			}
			require.EqualValues(t, 5, r.Keys().Overflows, what)
		})
	}
}

func TestRules_ServeAegisProtocolToo(t *testing.T) {
	for _, algorithm := range []string{"sre", "circuit", "off"} {
		r := config.New(parsed(t, `{default: {algorithm: `+algorithm+`}}`))
		b := r.Breaker("http", "/x")
		require.NoError(t, b.Allow())
		b.MarkSuccess()
		require.NoError(t, b.Allow())
		b.MarkFailed()
		require.NoError(t, b.Allow())
		b.(interface{ MarkIgnored() }).MarkIgnored()
		require.Equal(t, breaker.Totals{Offered: 3, Allowed: 3, Success: 1, Failure: 1, Ignored: 1}, b.Snapshot().Totals)
		b.SetMode(breaker.ForceOpen)
		require.Error(t, b.Allow())
		b.Reset()
		require.Equal(t, breaker.ForceOpen, b.Snapshot().Mode)
	}
}
