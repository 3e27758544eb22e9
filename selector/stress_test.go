package selector_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/selector"
)

// Calls, streams, discovery, faults, people and those who watch, all at once.
// Afterwards no permit is in flight, and all nodes come back.
func TestStress_NodesSurviveAllAtOnce(t *testing.T) {
	n := selector.NewNodes(selector.WithForget(10*time.Millisecond), selector.WithLimit(6),
		selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Millisecond))
		}))
	p := newPoolOf(t, n, balancers["random"](), nodesOf(8))
	p.filters = append(p.filters, func(_ context.Context, nodes []kratos.Node) []kratos.Node {
		if len(nodes) == 0 {
			panic("no node is left")
		}
		return nodes
	})
	const rounds = 3000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range rounds {
				_ = p.try()
			}
		})
	}
	all.Go(func() {
		for range rounds {
			_, _ = p.handle(t.Context(), nil)
		}
	})
	all.Go(func() {
		for i := range rounds / 10 {
			p.selector.Apply(nodesOf(8)[i%7:])
			p.set([]error{nil, errDown}[rand.IntN(2)], []string{address(rand.IntN(8))})
		}
	})
	all.Go(func() {
		for range rounds / 10 {
			for l := range n.Breakers() {
				_ = l.Breaker.Snapshot()
				l.Breaker.(breaker.Controller).SetModeFor(breaker.Mode(rand.IntN(4)), time.Millisecond)
			}
			if held := n.Keys().Held; held > 6 {
				panic("too many nodes are known")
			}
		}
	})
	all.Wait()

	for i := range 8 {
		p.heal(address(i))
	}
	p.offer(nodesOf(5))
	require.Eventually(t, func() bool {
		require.NoError(t, p.try())
		return len(p.left()) == 5
	}, 10*time.Second, 100*time.Microsecond)
	for l := range n.Breakers() {
		require.Zero(t, l.Breaker.Snapshot().Totals.InFlight)
	}
}
