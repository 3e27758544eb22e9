package circuit_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
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

// BenchmarkFloor is what the benchmarks below are compared with.
func BenchmarkFloor(b *testing.B) {
	b.Run("load", func(b *testing.B) {
		f := &floor{}
		b.RunParallel(func(pb *testing.PB) {
			n := uint64(0)
			for pb.Next() {
				n += f.count.Load()
			}
			sink.Add(int64(n))
		})
	})
	b.Run("clock", func(b *testing.B) {
		f := &floor{base: time.Now()}
		b.RunParallel(func(pb *testing.PB) {
			var d time.Duration
			for pb.Next() {
				d += time.Since(f.base)
			}
			sink.Add(int64(d))
		})
	})
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
}

func parallel(b *testing.B, body func(*testing.PB)) {
	b.ReportAllocs()
	b.RunParallel(body)
}

func permits(b *testing.B, x *circuit.Breaker) {
	parallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if p, err := x.Acquire(); err == nil {
				p.Done(breaker.Success)
			}
		}
	})
}

// BenchmarkClosed is a call that is allowed and succeeds, by rule.
func BenchmarkClosed(b *testing.B) {
	for _, rule := range []struct {
		name string
		opts []circuit.Option
	}{
		{"consecutive", nil},
		{"count 50 of 100", []circuit.Option{circuit.WithFailureCount(50, 100)}},
		{"failures in 3s", []circuit.Option{circuit.WithFailuresInPeriod(50, 3*time.Second)}},
		{"rate in 3s", []circuit.Option{circuit.WithFailureRate(0.5, 100, 3*time.Second)}},
		{"slow rate in 3s", []circuit.Option{circuit.WithSlowCallRate(time.Second, 0.5, 100, 3*time.Second)}},
	} {
		b.Run("permit/"+rule.name, func(b *testing.B) { permits(b, circuit.NewBreaker(rule.opts...)) })
	}
	b.Run("Allow+MarkSuccess/consecutive", func(b *testing.B) {
		x := circuit.NewBreaker()
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if x.Allow() == nil {
					x.MarkSuccess()
				}
			}
		})
	})
}

// BenchmarkRejected is a call of an open breaker.
func BenchmarkRejected(b *testing.B) {
	x := circuit.NewBreaker(circuit.WithDelay(time.Hour))
	x.Open()
	b.Run("Acquire", func(b *testing.B) {
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if _, err := x.Acquire(); err == nil {
					b.Error("allowed")
				}
			}
		})
	})
	b.Run("Allow+MarkFailed", func(b *testing.B) {
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if x.Allow() != nil {
					x.MarkFailed()
				}
			}
		})
	})
}

// BenchmarkFailed records a failure in windows of growing size: what it costs
// must not depend on it.
func BenchmarkFailed(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("count of %d", n), func(b *testing.B) {
			x := circuit.NewBreaker(circuit.WithFailureCount(n, n))
			for i := range 2 * n { // the ring is full, and never all failures
				if i%(n/2) == 0 {
					x.MarkSuccess()
				}
				x.MarkFailed()
			}
			x.MarkSuccess()
			i := 0
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				p, err := x.Acquire()
				if err != nil {
					b.Fatal(err)
				}
				if i++; i%9 == 0 {
					p.Done(breaker.Success)
				} else {
					p.Done(breaker.Failure)
				}
			}
		})
	}
}
