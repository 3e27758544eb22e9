package bench_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	aegiscb "github.com/go-kratos/aegis/circuitbreaker"
	aegis "github.com/go-kratos/aegis/circuitbreaker/sre"
	mist "github.com/greynewell/mist-go/circuitbreaker"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
)

// The loops below make one call of a breaker, in the cheapest way that it
// offers, and end it as a success.

var errBackend = errors.New("the backend failed")

func nothing(context.Context) error { return nil }

func zero(context.Context) (int, error) { return 0, nil }

func justNothing() error { return nil }

func justNil() (any, error) { return nil, nil }

func sreCalls(x *sre.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			p, err := x.Acquire()
			if err != nil {
				odd.Add(1)
				continue
			}
			p.Done(breaker.Success)
		}
	}
}

func circuitCalls(x *circuit.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			p, err := x.Acquire()
			if err != nil {
				odd.Add(1)
				continue
			}
			p.Done(breaker.Success)
		}
	}
}

func sreMarks(x *sre.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Allow() != nil {
				odd.Add(1)
			}
			x.MarkSuccess()
		}
	}
}

func circuitMarks(x *circuit.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Allow() != nil {
				odd.Add(1)
			}
			x.MarkSuccess()
		}
	}
}

func aegisMarks(x aegiscb.CircuitBreaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Allow() != nil {
				odd.Add(1)
			}
			x.MarkSuccess()
		}
	}
}

func failsafePermits(x circuitbreaker.CircuitBreaker[any]) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if !x.TryAcquirePermit() {
				odd.Add(1)
				continue
			}
			x.RecordSuccess()
		}
	}
}

func failsafeRuns(x circuitbreaker.CircuitBreaker[any]) loop {
	executor := failsafe.With[any](x)
	return func(pb *testing.PB) {
		for pb.Next() {
			if executor.Run(justNothing) != nil {
				odd.Add(1)
			}
		}
	}
}

func gobreakerCalls(x *gobreaker.CircuitBreaker[any]) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if _, err := x.Execute(justNil); err != nil {
				odd.Add(1)
			}
		}
	}
}

func mistCalls(x *mist.Breaker) loop {
	ctx := context.Background()
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Do(ctx, nothing) != nil {
				odd.Add(1)
			}
		}
	}
}

func rubyistCalls(x *rubyist.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Call(justNothing, 0) != nil {
				odd.Add(1)
			}
		}
	}
}

func gozeroPromises(x gozero.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			p, err := x.Allow()
			if err != nil {
				odd.Add(1)
				continue
			}
			p.Accept()
		}
	}
}

func gozeroCalls(x gozero.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Do(justNothing) != nil {
				odd.Add(1)
			}
		}
	}
}

func hystrixCalls(name string) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if hystrix.Do(name, justNothing, nil) != nil {
				odd.Add(1)
			}
		}
	}
}

// What follows makes breakers that are set alike.

const (
	rate     = 0.5 // of failures in the window opens them
	minCalls = 100
	inARow   = 5
)

func newSRE() *sre.Breaker {
	x := sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(buckets))
	fill(window, buckets, x.MarkSuccess)
	return x
}

func newAegis() aegiscb.CircuitBreaker {
	x := aegis.NewBreaker(aegis.WithWindow(window), aegis.WithBucket(buckets))
	fill(window, buckets, x.MarkSuccess)
	return x
}

func newRate(opts ...circuit.Option) *circuit.Breaker {
	x := circuit.NewBreaker(append(opts, circuit.WithFailureRate(rate, minCalls, window))...)
	fill(window, buckets, x.MarkSuccess)
	return x
}

func rateSettings(length time.Duration, n int) gobreaker.Settings {
	return gobreaker.Settings{
		Interval:     length,
		BucketPeriod: length / time.Duration(n),
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= minCalls && 2*c.TotalFailures >= c.Requests
		},
	}
}

func newGobreakerRate(length time.Duration, n int) *gobreaker.CircuitBreaker[any] {
	x := gobreaker.NewCircuitBreaker[any](rateSettings(length, n))
	fill(length, n, func() { _, _ = x.Execute(justNil) })
	return x
}

func newGobreaker() *gobreaker.CircuitBreaker[any] {
	return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
}

func newFailsafeRate() circuitbreaker.CircuitBreaker[any] {
	x := circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(rate, minCalls, window).Build()
	fill(window, buckets, x.RecordSuccess)
	return x
}

func newFailsafe() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureThreshold(inARow).Build()
}

func newMist() *mist.Breaker { return mist.New(mist.Config{Threshold: inARow}) }

func newRubyistRate() *rubyist.Breaker {
	x := rubyist.NewBreakerWithOptions(&rubyist.Options{
		ShouldTrip: rubyist.RateTripFunc(rate, minCalls), WindowTime: window, WindowBuckets: buckets,
	})
	fill(window, buckets, x.Success)
	return x
}

// newHystrix has room for every call that the benchmark makes at once. Its
// window of 10 s cannot be set, and is not full.
func newHystrix(name string) string {
	hystrix.ConfigureCommand(name, hystrix.CommandConfig{MaxConcurrentRequests: 1000, SleepWindow: 3_600_000})
	return name
}
