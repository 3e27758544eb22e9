package circuit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The tests M01 to M32 say what users of mist-go find here. Those about probes
// and late results are in mist_probe_test.go.

// mistLike returns the breaker that mist.New makes from a Threshold and a
// HalfOpenMax. Its Timeout is WithDelay.
func mistLike(threshold, halfOpenMax int, opts ...circuit.Option) *circuit.Breaker {
	return circuit.NewBreaker(append([]circuit.Option{
		circuit.WithConsecutiveFailures(threshold),
		circuit.WithProbes(1, halfOpenMax), circuit.WithProbeFailures(1),
	}, opts...)...)
}

var errDown = errors.New("the backend is down")

// runErr runs a function that returns err.
func runErr(ctx context.Context, a breaker.Acquirer, err error, opts ...breaker.Option) error {
	return breaker.Run(ctx, a, func(context.Context) error { return err }, opts...)
}

// makeCalls makes one call after the other, each of which must be allowed: an S
// succeeds, an F fails, an I is ignored.
func makeCalls(t *testing.T, b *circuit.Breaker, script string) {
	t.Helper()
	outcomes := map[rune]breaker.Outcome{'S': breaker.Success, 'F': breaker.Failure, 'I': breaker.Ignored}
	for i, c := range script {
		p, err := b.Acquire()
		require.NoError(t, err, "call %d of %s", i, script)
		p.Done(outcomes[c])
	}
}

// takePermits returns n permits.
func takePermits(t *testing.T, b *circuit.Breaker, n int) []breaker.Permit {
	t.Helper()
	permits := make([]breaker.Permit, n)
	for i := range permits {
		var err error
		permits[i], err = b.Acquire()
		require.NoError(t, err, "permit %d of %d", i, n)
	}
	return permits
}

// rejectionOf makes a call that must be rejected for the reason.
func rejectionOf(t *testing.T, b *circuit.Breaker, want breaker.Reason) *breaker.RejectedError {
	t.Helper()
	_, err := b.Acquire()
	var r *breaker.RejectedError
	require.ErrorAs(t, err, &r)
	require.Equal(t, want, r.Reason())
	return r
}

func requireRejection(t *testing.T, b *circuit.Breaker, want breaker.Reason) {
	t.Helper()
	_ = rejectionOf(t, b, want)
}

func requireStateOf(t *testing.T, b *circuit.Breaker, want breaker.State, script ...string) {
	t.Helper()
	require.Equal(t, want, b.Snapshot().State, script)
}

func TestM01_ANewBreakerIsClosedAndStatesHaveNames(t *testing.T) {
	requireStateOf(t, circuit.NewBreaker(), breaker.Closed)
	for want, s := range map[string]breaker.State{
		"closed": breaker.Closed, "open": breaker.Open, "half-open": breaker.HalfOpen,
		"State(3)": 3, // mist says "unknown"
	} {
		require.Equal(t, want, s.String())
	}
	// In mist, Open is 1 and HalfOpen 2.
	require.Equal(t, []breaker.State{0, 1, 2}, []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open})
}

func TestM02_WithoutOptionsFiveFailuresOpenFor30sAndOneProbeIsLetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker()
		makeCalls(t, b, "FFFF")
		requireStateOf(t, b, breaker.Closed)
		makeCalls(t, b, "F")
		requireStateOf(t, b, breaker.Open)
		require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
		time.Sleep(30 * time.Second)
		takePermits(t, b, 1)
		requireRejection(t, b, breaker.ReasonProbeLimit)
	})
	// mist takes these for "the default", we for a mistake.
	require.PanicsWithValue(t, "circuit: WithConsecutiveFailures(0): want a number of calls in [1, 1000000]",
		func() { mistLike(0, 1) })
	require.PanicsWithValue(t, "circuit: WithProbes(1, 0): want a number of probes in [1, 1000000]",
		func() { mistLike(5, 0) })
}

