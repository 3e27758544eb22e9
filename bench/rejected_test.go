package bench_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	aegis "github.com/go-kratos/aegis/circuitbreaker/sre"
	mist "github.com/greynewell/mist-go/circuitbreaker"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
)

// rejected is a call that is rejected: by an adaptive breaker while all calls
// fail, by another one while it is open. An adaptive breaker allows a few, and
// they fail.
var rejected = table{"Rejected", []row{
	{"sre", []contender{
		timed("breaker", func() loop { return sreRejects(downSRE()) }),
		timed("breaker-allow", func() loop { return sreMarksRejections(downSRE()) }),
		timed("aegis", aegisRejects),
		timed("go-zero", gozeroRejects),
		timed("floor", floorClockRandomAdd),
	}},
	{"open", []contender{
		timed("breaker", circuitRejects),
		timed("gobreaker", gobreakerRejects),
		timed("failsafe-go", failsafeRejects),
		timed("mist-go", mistRejects),
		timed("rubyist", rubyistRejects),
		timed("hystrix-go", hystrixRejects),
		timed("floor", floorClockAdd),
	}},
}}

func downSRE() *sre.Breaker {
	x := sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(buckets))
	fill(window, buckets, func() {
		for range 200 {
			if p, err := x.Acquire(); err == nil {
				p.Done(breaker.Failure)
			}
		}
	})
	return x
}

func sreRejects(x *sre.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if p, err := x.Acquire(); err == nil {
				odd.Add(1)
				p.Done(breaker.Failure)
			}
		}
	}
}

func sreMarksRejections(x *sre.Breaker) loop {
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Allow() == nil {
				odd.Add(1)
			}
			x.MarkFailed()
		}
	}
}

func aegisRejects() loop {
	x := aegis.NewBreaker(aegis.WithWindow(window), aegis.WithBucket(buckets))
	fill(window, buckets, func() {
		for range 200 {
			_ = x.Allow()
			x.MarkFailed()
		}
	})
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Allow() == nil {
				odd.Add(1)
			}
			x.MarkFailed() // Kratos marks rejections, too
		}
	}
}

func gozeroRejects() loop {
	x := gozero.NewBreaker()
	for range 10_000 {
		if p, err := x.Allow(); err == nil {
			p.Reject("")
		}
	}
	return func(pb *testing.PB) {
		for pb.Next() {
			if p, err := x.Allow(); err == nil {
				odd.Add(1)
				p.Reject("")
			}
		}
	}
}

func circuitRejects() loop {
	x := circuit.NewBreaker(circuit.WithDelay(time.Hour))
	x.Open()
	return func(pb *testing.PB) {
		for pb.Next() {
			if _, err := x.Acquire(); err == nil {
				odd.Add(1)
			}
		}
	}
}

func gobreakerRejects() loop {
	x := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Timeout:     time.Hour,
		ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	_, _ = x.Execute(func() (any, error) { return nil, errBackend })
	return func(pb *testing.PB) {
		for pb.Next() {
			if _, err := x.Execute(justNil); err == nil {
				odd.Add(1)
			}
		}
	}
}

func failsafeRejects() loop {
	x := circuitbreaker.NewBuilder[any]().WithDelay(time.Hour).Build()
	x.Open()
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.TryAcquirePermit() {
				odd.Add(1)
			}
		}
	}
}

func mistRejects() loop {
	x := mist.New(mist.Config{Threshold: 1, Timeout: time.Hour})
	ctx := context.Background()
	_ = x.Do(ctx, func(context.Context) error { return errBackend })
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Do(ctx, nothing) == nil {
				odd.Add(1)
			}
		}
	}
}

// The pause of half a second between its probes would show.
type anHour struct{}

func (anHour) NextBackOff() time.Duration { return time.Hour }
func (anHour) Reset()                     {}

func rubyistRejects() loop {
	x := rubyist.NewBreakerWithOptions(&rubyist.Options{BackOff: anHour{}})
	x.Trip()
	return func(pb *testing.PB) {
		for pb.Next() {
			if x.Call(justNothing, 0) == nil {
				odd.Add(1)
			}
		}
	}
}

func hystrixRejects() loop {
	name := newHystrix("open")
	fails := func() error { return errBackend }
	for errors.Is(hystrix.Do(name, fails, nil), errBackend) {
		time.Sleep(time.Millisecond) // it counts in a goroutine
	}
	return func(pb *testing.PB) {
		for pb.Next() {
			if hystrix.Do(name, justNothing, nil) == nil {
				odd.Add(1)
			}
		}
	}
}
