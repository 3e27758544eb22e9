package selector_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/selector"
)

// The model is the set of nodes whose breaker is known to reject. Breakers reject
// when they are forced open.
func TestNodes_LeaveAllButAShareOfThoseThatReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Rapid asks a *testing.T for its deadline, which the bubble forbids.
		rapid.Check(struct{ *testing.T }{t}, checkModel)
	})
}

type model struct {
	*rapid.T
	pool    *pool
	share   float64
	forced  map[string]bool
	rejects map[string]bool
	left    []kratos.Node // of the present call
}

func checkModel(t *rapid.T) {
	m := &model{
		T: t, share: float64(rapid.IntRange(0, 4).Draw(t, "quarters")) / 4,
		forced: make(map[string]bool), rejects: make(map[string]bool),
	}
	n := selector.NewNodes(selector.WithMaxEjected(m.share), selector.WithForget(3*time.Second))
	m.pool = newPoolOf(t, n, balancers["random"](), nodesOf(rapid.IntRange(1, 9).Draw(t, "nodes")))
	m.pool.filters = []kratos.NodeFilter{m.filter}
	t.Repeat(map[string]func(*rapid.T){
		"call":   m.call,
		"stream": m.stream,
		"force":  m.force,
		"offer":  m.offer,
		"wait":   func(*rapid.T) { time.Sleep(time.Second) },
	})
}

func (m *model) filter(ctx context.Context, nodes []kratos.Node) []kratos.Node {
	before := slices.Clone(nodes)
	m.left = m.pool.nodes.Filter(ctx, nodes)
	require.Equal(m, before, nodes)
	for address := range m.rejects {
		if m.pool.breaker(address) == nil { // it was forgotten
			delete(m.rejects, address)
			delete(m.forced, address)
		}
	}

	limit := min(int(m.share*float64(len(nodes))), len(nodes)-1)
	var missing, bad int
	rest := m.left
	for _, o := range nodes {
		if m.rejects[o.Address()] {
			bad++
		}
		if len(rest) > 0 && rest[0] == o {
			rest = rest[1:]
			continue
		}
		missing++
		if len(m.left) > 1 {
			require.True(m, m.rejects[o.Address()], "%s is well", o.Address())
		}
	}
	require.Empty(m, rest, "another order or other nodes")
	if len(m.left) == 1 && m.rejects[m.left[0].Address()] && !m.forced[m.left[0].Address()] {
		return m.left // a probe, or one of too many
	}
	require.Equal(m, min(bad, limit), missing)
	return m.left
}

func (m *model) call(*rapid.T) {
	chosen, err := m.pool.call(kratos.NewPeerContext(m.Context(), new(kratos.Peer)), nil)
	require.NoError(m, err)
	m.rejects[chosen.(string)] = m.forced[chosen.(string)]
}

func (m *model) force(t *rapid.T) {
	address := rapid.SampledFrom(m.pool.offered).Draw(t, "node").Address()
	b, ok := m.pool.breaker(address).(breaker.Controller)
	if !ok {
		return // it was not called yet
	}
	m.forced[address] = !m.forced[address]
	if m.forced[address] {
		b.SetMode(breaker.ForceOpen)
	} else {
		b.SetMode(breaker.Auto)
	}
}

func (m *model) offer(t *rapid.T) {
	m.pool.offer(nodesOf(rapid.IntRange(1, 9).Draw(t, "nodes")))
}

func (m *model) stream(*rapid.T) {
	_, err := m.pool.handle(m.Context(), nil)
	require.NoError(m, err)
}
