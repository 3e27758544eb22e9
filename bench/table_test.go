// Package bench_test measures this module side by side with its rivals. It is
// a module of its own, so that they are in nobody's go.mod.
//
// Each benchmark is a table, its sub-benchmarks are rows, and theirs are the
// contenders of the row: Closed/sre/aegis. Contenders of this module begin with
// "breaker". The command in sidebyside runs them in turns and writes
// docs/benchmarks.md.
package bench_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type table struct {
	name string
	rows []row
}

type row struct {
	name       string
	contenders []contender
}

type contender struct {
	name string
	// bench returns the benchmark. It is called once per process: what it makes
	// is as it would be in a process that has been running for a while.
	bench func(b *testing.B) func(b *testing.B)
	made  *sync.Once
	body  *func(b *testing.B)
}

// tables are all that there is to measure, in the order of the document.
var tables = []table{
	floors, closed, run, rejected, mixed, middlewares, keyed, growth, memory, endToEnd,
}

func (t table) run(b *testing.B) {
	for _, r := range t.rows {
		b.Run(r.name, func(b *testing.B) {
			for _, c := range r.contenders {
				b.Run(c.name, func(b *testing.B) {
					c.made.Do(func() { *c.body = c.bench(b) })
					if *c.body == nil {
						b.Skip("it could not be made")
					}
					b.ResetTimer()
					(*c.body)(b)
				})
			}
		})
	}
}

func BenchmarkFloor(b *testing.B)      { floors.run(b) }
func BenchmarkClosed(b *testing.B)     { closed.run(b) }
func BenchmarkRun(b *testing.B)        { run.run(b) }
func BenchmarkRejected(b *testing.B)   { rejected.run(b) }
func BenchmarkMixed(b *testing.B)      { mixed.run(b) }
func BenchmarkMiddleware(b *testing.B) { middlewares.run(b) }
func BenchmarkKeyed(b *testing.B)      { keyed.run(b) }
func BenchmarkGrowth(b *testing.B)     { growth.run(b) }
func BenchmarkMemory(b *testing.B)     { memory.run(b) }
func BenchmarkEndToEnd(b *testing.B)   { endToEnd.run(b) }

func custom(name string, bench func(b *testing.B) func(b *testing.B)) contender {
	return contender{name, bench, new(sync.Once), new(func(b *testing.B))}
}

// loop makes the calls that are measured: one each time that pb.Next is true.
type loop func(pb *testing.PB)

// odd counts the calls that did not end as the row says: rejected ones where
// all are allowed, allowed ones where nearly all are rejected.
var odd atomic.Int64

// timed is a contender whose loop is run by all processors at once.
func timed(name string, start func() loop) contender {
	return custom(name, func(*testing.B) func(b *testing.B) {
		calls := start()
		return func(b *testing.B) {
			odd.Store(0)
			b.ReportAllocs()
			one := runtime.GOMAXPROCS(0) == 1
			before := cpuTime()
			b.RunParallel(calls)
			if took := cpuTime() - before; one && took > 0 {
				// What others do on the machine is not in it.
				b.ReportMetric(float64(took)/float64(b.N), "cpu-ns/op")
			}
			if n := odd.Load(); n > 10+int64(b.N/50) {
				b.Fatalf("%d of %d calls were not what the row is about", n, b.N)
			}
		}
	})
}

// Windows are a tenth as long as by default, with as many buckets, so that
// all of them hold calls after a third of a second.
const (
	window  = 300 * time.Millisecond
	buckets = 10
)

// fill calls f until each bucket of a window holds calls.
func fill(window time.Duration, buckets int, f func()) {
	if testing.Short() {
		f()
		return
	}
	bucket := window / time.Duration(buckets)
	for begin := time.Now(); time.Since(begin) < window+bucket; time.Sleep(bucket / 3) {
		f()
	}
}
