package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

func TestRejectedError_SaysNameReasonAndCauseInOneLine(t *testing.T) {
	cause := errors.New("too many probes")
	for _, row := range []struct {
		err  *breaker.RejectedError
		want string
	}{
		{
			breaker.NewRejectedError("", breaker.Open, breaker.ReasonUnknown, time.Time{}, nil),
			"circuit breaker rejected the call: unknown",
		},
		{
			breaker.NewRejectedError("/users.v1.Users/Get", breaker.Open, breaker.ReasonThrottled, time.Time{}, nil),
			`circuit breaker "/users.v1.Users/Get" rejected the call: throttled`,
		},
		{
			breaker.NewRejectedError("a\nb", breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, cause),
			`circuit breaker "a\nb" rejected the call: probe limit: too many probes`,
		},
	} {
		require.EqualError(t, row.err, row.want)
		require.NotContains(t, row.err.Error(), "\n")
	}
}

func TestRejectedError_KeepsWhatItWasMadeOf(t *testing.T) {
	cause := errors.New("cause")
	err := breaker.NewRejectedError("users", breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, cause)
	require.Equal(t, "users", err.Name())
	require.Equal(t, breaker.HalfOpen, err.State())
	require.Equal(t, breaker.ReasonProbeLimit, err.Reason())
	require.Same(t, cause, err.Unwrap())
	require.Zero(t, err.RetryAfter())
	require.NoError(t, breaker.NewRejectedError("", breaker.Open, breaker.ReasonOpen, time.Time{}, nil).Unwrap())
}

func TestRejectedError_IsAegisErrNotAllowedAndItsCauseAndNothingElse(t *testing.T) {
	cause := &rejectedByPolicy{"3"}
	err := breaker.NewRejectedError("users", breaker.Open, breaker.ReasonOpen, time.Time{}, cause)
	for _, e := range []error{err, fmt.Errorf("call: %w", err), errors.Join(errBackend, err)} {
		require.ErrorIs(t, e, circuitbreaker.ErrNotAllowed)
		require.ErrorIs(t, e, cause)
		require.NotErrorIs(t, e, context.Canceled)
		require.NotErrorIs(t, e, rejection(), "another rejection is another error")
		var got *breaker.RejectedError
		require.ErrorAs(t, e, &got)
		require.Same(t, err, got)
		var policy *rejectedByPolicy
		require.ErrorAs(t, e, &policy)
		require.Same(t, cause, policy)
	}
	require.NotErrorIs(t, errBackend, circuitbreaker.ErrNotAllowed)
}

func TestRejectedError_RetryAfterCountsDownToZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := breaker.NewRejectedError("users", breaker.Open, breaker.ReasonOpen, time.Now().Add(10*time.Second), nil)
		never := breaker.NewRejectedError("users", breaker.Open, breaker.ReasonThrottled, time.Time{}, nil)
		for _, row := range []struct{ sleep, want time.Duration }{
			{0, 10 * time.Second},
			{4 * time.Second, 6 * time.Second},
			{6*time.Second - 1, 1},
			{1, 0},
			{1, 0},
			{time.Hour, 0},
		} {
			time.Sleep(row.sleep)
			require.Equal(t, row.want, err.RetryAfter())
			require.Zero(t, never.RetryAfter())
		}
	})
}

func TestAsRejected_FindsTheRejectionThatIsThere(t *testing.T) {
	own := rejection()
	require.Same(t, own, breaker.AsRejected("mine", own))
	require.Same(t, own, breaker.AsRejected("mine", fmt.Errorf("call: %w", own)))
	require.Equal(t, "other", breaker.AsRejected("mine", own).Name())
}

func TestAsRejected_MakesOneOfAnyOtherError(t *testing.T) {
	r := breaker.AsRejected("mine", errRejected)
	require.Equal(t, "mine", r.Name())
	require.Equal(t, breaker.Open, r.State())
	require.Equal(t, breaker.ReasonUnknown, r.Reason())
	require.Same(t, errRejected, r.Unwrap())

	r = breaker.AsRejected("mine", circuitbreaker.ErrNotAllowed)
	require.Equal(t, "mine", r.Name())
	require.NoError(t, r.Unwrap(), "aegis' error says nothing that a RejectedError does not say")
	require.ErrorIs(t, r, circuitbreaker.ErrNotAllowed)
}

// A foreign breaker that explains aegis' error says more than aegis' error.
func TestAsRejected_KeepsWhatIsWrappedAroundAegisError(t *testing.T) {
	explained := fmt.Errorf("p99 is 3s: %w", circuitbreaker.ErrNotAllowed)
	r := breaker.AsRejected("mine", explained)
	require.ErrorIs(t, r, explained)
	require.True(t, strings.Contains(r.Error(), "p99 is 3s"), r.Error())
}

func TestRejectedError_IsTheErrNotAllowedOfKratosToo(t *testing.T) {
	b := sre.NewBreaker(sre.WithName("x"))
	for range 1000 {
		b.MarkFailed()
	}
	breakertest.MustReject(t, func() bool {
		_, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 0, nil })
		if err == nil {
			return false
		}
		require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
		require.ErrorIs(t, fmt.Errorf("wrapped: %w", err), kratoscb.ErrNotAllowed)
		require.NotErrorIs(t, err, kratoserrors.New(503, "OTHER", ""))
		require.NotErrorIs(t, err, kratoserrors.New(500, "CIRCUITBREAKER", ""))
		var missing *kratoserrors.Error
		require.NotErrorIs(t, err, missing)
		return true
	})
}

func TestDo_ACustomClassifierIsNotAskedWhatACancellationMeansWhateverItsCause(t *testing.T) {
	for _, cause := range []error{nil, errBackend, kratoserrors.New(503, "DOWN", ""), kratoserrors.New(404, "NO_USER", "")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		b := sre.NewBreaker()
		_, err := breaker.Do(ctx, b, func(ctx context.Context) (int, error) { return 0, context.Cause(ctx) },
			breaker.WithClassifier(func(error) breaker.Outcome { return breaker.Success }))
		require.Equal(t, context.Cause(ctx), err)
		breakertest.RequireTotals(t, b, breaker.Totals{Ignored: 1})
	}
}
