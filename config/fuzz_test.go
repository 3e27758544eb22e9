package config_test

import (
	"encoding/json"
	"errors"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"gopkg.in/yaml.v3"

	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	"github.com/kratos-breaker/breaker/config"
)

// Whatever is read, it is either refused with a text or a set that breakers can
// be made of.

var seeds = []string{
	`{}`, ``, `null`, `[]`, `3`, `{"default": null, "rules": null, "keys": null}`,
	`{"default": {"sre": {"success": "NaN", "request": 1e400, "window": "-1s", "bucket": 0.5, "probe_interval": "1.5ms", "max_probe_interval": "2h"}}}`,
	`{"default": {"sre": {"success": 0.9, "window": "10us", "bucket": 10, "classic": "true"}}, "rules": [{"match": "/a*", "sre": {"bucket": 11}}]}`,
	`{"default": {"algorithm": "circuit", "mode": "dry-run", "circuit": {"failure_rate": [{"ratio": 0.5, "min_calls": 1, "period": "1s"}], "probes_as_in_closed": true, "probe_failures": 1}}}`,
	`{"rules": [{"match": "/[a-", "transport": "grpc"}, {"match": "\\"}, {"match": "*"}, {"match": "a\\*"}, null, 7]}`,
	`{"default": {"classify": {"overload": 1, "failure": {"http": ["500-599", 404, "1-2"], "grpc": ["NOT_FOUND", 16, 0], "reasons": ["", "A"]}, "success": {"http": [404]}}}}`,
	`{"keys": {"limit": 9223372036854775807, "idle": "8760h"}, "rules": [], "unknown": {}}`,
	`{"default": {"circuit": {"failure_count": {"failures": 3, "of": 2}, "backoff": {"factor": 1}, "delay": "0"}}}`,
	"a: &a [1, *a]", "<<: {default: {mode: auto}}", "default: {1: 2, ? [x] : y}", "rules:\n- &r {match: x}\n- *r", "default: {sre: {success: .inf, window: 2001-01-01}}",
}

func FuzzParseYAML(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Add(read(f, "testdata/full.yaml"))
	f.Fuzz(func(t *testing.T, text string) { use(t, text, config.YAML) })
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { use(t, text, config.JSON) })
}

func FuzzFromProto(f *testing.F) {
	for _, s := range append(seeds, wholeFile(f)) {
		m := &conf.Rules{}
		if protojson.Unmarshal([]byte(s), m) == nil {
			b, err := proto.Marshal(m)
			require.NoError(f, err)
			f.Add(b)
		}
	}
	f.Add([]byte{0x0a, 0x0b, 0x1a, 0x09, 0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f}) // NaN
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &conf.Rules{}
		if proto.Unmarshal(b, m) != nil {
			return
		}
		set, err := config.FromProto(m)
		check(t, set, err)
	})
}

// wholeFile is testdata/full.yaml as JSON, without the section.
func wholeFile(t testing.TB) string {
	var file map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "testdata/full.yaml")), &file))
	b, err := json.Marshal(file["circuitbreaker"])
	require.NoError(t, err)
	return string(b)
}

func use(t *testing.T, text string, f config.Format) {
	set, err := config.Parse([]byte(text), f)
	check(t, set, err)
}

func check(t *testing.T, set *config.Set, err error) {
	if err != nil {
		require.Nil(t, set)
		require.NotEmpty(t, err.Error())
		var invalid *config.InvalidError
		if errors.As(err, &invalid) {
			require.NotEmpty(t, invalid.Fields)
		}
		return
	}
	set.Warnings()
	for _, key := range []string{"", "x", "/a/b", "/helloworld.v1.Greeter/SayHello"} {
		for _, transport := range []string{"http", "grpc", ""} {
			m := set.Match(transport, key)
			require.True(t, json.Valid([]byte(m.Settings)), m.Settings)
			if large(m.Settings) {
				continue // valid, but no breaker for a fuzzer
			}
			r := config.New(set)
			require.Equal(t, m.Rule, r.Breaker(transport, key).Snapshot().Rule)
			p, classify, err := r.Admit(transport, key)
			if err == nil {
				p.Done(0)
			}
			if classify != nil {
				classify(errBackend)
			}
		}
	}
}

// large reports whether a number has so many digits that a breaker would take
// megabytes.
func large(settings string) bool {
	digits := 0
	for _, c := range settings {
		if c < '0' || c > '9' {
			digits = 0
		} else if digits++; digits > 4 {
			return true
		}
	}
	return false
}

// FuzzMatch compares patterns with a matcher that tries everything, and those
// with classes with path.Match, which is right if there is neither a slash nor
// a character of several bytes.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"/a/b", "/a/b"},
		{"/a/*", "/a/b/c"},
		{"/a/*", "/a/"},
		{"*", ""},
		{"/*/c", "/a/b/c"},
		{"/*/*", "/a/b/c"},
		{"/a?", "/ab"},
		{"/a?", "/a/"},
		{"/[a-c]*", "/bx/y"},
		{`/a\*`, "/a*"},
		{`/a\*`, "/ab"},
		{`/a\\*`, `/a\b`},
		{"**", "x/y"},
		{"a**", "ab"},
		{"é?*", "éa"},
		{"*??0", "웠0"},
		{"[^a-c]?[é\\]]", "é-]"},
		{"*[b-a]*c", "a/c"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if len(pattern) > 20 || len(key) > 20 || !utf8.ValidString(pattern+" "+key) {
			t.Skip("too slow for the naive matcher, or what it does not know")
		}
		text, err := json.Marshal(pattern)
		require.NoError(t, err)
		set, err := config.Parse([]byte(`{"rules": [{"match": `+string(text)+`}]}`), config.JSON)
		classes := strings.ContainsRune(pattern, '[')
		if err != nil {
			_, bad := path.Match(pattern, "")
			require.True(t, pattern == "" || bad != nil || classes && refused(err), err)
			return
		}
		got := strings.HasPrefix(set.Match("", key).Rule, "rules[0]")
		switch {
		case !classes:
			require.Equal(t, matches([]rune(pattern), []rune(key)), got)
		case !strings.ContainsFunc(pattern+key, func(c rune) bool { return c >= utf8.RuneSelf }) && !strings.Contains(key, "/"):
			want, err := path.Match(pattern, key)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
}

// refused reports whether err is one that path.Match has not.
func refused(err error) bool {
	return strings.Contains(err.Error(), "from low to high") || strings.Contains(err.Error(), "no slash in []")
}

// matches reports whether key matches pattern, a rune at a time.
func matches(pattern, key []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(key) == 0
	case len(pattern) == 1 && pattern[0] == '*':
		return true
	case pattern[0] == '*':
		return matches(pattern[1:], key) || len(key) > 0 && key[0] != '/' && matches(pattern, key[1:])
	case len(key) == 0:
		return false
	case pattern[0] == '?':
		return key[0] != '/' && matches(pattern[1:], key[1:])
	case pattern[0] == '\\' && len(pattern) > 1:
		return key[0] == pattern[1] && matches(pattern[2:], key[1:])
	}
	return key[0] == pattern[0] && matches(pattern[1:], key[1:])
}
