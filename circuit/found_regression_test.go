package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// What the model has found, in short.

func TestProbesAsInClosed_ALostProbeCanBeTheLastOfThoseThatClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(
			circuit.WithFailureRate(0.5, 3, time.Minute), circuit.WithProbesAsInClosed(),
			circuit.WithProbeLease(time.Second),
		)
		b.HalfOpen()
		began := time.Now()
		for i := range 3 {
			p, err := b.Acquire()
			require.NoError(t, err)
			if i > 0 {
				p.Done(breaker.Success)
			}
		}
		time.Sleep(2 * time.Second)
		for _, when := range []string{"before a call", "after it"} {
			s := b.Snapshot()
			require.Equal(t, breaker.Closed, s.State, when)
			require.Equal(t, began.Add(time.Second), s.Since)
			require.Equal(t, breaker.Window{Length: time.Minute}, s.Window)
			require.Equal(t, changes(breaker.Closed, breaker.HalfOpen, breaker.Closed), s.Transitions)
			require.NoError(t, b.Allow(), "half-open for ever: there are no more probes")
		}
	})
}

func TestSnapshot_CountsALostProbeAsTheNextCallWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbeLease(time.Second))
		b.HalfOpen()
		_, err := b.Acquire()
		require.NoError(t, err)
		time.Sleep(time.Second)
		before := b.Snapshot()
		require.Equal(t, breaker.Open, before.State)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, before.Totals)
		require.Error(t, b.Allow())
		after := b.Snapshot()
		require.Equal(t, before.Totals.Failure, after.Totals.Failure)
		require.Equal(t, changes(breaker.Closed, breaker.HalfOpen, breaker.Open), before.Transitions)
		require.Equal(t, before.Transitions, after.Transitions)
	})
}

func TestAllow_LeavesNothingInFlight(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(2, 3))
	b.HalfOpen()
	for range 3 {
		require.NoError(t, b.Allow())
	}
	require.Zero(t, b.Snapshot().Totals, "they count when they are marked")
	for range 3 {
		b.MarkSuccess() // the second closes the breaker, the third is late
	}
	s := b.Snapshot()
	require.Equal(t, breaker.Closed, s.State)
	require.Equal(t, breaker.Totals{Offered: 3, Allowed: 3, Success: 3}, s.Totals)
	require.True(t, b.Idle())
}