func TestM03_TheNthConsecutiveFailureOpens(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 100} {
		b := mistLike(n, 1)
		for range n - 1 {
			makeCalls(t, b, "F")
			requireStateOf(t, b, breaker.Closed)
		}
		makeCalls(t, b, "F")
		requireStateOf(t, b, breaker.Open)
		require.Equal(t, fmt.Sprintf("%d failures in a row", n), b.Snapshot().Cause)
	}
}

func TestM04_OneSuccessEndsTheRow(t *testing.T) {
	b := mistLike(3, 1)
	makeCalls(t, b, "FFSFF")
	requireStateOf(t, b, breaker.Closed)
	require.EqualValues(t, 2, b.Snapshot().ConsecutiveFailures)
	makeCalls(t, b, "F")
	requireStateOf(t, b, breaker.Open)
}

func TestM05_AnOpenBreakerDoesNotCallTheFunction(t *testing.T) {
	b := mistLike(1, 1)
	makeCalls(t, b, "F")
	err := breaker.Run(t.Context(), b, func(context.Context) error {
		t.Error("the function was called")
		return nil
	})
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
}

func TestM06_TheRejectionIsTheSentinelByErrorsIsAndSaysMore(t *testing.T) {
	b := mistLike(1, 1, circuit.WithName("users"))
	makeCalls(t, b, "F")
	err := runErr(t.Context(), b, nil)
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	require.NotEqual(t, circuitbreaker.ErrNotAllowed, err, "== holds no longer")
	require.EqualError(t, err, `circuit breaker "users" rejected the call: open`)
}

func TestM07_ItIsHalfOpenFromTheEndOfTheDelayOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(1, 1, circuit.WithDelay(7*time.Second))
		makeCalls(t, b, "F")
		time.Sleep(7*time.Second - time.Nanosecond)
		requireStateOf(t, b, breaker.Open)
		time.Sleep(time.Nanosecond)
		requireStateOf(t, b, breaker.HalfOpen)
	})
}

func TestM13_TheErrorOfTheFunctionComesBackAsItIsAndCounts(t *testing.T) {
	b := mistLike(2, 1)
	require.Same(t, errDown, runErr(t.Context(), b, errDown))
	require.EqualValues(t, 1, b.Snapshot().Totals.Failure)
	require.Same(t, errDown, runErr(t.Context(), b, errDown))
	requireStateOf(t, b, breaker.Open)
}

func TestM14_TheCancellationByTheCallerIsReturnedAndChangesNoRow(t *testing.T) {
	cause := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	b := mistLike(3, 1)
	makeCalls(t, b, "FF")
	for _, err := range []error{context.Canceled, fmt.Errorf("get users: %w", context.Canceled), cause} {
		require.Equal(t, err, runErr(ctx, b, err))
	}
	s := b.Snapshot()
	require.Equal(t, breaker.Closed, s.State)
	require.EqualValues(t, 2, s.ConsecutiveFailures)
	require.Equal(t, breaker.Totals{Offered: 5, Allowed: 5, Failure: 2, Ignored: 3}, s.Totals)
	makeCalls(t, b, "F")
	requireStateOf(t, b, breaker.Open)
}

