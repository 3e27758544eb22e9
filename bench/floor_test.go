package bench_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
)

// floor is what the parts of a call cost that no breaker can do without.
type floor struct {
	base  time.Time
	_     [64]byte
	count atomic.Uint64
	_     [64]byte
}

var sink atomic.Int64

var floors = table{"Floor", []row{{"parts", []contender{
	timed("load", floorLoad),
	timed("add", floorAdd),
	timed("two-swaps", floorSwaps),
	timed("clock", floorClock),
	timed("clock-add", floorClockAdd),
	timed("clock-two-swaps", floorClockSwaps),
	timed("clock-random-add", floorClockRandomAdd),
	timed("map", func() loop { return floorMap(1) }),
	timed("chain", floorChain),
}}}}

func floorLoad() loop {
	f := &floor{}
	return func(pb *testing.PB) {
		var n uint64
		for pb.Next() {
			n += f.count.Load()
		}
		sink.Add(int64(n))
	}
}

func floorAdd() loop {
	f := &floor{}
	return func(pb *testing.PB) {
		for pb.Next() {
			f.count.Add(1)
		}
	}
}

// floorSwaps is the least that tells a call which was begun from one which
// ended: each writes.
func floorSwaps() loop {
	f := &floor{}
	return func(pb *testing.PB) {
		for pb.Next() {
			f.swaps()
		}
	}
}

func (f *floor) swaps() {
	n := f.count.Load()
	f.count.CompareAndSwap(n, n|1)
	f.count.CompareAndSwap(n|1, n+2)
}

func floorClock() loop {
	f := &floor{base: time.Now()}
	return func(pb *testing.PB) {
		var d time.Duration
		for pb.Next() {
			d += time.Since(f.base)
		}
		sink.Add(int64(d))
	}
}

func floorClockAdd() loop {
	f := &floor{base: time.Now()}
	return func(pb *testing.PB) {
		var d time.Duration
		for pb.Next() {
			d += time.Since(f.base)
			f.count.Add(1)
		}
		sink.Add(int64(d))
	}
}

func floorClockSwaps() loop {
	f := &floor{base: time.Now()}
	return func(pb *testing.PB) {
		var d time.Duration
		for pb.Next() {
			d += time.Since(f.base)
			f.swaps()
		}
		sink.Add(int64(d))
	}
}

func floorClockRandomAdd() loop {
	f := &floor{base: time.Now()}
	return func(pb *testing.PB) {
		var d time.Duration
		var r float64
		for pb.Next() {
			d += time.Since(f.base)
			r += rand.Float64()
			f.count.Add(1)
		}
		sink.Add(int64(d) + int64(r))
	}
}

func floorMap(n int) loop {
	keys := keysOf(n)
	plain := make(map[string]*value, n)
	for _, key := range keys {
		plain[key] = new(value)
	}
	return func(pb *testing.PB) {
		for i := range indexes(n) {
			if !pb.Next() {
				return
			}
			if !plain[keys[i]].ok() {
				odd.Add(1)
			}
		}
	}
}

func floorChain() loop {
	ctx := clientContext()
	handler := middleware.Chain(func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) { return next(ctx, req) }
	})(succeed)
	return func(pb *testing.PB) {
		for pb.Next() {
			_, _ = handler(ctx, nil)
		}
	}
}
