package circuit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// With large numbers most failures ask no rule. The breaker must open with the same
// call all the same, in each bucket.
func TestBreaker_OpensWithTheCallThatReachesALargeNumberLikeANaiveCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			const period = 10 * time.Second
			n := rapid.SampledFrom([]int{101, 200, 333, 500, 1000}).Draw(t, "in a row")
			minCalls := rapid.SampledFrom([]int{1, 10, 300, 500, 900}).Draw(t, "min calls")
			percent := rapid.SampledFrom([]int{10, 50, 51, 60, 90, 100}).Draw(t, "percent")
			opts := []circuit.Option{circuit.WithFailurePercent(percent, minCalls, period), circuit.WithDelay(time.Hour)}
			if rapid.Bool().Draw(t, "with a row") {
				opts = append(opts, circuit.WithConsecutiveFailures(n))
			} else {
				n = 1e9
			}
			b := circuit.NewBreaker(opts...)
			began := time.Now()
			type bucket struct{ success, failure int }
			var buckets []bucket
			row := 0
			call := func(fails bool) (opens bool) {
				now := int(time.Since(began) / (period / 10))
				for len(buckets) <= now {
					buckets = append(buckets, bucket{})
				}
				row++
				if fails {
					buckets[now].failure++
				} else {
					buckets[now].success++
					row = 0
				}
				var all bucket
				for _, c := range buckets[max(0, now-9):] {
					all.success, all.failure = all.success+c.success, all.failure+c.failure
				}
				calls := all.success + all.failure
				return row >= n || calls >= minCalls && all.failure*100 >= percent*calls
			}
			for i := range 20 {
				time.Sleep(rapid.SampledFrom([]time.Duration{0, 0, time.Second, 4 * time.Second, 9 * time.Second}).Draw(t, "pause"))
				fails := i%2 == 1
				for range rapid.SampledFrom([]int{1, 5, 50, 100, 150, 400}).Draw(t, "calls") {
					p, err := b.Acquire()
					require.NoError(t, err)
					opens := call(fails)
					if fails {
						p.Done(breaker.Failure)
					} else {
						p.Done(breaker.Success)
					}
					if opens {
						require.Equal(t, breaker.Open, b.Snapshot().State)
						return
					}
				}
				require.Equal(t, breaker.Closed, b.Snapshot().State)
				if rapid.IntRange(0, 5).Draw(t, "reconfigure") == 0 {
					opts[1] = circuit.WithDelay(time.Hour + time.Since(began) + 1)
					b.Reconfigure(opts...)
				}
			}
		})
	})
}
