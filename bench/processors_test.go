package bench_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// The command sidebyside -processors compares a call on two processors with one
// on one, in fresh processes. This is what one process measures.

// processorShares are the percentages of calls that fail.
var processorShares = []uint64{0, 5, 10, 20, 30, 40, 50, 60}

const (
	processorRounds = 4
	// Looks are so short that even a busy machine leaves both processors to us for
	// some of them. Those in which it did not do not count. Of the others, the first
	// ones warm up: it takes some milliseconds of contention until a breaker has
	// seen to it.
	processorLook  = 100 * time.Microsecond
	processorShare = 0.95 // of our processors is enough
	processorWarm  = 60
	processorKept  = 5
	processorMost  = 5000 // that count or not
)

// measureProcessors prints a line for each breaker: what share of the calls fails,
// on how many processors they were made, how many ns passed per call of all
// together, and how many calls were rejected.
func measureProcessors() {
	for range processorRounds {
		for _, n := range []int{1, 2} {
			printCalls("add", n, func() func() work {
				f := &floor{}
				return func() work { return f.adds }
			})
		}
		for _, percent := range processorShares {
			for _, n := range []int{1, 2} {
				printCalls(fmt.Sprint(percent), n, func() func() work {
					x := sre.NewBreaker(sre.WithWindow(window), sre.WithBucket(buckets))
					return func() work { return failAtRandom(x, percent) }
				})
			}
		}
	}
}

// work makes so many calls and says how many were rejected.
type work func(calls int) (rejected int64)

func (f *floor) adds(calls int) (rejected int64) {
	for range calls {
		f.count.Add(1)
	}
	return 0
}

func failAtRandom(x *sre.Breaker, percent uint64) work {
	seed := rand.Uint64()
	return func(calls int) (rejected int64) {
		n := seed // not on a line that goroutines share
		for range calls {
			n = n*6364136223846793005 + 1442695040888963407
			p, err := x.Acquire()
			if err != nil {
				rejected++
				continue
			}
			p.Done(outcome(n>>33%100 < percent))
		}
		seed = n
		return rejected
	}
}

// printCalls measures on n processors and with as many goroutines what create
// makes for them to share.
func printCalls(name string, n int, create func() func() work) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	if kept, rejected := together(n, create()); len(kept) == processorKept {
		slices.Sort(kept)
		fmt.Printf("processors %s %d %.3f %d\n", name, n, kept[processorKept/2], rejected)
	}
}

// together lets n goroutines work at the same time, look after look, and returns
// the ns per call of those that were kept.
func together(n int, start func() work) (kept []float64, rejected int64) {
	var lost, arrived atomic.Int64
	var end atomic.Bool
	rates := make([]float64, n)
	goroutine := func(i int) {
		met := int64(0)
		meet := func() {
			met += int64(n)
			for arrived.Add(1); arrived.Load() < met; {
				runtime.Gosched()
			}
		}
		f := start()
		for looks, good := 1, 0; ; looks++ {
			if meet(); end.Load() {
				return
			}
			begin, busy := time.Now(), cpuTime()
			calls, bad := f.look()
			rates[i] = float64(calls) / float64(time.Since(begin))
			lost.Add(bad)
			meet()
			if i > 0 {
				continue
			}
			// Where the time on a processor is not known, all looks are good.
			busy = cpuTime() - busy
			if busy == 0 || float64(busy) >= processorShare*float64(n)*float64(time.Since(begin)) {
				if good++; good > processorWarm {
					kept = append(kept, 1/sum(rates))
				}
			}
			end.Store(len(kept) == processorKept || looks == processorMost)
		}
	}
	var wg sync.WaitGroup
	for i := range n {
		// Calls come from different depths of stacks.
		wg.Go(func() { atDepth(rand.IntN(16), func() { goroutine(i) }) })
	}
	wg.Wait()
	return kept, lost.Load()
}

func sum(all []float64) (s float64) {
	for _, v := range all {
		s += v
	}
	return s
}

func (f work) look() (calls, rejected int64) {
	const batch = 50
	for begin := time.Now(); time.Since(begin) < processorLook; calls += batch {
		rejected += f(batch)
	}
	return calls, rejected
}

// atDepth calls f with so many frames of a kilobyte below it.
//
//go:noinline
func atDepth(n int, f func()) {
	var pad [1024]byte
	pad[n] = 1
	if n > 0 {
		atDepth(n-1, f)
	} else {
		f()
	}
	sink.Add(int64(pad[n]))
}

func TestProcessors_CallsAreMadeByAllAtOnce(t *testing.T) {
	for _, n := range []int{1, 2} {
		x := sre.NewBreaker()
		var begun atomic.Int64
		kept, rejected := together(n, func() work { begun.Add(1); return failAtRandom(x, 0) })
		for _, ns := range kept {
			if ns <= 0 || ns > 1e6 {
				t.Errorf("%v ns per call", ns)
			}
		}
		if s := x.Snapshot(); begun.Load() != int64(n) || rejected != 0 || s.Totals.Success == 0 || s.State != breaker.Closed {
			t.Errorf("%d processors: %d goroutines, %d calls rejected, %+v", n, begun.Load(), rejected, s)
		}
	}
}
