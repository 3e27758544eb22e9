package breaker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
)

// Each of 64 goroutines calls, fails, gives up and panics at random, and keeps
// its own books; in the end they and the breaker's are the same.
func TestDo_TotalsAreExactAfter64Goroutines(t *testing.T) {
	const goroutines, calls = 64, 500
	fake := &counting{rejectEvery: 7}
	for _, kind := range []struct {
		name string
		b    breaker.Breaker
	}{
		{"sre", sre.NewBreaker(sre.Classic(), sre.WithWindow(longWindow))},
		{"adapted aegis", breaker.Adapt(aegissre.NewBreaker(aegissre.WithWindow(longWindow)))},
		{"adapted fake", breaker.Adapt(fake)},
	} {
		t.Run(kind.name, func(t *testing.T) {
			var success, failure, ignored, rejected atomic.Uint64
			gaveUp := breakertest.Canceled()
			call := func(r *rand.Rand) {
				what, settled := r.IntN(8), false
				defer func() { // a panic or Goexit
					if p := recover(); !settled {
						failure.Add(1)
						if p != nil && p != errBackend {
							t.Errorf("panicked with %v", p)
						}
					}
				}()
				ctx := context.Background()
				if what == 3 {
					ctx = gaveUp
				}
				err := breaker.Run(ctx, kind.b, func(context.Context) error {
					runtime.Gosched()
					switch what {
					case 0:
						panic(errBackend)
					case 1:
						runtime.Goexit()
					case 2, 4, 5: // more than the breakers bear
						return errBackend
					case 3:
						return context.Canceled
					}
					return nil
				})
				settled = true
				switch {
				case errors.Is(err, circuitbreaker.ErrNotAllowed):
					rejected.Add(1)
				case errors.Is(err, context.Canceled):
					ignored.Add(1)
				case err != nil:
					failure.Add(1)
				default:
					success.Add(1)
				}
			}
			var wg sync.WaitGroup
			for i := range goroutines {
				r := rand.New(rand.NewPCG(1, uint64(i)))
				var left atomic.Int64
				left.Store(calls)
				var work func()
				work = func() { // Goexit ends the goroutine; the next one goes on
					defer func() {
						if left.Load() > 0 {
							wg.Go(work)
						}
					}()
					for left.Add(-1) >= 0 {
						call(r)
					}
				}
				wg.Go(work)
			}
			wg.Wait()
			want := breaker.Totals{
				Success: success.Load(), Failure: failure.Load(), Ignored: ignored.Load(), Rejected: rejected.Load(),
			}
			require.EqualValues(t, goroutines*calls, want.Success+want.Failure+want.Ignored+want.Rejected)
			breakertest.RequireTotals(t, kind.b, want)
			for _, n := range []uint64{want.Success, want.Failure, want.Ignored, want.Rejected} {
				require.NotZero(t, n)
			}
		})
	}
	require.Equal(t, fake.allow.Load(), fake.success.Load()+fake.failed.Load(), "one mark for each call")
}

// In a snapshot that is taken while calls run, the totals add up and nothing
// ever goes back.
func TestSnapshot_AddsUpAtEveryMoment(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						if p, err := b.Acquire(); err == nil {
							p.Done(breakertest.Outcomes[n%len(breakertest.Outcomes)])
						}
					}
				})
			}
			var last breaker.Totals
			for range 2000 {
				now := b.Snapshot().Totals
				require.Equal(t, now.Offered, now.Allowed+now.Rejected)
				require.Equal(t, now.Allowed, now.Success+now.Failure+now.Ignored+now.InFlight)
				require.GreaterOrEqual(t, now.Success, last.Success)
				require.GreaterOrEqual(t, now.Failure, last.Failure)
				require.GreaterOrEqual(t, now.Ignored, last.Ignored)
				last = now
			}
			close(stop)
			wg.Wait()
			require.Zero(t, b.Snapshot().Totals.InFlight)
		})
	}
}
