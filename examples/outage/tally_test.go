package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHistogram_FindsQuantilesToOnePercent(t *testing.T) {
	var h histogram
	require.Zero(t, h.quantile(0.99))
	for ms := 1; ms <= 1000; ms++ {
		h.add(time.Duration(ms) * time.Millisecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.99, 1} {
		want := time.Duration(q * float64(time.Second))
		require.InEpsilon(t, want, h.quantile(q), 0.011, "quantile %v", q)
	}
}

func TestHistogram_TakesAnyDuration(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{-1, 0, 1, time.Hour} {
		h.add(d)
	}
	require.InEpsilon(t, time.Microsecond, h.quantile(0.5), 0.02)
	require.Greater(t, h.quantile(1), 10*time.Minute)
}

func TestRecovery_IsWhereTheFirstGoodStretchBegins(t *testing.T) {
	var r recovery
	_, ok := r.at(99)
	require.False(t, ok, "no call, no recovery")
	for i := range 10 * slices {
		good := i >= 1000 && i != 1000+10*stretch-1 // one of 200 fails
		r.add((float64(i)+0.5)/(10*slices), good)
	}
	part, ok := r.at(99)
	require.True(t, ok)
	require.Equal(t, 100.0/slices, part)
	part, ok = r.at(100)
	require.True(t, ok)
	require.Equal(t, (100.0+stretch)/slices, part)
}

func TestTally_CountsACallInThePhaseItBeganIn(t *testing.T) {
	var c tally
	c.offer(slow)
	require.EqualValues(t, 1, c.of(slow).inFlight())
	c.end(slow, 0.9, timeout, failed)
	c.offer(healed)
	c.end(healed, 0, time.Millisecond, rejected)
	require.Zero(t, c.in(everyPhase).inFlight())
	require.EqualValues(t, 1, c.in(phase.outage).allowed())
	require.EqualValues(t, 1, c.of(slow).late)
	require.EqualValues(t, 2, c.in(everyPhase).offered)
	require.EqualValues(t, 1, c.in(everyPhase).ended[rejected])
}
