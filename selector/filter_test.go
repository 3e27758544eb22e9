package selector_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/selector/wrr"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/selector"
)

// consecutive makes breakers whose state a test can foresee: they open after
// three failures in a row, for an hour.
var consecutive = selector.WithCircuitBreaker(func() *circuit.Breaker {
	return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Hour))
})

// eject makes calls until the nodes are ejected, or would be if not so many
// were.
func (p *pool) eject(addresses ...string) {
	p.t.Helper()
	for _, address := range addresses {
		p.kill(address)
		p.until(1000, time.Second, func() bool {
			k := p.breaker(address)
			return k != nil && k.Snapshot().State == breaker.Open
		})
	}
}

func TestFilter_NeverEjectsMoreThanTheShareAndLeavesOne(t *testing.T) {
	for _, test := range []struct {
		nodes int
		share float64
		dead  []string // in this order
		left  []string
	}{
		{2, 0.5, []string{a}, []string{b}},
		{2, 0.5, []string{a, b}, []string{b}},
		{2, 0.5, []string{b, a}, []string{a}},
		{3, 0.5, []string{a}, []string{b, c}},
		{3, 0.5, []string{a, b}, []string{b, c}}, // part of a node does not count
		{4, 0.5, []string{a, b}, []string{c, d}},
		{4, 0.5, []string{c, b, a}, []string{a, d}},
		{4, 0.5, []string{d, b, a, c}, []string{a, c}},
		{4, 0.25, []string{a}, []string{b, c, d}},
		{4, 0.25, []string{a, b}, []string{b, c, d}},
		{4, 0.24, []string{a}, []string{a, b, c, d}},
		{4, 1, []string{a, b, c, d}, []string{d}},
		{4, 0, []string{a, b}, []string{a, b, c, d}},
		{1, 1, []string{a}, []string{a}},
	} {
		t.Run(fmt.Sprintf("%d of %d at %v", len(test.dead), test.nodes, test.share), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, nodesOf(test.nodes), consecutive, selector.WithMaxEjected(test.share))
				p.eject(test.dead...)
				require.Equal(t, test.left, p.left())
			})
		})
	}
}

// A node that dies while the filter is at work.
func TestFilter_KeepsTheShareWhateverHappensMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(4), consecutive)
		p.eject(b)
		looks := 0
		nodes := slices.Clone(p.offered)
		nodes[0] = lookedAt{nodes[0], func() {
			if looks++; looks == 2 {
				p.eject(a, c, d)
			}
		}}
		require.Len(t, p.nodes.Filter(t.Context(), nodes), 2)
	})
}

type lookedAt struct {
	kratos.Node
	look func()
}

func (n lookedAt) Address() string {
	n.look()
	return n.Node.Address()
}

// In floating point, 0.29 of 100 is less than 29.
func TestFilter_EjectsAllOfAShareThatIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(100), consecutive, selector.WithMaxEjected(0.29))
		for i := range 40 {
			p.kill(address(i))
		}
		p.traffic(1000, time.Second)
		require.Len(t, p.left(), 71)
	})
}

// a has been down for longest, and was down when b and c, which were too, came
// back for a moment.
func TestFilter_IfTooManyRejectThoseStayThatWorkedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(4), selector.WithMaxEjected(0.75), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second), circuit.WithProbes(50, 50))
		}))
		p.eject(a, b, c, d)
		require.Equal(t, []string{d}, p.left())
		p.heal(b)
		p.until(1000, 2*time.Second, func() bool { return !p.ejected(b) })
		require.Equal(t, breaker.HalfOpen, p.breaker(b).Snapshot().State)
		require.Equal(t, []string{b}, p.left())
	})
}

func TestFilter_FailsOpenSoThatNoCallIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2))
		p.kill(a, b)
		p.traffic(100, 5*time.Second)
		called, failed := p.traffic(100, 10*time.Second)
		require.Equal(t, 1000, failed)
		require.Equal(t, 1000, called[a]+called[b], "each call was made")
		require.NotZero(t, called[a])
		require.NotZero(t, called[b])
	})
}

// The breaker of an operation lets about one probe a second out.
func TestFilter_IfAllRejectTheyAreProbedInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2))
		p.kill(a, b)
		p.traffic(100, 5*time.Second)
		for range 20 {
			time.Sleep(time.Second)
			require.ErrorIs(t, p.try(), errDown)
		}
		for _, healed := range []string{a, b} {
			p.heal(healed)
			for i := 0; p.try() != nil; i++ {
				require.Less(t, i, 3)
				time.Sleep(time.Second)
			}
			p.kill(healed)
			p.traffic(100, 5*time.Second)
		}
	})
}

func TestFilter_IfAllRejectEachIsProbedAsOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(4))
		p.kill(a, b, c, d)
		p.traffic(1000, 5*time.Second)
		called, _ := p.traffic(1, 40*time.Second)
		for address, n := range called {
			require.InDelta(t, 10, n, 2, address)
		}
	})
}

