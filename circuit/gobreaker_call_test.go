package circuit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The other half of the statements about sony/gobreaker: periods, calls and
// their outcomes.

// TestG11_FailuresThatTakeLongerThanThePeriodStillOpen is where gobreaker never
// opens: it takes the end of an interval for a new generation, and lets a row
// decay with the buckets.
func TestG11_FailuresThatTakeLongerThanThePeriodStillOpen(t *testing.T) {
	for _, apart := range []time.Duration{time.Millisecond, 190 * time.Millisecond, time.Second, time.Minute} {
		t.Run(apart.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithOpenWhen(300*time.Millisecond, func(c circuit.Counts) bool {
					return c.ConsecutiveFailures >= 20
				}))
				for i := range 20 {
					requireState(t, breaker.Closed, b)
					require.EqualValues(t, i, b.Snapshot().ConsecutiveFailures)
					p := mustAcquire(t, b)
					time.Sleep(apart)
					p.Done(breaker.Failure)
				}
				requireState(t, breaker.Open, b)
			})
		})
	}
}

func TestG12_APeriodHasTenBucketsAndACallIsBookedWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithOpenWhen(time.Second, func(circuit.Counts) bool { return false }))
		failures := func() uint64 { return b.Snapshot().Window.Failure }
		require.Equal(t, time.Second, b.Snapshot().Window.Length)
		slow := mustAcquire(t, b)
		callTimes(t, b, 1, breaker.Failure)
		time.Sleep(950 * time.Millisecond)
		slow.Done(breaker.Failure)
		require.EqualValues(t, 2, failures())
		time.Sleep(50*time.Millisecond - time.Nanosecond)
		require.EqualValues(t, 2, failures())
		time.Sleep(time.Nanosecond) // 1 s
		require.EqualValues(t, 1, failures(), "the first bucket has left")
		time.Sleep(900*time.Millisecond - time.Nanosecond)
		require.EqualValues(t, 1, failures())
		time.Sleep(time.Nanosecond) // 1.9 s
		require.Zero(t, failures())
	})
}

func TestG13_APanicIsAFailureAndGoesOnWithItsValue(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	boom := &struct{ text string }{"boom"}
	recovered := func() (r any) {
		defer func() { r = recover() }()
		_ = breaker.Run(t.Context(), b, func(context.Context) error { panic(boom) })
		return nil
	}()
	require.Same(t, boom, recovered)
	requireState(t, breaker.Open, b)
	require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)
}

func TestG14_IgnoredProbesLeaveTheBreakerHalfOpenAndMakeRoomForOthers(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithProbes(1, 1))
	excluded := breaker.WithClassifier(func(err error) breaker.Outcome {
		if err != nil {
			return breaker.Ignored
		}
		return breaker.Success
	})
	b.HalfOpen()
	for range 5 {
		require.Equal(t, errBackend, breaker.Run(t.Context(), b, func(context.Context) error { return errBackend }, excluded))
		requireState(t, breaker.HalfOpen, b)
	}
	require.NoError(t, breaker.Run(t.Context(), b, func(context.Context) error { return nil }, excluded))
	requireState(t, breaker.Closed, b)
	require.Equal(t, breaker.Totals{Offered: 6, Allowed: 6, Success: 1, Ignored: 5}, b.Snapshot().Totals)
}

// gobreaker asks IsExcluded about a cancellation; here it is nobody's to say what it
// means.
func TestG15_ACancelledProbeMakesRoomForAnotherWhateverTheClassifierSays(t *testing.T) {
	for _, outcome := range []breaker.Outcome{breaker.Success, breaker.Ignored, breaker.Failure} {
		b := circuit.NewBreaker()
		b.HalfOpen()
		ctx, cancel := context.WithCancel(t.Context())
		err := breaker.Run(ctx, b, func(ctx context.Context) error {
			cancel()
			return ctx.Err()
		}, breaker.WithClassifier(func(error) breaker.Outcome { return outcome }))
		require.Equal(t, context.Canceled, err)
		requireState(t, breaker.HalfOpen, b)
		require.NoError(t, breaker.Run(t.Context(), b, func(context.Context) error { return nil }))
		requireState(t, breaker.Closed, b)
	}
}

func TestG16_ALatePermitOfAnotherStateMovesNothing(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	stale := func() breaker.Snapshot {
		s := b.Snapshot()
		s.Totals = breaker.Totals{}
		return s
	}
	fromClosed := []breaker.Permit{mustAcquire(t, b), mustAcquire(t, b)}
	b.HalfOpen()
	before := stale()
	fromClosed[0].Done(breaker.Success)
	fromClosed[1].Done(breaker.Failure)
	require.Equal(t, before, stale())
	probe := mustAcquire(t, b)
	b.Close()
	before = stale()
	probe.Done(breaker.Failure)
	require.Equal(t, before, stale())
	require.Equal(t, breaker.Totals{Offered: 3, Allowed: 3, Success: 1, Failure: 2}, b.Snapshot().Totals)
}

