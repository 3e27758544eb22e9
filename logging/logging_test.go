package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	klogging "github.com/go-kratos/kratos/v2/middleware/logging"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/logging"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outage takes a breaker with the listener l through all states, and has many
// calls rejected.
func outage(t *testing.T, l breaker.Listener) {
	t.Helper()
	b := circuit.NewBreaker(circuit.WithName("/helloworld"), circuit.WithListener(l),
		circuit.WithConsecutiveFailures(3), circuit.WithDelay(5*time.Second), circuit.WithJitter(0))
	call := func(o breaker.Outcome) {
		if p, err := b.Acquire(); err == nil {
			p.Done(o)
		}
	}
	call(breaker.Success)
	for range 1000 {
		call(breaker.Failure)
	}
	require.EqualValues(t, 997, b.Snapshot().Totals.Rejected)
	time.Sleep(5 * time.Second)
	call(breaker.Success)
	require.Equal(t, breaker.Closed, b.Snapshot().State)
}

func TestSlog_WritesALinePerChangeAndNonePerRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		outage(t, logging.Slog(slog.New(slog.NewJSONHandler(&out, nil))))
		var lines []map[string]any
		for d := json.NewDecoder(&out); ; {
			var line map[string]any
			if err := d.Decode(&line); errors.Is(err, io.EOF) {
				break
			} else {
				require.NoError(t, err)
			}
			delete(line, "time")
			lines = append(lines, line)
		}
		require.Equal(t, []map[string]any{
			{
				"level": "WARN", "msg": "circuit breaker is open", "breaker": "/helloworld", "from": "closed", "to": "open",
				"cause": "3 failures in a row", "successes": 1.0, "failures": 3.0, "retry_after": 5e9,
			},
			{
				"level": "INFO", "msg": "circuit breaker is half-open", "breaker": "/helloworld", "from": "open", "to": "half-open",
				"cause": "the delay has passed", "successes": 1.0, "failures": 3.0,
			},
			{
				"level": "INFO", "msg": "circuit breaker is closed", "breaker": "/helloworld", "from": "half-open", "to": "closed",
				"cause": "the results of the probes", "successes": 1.0, "failures": 0.0,
			},
		}, lines)
	})
}

func TestKratos_WritesALinePerChangeAndNonePerRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		outage(t, logging.Kratos(log.NewStdLogger(&out)))
		require.Equal(t, strings.Join([]string{
			"WARN msg=circuit breaker is open breaker=/helloworld from=closed to=open cause=3 failures in a row successes=1 failures=3 retry_after=5s",
			"INFO msg=circuit breaker is half-open breaker=/helloworld from=open to=half-open cause=the delay has passed successes=1 failures=3",
			"INFO msg=circuit breaker is closed breaker=/helloworld from=half-open to=closed cause=the results of the probes successes=1 failures=0",
			"",
		}, "\n"), out.String())
	})
}

func TestSlog_SaysTheModeAndTheRuleIfThereAreAny(t *testing.T) {
	var out bytes.Buffer
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	logging.Slog(slog.New(handler))(breaker.Event{
		From: breaker.HalfOpen, To: breaker.Open, Cause: "why",
		Snapshot: breaker.Snapshot{Name: "a b", Mode: breaker.DryRun, Rule: "default"},
	})
	require.Equal(t, `level=WARN msg="circuit breaker is open" breaker="a b" from=half-open to=open cause=why `+
		"successes=0 failures=0 mode=dry-run rule=default\n", out.String())
}

func TestKratos_UsesTheLevelsOfKratos(t *testing.T) {
	var got []log.Level
	listen := logging.Kratos(loggerFunc(func(level log.Level, _ ...any) error {
		got = append(got, level)
		return errors.New("the disk is full") // which is not the caller's concern
	}))
	for _, to := range []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open} {
		listen(breaker.Event{To: to})
	}
	require.Equal(t, []log.Level{log.LevelInfo, log.LevelInfo, log.LevelWarn}, got)
}

type loggerFunc func(level log.Level, keyvals ...any) error

func (f loggerFunc) Log(level log.Level, keyvals ...any) error { return f(level, keyvals...) }

func TestKratos_TakesEveryLoggerOfKratos(t *testing.T) {
	var std bytes.Buffer
	logger := log.NewStdLogger(&std)
	for _, l := range []breaker.Listener{
		logging.Kratos(logger),
		logging.Kratos(log.With(logger, "service", "x")),
		logging.Kratos(log.NewFilter(logger, log.FilterLevel(log.LevelInfo))),
	} {
		l(breaker.Event{})
	}
	require.Equal(t, 3, strings.Count(std.String(), "circuit breaker is closed"))
}

func TestNew_PanicsWithoutALogger(t *testing.T) {
	var none *log.Filter
	require.PanicsWithValue(t, "logging: Slog: the logger is nil", func() { logging.Slog(nil) })
	require.PanicsWithValue(t, "logging: Kratos: the logger is nil", func() { logging.Kratos(none) })
	require.PanicsWithValue(t, "logging: Kratos: the logger is nil", func() { logging.Kratos[log.Level](nil) })
}

// The claim of the package's comment.
func TestKratosLoggingMiddleware_LogsRejectionsOnlyAroundTheBreaker(t *testing.T) {
	fails := func(context.Context, any) (any, error) { return nil, errors.New("down") }
	for _, c := range []struct {
		inside bool
		want   int
	}{{true, 2}, {false, 100}} {
		var out bytes.Buffer
		logs := klogging.Client(log.NewStdLogger(&out))
		guards := circuitbreaker.Client(
			circuitbreaker.WithKey(func(context.Context, any) string { return "a" }),
			circuitbreaker.WithCircuitBreaker(func() *circuit.Breaker {
				return circuit.NewBreaker(circuit.WithConsecutiveFailures(2), circuit.WithDelay(time.Hour))
			}))
		chain := logs(guards(fails))
		if c.inside {
			chain = guards(logs(fails))
		}
		for range 100 {
			_, err := chain(t.Context(), nil)
			require.Error(t, err)
		}
		require.Equal(t, c.want, strings.Count(out.String(), "ERROR"), "inside: %v", c.inside)
	}
}
