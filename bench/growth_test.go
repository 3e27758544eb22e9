package bench_test

import (
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	aegis "github.com/go-kratos/aegis/circuitbreaker/sre"

	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
)

// growth is the closed call with more buckets, a longer window, or a count over
// more calls. All buckets hold calls.
var growth = table{"Growth", growthRows()}

func growthRows() (rows []row) {
	for _, n := range []int{10, 100, 1000} {
		length := time.Duration(n) * time.Millisecond
		rows = append(rows, row{fmt.Sprintf("buckets-%d", n), []contender{
			grownSRE(length, n),
			grownAegis(length, n),
			timed("gobreaker", func() loop { return gobreakerCalls(newGobreakerRate(length, n)) }),
		}})
	}
	for _, length := range []time.Duration{30 * time.Millisecond, window, 3 * time.Second} {
		rows = append(rows, row{fmt.Sprintf("window-%v", length), []contender{
			grownSRE(length, buckets),
			grownAegis(length, buckets),
		}})
	}
	for _, n := range []int{100, 10_000, 100_000} {
		rows = append(rows, row{fmt.Sprintf("count-%d", n), []contender{
			timed("breaker", func() loop { return circuitCalls(circuit.NewBreaker(circuit.WithFailureCount(n/2, n))) }),
			timed("failsafe-go", func() loop {
				x := circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(uint(n/2), uint(n)).Build()
				for range n {
					x.RecordSuccess()
				}
				return failsafePermits(x)
			}),
		}})
	}
	return rows
}

func grownSRE(length time.Duration, n int) contender {
	return timed("breaker", func() loop {
		x := sre.NewBreaker(sre.WithWindow(length), sre.WithBucket(n))
		fill(length, n, x.MarkSuccess)
		return sreCalls(x)
	})
}

func grownAegis(length time.Duration, n int) contender {
	return timed("aegis", func() loop {
		x := aegis.NewBreaker(aegis.WithWindow(length), aegis.WithBucket(n))
		fill(length, n, x.MarkSuccess)
		return aegisMarks(x)
	})
}
