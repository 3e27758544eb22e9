package selector

import (
	"maps"
	"strings"
	"sync/atomic"
	"time"

	kratos "github.com/go-kratos/kratos/v2/selector"

	"github.com/kratos-breaker/breaker"
)

// node is what is known of an address. Its moments are of Nodes.moment.
type node struct {
	address string
	breaker breaker.Breaker
	foreign bool // its state is but the last answer to Allow

	rejects atomic.Bool   // whether the breaker rejects calls, so far as anybody has noticed
	changed atomic.Uint64 // the moment at which rejects changed
	alive   atomic.Uint64 // of a node that rejects: the moment of its last sign of life
	asked   atomic.Uint64 // and that at which it was last asked for a probe

	used atomic.Bool  // whether a call to it ended, or the filter weighed it, since Nodes were last tidied
	seen atomic.Int64 // when it was known to be there, ns since Nodes.base
	gone bool         // whether it was forgotten
}

// nodeOf returns the node with the address, and makes it if there is none; nil if
// there are too many.
func (n *Nodes) nodeOf(address string) *node {
	if k := (*n.known.Load())[address]; k != nil {
		k.use()
		return k
	}
	if len(*n.known.Load()) >= n.limit {
		n.overflows.Add(1)
		return nil
	}
	address = strings.Clone(address)
	b := n.factory(address) // with no lock held: it is not our code
	_, ours := b.(breaker.Breaker)
	k := &node{address: address, breaker: breaker.Adapt(b), foreign: !ours}
	k.seen.Store(int64(time.Since(n.base)))
	n.mu.Lock()
	defer n.mu.Unlock()
	old := *n.known.Load()
	if other := old[address]; other != nil {
		return other
	}
	if len(old) >= n.limit {
		n.overflows.Add(1)
		return nil
	}
	known := make(map[string]*node, len(old)+1)
	maps.Copy(known, old)
	known[address] = k
	n.known.Store(&known)
	return k
}

// use notes that the node is there still.
func (k *node) use() {
	if !k.used.Load() { // a store for each call would be a cache line for all
		k.used.Store(true)
	}
}

// setRejects notes whether the breaker of k rejects calls.
func (n *Nodes) setRejects(k *node, rejects bool) {
	if k.rejects.Load() == rejects {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if k.gone || k.rejects.Load() == rejects {
		return
	}
	now := n.moment.Add(1)
	k.changed.Store(now)
	k.alive.Store(now)
	k.rejects.Store(rejects)
	if rejects {
		n.rejecting.Add(1)
	} else {
		n.rejecting.Add(-1)
	}
}

// look looks at the breaker of k after a call that ended with o was counted.
func (n *Nodes) look(k *node, o breaker.Outcome) {
	if !k.rejects.Load() {
		if o == breaker.Failure && rejects(k.breaker.Snapshot()) {
			n.setRejects(k, true)
		}
		return
	}
	if o == breaker.Success {
		k.alive.Store(n.moment.Add(1))
	}
	// Of a foreign breaker the snapshot only says that it allowed this call.
	if !rejects(k.breaker.Snapshot()) && (!k.foreign || o == breaker.Success) {
		n.setRejects(k, false)
	}
}

// rejects reports whether a breaker rejects calls, some or all.
func rejects(s breaker.Snapshot) bool {
	switch s.Mode {
	case breaker.ForceOpen:
		return true
	case breaker.ForceClosed, breaker.DryRun:
		return false
	}
	return s.State != breaker.Closed
}

// tidy forgets, now and then, the nodes that have not been offered for long. At
// present, discovery offers nodes, maybe among others.
func (n *Nodes) tidy(offered []kratos.Node) {
	now, next := int64(time.Since(n.base)), n.nextTidy.Load()
	if now < next || !n.nextTidy.CompareAndSwap(next, now+int64(n.forget/8)) {
		return
	}
	known := *n.known.Load()
	for _, o := range offered {
		if k := known[o.Address()]; k != nil {
			k.seen.Store(now)
		}
	}
	var gone []*node
	for _, k := range known {
		if k.used.Load() && k.used.Swap(false) { // it may be on another client's list
			k.seen.Store(now)
		}
		if now-k.seen.Load() > int64(n.forget) {
			gone = append(gone, k)
		}
	}
	if len(gone) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	rest := maps.Clone(*n.known.Load())
	for _, k := range gone {
		if k.gone {
			continue
		}
		k.gone = true
		delete(rest, k.address)
		if k.rejects.Load() {
			n.rejecting.Add(-1)
		}
	}
	n.known.Store(&rest)
}
