package selector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/go-kratos/kratos/v2/middleware"
	"github.com/go-kratos/kratos/v2/registry"
	kratos "github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/selector/wrr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/selector"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	goleak.VerifyTestMain(m)
}

var errDown = errors.New("the node is down")

// tester is a test of testing or of rapid.
type tester interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// pool is a client of nodes without a wire, but with the selector of Kratos.
type pool struct {
	t        tester
	nodes    *selector.Nodes
	selector kratos.Selector
	filters  []kratos.NodeFilter
	offered  []kratos.Node
	call     middleware.Handler

	mu     sync.Mutex
	down   map[string]error // of the nodes that fail, what with
	called map[string]int
	fails  func(address string, n int) bool // whether the node fails in its n-th call; may be nil
}

func newPool(t tester, offered []kratos.Node, opts ...selector.Option) *pool {
	return newPoolOf(t, selector.NewNodes(opts...), wrr.New(), offered)
}

func newPoolOf(t tester, nodes *selector.Nodes, s kratos.Selector, offered []kratos.Node) *pool {
	p := &pool{
		t: t, nodes: nodes, selector: s, filters: []kratos.NodeFilter{nodes.Filter},
		down: make(map[string]error), called: make(map[string]int),
	}
	p.offer(offered)
	p.call = nodes.Client()(p.handle)
	return p
}

// offer is what a discovery does.
func (p *pool) offer(nodes []kratos.Node) {
	p.offered = nodes
	p.selector.Apply(nodes)
}

// handle is what a transport of Kratos does.
func (p *pool) handle(ctx context.Context, _ any) (any, error) {
	chosen, done, err := p.selector.Select(ctx, kratos.WithNodeFilter(p.filters...))
	if err != nil {
		return nil, err
	}
	err = p.answer(chosen.Address())
	done(ctx, kratos.DoneInfo{Err: err})
	return chosen.Address(), err
}

func (p *pool) answer(address string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.called[address]++
	if p.fails != nil && p.fails(address, p.called[address]) {
		return errDown
	}
	return p.down[address]
}

// kill makes nodes fail, and heal makes them well.
func (p *pool) kill(addresses ...string) { p.set(errDown, addresses) }
func (p *pool) heal(addresses ...string) { p.set(nil, addresses) }

func (p *pool) set(err error, addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range addresses {
		p.down[a] = err
	}
}

// try makes a call.
func (p *pool) try() error {
	_, err := p.call(kratos.NewPeerContext(p.t.Context(), new(kratos.Peer)), nil)
	return err
}

// traffic calls at a rate per second for a time, and returns how many calls each
// node got, and how many failed.
func (p *pool) traffic(rate int, d time.Duration) (called map[string]int, failed int) {
	p.mu.Lock()
	clear(p.called)
	p.mu.Unlock()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / time.Duration(rate)) {
		if p.try() != nil {
			failed++
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.called), failed
}

// until calls at a rate per second until done, and returns how long that took.
func (p *pool) until(rate int, patience time.Duration, done func() bool) time.Duration {
	p.t.Helper()
	began := time.Now()
	for !done() {
		require.Less(p.t, time.Since(began), patience)
		_ = p.try()
		time.Sleep(time.Second / time.Duration(rate))
	}
	return time.Since(began)
}

// left returns the addresses of the nodes that a choice without a call, as that of
// a stream, has left.
func (p *pool) left() []string {
	var left []string
	for _, n := range p.nodes.Filter(p.t.Context(), p.offered) {
		left = append(left, n.Address())
	}
	return left
}

func (p *pool) ejected(address string) bool { return !slices.Contains(p.left(), address) }

func (p *pool) breaker(address string) breaker.Breaker {
	for l := range p.nodes.Breakers() {
		if l.Key == address {
			return l.Breaker
		}
	}
	return nil
}

// nodesOf returns the nodes of a discovery, with the weights if there are any.
func nodesOf(n int, weights ...int) []kratos.Node {
	nodes := make([]kratos.Node, n)
	for i := range nodes {
		ins := &registry.ServiceInstance{Name: "users", Version: "v" + strconv.Itoa(i)}
		if i < len(weights) {
			ins.Metadata = map[string]string{"weight": strconv.Itoa(weights[i])}
		}
		nodes[i] = kratos.NewNode("http", address(i), ins)
	}
	return nodes
}

func address(i int) string { return fmt.Sprintf("10.0.0.%d:80", i) }

var a, b, c, d = address(0), address(1), address(2), address(3)
