// Package bench_test measures this module side by side with its rivals. It is
// a module of its own, so that they are in nobody's go.mod.
package bench_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	mist "github.com/greynewell/mist-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// permit asks and settles as a success: one closed call.
func permit(b *circuit.Breaker) func() {
	return func() {
		if p, err := b.Acquire(); err == nil {
			p.Done(breaker.Success)
		}
	}
}

func failsafePermit(b circuitbreaker.CircuitBreaker[any]) func() {
	return func() {
		if b.TryAcquirePermit() {
			b.RecordSuccess()
		}
	}
}

func run(b *testing.B, name string, call func()) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call()
			}
		})
	})
}

func nothing(context.Context) error { return nil }

func zero(context.Context) (int, error) { return 0, nil }

// BenchmarkClosed is a call that is allowed and succeeds.
func BenchmarkClosed(b *testing.B) {
	ctx := context.Background()
	var word atomic.Uint64
	run(b, "floor/load", func() {
		if word.Load() != 0 {
			b.Error("nobody writes it")
		}
	})
	consecutive := circuit.NewBreaker()
	run(b, "consecutive/breaker", permit(consecutive))
	run(b, "consecutive/breaker.Do", func() { _, _ = breaker.Do(ctx, consecutive, zero) })
	run(b, "consecutive/breaker.Run", func() { _ = breaker.Run(ctx, consecutive, nothing) })
	run(b, "consecutive/breaker-Allow", func() {
		if consecutive.Allow() == nil {
			consecutive.MarkSuccess()
		}
	})
	run(b, "consecutive/failsafe", failsafePermit(circuitbreaker.NewBuilder[any]().WithFailureThreshold(5).Build()))
	m := mist.New(mist.Config{})
	run(b, "consecutive/mist", func() { _ = m.Do(ctx, nothing) })
	g := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
	run(b, "consecutive/gobreaker", func() { _, _ = g.Execute(func() (any, error) { return nil, nil }) })

	run(b, "count/breaker", permit(circuit.NewBreaker(circuit.WithFailureCount(50, 100))))
	run(b, "count/failsafe", failsafePermit(circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(50, 100).Build()))

	run(b, "time/breaker", permit(circuit.NewBreaker(circuit.WithFailureRate(0.5, 100, 3*time.Second))))
	run(b, "time/failsafe", failsafePermit(circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(0.5, 100, 3*time.Second).Build()))
	g10 := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Interval: 3 * time.Second, BucketPeriod: 300 * time.Millisecond})
	run(b, "time/gobreaker", func() { _, _ = g10.Execute(func() (any, error) { return nil, nil }) })
}

// BenchmarkRejected is a call of an open breaker.
func BenchmarkRejected(b *testing.B) {
	ctx := context.Background()
	c := circuit.NewBreaker(circuit.WithDelay(time.Hour))
	c.Open()
	run(b, "breaker", func() {
		if _, err := c.Acquire(); err == nil {
			b.Error("allowed")
		}
	})
	f := circuitbreaker.NewBuilder[any]().WithDelay(time.Hour).Build()
	f.Open()
	run(b, "failsafe", func() {
		if f.TryAcquirePermit() {
			b.Error("allowed")
		}
	})
	m := mist.New(mist.Config{Threshold: 1, Timeout: time.Hour})
	_ = m.Do(ctx, func(context.Context) error { return context.DeadlineExceeded })
	run(b, "mist", func() {
		if m.Do(ctx, nothing) == nil {
			b.Error("allowed")
		}
	})
	g := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Timeout:     time.Hour,
		ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	_, _ = g.Execute(func() (any, error) { return nil, context.DeadlineExceeded })
	run(b, "gobreaker", func() {
		if _, err := g.Execute(func() (any, error) { return nil, nil }); err == nil {
			b.Error("allowed")
		}
	})
}
