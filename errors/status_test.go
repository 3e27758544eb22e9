package errors_test

import (
	"math"
	"net/http"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"

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

func TestFromHTTPStatus_IsWhatKratosMakesOfItOverGRPC(t *testing.T) {
	for code := 300; code < 600; code++ {
		want := kratoserrors.New(code, "", http.StatusText(code)).GRPCStatus()
		got, ok := status.FromError(errors.FromHTTPStatus(code))
		require.True(t, ok)
		require.Equal(t, want.Code(), got.Code(), "%d", code)
		require.Equal(t, want.Message(), got.Message(), "%d", code)
	}
}

func TestFromHTTPStatus_CallersCannotChangeEachOthersError(t *testing.T) {
	var first, second *kratoserrors.Error
	err := errors.FromHTTPStatus(404)
	require.ErrorAs(t, err, &first)
	first.Code = 500
	require.ErrorAs(t, err, &second)
	require.EqualValues(t, 404, second.Code)
	require.Equal(t, 404, kratoserrors.Code(errors.FromHTTPStatus(404)))
}

func TestClassifyHTTPStatus_SaysWhatClassifySaysOfTheError(t *testing.T) {
	for status := -1; status <= 1000; status++ {
		require.Equal(t, errors.Classify(errors.FromHTTPStatus(status)), errors.ClassifyHTTPStatus(status), "%d", status)
	}
	require.Equal(t, failure, errors.ClassifyHTTPStatus(499))
}

func TestClassifyHTTPStatus_AllocatesNothing(t *testing.T) {
	for _, status := range []int{200, 404, 499, 503, 999} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = errors.ClassifyHTTPStatus(status) }))
	}
}
