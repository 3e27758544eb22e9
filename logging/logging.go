// Package logging writes the changes of breakers' states to a log: a warning
// when one opens, and an information when it is half-open or closes. Rejected
// calls are not logged. There are too many of them, and metrics count them.
//
// Kratos' logging middleware does log them, as errors: put it inside of the
// breaker's, so that it sees only the calls that were made.
package logging

import (
	"context"
	"log/slog"
	"reflect"

	"github.com/kratos-breaker/breaker"
)

// Slog returns a listener that writes to logger. It panics if logger is nil.
//
// The fields are breaker (the name), from, to, cause, and from what the change
// was decided: successes and failures. Some are only there if they say
// something: retry_after (the time until a call is allowed again), mode (if it is
// another one than auto) and rule (of a file).
func Slog(logger *slog.Logger) breaker.Listener {
	if logger == nil {
		panic("logging: Slog: the logger is nil")
	}
	return func(e breaker.Event) {
		level := slog.LevelInfo
		if e.To == breaker.Open {
			level = slog.LevelWarn
		}
		logger.LogAttrs(context.Background(), level, message(e), fields(e)...)
	}
}

// The levels of Kratos.
const (
	kratosInfo = 0
	kratosWarn = 1
)

// Kratos is [Slog] for a log.Logger of Kratos. An error of the logger is
// ignored. Kratos panics if logger is nil.
func Kratos[Level ~int8](logger interface {
	Log(level Level, keyvals ...any) error
},
) breaker.Listener {
	if v := reflect.ValueOf(logger); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("logging: Kratos: the logger is nil")
	}
	return func(e breaker.Event) {
		level := Level(kratosInfo)
		if e.To == breaker.Open {
			level = kratosWarn
		}
		keyvals := []any{"msg", message(e)}
		for _, f := range fields(e) {
			keyvals = append(keyvals, f.Key, f.Value.Any())
		}
		_ = logger.Log(level, keyvals...)
	}
}

func message(e breaker.Event) string { return "circuit breaker is " + e.To.String() }

func fields(e breaker.Event) []slog.Attr {
	s := &e.Snapshot
	all := []slog.Attr{
		slog.String("breaker", s.Name),
		slog.String("from", e.From.String()),
		slog.String("to", e.To.String()),
		slog.String("cause", e.Cause),
		slog.Uint64("successes", s.Window.Success),
		slog.Uint64("failures", s.Window.Failure),
	}
	if s.RetryAfter > 0 {
		all = append(all, slog.Duration("retry_after", s.RetryAfter))
	}
	if s.Mode != breaker.Auto {
		all = append(all, slog.String("mode", s.Mode.String()))
	}
	if s.Rule != "" {
		all = append(all, slog.String("rule", s.Rule))
	}
	return all
}
