package logging_test

import (
	"log/slog"
	"os"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/logging"
)

func ExampleSlog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	b := circuit.NewBreaker(circuit.WithName("geocoder"), circuit.WithListener(logging.Slog(logger)), circuit.WithConsecutiveFailures(2))
	for range 3 {
		if p, err := b.Acquire(); err == nil {
			p.Done(breaker.Failure)
		}
	}
	b.Reset()
	// Output:
	// level=WARN msg="circuit breaker is open" breaker=geocoder from=closed to=open cause="2 failures in a row" successes=0 failures=2 retry_after=30s
	// level=INFO msg="circuit breaker is closed" breaker=geocoder from=open to=closed cause=reset successes=0 failures=2
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
