package http_test

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// retryAfter returns what a breaker is told of the answer.
func retryAfter(t testing.TB, status int, header ...string) time.Duration {
	b := &permits{}
	_, err := roundTrip(breakerhttp.NewTransport(answers(status, header...), with(b)), get(t))
	require.NoError(t, err)
	require.Len(t, b.results(), 1)
	return b.results()[0].RetryAfter
}

const day = 24 * time.Hour

func TestRetryAfter_IsReadInSecondsAndAsADate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC() // on the second, in a bubble
		for value, want := range map[string]time.Duration{
			"1":    time.Second,
			"120":  2 * time.Minute,
			"0":    0,
			" 7 ":  7 * time.Second,
			"0009": 9 * time.Second,
			now.Add(90 * time.Second).Format(http.TimeFormat):                  90 * time.Second,
			now.Add(90 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT"): 90 * time.Second,
			now.Add(90 * time.Second).Format(time.ANSIC):                       90 * time.Second,
			now.Add(-time.Hour).Format(http.TimeFormat):                        0,
			"86400":                            day,
			"86401":                            day,
			"9223372036":                       day, // times 1e9 it still fits into 63 bits
			"9223372037":                       day, // and this does not
			"18446744073709551616":             day, // nor this into 64
			"99999999999999999999999999999999": day,
			"Fri, 31 Dec 9999 23:59:59 GMT":    day,
			"":                                 0,
			"soon":                             0,
			"-1":                               0,
			"+1":                               0,
			"1.5":                              0,
			"1e3":                              0,
			"0x10":                             0,
			"1_000":                            0,
			"10 s":                             0,
			"10s":                              0,
			"٣":                                0,
			"Fri, 32 Dec 9999 23:59:59 GMT":    0,
			"Mon, 01 Jan 0001 00:00:00 GMT":    0,
		} {
			require.Equal(t, want, retryAfter(t, 503, "Retry-After", value), "%q", value)
		}
		require.Zero(t, retryAfter(t, 503))
	})
}

func TestRetryAfter_DateCountsFromTheDateOfTheResponse(t *testing.T) {
	const at = "Tue, 01 Jan 2030 00:01:00 GMT"
	require.Equal(t, time.Minute, retryAfter(t, 503, "Retry-After", at, "Date", "Tue, 01 Jan 2030 00:00:00 GMT"))
	require.Equal(t, day, retryAfter(t, 503, "Retry-After", at, "Date", "Thu, 01 Jan 1970 00:00:00 GMT"))
	require.Zero(t, retryAfter(t, 503, "Retry-After", at, "Date", "Tue, 01 Jan 2030 00:02:00 GMT"))
	synctest.Test(t, func(t *testing.T) { // in the year 2000
		require.Equal(t, day, retryAfter(t, 503, "Retry-After", at, "Date", "yesterday"))
	})
}

func TestRetryAfter_IsReadWhereItSpeaksOfTheLoad(t *testing.T) {
	for status, want := range map[int]time.Duration{
		429: time.Second, 500: time.Second, 503: time.Second,
		200: 0, 301: 0, 404: 0, 501: 0, // after a redirect it is about the redirect
	} {
		require.Equal(t, want, retryAfter(t, status, "Retry-After", "1"), "%d", status)
	}
}

func TestRetryAfter_OfA503IsReadWhateverItCountsAs(t *testing.T) {
	b := &permits{}
	rt := breakerhttp.NewTransport(answers(503, "Retry-After", "7"), with(b),
		breakerhttp.WithClassifier(func(error) breaker.Outcome { return ignored }))
	_, err := roundTrip(rt, get(t))
	require.NoError(t, err)
	require.Equal(t, []breaker.Result{{Outcome: ignored, RetryAfter: 7 * time.Second}}, b.results())
}

func TestRetryAfter_OfA429IsNotLostWithWithBody(t *testing.T) {
	b := &permits{}
	full := tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"7"}}, Body: newSource("slow down")}, nil
	})
	_, err := roundTrip(breakerhttp.NewTransport(full, breakerhttp.WithBody(), with(b)), get(t))
	require.NoError(t, err)
	require.Equal(t, []breaker.Result{{Outcome: success, RetryAfter: 7 * time.Second}}, b.results())
}

// Through the real breaker that uses it.
func TestRetryAfter_IsHowLongACircuitStaysOpen(t *testing.T) {
	for status, classify := range map[int]breaker.Classifier{
		503: cberrors.Classify,
		429: cberrors.NewClassifier(cberrors.WithOverload()),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Second), circuit.WithRetryAfter(time.Hour, nil))
			rt := breakerhttp.NewTransport(answers(status, "Retry-After", "120"), with(b), breakerhttp.WithClassifier(classify))
			_, err := roundTrip(rt, get(t))
			require.NoError(t, err)
			time.Sleep(119 * time.Second)
			_, err = roundTrip(rt, get(t))
			require.ErrorIs(t, err, cberrors.ErrNotAllowed)
			d, ok := cberrors.RetryAfter(err)
			require.True(t, ok)
			require.Equal(t, time.Second, d)
			time.Sleep(time.Second)
			_, err = roundTrip(rt, get(t))
			require.NoError(t, err)
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"", "0", "1", "120", "-1", "+1", "1.5", "soon", "9223372036", "9223372037", "99999999999999999999999999999999",
		"Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT", "Fri Dec 31 23:59:59 1999",
		"Mon, 01 Jan 0001 00:00:00 GMT", "\x00", "٣", " 7 ", "7, 8", "7\n8",
	} {
		f.Add(value, "")
		f.Add(value, "Fri, 31 Dec 1999 23:59:00 GMT")
		f.Add("Fri, 31 Dec 9999 23:59:59 GMT", value)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		d := retryAfter(t, 503, "Retry-After", value, "Date", date)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, day)
		if n, err := strconv.ParseUint(value, 10, 32); err == nil {
			require.Equal(t, time.Duration(math.Min(float64(n), day.Seconds()))*time.Second, d)
		}
	})
}
