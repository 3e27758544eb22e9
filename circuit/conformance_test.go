package circuit_test

import (
	"testing"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/breakertest"
)

// TestBreaker_Conforms runs what holds for every breaker over each way to open,
// and to probe.
func TestBreaker_Conforms(t *testing.T) {
	for _, kind := range []struct {
		name   string
		outage int
		opts   []circuit.Option
	}{
		{"consecutive failures", 5, nil},
		{"a count", 5, []circuit.Option{circuit.WithFailureCount(5, 10)}},
		{"failures in a period", 5, []circuit.Option{circuit.WithFailuresInPeriod(5, time.Second)}},
		{"a rate", 10, []circuit.Option{circuit.WithFailureRate(0.5, 10, time.Second), circuit.WithProbes(3, 5)}},
		{"slow calls", 10, []circuit.Option{
			circuit.WithSlowCallRate(20*time.Millisecond, 0.9, 50, time.Second),
			circuit.WithFailurePercent(50, 10, time.Second),
		}},
		{"functions of the user", 5, []circuit.Option{
			circuit.WithOpenWhen(0, func(c circuit.Counts) bool { return c.ConsecutiveFailures >= 5 }),
			circuit.WithDelayFunc(func(o circuit.Opening) time.Duration { return o.Delay }),
		}},
		{"backoff", 5, []circuit.Option{
			circuit.WithBackoff(1.5, 10*time.Second), circuit.WithProbes(2, 4), circuit.WithProbeLimit(2),
		}},
	} {
		breakertest.Run(t, breakertest.Kind{
			Name: kind.name,
			New: func(name string, listeners ...breaker.Listener) breaker.Breaker {
				opts := []circuit.Option{
					circuit.WithName(name), circuit.WithDelay(4 * time.Second), circuit.WithProbeLease(24 * time.Hour),
				}
				for _, l := range listeners {
					opts = append(opts, circuit.WithListener(l))
				}
				return circuit.NewBreaker(append(opts, kind.opts...)...)
			},
			Outage:   kind.outage,
			Certain:  true,
			Recovery: 11 * time.Second,
			Named:    true, Listens: true, Controlled: true, Idles: true,
		})
	}
}
