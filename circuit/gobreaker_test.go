package circuit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The TestG.. tests are the statements about sony/gobreaker, one each, in our
// words: ReadyToTrip is WithOpenWhen, Timeout is WithDelay, MaxRequests n is
// WithProbes(n, n), Execute is breaker.Do, IsSuccessful and IsExcluded are one
// classifier, and the two-step breaker is Acquire and Done.

var errBackend = errors.New("the backend failed")

// inARowOver is the ReadyToTrip that gobreaker's users write most.
func inARowOver(n uint64) circuit.Option {
	return circuit.WithOpenWhen(0, func(c circuit.Counts) bool { return c.ConsecutiveFailures > n })
}

// callOnce makes a call that ends with o at once.
func callOnce(b breaker.Acquirer, o breaker.Outcome) error {
	p, err := b.Acquire()
	if err == nil {
		p.Done(o)
	}
	return err
}

// callTimes makes n calls that are allowed and end with o.
func callTimes(t *testing.T, b breaker.Acquirer, n int, o breaker.Outcome) {
	t.Helper()
	for range n {
		require.NoError(t, callOnce(b, o))
	}
}

func mustAcquire(t *testing.T, b breaker.Acquirer) breaker.Permit {
	t.Helper()
	p, err := b.Acquire()
	require.NoError(t, err)
	return p
}

// requireRejected requires that the next call is rejected for the reason.
func requireRejected(t *testing.T, b breaker.Acquirer, reason breaker.Reason) {
	t.Helper()
	require.Error(t, theRejection(t, b, reason))
}

// theRejection returns that of the next call, which has the reason.
func theRejection(t *testing.T, b breaker.Acquirer, reason breaker.Reason) *breaker.RejectedError {
	t.Helper()
	_, err := b.Acquire()
	var rejected *breaker.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, reason, rejected.Reason())
	return rejected
}

func requireState(t *testing.T, want breaker.State, b breaker.Breaker) {
	t.Helper()
	require.Equal(t, want.String(), b.Snapshot().State.String())
}

func TestG01_ClosedAllowsAllCallsOpenNoneAndHalfOpenAFew(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(2, 2))
	for range 100 {
		mustAcquire(t, b)
	}
	require.Equal(t, "closed", b.Snapshot().State.String())
	b.Open()
	require.Equal(t, "open", b.Snapshot().State.String())
	for range 100 {
		requireRejected(t, b, breaker.ReasonOpen)
	}
	b.HalfOpen()
	require.Equal(t, "half-open", b.Snapshot().State.String())
	mustAcquire(t, b)
	mustAcquire(t, b)
	for range 100 {
		requireRejected(t, b, breaker.ReasonProbeLimit)
	}
	require.Equal(t, "State(100)", breaker.State(100).String())
}

func TestG02_TheDefaultsOfGobreakerCanBeWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(inARowOver(5), circuit.WithDelay(time.Minute), circuit.WithProbes(1, 1))
		run := func(err error) error {
			return breaker.Run(t.Context(), b, func(context.Context) error { return err })
		}
		for range 5 {
			require.Equal(t, errBackend, run(errBackend))
			requireState(t, breaker.Closed, b)
			time.Sleep(48 * time.Hour) // the counts are never cleared
		}
		require.Equal(t, errBackend, run(errBackend))
		requireState(t, breaker.Open, b)
		require.Equal(t, time.Minute, b.Snapshot().RetryAfter)
		time.Sleep(time.Minute)
		mustAcquire(t, b).Done(breaker.Ignored)
		probe := mustAcquire(t, b)
		requireRejected(t, b, breaker.ReasonProbeLimit)
		probe.Done(breaker.Success)
		requireState(t, breaker.Closed, b)
		require.NoError(t, run(nil), "an error is a failure, and nil is not")
		require.Zero(t, b.Snapshot().Window.Failure)
	})
}

func TestG03_ThePredicateIsAskedAfterAFailureOfTheClosedStateWasCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []circuit.Counts
		b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(c circuit.Counts) bool {
			asked = append(asked, c)
			return c.Failure == 2
		}))
		late := mustAcquire(t, b)
		callTimes(t, b, 2, breaker.Success)
		callTimes(t, b, 1, breaker.Ignored)
		require.Empty(t, asked, "only a failure can open")
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Closed, b)
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Open, b)
		want := []circuit.Counts{
			{Success: 2, Failure: 1, InFlight: 1, ConsecutiveFailures: 1},
			{Success: 2, Failure: 2, InFlight: 1, ConsecutiveFailures: 2},
		}
		require.Equal(t, want, asked)
		require.Equal(t, "the function of WithOpenWhen", b.Snapshot().Cause)

		late.Done(breaker.Failure)
		time.Sleep(30 * time.Second)
		callTimes(t, b, 1, breaker.Failure) // the probe
		require.Equal(t, want, asked, "neither late results nor probes are asked about")
	})
}

