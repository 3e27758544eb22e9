package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// books are what the callers themselves saw happen.
type books struct {
	offered, rejected, success, failure, ignored atomic.Uint64
}

func (b *books) totals() breaker.Totals {
	t := breaker.Totals{
		Rejected: b.rejected.Load(), Success: b.success.Load(), Failure: b.failure.Load(), Ignored: b.ignored.Load(),
	}
	t.Allowed = t.Success + t.Failure + t.Ignored
	t.Offered = b.offered.Load()
	return t
}

const stressKeys = 5

// stress calls through a middleware from 64 goroutines, with calls that succeed,
// fail, are given up, panic and leave, and returns the books of each key.
func stress(t *testing.T, m middleware.Middleware, calls int) *[stressKeys]books {
	t.Helper()
	var kept [stressKeys]books
	gaveUp := breakertest.Canceled()
	one := func(r *rand.Rand) {
		n, what := r.IntN(stressKeys), r.IntN(10)
		b := &kept[n]
		b.offered.Add(1)
		ctx := context.Background()
		if what == 3 {
			ctx = gaveUp
		}
		handler := func(context.Context, any) (any, error) {
			for range r.IntN(3) {
				runtime.Gosched()
			}
			switch what {
			case 0:
				panic(errBackend)
			case 1:
				runtime.Goexit()
			case 2, 5, 6, 7: // more than the breakers bear
				return nil, kratoserrors.InternalServer("DOWN", "")
			case 3:
				return nil, context.Canceled
			case 4:
				return nil, kratoserrors.NotFound("NO_USER", "")
			}
			return nil, nil
		}
		returned := false
		defer func() { // a panic or Goexit
			if p := recover(); p != nil && p != errBackend {
				t.Errorf("panicked with %v", p)
			}
			if !returned {
				b.failure.Add(1)
			}
		}()
		_, err := m(handler)(clientContext(ctx, fmt.Sprint(n)), nil)
		returned = true
		switch {
		case errors.Is(err, circuitbreaker.ErrNotAllowed):
			b.rejected.Add(1)
		case errors.Is(err, context.Canceled):
			b.ignored.Add(1)
		case kratoserrors.IsInternalServer(err):
			b.failure.Add(1)
		default:
			b.success.Add(1)
		}
	}
	var wg sync.WaitGroup
	for i := range 64 {
		r := rand.New(rand.NewPCG(2, uint64(i)))
		left := calls
		var work func()
		work = func() { // Goexit ends the goroutine; the next one goes on
			defer func() {
				if left > 0 {
					wg.Go(work)
				}
			}()
			for left > 0 {
				left--
				one(r)
			}
		}
		wg.Go(work)
	}
	wg.Wait()
	return &kept
}

func TestStress_TotalsOfOursAreThoseOfTheCallers(t *testing.T) {
	breakers := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker(sre.Classic(), sre.WithWindow(longWindow)) })
	kept := stress(t, circuitbreaker.Client(circuitbreaker.WithGroup(breakers)), 500)
	require.Equal(t, stressKeys, breakers.Len())
	for n := range kept {
		want := kept[n].totals()
		require.Equal(t, want.Offered, want.Allowed+want.Rejected)
		require.NotZero(t, want.Rejected)
		require.Equal(t, want, breakers.Get(fmt.Sprint(n)).Snapshot().Totals)
	}
}

func TestStress_TotalsOfAdaptedBreakersAreThoseOfTheCallers(t *testing.T) {
	breakers := group.NewGroup(func() breaker.Breaker {
		return breaker.Adapt(aegissre.NewBreaker(aegissre.WithWindow(longWindow)))
	})
	kept := stress(t, circuitbreaker.Client(circuitbreaker.WithGroup(breakers)), 300)
	for n := range kept {
		want := kept[n].totals()
		require.NotZero(t, want.Rejected)
		require.Equal(t, want, breakers.Get(fmt.Sprint(n)).Snapshot().Totals)
	}
}

// marks counts what a real aegis breaker is told.
type marks struct {
	aegis.CircuitBreaker
	allow, success, failed, ignored atomic.Uint64
}

func (m *marks) Allow() error {
	m.allow.Add(1)
	return m.CircuitBreaker.Allow()
}

func (m *marks) MarkSuccess() {
	m.success.Add(1)
	m.CircuitBreaker.MarkSuccess()
}

func (m *marks) MarkFailed() {
	m.failed.Add(1)
	m.CircuitBreaker.MarkFailed()
}

func (m *marks) MarkIgnored() { m.ignored.Add(1) }

func TestStress_AegisBreakersGetOneMarkPerCall(t *testing.T) {
	breakers := group.NewGroup(func() *marks {
		return &marks{CircuitBreaker: aegissre.NewBreaker(aegissre.WithWindow(longWindow))}
	})
	kept := stress(t, circuitbreaker.Client(circuitbreaker.WithGroup(breakers)), 300)
	for n := range kept {
		got, want := breakers.Get(fmt.Sprint(n)), kept[n].totals()
		require.Equal(t, want.Offered, got.allow.Load())
		require.Equal(t, want.Success, got.success.Load())
		require.Equal(t, want.Failure+want.Rejected, got.failed.Load())
		require.Equal(t, want.Ignored, got.ignored.Load())
		require.Equal(t, got.allow.Load(), got.success.Load()+got.failed.Load()+got.ignored.Load())
		require.NotZero(t, want.Rejected)
	}
}