func TestM15_ACancellationIsIgnoredADeadlineCountsAndThatCanBeSwitched(t *testing.T) {
	canceled := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx, cancel
	}
	late := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Second)
	}
	anyError := func(err error) breaker.Outcome {
		if err != nil {
			return breaker.Failure
		}
		return breaker.Success
	}
	patient := func(err error) breaker.Outcome {
		if errors.Is(err, context.DeadlineExceeded) {
			return breaker.Ignored
		}
		return anyError(err)
	}
	for _, c := range []struct {
		name     string
		ctx      func(context.Context) (context.Context, context.CancelFunc)
		err      error // of the function; nil for that of the context
		opts     []breaker.Option
		failures uint64
	}{
		{"a cancellation", canceled, nil, nil, 0},
		{"a real error for a caller who left", canceled, errDown, nil, 0},
		{"a deadline", late, nil, nil, 1},
		{"a real error after the deadline", late, errDown, nil, 1},
		{"a cancellation, whatever the classifier says", canceled, nil, []breaker.Option{breaker.WithClassifier(anyError)}, 0},
		{"a deadline, ignored", late, nil, []breaker.Option{breaker.WithClassifier(patient)}, 0},
		{"a real error after a deadline that is ignored", late, errDown, []breaker.Option{breaker.WithClassifier(patient)}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := c.ctx(t.Context())
				defer cancel()
				b := mistLike(5, 1)
				err := breaker.Run(ctx, b, func(ctx context.Context) error {
					<-ctx.Done()
					if c.err != nil {
						return c.err
					}
					return ctx.Err()
				}, c.opts...)
				require.Error(t, err)
				s := b.Snapshot()
				require.Equal(t, c.failures, s.ConsecutiveFailures)
				require.Equal(t, breaker.Totals{
					Offered: 1, Allowed: 1, Failure: c.failures, Ignored: 1 - c.failures,
				}, s.Totals)
			})
		})
	}
}

func TestM16_CanceledFromTheBackendIsAFailureWhileTheCallerWaits(t *testing.T) {
	b := mistLike(1, 1)
	require.Same(t, context.Canceled, runErr(t.Context(), b, context.Canceled))
	requireStateOf(t, b, breaker.Open)
}

func TestM17_NoErrorIsASuccessEvenIfTheCallerLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := mistLike(3, 1)
	makeCalls(t, b, "FF")
	require.NoError(t, runErr(ctx, b, nil))
	require.Zero(t, b.Snapshot().ConsecutiveFailures)
	require.EqualValues(t, 1, b.Snapshot().Totals.Success)
}

func TestM22_TheFallbackAnswersForARejectionAndGetsIt(t *testing.T) {
	b := mistLike(1, 1)
	makeCalls(t, b, "F")
	answer := errors.New("from the cache")
	err := breaker.Run(t.Context(), b, func(context.Context) error {
		t.Error("the function was called")
		return nil
	}, breaker.WithRunFallback(func(_ context.Context, rejected error) error {
		require.ErrorIs(t, rejected, circuitbreaker.ErrNotAllowed)
		return answer
	}))
	require.Same(t, answer, err)
}

func TestM23_TheFallbackDoesNotAnswerForAFunctionThatFails(t *testing.T) {
	b := mistLike(2, 1)
	err := runErr(t.Context(), b, errDown, breaker.WithRunFallback(func(context.Context, error) error {
		t.Error("the fallback was called")
		return nil
	}))
	require.Same(t, errDown, err)
	require.EqualValues(t, 1, b.Snapshot().Totals.Failure)
}

func TestM24_ThereIsAFormWithAValueAndOneWithout(t *testing.T) {
	b := mistLike(1, 1)
	fresh := func(context.Context) (string, error) { return "fresh", nil }
	stale := breaker.WithFallback(func(context.Context, error) (string, error) { return "stale", nil })
	v, err := breaker.Do(t.Context(), b, fresh, stale)
	require.NoError(t, err)
	require.Equal(t, "fresh", v)
	require.Same(t, errDown, runErr(t.Context(), b, errDown))
	v, err = breaker.Do(t.Context(), b, fresh, stale)
	require.NoError(t, err)
	require.Equal(t, "stale", v)
	require.NoError(t, runErr(t.Context(), b, errDown,
		breaker.WithRunFallback(func(context.Context, error) error { return nil })))
}

