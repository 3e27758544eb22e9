//go:build !race

package selector_test

import (
	"context"
	"testing"
	"testing/synctest"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/selector"
	"github.com/kratos-breaker/breaker/sre"
)

func TestFilter_AllocatesNothingUntilANodeIsEjectedAndThenTheListThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, nodesOf(25), consecutive)
		choose := func() { p.nodes.Filter(t.Context(), p.offered) }
		require.Zero(t, testing.AllocsPerRun(100, choose), "no node is known")
		p.traffic(1000, 1e9)
		require.Zero(t, testing.AllocsPerRun(100, choose), "all are well")
		p.eject(a)
		require.Equal(t, 1.0, testing.AllocsPerRun(100, choose), "one is ejected")
		others := nodesOf(25)[1:]
		require.Zero(t, testing.AllocsPerRun(100, func() { p.nodes.Filter(t.Context(), others) }), "one of another service is ejected")
	})
}

var kratosDown = kratoserrors.InternalServer("DOWN", "down")

func TestClient_AllocatesNothingWhileNoNodeRejects(t *testing.T) {
	node := kratos.NewNode("http", a, nil)
	for name, err := range map[string]error{"success": nil, "failure": kratosDown} {
		call := selector.NewNodes(selector.WithCircuitBreaker(func() *sre.Breaker { return sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9)) })).Client()(func(ctx context.Context, _ any) (any, error) {
			peer, _ := kratos.FromPeerContext(ctx)
			peer.Node = node
			return nil, err
		})
		ctx := peered(t)
		require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = call(ctx, nil) }), name)
	}
}
