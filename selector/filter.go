package selector

import (
	"context"
	"math/rand/v2"
	"slices"

	kratos "github.com/go-kratos/kratos/v2/selector"
)

var _ kratos.NodeFilter = (*Nodes)(nil).Filter

// Filter is a [kratos.NodeFilter]: it returns the nodes without those whose breaker
// rejects calls. Give it to the client as the last of its filters.
//
// A filter cannot choose, and who chooses asks no breaker. So the breaker is
// asked here, and only when the choice is certain: for each call, one node
// is drawn by chance, as often as if it was chosen evenly. If its breaker rejects
// calls and yet grants a permit for this one, as a probe or because the node
// recovers, Filter returns that node alone, and [Nodes.Client] settles the
// permit. Otherwise no permit is taken, and none can be wasted. So an ejected
// node gets the calls that its breaker allows, and never more than its share.
//
// If more nodes reject than may be ejected, those stay that were last
// known to work, and if all do, the ones to be probed take turns.
//
// While no node rejects, Filter returns nodes as it is, for the price of a
// clock read and without an allocation. Otherwise it looks at each node, keeps their
// order, and leaves nodes unchanged.
func (n *Nodes) Filter(ctx context.Context, nodes []kratos.Node) []kratos.Node {
	n.tidy(nodes)
	limit := min(int(n.maxEjected*float64(len(nodes))+1e-9), len(nodes)-1)
	if n.rejecting.Load() == 0 || limit <= 0 {
		return nodes
	}
	var (
		known  = *n.known.Load()
		buffer [32]uint64
		alive  = buffer[:0]
		oldest *node // the one that was asked the longest ago
		at     int
	)
	for i, offered := range nodes {
		k := known[offered.Address()]
		if k == nil || !k.rejects.Load() {
			continue
		}
		k.use() // calls do not show it: it gets none
		alive = append(alive, k.alive.Load())
		if oldest == nil || k.asked.Load() < oldest.asked.Load() {
			oldest, at = k, i
		}
	}
	if len(alive) == 0 {
		return nodes
	}
	if len(alive) < len(nodes) {
		at = rand.IntN(len(nodes))
	}
	if k := known[nodes[at].Address()]; k != nil && k.rejects.Load() && n.ask(ctx, k) {
		return nodes[at : at+1 : at+1]
	}
	stays := uint64(0)
	if len(alive) > limit {
		slices.Sort(alive)
		stays = alive[limit]
	}
	rest, ejected := make([]kratos.Node, 0, len(nodes)), 0
	for _, offered := range nodes {
		k := known[offered.Address()]
		// Meanwhile there may be more of them.
		if k != nil && k.rejects.Load() && ejected < limit && (stays == 0 || k.alive.Load() < stays) {
			ejected++
			continue
		}
		rest = append(rest, offered)
	}
	return rest
}

// ask asks the breaker of k for the permit of a call, and reports whether it was
// granted to a call that will settle it.
func (n *Nodes) ask(ctx context.Context, k *node) bool {
	if ctx == nil {
		return false
	}
	c, ok := ctx.Value(n).(*call)
	return ok && c.ask(n, k)
}
