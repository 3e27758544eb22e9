package selector_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/selector"
	"github.com/kratos-breaker/breaker/sre"
)

func TestNodes_ForgetANodeThatDiscoveryNoLongerOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(3), consecutive)
		p.traffic(100, time.Second)
		p.eject(a)
		old := p.breaker(a)
		require.Equal(t, 3, p.nodes.Keys().Held)

		p.offer(nodesOf(3)[1:])
		p.until(10, 15*time.Second, func() bool { return p.nodes.Keys().Held == 2 })
		require.Nil(t, p.breaker(a))
		ctx := peered(t)
		_, _ = p.nodes.Client()(func(got context.Context, _ any) (any, error) {
			require.True(t, got == ctx, "no node rejects any more")
			return nil, nil
		})(ctx, nil)

		p.offer(nodesOf(3))
		p.heal(a)
		called, _ := p.traffic(100, 3*time.Second)
		require.Equal(t, 100, called[a], "it starts anew")
		require.NotSame(t, old, p.breaker(a))
		require.Equal(t, breaker.Totals{Offered: 100, Allowed: 100, Success: 100}, p.breaker(a).Snapshot().Totals)
	})
}

func TestNodes_ANodeThatIsAwayForAMomentKeepsItsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(3), consecutive)
		p.traffic(100, time.Second)
		p.eject(a)
		for range 3 {
			p.offer(nodesOf(3)[1:])
			p.traffic(100, 5*time.Second)
			p.offer(nodesOf(3))
			p.traffic(100, 5*time.Second)
			require.True(t, p.ejected(a))
		}
	})
}

func TestNodes_AQuietTimeForgetsNothingThatIsStillOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(3), consecutive)
		p.traffic(100, time.Second)
		p.eject(a)
		time.Sleep(10 * time.Minute)
		require.True(t, p.ejected(a))
		require.Equal(t, 3, p.nodes.Keys().Held)
	})
}

// Each client sees its own nodes only, and here it is nearly always the same one
// that looks whether any are gone.
func TestNodes_ServeSeveralServicesAndForgetNoneOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := selector.NewNodes(consecutive)
		users := newPoolOf(t, n, balancers["wrr"](), nodesOf(2))
		orders := newPoolOf(t, n, balancers["wrr"](), nodesOf(4)[2:])
		users.kill(a)
		for range 600 {
			users.traffic(1000, 77*time.Millisecond)
			require.NoError(t, orders.try())
		}
		require.True(t, users.ejected(a))
		require.Equal(t, []string{c, d}, orders.left())
		require.Equal(t, 4, n.Keys().Held)
		require.Equal(t, uint64(300), orders.breaker(c).Snapshot().Totals.Success, "it was never made anew")
	})
}

// The node gets no calls, and the client that still sees it does not tidy.
func TestNodes_AnEjectedNodeIsNotForgottenBecauseOfABusierClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := selector.NewNodes(consecutive)
		users := newPoolOf(t, n, balancers["wrr"](), nodesOf(2))
		orders := newPoolOf(t, n, balancers["wrr"](), nodesOf(4)[2:])
		orders.eject(c)
		old := orders.breaker(c)
		for range 600 {
			users.traffic(1000, 77*time.Millisecond)
			require.NoError(t, orders.try())
		}
		require.Same(t, old, orders.breaker(c))
		require.True(t, orders.ejected(c))
	})
}

// The probe was under way when discovery took its node away.
func TestNodes_AProbeOfANodeThatIsForgottenMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(2), selector.WithCircuitBreaker(func() *circuit.Breaker {
			return circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithDelay(time.Second))
		}))
		p.eject(a)
		p.heal(a)
		end := make(chan struct{})
		slow := p.nodes.Client()(func(ctx context.Context, req any) (any, error) {
			reply, err := p.handle(ctx, req)
			if reply == a {
				<-end
			}
			return reply, err
		})
		time.Sleep(time.Second)
		for p.called[a] == 3 {
			ctx := peered(t)
			go func() { _, _ = slow(ctx, nil) }()
			synctest.Wait()
		}
		p.offer(nodesOf(3)[1:])
		p.until(100, 15*time.Second, func() bool { return p.breaker(a) == nil })
		close(end)
		synctest.Wait()
		p.eject(b)
		require.Equal(t, []string{c}, p.left())
	})
}

func TestNodes_AreBoundedHoweverManyAddressesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(1), selector.WithForget(time.Second))
		for i := range 2000 {
			n := nodesOf(i + 3)[i:]
			p.offer(n)
			p.traffic(100, 30*time.Millisecond)
			require.LessOrEqual(t, p.nodes.Keys().Held, 3+1250/30+1)
		}
	})
}

func TestWithLimit_FurtherNodesHaveNoBreakerAndAreNeverEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		p := newPool(t, nodesOf(4), selector.WithLimit(2), selector.WithCircuitBreaker(func() *sre.Breaker {
			made++
			return sre.NewBreaker()
		}))
		p.kill(c)
		called, failed := p.traffic(100, 4*time.Second)
		require.Equal(t, 100, failed)
		require.Equal(t, map[string]int{a: 100, b: 100, c: 100, d: 100}, called)
		require.Equal(t, breaker.Keys{Held: 2, Limit: 2, Overflows: 200}, p.nodes.Keys())
		require.Equal(t, 2, made)
	})
}

