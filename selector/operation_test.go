package selector_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// guarded puts the breaker of an operation in front of a pool, and has the calls
// to a dead node fail after a time, as they do if it hangs.
func (p *pool) guarded(hangs time.Duration) (operation *sre.Breaker, opened func() int) {
	var mu sync.Mutex
	openings := 0
	operation = sre.NewBreaker(sre.WithListener(func(e breaker.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.To == breaker.Open {
			openings++
		}
	}))
	handle := p.nodes.Client()(func(ctx context.Context, req any) (any, error) {
		reply, err := p.handle(ctx, req)
		if err != nil {
			time.Sleep(hangs)
		}
		return reply, err
	})
	call := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *sre.Breaker { return operation }))(handle)
	p.call = func(ctx context.Context, req any) (any, error) {
		return call(breakertest.ClientContext(ctx, "/test.Users/Get"), req)
	}
	return operation, func() int {
		mu.Lock()
		defer mu.Unlock()
		return openings
	}
}

// load calls at a rate per second until the end of the test, whether or not calls
// hang. It returns a function that counts those that failed since it was asked
// last.
func (p *pool) load(t *testing.T, rate int) (failed func() int) {
	var calls sync.WaitGroup
	var lost atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	calls.Go(func() {
		for ctx.Err() == nil {
			calls.Go(func() {
				if p.try() != nil {
					lost.Add(1)
				}
			})
			time.Sleep(time.Second / time.Duration(rate))
		}
	})
	t.Cleanup(func() {
		stop()
		calls.Wait()
	})
	return func() int { return int(lost.Swap(0)) }
}

func TestNodes_ADeadNodeOfTwoDoesNotCostTheOperationItsBreaker(t *testing.T) {
	for _, hangs := range []time.Duration{0, 100 * time.Millisecond, 2 * time.Second} {
		for _, rate := range []int{10, 100, 1000} {
			for _, before := range []time.Duration{0, 10 * time.Second} {
				t.Run(fmt.Sprintf("for %v, %d a second, after %v", hangs, rate, before), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						p := newPool(t, nodesOf(2))
						_, opened := p.guarded(hangs)
						failed := p.load(t, rate)
						time.Sleep(before)
						require.Zero(t, failed())

						p.kill(a)
						// Nobody knows that a node hangs until calls time out.
						time.Sleep(10 * time.Second)
						failed()
						time.Sleep(10 * time.Second)
						// At most one of nine calls is a probe.
						require.InDelta(t, min(11, 10*float64(rate)/2/9), failed(), 4, "probes")

						p.heal(a)
						time.Sleep(4 * time.Second)
						failed()
						time.Sleep(10 * time.Second)
						require.Zero(t, failed())
						require.Zero(t, opened())
					})
				})
			}
		}
	}
}

func TestNodes_IfAllAreDeadTheProbesOfTheOperationFindTheOneThatIsBack(t *testing.T) {
	for _, healed := range []string{a, b} {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, nodesOf(2))
			operation, _ := p.guarded(0)
			p.traffic(100, 10*time.Second)
			p.kill(a, b)
			p.traffic(100, 30*time.Second)
			require.Equal(t, breaker.Open, operation.Snapshot().State)
			called, _ := p.traffic(100, 30*time.Second)
			require.Greater(t, called[a], 10, "probes")
			require.Greater(t, called[b], 10, "probes")

			p.heal(healed)
			p.traffic(100, 3500*time.Millisecond) // two probes, and until the operation is served
			_, failed := p.traffic(100, 5*time.Second)
			require.LessOrEqual(t, failed, 10, "probes")
		})
	}
}
