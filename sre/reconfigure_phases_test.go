package sre_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

func TestReconfigure_EndsNoPhase(t *testing.T) {
	for name, opts := range map[string][]sre.Option{
		"settings":  {sre.WithSuccess(0.1), sre.WithRequest(1e9), sre.WithProbeInterval(time.Minute)},
		"shape":     {sre.WithWindow(100 * time.Millisecond), sre.WithBucket(3)},
		"long":      {sre.WithWindow(24 * time.Hour), sre.WithBucket(1)},
		"the same":  nil,
		"as before": {sre.WithSuccess(0.6)},
	} {
		t.Run(name, func(t *testing.T) {
			events := 0
			inPhases(t, func(t *testing.T, b *sre.Breaker, phase string) {
				before, told := b.Snapshot(), events
				for range 3 {
					b.Reconfigure(opts...)
					s := b.Snapshot()
					require.Equal(t, before.State, s.State)
					require.Equal(t, before.Cause, s.Cause)
					require.Equal(t, before.Since, s.Since)
					require.Equal(t, before.Totals, s.Totals)
					require.InDelta(t, before.RejectRatio, s.RejectRatio, 0)
					require.Equal(t, phases[phase].is, phaseOf(t, b))
					b.Reconfigure()
					require.Equal(t, phases[phase].is, phaseOf(t, b))
				}
				require.Equal(t, told, events)
			}, sre.WithListener(func(breaker.Event) { events++ }))
		})
	}
}

func TestReconfigure_ACalmBreakerLooksAtNothingOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		for n := range 240 { // nearly enough for a try
			time.Sleep(time.Millisecond)
			o := breaker.Failure
			if n%2 == 0 {
				o = breaker.Success
			}
			require.True(t, callOnce(b, o))
		}
		require.Equal(t, adaptive.Calm, phaseOf(t, b))
		b.Reconfigure(sre.WithWindow(10 * time.Second))
		for range 200 {
			time.Sleep(20 * time.Millisecond)
			require.True(t, callOnce(b, breaker.Success))
			require.Equal(t, adaptive.Calm, phaseOf(t, b))
		}
	})
}
