package sre_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// TestBreaker_TotalsAreExactUnderLoad makes 64 goroutines call 200 000 times
// each, with buckets so short that they roll over all the time, and compares
// with what the goroutines themselves counted.
func TestBreaker_TotalsAreExactUnderLoad(t *testing.T) {
	const goroutines, calls = 64, 200_000
	b := sre.NewBreaker(sre.WithWindow(2*time.Millisecond), sre.WithRequest(10))
	var want struct{ rejected, success, failure, ignored atomic.Uint64 }
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range calls {
				p, err := b.Acquire()
				if err != nil {
					want.rejected.Add(1)
					continue
				}
				// Good and bad times take turns, so that all paths are taken.
				failing := 5
				if i/10_000%2 == 1 {
					failing = 80
				}
				switch n := random.IntN(100); {
				case n < 2:
					p.Done(breaker.Ignored)
					want.ignored.Add(1)
				case n < 2+failing:
					func() { // a panicking call
						defer func() { _ = recover() }()
						defer p.Done(breaker.Failure)
						panic("boom")
					}()
					want.failure.Add(1)
				default:
					p.Done(breaker.Success)
					want.success.Add(1)
				}
				if random.IntN(8) == 0 {
					p.Done(breaker.Failure) // void by now
				}
			}
		})
	}
	wg.Wait()
	s := b.Snapshot().Totals
	require.EqualValues(t, goroutines*calls, s.Offered)
	require.Equal(t, breaker.Totals{
		Offered:  s.Allowed + s.Rejected,
		Allowed:  s.Success + s.Failure + s.Ignored,
		Rejected: want.rejected.Load(),
		Success:  want.success.Load(),
		Failure:  want.failure.Load(),
		Ignored:  want.ignored.Load(),
	}, s)
	require.Positive(t, s.Rejected)
}

// TestBreaker_WindowIsExactAfterEveryRollover races goroutines through the
// beginning of a bucket while the clock stands still, so that each mark's
// bucket is known, and checks the window and the fast path's verdict.
func TestBreaker_WindowIsExactAfterEveryRollover(t *testing.T) {
	const goroutines, rounds, buckets = 8, 1500, 5
	synctest.Test(t, func(t *testing.T) {
		span := 10 * time.Millisecond
		b := classic(sre.WithWindow(buckets*span), sre.WithBucket(buckets), sre.WithRequest(20))
		start := time.Now()
		type counts struct{ success, failure, rejected uint64 }
		byBucket := map[int64]counts{}
		for range rounds {
			time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
			var success, failure, rejected atomic.Uint64
			bad := rand.IntN(3) == 0
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					for range 4 {
						p, err := b.Acquire()
						switch {
						case err != nil:
							rejected.Add(1)
						case bad:
							p.Done(breaker.Failure)
							failure.Add(1)
						default:
							p.Done(breaker.Success)
							success.Add(1)
						}
					}
				})
			}
			wg.Wait()
			now := int64(time.Since(start) / span)
			c := byBucket[now]
			byBucket[now] = counts{c.success + success.Load(), c.failure + failure.Load(), c.rejected + rejected.Load()}
			var want counts
			for i := now - buckets + 1; i <= now; i++ {
				want.success += byBucket[i].success
				want.failure += byBucket[i].failure
				want.rejected += byBucket[i].rejected
			}
			s := b.Snapshot()
			require.Equal(t, want, counts{s.Window.Success, s.Window.Failure, s.Window.Rejected})

			total := float64(want.success + want.failure + want.rejected)
			p := 0.0
			if accepted := float64(want.success) / 0.6; total >= 20 && total >= accepted {
				p = (total - accepted) / (total + 1)
			}
			require.InDelta(t, p, s.RejectRatio, 1e-12)
			if p > 0 {
				require.False(t, b.CertainlyAllows(), "ratio %v", p)
			}
		}
	})
}