func TestNodes_ListTheirBreakersForThoseWhoWatch(t *testing.T) {
	n := selector.NewNodes()
	require.Equal(t, breaker.Keys{Limit: 1024}, n.Keys())
	call := func(address string) { _, _ = n.Client()(chooses(address, nil, nil))(peered(t), nil) }
	call(a)
	call(b)
	call(b)
	listed := make(map[string]uint64)
	for l := range breaker.Sources(n).Breakers() {
		require.False(t, l.Overflow)
		require.Equal(t, l.Key, l.Breaker.Snapshot().Name, "the default breakers are named by the address")
		listed[l.Key] = l.Breaker.Snapshot().Totals.Success
	}
	require.Equal(t, map[string]uint64{a: 1, b: 2}, listed)
	require.Equal(t, breaker.Keys{Held: 2, Limit: 1024}, n.Keys())
	for range n.Breakers() {
		break
	}
}

func TestWithNodeBreaker_TellsTheFactoryTheAddress(t *testing.T) {
	var made []string
	n := selector.NewNodes(selector.WithNodeBreaker(func(address string) *sre.Breaker {
		made = append(made, address)
		return sre.NewBreaker()
	}))
	for _, address := range []string{a, b, a} {
		_, _ = n.Client()(chooses(address, nil, nil))(peered(t), nil)
	}
	require.Equal(t, []string{a, b}, made)
}

// A factory may look at the nodes, as a listener that it installs may.
func TestWithNodeBreaker_TheFactoryMayLookAtTheNodes(t *testing.T) {
	var n *selector.Nodes
	held := -1
	n = selector.NewNodes(selector.WithNodeBreaker(func(string) *sre.Breaker {
		held = n.Keys().Held
		for range n.Breakers() {
			held++
		}
		return sre.NewBreaker()
	}))
	_, _ = n.Client()(chooses(a, nil, nil))(peered(t), nil)
	require.Zero(t, held)
}

func TestWithCircuitBreaker_AForeignBreakerGetsOneMarkPerCall(t *testing.T) {
	trio := &breakertest.Trio{}
	n := selector.NewNodes(selector.WithCircuitBreaker(func() *breakertest.Trio { return trio }))
	for _, test := range []struct {
		err       error
		rejection error
		want      []string
	}{
		{nil, nil, []string{"Allow", "MarkSuccess"}},
		{errDown, nil, []string{"Allow", "MarkFailed"}},
		{nil, errDown, []string{"Allow", "MarkFailed"}},
	} {
		trio.Reject(test.rejection)
		_, err := n.Client()(chooses(a, nil, test.err))(peered(t), nil)
		require.Equal(t, test.err, err)
		require.Equal(t, test.want, trio.Heard())
	}
}

// It has no snapshot that says whether it still rejects.
func TestWithCircuitBreaker_AForeignBreakerIsBackWhenACallSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trios := map[string]*breakertest.Trio{a: {}, b: {}}
		p := newPool(t, nodesOf(2), selector.WithNodeBreaker(func(address string) *breakertest.Trio { return trios[address] }))
		p.kill(a)
		trios[a].Reject(errDown)
		p.traffic(100, time.Second)
		require.True(t, p.ejected(a))

		trios[a].Reject(nil)
		called, _ := p.traffic(100, time.Second)
		require.NotZero(t, called[a], "probes")
		require.True(t, p.ejected(a))

		p.heal(a)
		p.until(100, time.Second, func() bool { return !p.ejected(a) })
	})
}

func TestNewNodes_PanicsForImpossibleValues(t *testing.T) {
	for _, test := range []struct {
		want string
		make func()
	}{
		{"selector: WithCircuitBreaker: the factory is nil", func() { selector.WithCircuitBreaker[*sre.Breaker](nil) }},
		{"selector: WithNodeBreaker: the factory is nil", func() { selector.WithNodeBreaker[*sre.Breaker](nil) }},
		{"selector: WithClassifier: the classifier is nil", func() { selector.WithClassifier(nil) }},
		{"selector: NewNodes: nil Option", func() { selector.NewNodes(nil) }},
		{"selector: WithMaxEjected(-0.1): want a share in [0, 1]", func() { selector.NewNodes(selector.WithMaxEjected(-0.1)) }},
		{"selector: WithMaxEjected(1.1): want a share in [0, 1]", func() { selector.NewNodes(selector.WithMaxEjected(1.1)) }},
		{"selector: WithMaxEjected(NaN): want a share in [0, 1]", func() { selector.NewNodes(selector.WithMaxEjected(math.NaN())) }},
		{"selector: WithForget(9.999999ms): want a duration in [10ms, 24h]", func() { selector.NewNodes(selector.WithForget(10*time.Millisecond - 1)) }},
		{"selector: WithForget(24h0m0.000000001s): want a duration in [10ms, 24h]", func() { selector.NewNodes(selector.WithForget(24*time.Hour + 1)) }},
		{"selector: WithLimit(0): want a number in [1, 9223372036854775807]", func() { selector.NewNodes(selector.WithLimit(0)) }},
		{noBreaker, func() { callOnce(t, selector.WithCircuitBreaker(func() *sre.Breaker { return nil })) }},
		{noBreaker, func() { callOnce(t, selector.WithCircuitBreaker(func() breaker.CircuitBreaker { return nil })) }},
	} {
		require.PanicsWithValue(t, test.want, test.make)
	}
}

const noBreaker = `selector: the factory returned no breaker for "10.0.0.0:80"`

func callOnce(t *testing.T, opts ...selector.Option) {
	_, _ = selector.NewNodes(opts...).Client()(chooses(a, nil, nil))(peered(t), nil)
}
