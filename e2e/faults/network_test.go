package faults_test

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// network is the client's side of the wire.
type network struct {
	dns     string        // address of the DNS server
	backoff time.Duration // of gRPC, between two attempts to connect

	// answered says that half of an answer has come: to the caller or, if he does
	// not see it, over the wire.
	answered *signal
	unseen   bool // whether he does not

	mu   sync.Mutex
	open map[*clientConn]struct{}
	held *hold
}

// signal is a channel that is closed once.
type signal struct {
	once sync.Once
	c    chan struct{}
}

func newSignal() *signal { return &signal{c: make(chan struct{})} }

func (s *signal) give() { s.once.Do(func() { close(s.c) }) }

// hold is a time in which the client hears nothing: what is sent to it waits.
type hold struct {
	waits, sent *signal       // something waits; the client has sent something
	over        chan struct{} // closed at the end
}

func (n *network) hold() *hold {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = &hold{newSignal(), newSignal(), make(chan struct{})}
	return n.held
}

func (n *network) holding() *hold {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.held
}

func newNetwork(dns string) *network {
	return &network{dns: dns, backoff: time.Millisecond, answered: newSignal(), open: map[*clientConn]struct{}{}}
}

// connections returns how many connections there are.
func (n *network) connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.open)
}

// close closes all connections, as their owner.
func (n *network) close() {
	n.mu.Lock()
	open := slices.Collect(maps.Keys(n.open))
	n.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.dns)
	}}}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	wrapped := &clientConn{Conn: c, network: n, search: search{found: n.answered}}
	n.open[wrapped] = struct{}{}
	return wrapped, nil
}

// clientConn is a connection of a client.
type clientConn struct {
	net.Conn
	network *network
	search  search
}

// search looks for the marker in what is written to it.
type search struct {
	found *signal
	last  string // as much as may be the beginning of a marker
}

func (s *search) Write(p []byte) (int, error) {
	s.last += string(p)
	if strings.Contains(s.last, marker) {
		s.found.give()
	}
	s.last = s.last[max(0, len(s.last)-len(marker)+1):]
	return len(p), nil
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.network.unseen {
		_, _ = c.search.Write(p[:n])
	}
	if h := c.network.holding(); h != nil {
		h.waits.give()
		<-h.over
	}
	return n, err
}

func (c *clientConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if h := c.network.holding(); h != nil {
		h.sent.give()
	}
	return n, err
}

func (c *clientConn) Close() error {
	c.network.mu.Lock()
	delete(c.network.open, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

func (n *network) transport(h2 bool) *http.Transport {
	t := &http.Transport{
		Protocols:           new(http.Protocols),
		MaxIdleConnsPerHost: 100,
		DialContext:         func(ctx context.Context, _, address string) (net.Conn, error) { return n.dial(ctx, address) },
	}
	t.Protocols.SetHTTP1(!h2)
	t.Protocols.SetHTTP2(h2)
	t.Protocols.SetUnencryptedHTTP2(h2)
	return t
}

func (n *network) grpcTarget(to target) string {
	if to.name != "" {
		return "dns://" + n.dns + "/" + to.name + ":80"
	}
	return "passthrough:///" + to.address
}

// dialOptions are for all gRPC clients here.
func (n *network) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithContextDialer(n.dial),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: n.backoff, Multiplier: 1, MaxDelay: n.backoff},
			MinConnectTimeout: patience,
		}),
	}
}
