package bench_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/transport"
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
	timed("middleware", floorMiddleware),
	timed("middleware-rejected", floorMiddlewareRejected),
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

// floorMiddleware is the least that a middleware with a breaker for each
// operation has to do, with a map that nobody writes.
func floorMiddleware() loop {
	return floorClient(func(f *floor, next middleware.Handler, ctx context.Context, req any) (any, error) {
		f.swaps()
		reply, err := next(ctx, req)
		if now := time.Since(f.base); now < 0 {
			odd.Add(1)
		}
		return reply, err
	})
}

// floorMiddlewareRejected is the same of an adaptive breaker that rejects a call,
// with an error that tells of the rejection.
func floorMiddlewareRejected() loop {
	return floorClient(func(f *floor, _ middleware.Handler, _ context.Context, _ any) (any, error) {
		now, r := time.Since(f.base), rand.Float64()
		f.count.Add(1)
		return nil, &floorRejection{after: now, ratio: r}
	})
}

// floorRejection has the size of the error of a middleware of ours.
type floorRejection struct {
	after time.Duration
	ratio float64
	_     [48]byte
}

func (*floorRejection) Error() string { return "rejected" }

func floorClient(call func(*floor, middleware.Handler, context.Context, any) (any, error)) loop {
	ctx := clientContext()
	floors := map[string]*floor{operation: {base: time.Now()}}
	handler := middleware.Chain(func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) {
			t, ok := transport.FromClientContext(ctx)
			if !ok {
				return next(ctx, req)
			}
			return call(floors[t.Operation()], next, ctx, req)
		}
	})(succeed)
	return func(pb *testing.PB) {
		for pb.Next() {
			_, _ = handler(ctx, nil)
		}
	}
}
