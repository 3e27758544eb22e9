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

	"github.com/kratos-breaker/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestThreestate_PrintsTheWalkThroughAllStates(t *testing.T) {
	const interval = 20 * time.Millisecond
	began := time.Now()
	stdout, stderr, code := threestate(t.Context(), "-interval", interval.String())
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Empty(t, stderr)
	require.GreaterOrEqual(t, time.Since(began), 2*30*interval, "two delays")

	var lines []string
	for line := range strings.Lines(stdout) {
		_, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " s  ")
		require.True(t, ok, line)
		// What depends on the machine: how many calls fit into a delay.
		text = regexp.MustCompile(`^call +\d+: `).ReplaceAllString(text, "")
		text = regexp.MustCompile(`\d\.\d\d s$`).ReplaceAllString(text, "some time")
		if len(lines) == 0 || text != lines[len(lines)-1] {
			lines = append(lines, text)
		}
	}
	require.Equal(t, []string{
		"200 OK",
		"503 Service Unavailable",
		"closed -> open: the function of WithOpenWhen",
		"503 Service Unavailable",
		"rejected (open), retry after some time",
		"open -> half-open: the delay has passed",
		"half-open -> open: the results of the probes",
		"now the server is repaired",
		"503 Service Unavailable",
		"rejected (open), retry after some time",
		"open -> half-open: the delay has passed",
		"200 OK",
		"half-open -> closed: the results of the probes",
		"200 OK",
	}, lines)
}

func TestThreestate_EndsCleanlyWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	stdout, stderr, code := threestate(ctx)
	require.Equal(t, 130, code)
	require.Equal(t, "threestate: interrupted\n", stderr)
	require.NotContains(t, stdout, "->")
	require.NoError(t, goleak.Find())
}

func TestThreestate_NamesTheRangeOfAWrongFlag(t *testing.T) {
	for _, args := range []string{"-interval 0", "-interval -1s", "-interval 999us", "-interval 1.001s", "fast"} {
		stdout, stderr, code := threestate(t.Context(), strings.Fields(args)...)
		require.Equal(t, 2, code, args)
		require.Contains(t, stderr, "in [1ms, 1s]", args)
		require.Empty(t, stdout, args)
	}
	_, stderr, code := threestate(t.Context(), "-h")
	require.Zero(t, code)
	require.Contains(t, stderr, "default 100ms")
}

func TestThreestate_OpensOnlyWhenMostCallsOfTheLastTenIntervalsFailed(t *testing.T) {
	fail := func(successes, failures int) breaker.State {
		b := newBreaker(time.Second, func(breaker.Event) {})
		for range successes {
			b.MarkSuccess()
		}
		for range failures {
			b.MarkFailed()
		}
		return b.Snapshot().State
	}
	require.Equal(t, breaker.Closed, fail(0, 3), "three in a row are not more than three")
	require.Equal(t, breaker.Open, fail(0, 4))
	require.Equal(t, breaker.Closed, fail(4, 6), "6 of 10 are not more than 60 %")
	require.Equal(t, breaker.Open, fail(4, 7))
}

func TestGot_SaysWhatACallGot(t *testing.T) {
	require.Equal(t, "200 OK", got(nil))
	require.Equal(t, "rejected (probe limit), retry after 0.00 s",
		got(breaker.NewRejectedError("", breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, nil)))
}

// threestate runs the program and returns what it wrote and its exit code.
func threestate(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return out.String(), errs.String(), code
}
