package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

func TestRejection_IsTheOneErrorOfEverybody(t *testing.T) {
	rt := breakerhttp.NewTransport(tripper(mustNotBeCalled), with(&permits{rejection: rejection()}))
	_, bare := roundTrip(rt, get(t))
	_, wrapped := (&http.Client{Transport: rt}).Do(get(t)) //nolint:bodyclose // there is none
	require.ErrorAs(t, wrapped, new(*url.Error))
	for _, err := range []error{bare, wrapped} {
		require.ErrorIs(t, err, cberrors.ErrNotAllowed)
		require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
		require.ErrorIs(t, err, aegis.ErrNotAllowed)
		require.True(t, cberrors.IsRejected(err))
		require.Equal(t, 503, kratoserrors.Code(err))
		require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
		var r *breaker.RejectedError
		require.ErrorAs(t, err, &r)
		require.Equal(t, "gate 17", r.Name())
		d, ok := cberrors.RetryAfter(err)
		require.True(t, ok)
		require.InDelta(t, time.Hour, d, float64(time.Minute))
	}
}

func TestRejection_OfABreakerWithoutANameHasTheKey(t *testing.T) {
	for name, b := range map[string]breaker.CircuitBreaker{
		"nameless": &permits{rejection: breaker.NewRejectedError("", breaker.Open, breaker.ReasonOpen, time.Time{}, nil)},
		"foreign":  &permits{rejection: errBackend},
	} {
		_, err := roundTrip(breakerhttp.NewTransport(tripper(mustNotBeCalled), with(b)), get(t))
		var r *breaker.RejectedError
		require.ErrorAs(t, err, &r)
		require.Equal(t, "backend:8000", r.Name(), name)
	}
}

func TestWithResponse_AnswersARejectedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, until := range map[string]time.Time{
			"":   {},
			"2":  time.Now().Add(1001 * time.Millisecond),
			"1":  time.Now().Add(1),
			"60": time.Now().Add(time.Minute),
		} {
			b := &permits{rejection: breaker.NewRejectedError("", breaker.Open, breaker.ReasonOpen, until, nil)}
			req := get(t)
			resp, err := breakerhttp.NewTransport(tripper(mustNotBeCalled), with(b), breakerhttp.WithResponse()).RoundTrip(req)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.Equal(t, "503 Service Unavailable", resp.Status)
			require.True(t, resp.ProtoAtLeast(1, 1))
			require.Same(t, req, resp.Request)
			require.Equal(t, want, resp.Header.Get("Retry-After"))
			require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.EqualValues(t, len(text), resp.ContentLength)
			got := new(kratoserrors.Error)
			require.NoError(t, json.Unmarshal(text, got))
			require.ErrorIs(t, got, cberrors.ErrNotAllowed)
			require.Equal(t, kratoscb.ErrNotAllowed.Message, got.Message)
		}
	})
}

func TestWithResponse_OfAnAdaptiveBreakerSaysWhenTheNextProbeIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker(sre.WithProbeInterval(20 * time.Second))
		rt := breakerhttp.NewTransport(fails(errBackend), with(b), breakerhttp.WithResponse())
		for range 3000 { // an outage of half a minute
			time.Sleep(10 * time.Millisecond)
			_, _ = roundTrip(rt, get(t))
		}
		for left := range 3 {
			resp, err := rt.RoundTrip(get(t))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
			require.NoError(t, err)
			require.Equal(t, time.Duration(after)*time.Second, (b.Snapshot().RetryAfter + time.Second - 1).Truncate(time.Second), left)
			require.Positive(t, after)
			time.Sleep(time.Second)
		}
	})
}

func TestWithResponse_AnswerToHEADHasNoBody(t *testing.T) {
	rt := breakerhttp.NewTransport(tripper(mustNotBeCalled), with(&permits{rejection: rejection()}), breakerhttp.WithResponse())
	resp, err := (&http.Client{Transport: rt}).Head("http://backend:8000")
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, text)
	require.Equal(t, 503, resp.StatusCode)
}

func TestWithResponse_LeavesOtherErrorsErrors(t *testing.T) {
	rt := breakerhttp.NewTransport(fails(errBackend), with(&permits{}), breakerhttp.WithResponse())
	_, err := roundTrip(rt, get(t))
	require.Same(t, errBackend, err)
	_, err = roundTrip(rt, nil)
	require.Error(t, err)
	_, err = roundTrip(rt, get(t).WithContext(cancelled(t, nil)))
	require.ErrorIs(t, err, context.Canceled)
}

func TestCheckRetry_DoesNotRepeatARejectionAndLeavesTheRestToNext(t *testing.T) {
	errOther := errors.New("another")
	asked := 0
	answer := &http.Response{StatusCode: 503}
	check := breakerhttp.CheckRetry(func(ctx context.Context, resp *http.Response, err error) (bool, error) { //nolint:bodyclose // no call is made
		asked++
		require.Equal(t, t.Context(), ctx)
		require.True(t, resp == answer || err == errBackend)
		return true, errOther
	})
	for _, rejected := range []error{
		cberrors.NotAllowed(rejection()), &url.Error{Op: "Get", Err: cberrors.NotAllowed(rejection())}, aegis.ErrNotAllowed,
	} {
		again, err := check(t.Context(), nil, rejected)
		require.False(t, again)
		require.NoError(t, err)
	}
	require.Zero(t, asked)
	for _, row := range []struct {
		resp *http.Response
		err  error
	}{{answer, nil}, {nil, errBackend}} {
		again, err := check(t.Context(), row.resp, row.err)
		require.True(t, again)
		require.Same(t, errOther, err)
	}
	require.Equal(t, 2, asked)
}
