package bench_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/afex/hystrix-go/hystrix"
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

// memory is what a breaker takes after calls in each bucket of its window.
var memory = table{"Memory", []row{
	{"sre", []contender{
		bytesOf("breaker", func(int) *sre.Breaker { return sre.NewBreaker(sre.WithWindow(window)) }, permit),
		bytesOf("aegis", func(int) aegiscb.CircuitBreaker { return aegis.NewBreaker(aegis.WithWindow(window)) }, mark),
		bytesOf("go-zero", func(int) gozero.Breaker { return gozero.NewBreaker() },
			func(x gozero.Breaker) { _ = x.Do(justNothing) }),
	}},
	{"consecutive", []contender{
		bytesOf("breaker", func(int) *circuit.Breaker { return circuit.NewBreaker() }, permit),
		bytesOf("gobreaker", func(int) *gobreaker.CircuitBreaker[any] { return newGobreaker() }, execute),
		bytesOf("failsafe-go", func(int) failsafeBreaker { return newFailsafe() }, failsafeBreaker.RecordSuccess),
		bytesOf("mist-go", func(int) *mist.Breaker { return newMist() },
			func(x *mist.Breaker) { _ = x.Do(context.Background(), nothing) }),
		bytesOf("rubyist", func(int) *rubyist.Breaker { return rubyist.NewConsecutiveBreaker(inARow) }, (*rubyist.Breaker).Success),
	}},
	{"time", []contender{
		bytesOf("breaker", func(int) *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithFailureRate(rate, minCalls, window))
		}, permit),
		bytesOf("gobreaker", func(int) *gobreaker.CircuitBreaker[any] {
			return gobreaker.NewCircuitBreaker[any](rateSettings(window, buckets))
		}, execute),
		bytesOf("failsafe-go", func(int) failsafeBreaker {
			return circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(rate, minCalls, window).Build()
		}, failsafeBreaker.RecordSuccess),
		bytesOf("rubyist", func(int) *rubyist.Breaker { return rubyist.NewRateBreaker(rate, minCalls) }, (*rubyist.Breaker).Success),
		bytesOf("hystrix-go", func(i int) string { return fmt.Sprint("memory ", i) },
			func(name string) { _ = hystrix.Do(name, justNothing, nil) }),
	}},
}}

type failsafeBreaker = circuitbreaker.CircuitBreaker[any]

func permit[B breaker.Acquirer](x B) {
	if p, err := x.Acquire(); err == nil {
		p.Done(breaker.Success)
	}
}

func mark(x aegiscb.CircuitBreaker) {
	if x.Allow() == nil {
		x.MarkSuccess()
	}
}

func execute(x *gobreaker.CircuitBreaker[any]) { _, _ = x.Execute(justNil) }

// bytesOf makes many breakers, calls each of them, and says by how much the heap
// and the stacks grew, divided by their number.
func bytesOf[B any](name string, create func(i int) B, call func(B)) contender {
	return custom(name, func(*testing.B) func(b *testing.B) {
		n := 2000
		if testing.Short() {
			n = 20
		}
		all := make([]B, n)
		before := memoryInUse()
		for i := range all {
			all[i] = create(i)
		}
		fill(window, buckets, func() {
			for _, x := range all {
				for range 5 {
					call(x)
				}
			}
		})
		each := float64(memoryInUse()-before) / float64(n)
		runtime.KeepAlive(all)
		return func(b *testing.B) {
			b.ReportMetric(0, "ns/op") // hides it
			b.ReportMetric(each, "B/breaker")
		}
	})
}

func memoryInUse() int64 {
	for range 3 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