func TestM26_TotalsCountFromTheCreationAndNothingButResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mistLike(2, 1)
		left, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, runErr(left, b, context.Canceled), context.Canceled)
		makeCalls(t, b, "SSFF")
		fallback := breaker.WithRunFallback(func(context.Context, error) error { return nil })
		require.NoError(t, runErr(t.Context(), b, errDown, fallback))
		require.ErrorIs(t, runErr(t.Context(), b, nil), circuitbreaker.ErrNotAllowed)
		time.Sleep(30 * time.Second)
		makeCalls(t, b, "F")
		time.Sleep(30 * time.Second)
		makeCalls(t, b, "ISS")
		require.Equal(t, breaker.Totals{
			Offered: 11, Allowed: 9, Rejected: 2, Success: 4, Failure: 3, Ignored: 2,
		}, b.Snapshot().Totals)
	})
}

func TestM27_TwoBreakersShareNothing(t *testing.T) {
	a, b := mistLike(1, 1), mistLike(1, 1)
	makeCalls(t, a, "F")
	requireStateOf(t, a, breaker.Open)
	requireStateOf(t, b, breaker.Closed)
	require.Zero(t, b.Snapshot().Totals)
	makeCalls(t, b, "S")
	requireStateOf(t, a, breaker.Open)
}

// attempts is a retry: it calls f up to n times and ends early with a success
// or a rejection.
func attempts(n int, f func() error) (err error) {
	for range n {
		if err = f(); err == nil || errors.Is(err, circuitbreaker.ErrNotAllowed) {
			return err
		}
	}
	return err
}

func TestM28_ARetryInsideIsOneFailure(t *testing.T) {
	b, calls := mistLike(2, 1), 0
	err := breaker.Run(t.Context(), b, func(context.Context) error {
		return attempts(3, func() error { calls++; return errDown })
	})
	require.Same(t, errDown, err)
	require.Equal(t, 3, calls)
	require.Equal(t, breaker.Window{Failure: 1}, b.Snapshot().Window)
}

func TestM29_ARetryOutsideCountsEachAttemptAndCanStopAtTheRejection(t *testing.T) {
	b, calls := mistLike(2, 1), 0
	err := attempts(10, func() error {
		return breaker.Run(t.Context(), b, func(context.Context) error { calls++; return errDown })
	})
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	require.Equal(t, 2, calls)
	require.Equal(t, breaker.Totals{Offered: 3, Allowed: 2, Rejected: 1, Failure: 2}, b.Snapshot().Totals)
}

func TestM30_ManyRejectionsAndConcurrentResultsAreNotLost(t *testing.T) {
	b := mistLike(1, 1)
	makeCalls(t, b, "F")
	for range 100_000 { // what each costs is BenchmarkRejected's matter
		if _, err := b.Acquire(); err == nil {
			t.Fatal("a call was allowed")
		}
	}
	require.EqualValues(t, 100_000, b.Snapshot().Totals.Rejected)

	b = mistLike(1000, 1)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			err := errDown
			if i%2 == 0 {
				err = nil
			}
			if got := runErr(t.Context(), b, err); !errors.Is(got, err) {
				t.Errorf("got %v, want %v", got, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, breaker.Totals{Offered: 1000, Allowed: 1000, Success: 500, Failure: 500}, b.Snapshot().Totals)
}

func TestM31_ANegativeDelayIsAMistake(t *testing.T) {
	require.PanicsWithValue(t, "circuit: WithDelay(-1ns): want a duration in [0, 24h]",
		func() { mistLike(1, 1, circuit.WithDelay(-1)) })
}

func TestM32_ANilArgumentIsSaidToBeOne(t *testing.T) {
	b := mistLike(1, 1)
	var noContext context.Context
	require.EqualError(t, runErr(noContext, b, nil), "breaker: the context is nil")
	require.EqualError(t, breaker.Run(t.Context(), b, nil), "breaker: the function is nil")
	_, err := breaker.Do[int](t.Context(), b, nil)
	require.EqualError(t, err, "breaker: the function is nil")
	require.PanicsWithValue(t, "breaker: WithRunFallback: the function is nil", func() { breaker.WithRunFallback(nil) })
	require.Zero(t, b.Snapshot().Totals, "none of them was a call")
}
