package selector

import (
	"context"
	"errors"
	"sync"

	"github.com/go-kratos/kratos/v2/middleware"
	kratos "github.com/go-kratos/kratos/v2/selector"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

var errNilContext = errors.New("selector: the context is nil")

// Client returns the middleware that learns from the calls. It returns what the
// handler returned, and rejects nothing. A handler that panics counts as a
// failure, and the panic goes on. Calls whose caller cancelled them, or made them
// with a context that had ended, are ignored.
//
// Make it the last middleware, inside the breaker of the operation and inside
// retries, so that it sees each attempt. Until a node is ejected, and when it is
// probed, its failures are failures of the operation too, whatever the order:
// the breaker of the operation sees them for so short a time, or so seldom, that
// it stays closed. A retry inside the breaker of the operation hides even those.
//
// A call that began before its node's breaker opened or closed, and ends after
// it, tells nothing about the node as it is now, and is not counted.
//
// While no node rejects, it allocates nothing.
func (n *Nodes) Client() middleware.Middleware {
	return func(handler middleware.Handler) middleware.Handler {
		if handler == nil {
			panic("selector: the handler is nil")
		}
		return func(ctx context.Context, req any) (any, error) {
			if ctx == nil {
				return nil, errNilContext
			}
			peer, ok := kratos.FromPeerContext(ctx)
			if !ok || peer == nil {
				return handler(ctx, req)
			}
			peer.Node = nil // it may be that of an earlier attempt
			began := n.moment.Load()
			var c *call
			if n.rejecting.Load() > 0 {
				c = &call{}
				ctx = context.WithValue(ctx, n, c)
			}
			result := breaker.Result{Outcome: breaker.Failure} // for a panic or Goexit, of the classifier too
			defer func() { n.learn(peer, c, began, result) }()
			late := adapter.TooLate(ctx)
			reply, err := handler(ctx, req)
			result.Err = err
			result = adapter.Result(ctx, late, err, n.classify)
			return reply, err
		}
	}
}

// call is one during which nodes may be ejected. It is what the filter knows the
// middleware by.
type call struct {
	mu     sync.Mutex
	ended  bool
	node   *node // whose permit it is
	permit breaker.Permit
}

// ask asks for a permit, once: gRPC may choose again, and then not this node.
func (c *call) ask(n *Nodes, k *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.node != nil {
		return false
	}
	k.asked.Store(n.moment.Add(1))
	p, err := k.breaker.Acquire()
	if err != nil {
		return false
	}
	c.node, c.permit = k, p
	return true
}

// end returns the permit and its node, which is nil if there is none. There will
// be no other one.
func (c *call) end() (*node, breaker.Permit) {
	if c == nil {
		return nil, breaker.Permit{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.node, c.permit
}

// learn tells the breaker of the chosen node how the call ended.
func (n *Nodes) learn(peer *kratos.Peer, c *call, began uint64, r breaker.Result) {
	chosen := peer.Node
	if k, permit := c.end(); k != nil {
		if chosen != nil && chosen.Address() == k.address {
			n.settle(k, permit, r)
			return
		}
		permit.Done(breaker.Ignored)
	}
	if chosen == nil {
		return
	}
	k := n.nodeOf(chosen.Address())
	if k == nil || began < k.changed.Load() {
		return
	}
	permit, err := k.breaker.Acquire()
	if err != nil {
		n.setRejects(k, true)
		return
	}
	n.settle(k, permit, r)
}

func (n *Nodes) settle(k *node, p breaker.Permit, r breaker.Result) {
	adapter.Settle(p, r)
	n.look(k, r.Outcome)
}