func TestG17_ASecondDoneChangesNothingAndAForgottenOneDoesNotKeepTheBreakerHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(2), circuit.WithProbeLease(5*time.Second))
		p := mustAcquire(t, b)
		for range 3 {
			p.Done(breaker.Failure)
		}
		requireState(t, breaker.Closed, b)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)

		b.HalfOpen()
		mustAcquire(t, b) // and forgotten
		time.Sleep(5*time.Second - time.Nanosecond)
		requireRejected(t, b, breaker.ReasonProbeLimit)
		time.Sleep(time.Nanosecond)
		requireRejected(t, b, breaker.ReasonOpen)
		time.Sleep(30 * time.Second)
		callTimes(t, b, 1, breaker.Success)
		requireState(t, breaker.Closed, b)
	})
}

// TestG18_EveryFunctionOfTheUserMayLookAtTheBreaker is where gobreaker blocks
// for ever, four times over.
func TestG18_EveryFunctionOfTheUserMayLookAtTheBreaker(t *testing.T) {
	var b *circuit.Breaker
	var seen []string
	look := func(who string) { seen = append(seen, who+" "+b.Snapshot().State.String()) }
	b = circuit.NewBreaker(
		circuit.WithOpenWhen(0, func(circuit.Counts) bool {
			look("predicate")
			return true
		}),
		circuit.WithListener(func(breaker.Event) { look("listener") }),
	)
	requireEnds(t, func() {
		_ = breaker.Run(t.Context(), b, func(context.Context) error { return errBackend },
			breaker.WithClassifier(func(error) breaker.Outcome {
				look("classifier")
				return breaker.Failure
			}))
	})
	require.Equal(t, []string{"classifier closed", "predicate closed", "listener open"}, seen)
}

func TestG19_TheValueComesBackWithTheErrorAndARejectionHasTheZeroValue(t *testing.T) {
	b := circuit.NewBreaker()
	f := func(context.Context) (int, error) { return 42, errBackend }
	v, err := breaker.Do(t.Context(), b, f)
	require.Equal(t, 42, v)
	require.Equal(t, errBackend, err)
	b.Open()
	v, err = breaker.Do(t.Context(), b, f)
	require.Zero(t, v)
	require.ErrorAs(t, err, new(*breaker.RejectedError))
}

func TestG20_AStatusCountsOnlyIfTheCallerMakesAnErrorOfIt(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	get := func(check bool) {
		_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) {
			w := httptest.NewRecorder()
			http.Error(w, "sorry", http.StatusInternalServerError)
			if check && w.Code/100 != 2 {
				return w.Code, fmt.Errorf("status %d", w.Code)
			}
			return w.Code, nil
		})
	}
	for range 3 {
		get(false)
	}
	requireState(t, breaker.Closed, b)
	for range 3 {
		get(true)
	}
	requireState(t, breaker.Open, b)
}

// TestGobreaker_TheExampleOfGobreakersUsersPrintsWhatItShould calls a backend every
// 100 ms, which is down from 1 s to 10 s.
func TestGobreaker_TheExampleOfGobreakersUsersPrintsWhatItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var printed []string
		b := circuit.NewBreaker(circuit.WithName("users"),
			circuit.WithProbes(3, 3), circuit.WithDelay(3*time.Second),
			circuit.WithOpenWhen(time.Second, func(c circuit.Counts) bool {
				return c.ConsecutiveFailures > 3 && float64(c.Failure)/float64(c.Success+c.Failure) > 0.6
			}),
			circuit.WithListener(func(e breaker.Event) {
				printed = append(printed, fmt.Sprintf("%v: CircuitBreaker '%s' changed from '%s' to '%s'",
					e.At.Sub(began), e.Snapshot.Name, e.From, e.To))
			}))
		for ; time.Since(began) < 15*time.Second; time.Sleep(100 * time.Millisecond) {
			now := time.Since(began)
			_ = breaker.Run(t.Context(), b, func(context.Context) error {
				if now >= time.Second && now < 10*time.Second {
					return errBackend
				}
				return nil
			})
		}
		require.Equal(t, []string{
			"1.6s: CircuitBreaker 'users' changed from 'closed' to 'open'",
			"4.6s: CircuitBreaker 'users' changed from 'open' to 'half-open'",
			"4.6s: CircuitBreaker 'users' changed from 'half-open' to 'open'",
			"7.6s: CircuitBreaker 'users' changed from 'open' to 'half-open'",
			"7.6s: CircuitBreaker 'users' changed from 'half-open' to 'open'",
			"10.6s: CircuitBreaker 'users' changed from 'open' to 'half-open'",
			"10.8s: CircuitBreaker 'users' changed from 'half-open' to 'closed'",
		}, printed)
	})
}