func TestFilter_AHalfOpenNodeGetsProbesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second), circuit.WithProbes(3, 3))
		}))
		p.eject(a)
		p.heal(a)
		time.Sleep(time.Second)
		for succeeded := uint64(0); succeeded < 3; succeeded = p.breaker(a).Snapshot().Totals.Success {
			require.True(t, p.ejected(a))
			require.NoError(t, p.try())
		}
		require.False(t, p.ejected(a))
	})
}

func TestFilter_ARecoveringNodeGetsNoMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(5))
		p.traffic(1000, 2*time.Second)
		p.kill(a)
		p.traffic(1000, 10*time.Second)
		p.heal(a)
		for range 30 {
			called, _ := p.traffic(1000, 100*time.Millisecond)
			require.Less(t, called[a], 45, "of 100 calls to 5 nodes")
		}
		require.False(t, p.ejected(a))
	})
}

// offered is what Kratos passes to a filter: nodes with their present weight.
func offered(n int) []kratos.Node {
	var seen []kratos.Node
	s := wrr.New()
	s.Apply(nodesOf(n, 10, 20, 30, 40))
	_, _, err := s.Select(context.Background(), kratos.WithNodeFilter(func(_ context.Context, nodes []kratos.Node) []kratos.Node {
		seen = nodes
		return nodes
	}))
	if err != nil {
		panic(err)
	}
	return seen
}

func TestFilter_KeepsOrderAndNodesAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(4), consecutive)
		nodes := offered(4)
		before := slices.Clone(nodes)
		same := p.nodes.Filter(t.Context(), nodes)
		require.Equal(t, unsafe.SliceData(nodes), unsafe.SliceData(same), "while nothing is ejected it is the same slice")
		require.Len(t, same, 4)

		p.eject(b)
		left := p.nodes.Filter(t.Context(), nodes)
		require.Equal(t, before, nodes, "the filter changed what it was given")
		require.Len(t, left, 3)
		for i, want := range []kratos.Node{before[0], before[2], before[3]} {
			require.Same(t, want, left[i])
			require.Equal(t, want.(kratos.WeightedNode).Weight(), left[i].(kratos.WeightedNode).Weight())
		}
	})
}

func TestFilter_LeavesTheWeightsOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(3, 10, 10, 30), consecutive)
		p.eject(a)
		called, _ := p.traffic(1000, time.Second)
		require.Equal(t, map[string]int{b: 250, c: 750}, called)
	})
}

func TestFilter_OfNodesThatItDoesNotKnowChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), consecutive)
		p.eject(a)
		for _, nodes := range [][]kratos.Node{nil, {}, nodesOf(4)[2:]} {
			require.Equal(t, nodes, p.nodes.Filter(t.Context(), nodes))
		}
		require.Equal(t, nodesOf(1), p.nodes.Filter(t.Context(), nodesOf(1)), "the last one stays")
	})
}

// The same address twice, as a registry may list it, is one node.
func TestFilter_KeepsTheShareIfAnAddressIsOfferedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, append(nodesOf(2), nodesOf(2)...), consecutive)
		p.eject(a)
		require.Equal(t, []string{b, b}, p.left())
		p.eject(b)
		require.Len(t, p.left(), 2)
	})
}

// Kratos applies the filters in the order given. One that comes later and takes
// the probed node away makes the call fail, but costs nothing more.
func TestFilter_ALaterFilterThatAppendsToAProbeLeavesTheNodesAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second))
		}))
		p.eject(a)
		offered, want := p.offered, slices.Clone(p.offered)
		time.Sleep(time.Second)
		for probed := false; !probed; {
			_, _ = p.nodes.Client()(func(ctx context.Context, _ any) (any, error) {
				left := p.nodes.Filter(ctx, offered)
				probed = left[0].Address() == a
				_ = append(left, nodesOf(3)[2])
				return nil, nil
			})(peered(t), nil)
		}
		require.Equal(t, want, offered)
	})
}

func TestFilter_ALaterFilterDoesNotKeepTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second))
		}))
		p.eject(a)
		p.filters = append(p.filters, func(_ context.Context, nodes []kratos.Node) []kratos.Node {
			return slices.DeleteFunc(slices.Clone(nodes), func(n kratos.Node) bool { return n.Address() == a })
		})
		time.Sleep(time.Second)
		for {
			if err := p.try(); err != nil {
				require.ErrorIs(t, err, kratos.ErrNoAvailable)
				break
			}
		}
		require.Zero(t, p.breaker(a).Snapshot().Totals.InFlight)
		require.Equal(t, uint64(1), p.breaker(a).Snapshot().Totals.Ignored)

		p.filters = p.filters[:1]
		p.heal(a)
		p.until(1000, time.Second, func() bool { return !p.ejected(a) })
	})
}
