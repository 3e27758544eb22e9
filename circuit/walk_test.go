package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// TestBreaker_WalksThroughItsStates is the life of a breaker with defaults, as
// its listener and its snapshots tell it.
func TestBreaker_WalksThroughItsStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.Event
		b := circuit.NewBreaker(circuit.WithName("users"),
			circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
		call := func(o breaker.Outcome) error {
			p, err := b.Acquire()
			if err == nil {
				p.Done(o)
			}
			return err
		}
		began := time.Now()
		for range 5 {
			require.Equal(t, breaker.Closed, b.Snapshot().State)
			require.NoError(t, call(breaker.Failure))
		}
		require.Equal(t, breaker.Snapshot{
			Name: "users", State: breaker.Open, Since: began, Cause: "5 failures in a row",
			Window: breaker.Window{Failure: 5}, Totals: breaker.Totals{Offered: 5, Allowed: 5, Failure: 5},
			Openings: 1, Transitions: changes(breaker.Closed, breaker.Open), RejectRatio: 1, RetryAfter: 30 * time.Second,
		}, b.Snapshot())

		time.Sleep(30*time.Second - time.Nanosecond)
		var rejected *breaker.RejectedError
		require.ErrorAs(t, call(breaker.Success), &rejected)
		require.Equal(t, breaker.ReasonOpen, rejected.Reason())
		require.Equal(t, time.Duration(1), rejected.RetryAfter())

		time.Sleep(time.Nanosecond)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		require.Equal(t, changes(breaker.Closed, breaker.Open, breaker.HalfOpen), b.Snapshot().Transitions)
		require.Len(t, events, 1, "reading tells nobody")
		probe, err := b.Acquire()
		require.NoError(t, err)
		require.ErrorAs(t, call(breaker.Success), &rejected)
		require.Equal(t, breaker.ReasonProbeLimit, rejected.Reason())
		probe.Done(breaker.Success)
		require.NoError(t, call(breaker.Success))

		require.Equal(t, breaker.Totals{Offered: 9, Allowed: 7, Rejected: 2, Success: 2, Failure: 5}, b.Snapshot().Totals)
		require.Equal(t, breaker.Window{Success: 1}, b.Snapshot().Window)
		require.Len(t, events, 3)
		require.Equal(t, changes(breaker.Closed, breaker.Open, breaker.HalfOpen, breaker.Closed), b.Snapshot().Transitions)
		require.Equal(t, b.Snapshot().Transitions, events[2].Snapshot.Transitions)
		for i, want := range []struct {
			from, to breaker.State
			cause    string
			at       time.Duration
			window   breaker.Window
		}{
			{breaker.Closed, breaker.Open, "5 failures in a row", 0, breaker.Window{Failure: 5}},
			{breaker.Open, breaker.HalfOpen, "the delay has passed", 30 * time.Second, breaker.Window{Failure: 5}},
			{breaker.HalfOpen, breaker.Closed, "the results of the probes", 30 * time.Second, breaker.Window{Success: 1}},
		} {
			e := events[i]
			require.Equal(t, want.from, e.From)
			require.Equal(t, want.to, e.To)
			require.Equal(t, want.to, e.Snapshot.State)
			require.Equal(t, want.cause, e.Cause)
			require.Equal(t, want.at, e.At.Sub(began))
			require.Equal(t, want.window, e.Snapshot.Window)
		}
	})
}

// changes counts the changes of a breaker that went through these states.
func changes(states ...breaker.State) (n breaker.Transitions) {
	for i, to := range states[1:] {
		n[states[i]][to]++
	}
	return n
}
