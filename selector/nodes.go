// Package selector keeps calls of Kratos clients away from the nodes that fail,
// one breaker per node. A breaker per operation cannot do that: to it, one dead
// node of two is a backend that fails half of the time.
//
// [Nodes] has two sides. Its Filter, a node filter of Kratos, takes the nodes
// whose breaker rejects calls out of the choice; its Client, a client middleware,
// tells the breaker of the node that was chosen how the call ended. A client
// needs both:
//
//	nodes := selector.NewNodes()
//	client, err := http.NewClient(ctx,
//		http.WithEndpoint("discovery:///users"), http.WithDiscovery(registry),
//		http.WithNodeFilter(nodes.Filter),
//		http.WithMiddleware(circuitbreaker.Client(), nodes.Client()))
//
// The package is an adapter to Kratos, beside those in middleware and transport,
// and like them it imports no other one.
package selector

import (
	"fmt"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/adapter"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/sre"
)

var _ breaker.Source = (*Nodes)(nil)

// Nodes holds the breakers of nodes by their address. Make one with [NewNodes];
// the zero value is not valid. All methods are safe for concurrent use.
//
// A breaker is made when the first call to its node has ended. Clients of several
// services, over HTTP and gRPC, can share a Nodes, since an address is one node.
// It is a [breaker.Source], for metrics and pages.
//
// What is learned comes from unary calls that pass the middleware. The filter
// also keeps streams, and what Kratos' http.Client.Do sends, away from ejected
// nodes, but neither is a probe, and nothing is learned from them. A client
// without discovery has nothing to choose from, and is left alone.
type Nodes struct {
	options
	base time.Time

	known     atomic.Pointer[map[string]*node] // never written to once it is here
	rejecting atomic.Int64                     // how many of known reject calls
	moment    atomic.Uint64                    // a clock that counts events: see node
	nextTidy  atomic.Int64                     // ns since base
	overflows atomic.Uint64

	mu sync.Mutex // held to change known and node.rejects
}

type options struct {
	factory    func(address string) breaker.CircuitBreaker
	classify   breaker.Classifier
	maxEjected float64
	forget     time.Duration
	limit      int
}

// Option configures [NewNodes]. A value out of its range makes it panic.
type Option func(*options)

// WithCircuitBreaker makes the breaker of each node with factory; the default is
// sre.NewBreaker, with the address for its name. It may be asked twice for a node
// when calls race; one of the breakers is dropped unused. NewNodes makes the first one
// and keeps it for the first node, so that a factory that passes an option out of its
// range panics there. It panics if factory is nil. Of WithCircuitBreaker and WithNodeBreaker the last one counts.
//
// A breaker is asked for a permit before a call only to find out whether the node
// is back. While a breaker is closed, it gets a permit when the call has ended and
// settles it at once, because nobody knows the node earlier: a rule about slow calls
// sees no duration. A breaker without permits and snapshot is treated as
// [breaker.Adapt] does.
//
// The default breaker ejects a node of which nothing succeeds any more, not one that
// fails every other call: for that there is circuit.WithFailureRate. It is sure
// after some failures in a row, and a seventh of a second, and until then the node
// gets its share; circuit.WithConsecutiveFailures is faster. In a large pool with few
// calls a second, of which the probes of dead nodes would be many, set a longer
// sre.WithProbeInterval.
func WithCircuitBreaker[B breaker.CircuitBreaker](factory func() B) Option {
	if factory == nil {
		panic("selector: WithCircuitBreaker: the factory is nil")
	}
	return func(o *options) {
		early := adapter.Early(factory)
		WithNodeBreaker(func(string) B { return early() })(o)
	}
}

// WithNodeBreaker is [WithCircuitBreaker] for a factory that wants to know the
// address, for a name or a listener. It panics if factory is nil.
func WithNodeBreaker[B breaker.CircuitBreaker](factory func(address string) B) Option {
	if factory == nil {
		panic("selector: WithNodeBreaker: the factory is nil")
	}
	return func(o *options) {
		o.factory = func(address string) breaker.CircuitBreaker {
			b := factory(address)
			if v := reflect.ValueOf(b); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
				panic(fmt.Sprintf("selector: the factory returned no breaker for %q", address))
			}
			return b
		}
	}
}

// WithClassifier sets what an error says about the node; the default is
// errors.Classify, as for the breakers of operations. What a cancellation by the
// caller means is not asked of c: see breaker.OutcomeOf. It panics if c is nil.
func WithClassifier(c breaker.Classifier) Option {
	if c == nil {
		panic("selector: WithClassifier: the classifier is nil")
	}
	return func(o *options) { o.classify = c }
}

// WithMaxEjected sets the largest share of the nodes that is taken out of a choice.
// The range is [0, 1], the default 0.5; part of a node does not count, and one
// node always stays, whatever the share: of two nodes, 0.5 ejects at most one,
// and so does 1. With 0 nothing is ejected, but all is learned.
func WithMaxEjected(share float64) Option { return func(o *options) { o.maxEjected = share } }

// WithForget sets how long a node that discovery no longer offers is remembered.
// After that, or a quarter of it later, its breaker is dropped, and if the address
// comes back it starts anew. A node that is away for a shorter time, as over gRPC
// one that has lost its connection, keeps its breaker. Where clients share a Nodes,
// a node that none of them has looked at for d is forgotten as well, though it is
// offered. The range is [10ms, 24h], the default 10 s.
func WithForget(d time.Duration) Option { return func(o *options) { o.forget = d } }

// WithLimit sets how many nodes there are breakers for. Further ones have none and
// are never ejected. The range is [1, the largest int], the default 1024.
func WithLimit(n int) Option { return func(o *options) { o.limit = n } }

// NewNodes returns a Nodes without any node yet. It panics if an option is out of
// its range.
func NewNodes(opts ...Option) *Nodes {
	o := options{
		factory:    func(address string) breaker.CircuitBreaker { return sre.NewBreaker(sre.WithName(address)) },
		maxEjected: bounds.MaxEjected.Default,
		forget:     bounds.Forget.Default,
		limit:      int(bounds.NodeLimit.Default),
	}
	for _, opt := range opts {
		if opt == nil {
			panic("selector: NewNodes: nil Option")
		}
		opt(&o)
	}
	bounds.MaxEjected.Must(o.maxEjected)
	bounds.Forget.Must(o.forget)
	bounds.NodeLimit.Must(int64(o.limit))
	n := &Nodes{options: o, base: time.Now()}
	n.known.Store(new(map[string]*node))
	return n
}

// Breakers yields the breaker of each node that there is one for, by its address,
// in no order. One that was made without permits and snapshot is wrapped.
func (n *Nodes) Breakers() iter.Seq[breaker.Listed] {
	return func(yield func(breaker.Listed) bool) {
		for address, k := range *n.known.Load() {
			if !yield(breaker.Listed{Key: address, Breaker: k.breaker}) {
				return
			}
		}
	}
}

// Keys says how many nodes have a breaker, and how many calls went to one that has
// none because of the limit.
func (n *Nodes) Keys() breaker.Keys {
	return breaker.Keys{Held: len(*n.known.Load()), Limit: n.limit, Overflows: n.overflows.Load()}
}
