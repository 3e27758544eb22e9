package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lint runs the program on a file with the text.
func lint(t *testing.T, text string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	for i, a := range args {
		if a == "FILE" {
			args[i] = path
		}
	}
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return out.String(), errs.String(), code
}

const rules = `
default: {sre: {success: 0.5}}
rules:
- {match: /pay/*, transport: grpc, algorithm: circuit}
- {match: /health, algorithm: off}
`

func TestBreakerlint_PrintsTheRuleOfEachOperation(t *testing.T) {
	stdout, stderr, code := lint(t, rules, "FILE", "/pay/x", "/health", "grpc:/pay/x", "http:/other")
	require.Zero(t, code)
	require.Empty(t, stderr)
	require.Equal(t, `http:/pay/x -> default (sre) {"sre":{"success":0.5}}
grpc:/pay/x -> rules[0] /pay/* grpc (circuit) {"algorithm":"circuit","sre":{"success":0.5}}
/health -> rules[1] /health (off) {"algorithm":"off","sre":{"success":0.5}}
grpc:/pay/x -> rules[0] /pay/* grpc (circuit) {"algorithm":"circuit","sre":{"success":0.5}}
http:/other -> default (sre) {"sre":{"success":0.5}}
`, stdout)
}

func TestBreakerlint_TellsAllFaultsAndExitsWith1(t *testing.T) {
	stdout, stderr, code := lint(t, "default: {sre: {success: 2, windw: 3s}}\nrules: [{}]", "FILE", "/x")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `default.sre.success: 2, want a number in [0.000001, 1]
default.sre.windw: unknown field, did you mean "window"?
rules[0].match: missing`)
}

func TestBreakerlint_AWarningIsAFaultOnlyIfStrict(t *testing.T) {
	const twice = "rules: [{match: a}, {match: a}]"
	_, stderr, code := lint(t, twice, "FILE")
	require.Zero(t, code)
	require.Equal(t, "warning: rules[1]: \"a\" is there twice: rules[0] with \"a\" comes first\n", stderr)
	_, _, code = lint(t, twice, "-strict", "FILE")
	require.Equal(t, 1, code)
	_, _, code = lint(t, rules, "-strict", "FILE")
	require.Zero(t, code)
}

func TestBreakerlint_ReadsWhatAKratosApplicationWouldSee(t *testing.T) {
	t.Setenv("LINT_SUCCESS", "0.25")
	const text = `circuitbreaker: {default: {sre: {success: "${SUCCESS:0.5}", request: "${REQUEST:30}"}}}`
	_, stderr, code := lint(t, text, "-section", "circuitbreaker", "FILE")
	require.Equal(t, 1, code, "a placeholder is no number")
	require.Contains(t, stderr, `"${SUCCESS:0.5}", want a number`)
	stdout, _, code := lint(t, text, "-section", "circuitbreaker", "-kratos", "-env", "LINT_", "FILE", "/x")
	require.Zero(t, code)
	require.Equal(t, "/x -> default (sre) {\"sre\":{\"success\":0.25,\"request\":30}}\n", stdout)
	_, stderr, code = lint(t, text, "-section", "breaker", "-kratos", "FILE")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, `there is no section "breaker"`)
}

func TestBreakerlint_WhatCannotBeReadExitsWith1AndAWrongUseWith2(t *testing.T) {
	for _, args := range [][]string{{"none.yaml"}, {"-kratos", "none.yaml"}, {"main.go"}} {
		_, stderr, code := lint(t, "", args...)
		require.Equal(t, 1, code, args)
		require.NotEmpty(t, stderr)
	}
	for _, args := range [][]string{{}, {"-what"}, {"-env", "X", "FILE"}} {
		_, stderr, code := lint(t, "", args...)
		require.Equal(t, 2, code, args)
		require.Contains(t, stderr, "usage: breakerlint")
	}
	// A flag after the file was taken for an operation: -strict did nothing.
	_, stderr, code := lint(t, "{}", "FILE", "-strict")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "breakerlint: -strict: want flags before the file")
	_, _, code = lint(t, "", "-h")
	require.Zero(t, code)
}

// TestBreakerlint_SaysTheRangeThatTheOptionOfAFieldHas goes from the options with one
// number to their fields.
func TestBreakerlint_SaysTheRangeThatTheOptionOfAFieldHas(t *testing.T) {
	sections := map[string]string{"sre": "default.sre", "circuit": "default.circuit", "group": "keys"}
	byOption := make(map[string][]bounds.Bound)
	for _, b := range bounds.All() {
		option, _ := b.Describe()
		byOption[option] = append(byOption[option], b)
	}
	told := 0
	for option, all := range byOption {
		pkg, name, _ := strings.Cut(option, ".With")
		if sections[pkg] == "" || len(all) > 1 || name == "OpenWhen" {
			continue
		}
		field := strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "${1}_$2"))
		path := sections[pkg] + "." + field
		text := path + ": -7"
		for strings.Contains(text, ".") {
			text = strings.Replace(text, ".", ": {", 1) + "}"
		}
		_, stderr, code := lint(t, text, "FILE")
		require.Equal(t, 1, code, text)
		require.Contains(t, stderr, path+": -7, want ")
		require.Contains(t, stderr, " in "+all[0].Range())
		told++
	}
	require.Greater(t, told, 10)
}
