package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hotreload(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return out.String(), errs.String(), code
}

func TestHotreload_PrintsWhatEachEditChanges(t *testing.T) {
	stdout, stderr, code := hotreload(t.Context())
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Empty(t, stderr)
	var lines []string
	for line := range strings.Lines(stdout) {
		_, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " s  ")
		require.True(t, ok, line)
		// What depends on the machine: how many calls fit into a step.
		lines = append(lines, regexp.MustCompile(`\d+ of \d+ calls`).ReplaceAllString(text, "some calls"))
	}
	const users = `{"mode":"auto","sre":{"success":0.9,"request":5,"window":"1s"}}`
	require.Equal(t, []string{
		"dry-run: count, and reject nothing",
		"    /orders: some calls rejected, open, default (sre)",
		"auto: the breaker decides",
		`    /orders: default (sre) {"mode":"auto","sre":{"request":5,"window":"1s"}}`,
		`    /users: rules[0] /users (sre) ` + users,
		"    /orders: some calls rejected, open, default (sre)",
		"a mistake",
		"    not in force: rules[0].sre.success: 9, want a number in [0.000001, 1]",
		"    /orders: some calls rejected, open, default (sre)",
		"mended, and another algorithm",
		`    /orders: rules[1] /orders (circuit) {"algorithm":"circuit","mode":"auto","sre":{"request":5,"window":"1s"}}`,
		"    /orders: some calls rejected, open, rules[1] /orders (circuit)",
		"off: allow all",
		`    /orders: rules[1] /orders (off) {"algorithm":"off","mode":"auto","sre":{"request":5,"window":"1s"}}`,
		"    /orders: some calls rejected, closed, rules[1] /orders (off)",
	}, lines)
}

func TestHotreload_EndsCleanlyWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, stderr, code := hotreload(ctx)
	require.Equal(t, 130, code)
	require.Equal(t, "hotreload: interrupted\n", stderr)
	require.NoError(t, goleak.Find())
}

func TestHotreload_NamesTheRangeOfAWrongFlag(t *testing.T) {
	for _, args := range []string{"-step 0", "-step 499ms", "-step 61s", "fast"} {
		stdout, stderr, code := hotreload(t.Context(), strings.Fields(args)...)
		require.Equal(t, 2, code, args)
		require.Contains(t, stderr, "in [500ms, 1m]", args)
		require.Empty(t, stdout, args)
	}
	_, _, code := hotreload(t.Context(), "-h")
	require.Zero(t, code)
}
