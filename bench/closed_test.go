package bench_test

import (
	"context"
	"testing"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	rubyist "github.com/rubyist/circuitbreaker"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
)

// closed is a call that is allowed and succeeds. Who has permits uses them.
var closed = table{"Closed", []row{
	{"sre", []contender{
		timed("breaker", func() loop { return sreCalls(newSRE()) }),
		timed("breaker-allow", func() loop { return sreMarks(newSRE()) }),
		timed("aegis", func() loop { return aegisMarks(newAegis()) }),
		timed("go-zero", func() loop { return gozeroPromises(gozero.NewBreaker()) }),
		timed("floor", floorClockAdd),
	}},
	{"consecutive", []contender{
		timed("breaker", func() loop { return circuitCalls(circuit.NewBreaker()) }),
		timed("breaker-allow", func() loop { return circuitMarks(circuit.NewBreaker()) }),
		timed("gobreaker", func() loop { return gobreakerCalls(newGobreaker()) }),
		timed("failsafe-go", func() loop { return failsafePermits(newFailsafe()) }),
		timed("mist-go", func() loop { return mistCalls(newMist()) }),
		timed("rubyist", func() loop { return rubyistCalls(rubyist.NewConsecutiveBreaker(inARow)) }),
		timed("floor", floorSwaps),
	}},
	{"count", []contender{
		timed("breaker", func() loop { return circuitCalls(circuit.NewBreaker(circuit.WithFailureCount(50, 100))) }),
		timed("failsafe-go", func() loop {
			return failsafePermits(circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(50, 100).Build())
		}),
		timed("floor", floorSwaps),
	}},
	{"time", []contender{
		timed("breaker", func() loop { return circuitCalls(newRate()) }),
		timed("breaker-allow", func() loop { return circuitMarks(newRate()) }),
		timed("gobreaker", func() loop { return gobreakerCalls(newGobreakerRate(window, buckets)) }),
		timed("failsafe-go", func() loop { return failsafePermits(newFailsafeRate()) }),
		timed("rubyist", func() loop { return rubyistCalls(newRubyistRate()) }),
		timed("floor", floorClockAdd),
	}},
}}

func sreDo(x *sre.Breaker) loop {
	ctx := context.Background()
	return func(pb *testing.PB) {
		for pb.Next() {
			if _, err := breaker.Do(ctx, x, zero); err != nil {
				odd.Add(1)
			}
		}
	}
}

func circuitDo(x *circuit.Breaker) loop {
	ctx := context.Background()
	return func(pb *testing.PB) {
		for pb.Next() {
			if _, err := breaker.Do(ctx, x, zero); err != nil {
				odd.Add(1)
			}
		}
	}
}

func circuitRun(x *circuit.Breaker) loop {
	ctx := context.Background()
	return func(pb *testing.PB) {
		for pb.Next() {
			if breaker.Run(ctx, x, nothing) != nil {
				odd.Add(1)
			}
		}
	}
}

// run is a function that does nothing and is called through a breaker, with all
// that this brings: the classification of the error, the care for panics.
var run = table{"Run", []row{
	{"sre", []contender{
		timed("breaker", func() loop { return sreDo(newSRE()) }),
		timed("go-zero", func() loop { return gozeroCalls(gozero.NewBreaker()) }),
	}},
	{"consecutive", []contender{
		timed("breaker", func() loop { return circuitDo(circuit.NewBreaker()) }),
		timed("breaker-run", func() loop { return circuitRun(circuit.NewBreaker()) }),
		timed("gobreaker", func() loop { return gobreakerCalls(newGobreaker()) }),
		timed("failsafe-go", func() loop { return failsafeRuns(newFailsafe()) }),
		timed("mist-go", func() loop { return mistCalls(newMist()) }),
		timed("rubyist", func() loop { return rubyistCalls(rubyist.NewConsecutiveBreaker(inARow)) }),
	}},
	{"time", []contender{
		timed("breaker", func() loop { return circuitDo(newRate()) }),
		timed("gobreaker", func() loop { return gobreakerCalls(newGobreakerRate(window, buckets)) }),
		timed("failsafe-go", func() loop { return failsafeRuns(newFailsafeRate()) }),
		timed("rubyist", func() loop { return rubyistCalls(newRubyistRate()) }),
		timed("hystrix-go", func() loop { return hystrixCalls(newHystrix("closed")) }),
	}},
}}
