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

func TestRegression_AStampFromBeforeAResetCountedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "suspect")
		p, err := b.Acquire()
		require.NoError(t, err)
		b.Reset()
		lead(t, b, "suspect")
		p.Done(breaker.Success)
		require.Equal(t, adaptive.Suspect, phaseOf(t, b), "the call began before the Reset")
	})
}

func TestRegression_AProbeFromBeforeAResetEndedAnOutageAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "down")
		time.Sleep(b.Snapshot().RetryAfter)
		p, err := b.Acquire()
		require.NoError(t, err)
		b.Reset()
		lead(t, b, "down")
		p.Done(breaker.Success)
		require.Equal(t, adaptive.Down, phaseOf(t, b), "the probe began before the Reset")
	})
}

func TestRegression_CallsThatWereNeverMarkedBlockedTheBreakerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "ramp")
		for n := range 6000 { // a minute
			time.Sleep(10 * time.Millisecond)
			switch {
			case b.Allow() != nil:
				b.MarkFailed()
			case n%10 != 0: // one of ten panics, and the middleware of Kratos does not mark it
				b.MarkSuccess()
			}
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})
}

func TestRegression_PermitsThatHangBlockedTheBreakerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "ramp")
		for n := range 6000 { // a minute
			time.Sleep(10 * time.Millisecond)
			if p, err := b.Acquire(); err == nil && n%10 != 0 { // the others have no deadline
				p.Done(breaker.Success)
			}
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})
}