func TestG04_AReadNeitherEndsTheOpenStateNorTellsTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		b := circuit.NewBreaker(circuit.WithDelay(time.Minute),
			circuit.WithListener(func(breaker.Event) { events++ }))
		b.Open()
		time.Sleep(time.Minute - time.Nanosecond)
		requireState(t, breaker.Open, b)
		requireRejected(t, b, breaker.ReasonOpen)
		time.Sleep(time.Nanosecond)
		for range 3 {
			requireState(t, breaker.HalfOpen, b)
		}
		require.Equal(t, 1, events)
		time.Sleep(time.Second)
		mustAcquire(t, b)
		require.Equal(t, 2, events)
	})
}

func TestG05_AnyFailedProbeReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for successes := range 3 {
			b := circuit.NewBreaker(circuit.WithProbes(3, 3), circuit.WithDelay(time.Minute))
			b.HalfOpen()
			time.Sleep(time.Second)
			callTimes(t, b, successes, breaker.Success)
			requireState(t, breaker.HalfOpen, b)
			callTimes(t, b, 1, breaker.Failure)
			requireState(t, breaker.Open, b)
			require.Equal(t, time.Minute, b.Snapshot().RetryAfter, "the whole delay")
		}
	})
}

func TestG06_ThatManySuccessfulProbesInARowClose(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(3, 3))
	b.HalfOpen()
	callTimes(t, b, 2, breaker.Success)
	requireState(t, breaker.HalfOpen, b)
	require.EqualValues(t, 2, b.Snapshot().ConsecutiveSuccesses)
	callTimes(t, b, 1, breaker.Success)
	requireState(t, breaker.Closed, b)
}

func TestG07_ProbesAreLimitedInTotalAndTheErrorTellsTheTwoRejectionsApart(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(3, 3), circuit.WithName("users"))
	b.Open()
	require.EqualError(t, theRejection(t, b, breaker.ReasonOpen),
		`circuit breaker "users" rejected the call: open`)
	b.HalfOpen()
	callTimes(t, b, 2, breaker.Success)
	third := mustAcquire(t, b) // only one runs, but it is the third
	require.EqualError(t, theRejection(t, b, breaker.ReasonProbeLimit),
		`circuit breaker "users" rejected the call: probe limit`)
	third.Done(breaker.Success)
	requireState(t, breaker.Closed, b)
}

func TestG08_TheSnapshotHasTheSixCounts(t *testing.T) {
	b := circuit.NewBreaker(inARowOver(100))
	callTimes(t, b, 5, breaker.Failure)
	require.EqualValues(t, 5, b.Snapshot().ConsecutiveFailures)
	callTimes(t, b, 1, breaker.Success)
	s := b.Snapshot()
	require.Equal(t, breaker.Totals{Offered: 6, Allowed: 6, Success: 1, Failure: 5}, s.Totals)
	require.Equal(t, breaker.Window{Success: 1, Failure: 5}, s.Window)
	require.EqualValues(t, 1, s.ConsecutiveSuccesses)
	require.Zero(t, s.ConsecutiveFailures)
	callTimes(t, b, 1, breaker.Ignored)
	s = b.Snapshot()
	require.EqualValues(t, 1, s.Totals.Ignored)
	require.EqualValues(t, 1, s.ConsecutiveSuccesses, "an ignored call ends no row")
	require.Equal(t, breaker.Window{Success: 1, Failure: 5}, s.Window)
}

func TestG09_ACallCountsWhenItIsAllowed(t *testing.T) {
	b := circuit.NewBreaker()
	p := mustAcquire(t, b)
	require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, InFlight: 1}, b.Snapshot().Totals)
	p.Done(breaker.Success)
	require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Success: 1}, b.Snapshot().Totals)
}

func TestG10_EveryStateBeginsToCountAnewAndHearsNothingOfTheOneBefore(t *testing.T) {
	var asked circuit.Counts
	b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(c circuit.Counts) bool {
		asked = c
		return c.Failure == 3
	}))
	old := []breaker.Permit{mustAcquire(t, b), mustAcquire(t, b), mustAcquire(t, b)}
	callTimes(t, b, 3, breaker.Failure)
	requireState(t, breaker.Open, b)
	old[0].Done(breaker.Success)
	require.Equal(t, breaker.Window{Failure: 3}, b.Snapshot().Window, "an open breaker shows why it opened")
	b.HalfOpen()
	require.Zero(t, b.Snapshot().Window)
	old[1].Done(breaker.Failure)
	require.Zero(t, b.Snapshot().Window)
	b.Close()
	old[2].Done(breaker.Failure)
	s := b.Snapshot()
	require.Zero(t, s.Window)
	require.Zero(t, s.ConsecutiveFailures)
	callTimes(t, b, 1, breaker.Failure)
	require.Equal(t, circuit.Counts{Failure: 1, ConsecutiveFailures: 1}, asked)
	require.Equal(t, breaker.Totals{Offered: 7, Allowed: 7, Success: 1, Failure: 6}, b.Snapshot().Totals)
}
