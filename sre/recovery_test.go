package sre_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// After an outage, each success earned 1.15 calls, and of a backend of which a
// fifth of the calls always fail, 0.92 of them: too few to grow, and too good to
// be doubted. The breaker stayed open for ever, at a success ratio that it calls
// none of its business.
func TestRegression_ABackendThatAlwaysFailsALittleNeverRecoveredFromAnOutage(t *testing.T) {
	for _, share := range []float64{0.15, 0.2, 0.3} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%v/%d", share, seed), func(t *testing.T) {
				inTraffic(t, 1000, seed, func(t *testing.T, tr *traffic) {
					tr.during(5*time.Second, failing(share))
					require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
					tr.during(5*time.Second, down)
					tr.during(45*time.Second, failing(share))
					calls := tr.during(5*time.Second, failing(share))
					require.EqualValues(t, len(calls), allowed(calls))
				})
			})
		}
	}
}

// A look at too few buckets took the rate of the traffic for 0, and then so
// little could be earned that the breaker stayed open.
func TestRegression_WithFewOrTinyBucketsItNeverRecoveredFromAnOutage(t *testing.T) {
	for _, opts := range [][]sre.Option{
		{sre.WithWindow(200 * time.Millisecond), sre.WithBucket(1)},
		{sre.WithWindow(200 * time.Millisecond), sre.WithBucket(2)},
		{sre.WithWindow(time.Second), sre.WithBucket(2)},
		{sre.WithWindow(10 * time.Millisecond), sre.WithBucket(10)},
	} {
		inTraffic(t, 1000, 1, func(t *testing.T, tr *traffic) {
			tr.during(5*time.Second, up)
			tr.during(5*time.Second, down)
			tr.during(20*time.Second, up)
			calls := tr.during(5*time.Second, up)
			require.Greater(t, allowed(calls), 0.95*float64(len(calls)))
		}, opts...)
	}
}

func TestRegression_ALowSuccessRatioThatIsAcceptedWasShed(t *testing.T) {
	inTraffic(t, 1000, 1, func(t *testing.T, tr *traffic) {
		calls := tr.during(30*time.Second, failing(0.8))
		require.EqualValues(t, len(calls), allowed(calls))
	}, sre.WithSuccess(0.1))
}
