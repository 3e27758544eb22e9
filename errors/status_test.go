package errors_test

import (
	"context"
	"math"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/errors"
)

func TestFromHTTPStatus_IsTheErrorThatKratosClientWouldMake(t *testing.T) {
	for status := 100; status < 300; status++ {
		require.NoError(t, errors.FromHTTPStatus(status))
	}
	for _, status := range []int{math.MinInt, -1, 0, 99, 300, 304, 404, 429, 499, 500, 503, 599, 600, 999, math.MaxInt} {
		err := errors.FromHTTPStatus(status)
		require.Error(t, err)
		require.Equal(t, int(int32(status)), kratoserrors.Code(err))
		require.Empty(t, kratoserrors.Reason(err))
	}
	require.ErrorContains(t, errors.FromHTTPStatus(502), "Bad Gateway")
}

func TestFromHTTPStatus_CallersCannotChangeEachOthersError(t *testing.T) {
	first := errors.FromHTTPStatus(404)
	require.ErrorAs(t, first, new(*kratoserrors.Error))
	first.(*kratoserrors.Error).Code = 500
	require.Equal(t, 404, kratoserrors.Code(errors.FromHTTPStatus(404)))
}

func TestClassifyHTTPStatus_SaysWhatClassifyCallSaysOfTheError(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	for name, ctx := range map[string]context.Context{
		"alive": context.Background(), "cancelled": cancelled, "late": late, "nil": nil,
	} {
		for status := -1; status <= 1000; status++ {
			want := errors.ClassifyCall(ctx, errors.FromHTTPStatus(status))
			require.Equal(t, want, errors.ClassifyHTTPStatus(ctx, status), "%s: %d", name, status)
		}
	}
	require.Equal(t, failure, errors.ClassifyHTTPStatus(context.Background(), 499))
	require.Equal(t, ignored, errors.ClassifyHTTPStatus(cancelled, 499))
}

func TestClassifyHTTPStatus_AllocatesNothing(t *testing.T) {
	ctx := t.Context()
	for _, status := range []int{200, 404, 499, 503, 999} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = errors.ClassifyHTTPStatus(ctx, status) }))
	}
}
