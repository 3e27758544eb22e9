package sre_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker/sre"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

var sink atomic.Int64

// floor is what the benchmarks are compared with: a clock and a counter that
// share a cache line with nothing.
type floor struct {
	base  time.Time
	_     [64]byte
	count atomic.Uint64
	_     [64]byte
}

// BenchmarkFloor is one monotonic clock read and one atomic add, and with
// "random" a random number besides.
func BenchmarkFloor(b *testing.B) {
	b.Run("clock+add", func(b *testing.B) {
		f := &floor{base: time.Now()}
		b.RunParallel(func(pb *testing.PB) {
			var d time.Duration
			for pb.Next() {
				d += time.Since(f.base)
				f.count.Add(1)
			}
			sink.Add(int64(d))
		})
	})
	b.Run("clock+random+add", func(b *testing.B) {
		f := &floor{base: time.Now()}
		b.RunParallel(func(pb *testing.PB) {
			var d time.Duration
			var r float64
			for pb.Next() {
				d += time.Since(f.base)
				r += rand.Float64()
				f.count.Add(1)
			}
			sink.Add(int64(d) + int64(r))
		})
	})
}

// BenchmarkHealthy is a call that is allowed and succeeds. All buckets of the
// windows hold calls, as in a process that has been running for a while.
func BenchmarkHealthy(b *testing.B) {
	ours, theirs := sre.NewBreaker(), aegis.NewBreaker()
	for range 10 {
		ours.MarkSuccess()
		theirs.MarkSuccess()
		time.Sleep(300 * time.Millisecond)
	}
	b.Run("aegis", func(b *testing.B) {
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if theirs.Allow() == nil {
					theirs.MarkSuccess()
				}
			}
		})
	})
	b.Run("Allow+MarkSuccess", func(b *testing.B) {
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if ours.Allow() == nil {
					ours.MarkSuccess()
				}
			}
		})
	})
	b.Run("Acquire+Done", func(b *testing.B) {
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if p, err := ours.Acquire(); err == nil {
					p.Done(breaker.Success)
				}
			}
		})
	})
}

// BenchmarkRejected is a call while the backend is down: nearly every one is
// rejected, and counted.
func BenchmarkRejected(b *testing.B) {
	b.Run("aegis", func(b *testing.B) {
		x := aegis.NewBreaker()
		for range 1000 {
			x.MarkFailed()
		}
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				_ = x.Allow()
				x.MarkFailed()
			}
		})
	})
	b.Run("Allow+MarkFailed", func(b *testing.B) {
		x := sre.NewBreaker()
		for range 1000 {
			x.MarkFailed()
		}
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				_ = x.Allow()
				x.MarkFailed()
			}
		})
	})
	b.Run("Acquire", func(b *testing.B) {
		x := sre.NewBreaker()
		for range 1000 {
			x.MarkFailed()
		}
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if p, err := x.Acquire(); err == nil {
					p.Done(breaker.Failure)
				}
			}
		})
	})
}

// BenchmarkFailing is a backend of whose calls a share fails, below and above
// the ratio at which the breaker rejects.
func BenchmarkFailing(b *testing.B) {
	for _, percent := range []uint64{1, 10, 30, 38, 60} {
		b.Run(fmt.Sprintf("%d%%", percent), func(b *testing.B) {
			x := sre.NewBreaker()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				n := rand.Uint64()
				for pb.Next() {
					p, err := x.Acquire()
					if err != nil {
						continue
					}
					n = n*6364136223846793005 + 1442695040888963407
					if n>>33%100 < percent {
						p.Done(breaker.Failure)
					} else {
						p.Done(breaker.Success)
					}
				}
			})
		})
	}
}

// BenchmarkBuckets is the healthy call with more and more buckets of 3 ms, all
// of them full.
func BenchmarkBuckets(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		x := sre.NewBreaker(sre.WithBucket(n), sre.WithWindow(time.Duration(n)*3*time.Millisecond))
		for range n {
			x.MarkSuccess()
			time.Sleep(3 * time.Millisecond)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			parallel(b, func(pb *testing.PB) {
				for pb.Next() {
					if p, err := x.Acquire(); err == nil {
						p.Done(breaker.Success)
					}
				}
			})
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	x := sre.NewBreaker()
	parallel(b, func(pb *testing.PB) {
		for pb.Next() {
			_ = x.Snapshot()
		}
	})
}

func parallel(b *testing.B, f func(pb *testing.PB)) {
	b.ReportAllocs()
	b.RunParallel(f)
}
