package faults_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// socket is what servers listen on. One can hand it over to the next, as with
// those of systemd: there is always somebody who accepts.
type socket struct {
	net.Listener
	// trickles makes the connections send a little at a time.
	trickles bool

	accepted chan net.Conn
	closed   chan struct{}

	mu   sync.Mutex
	open map[*serverConn]struct{}
}

func newSocket(t testing.TB) *socket {
	t.Helper()
	s := &socket{Listener: listen(t), accepted: make(chan net.Conn), closed: make(chan struct{}), open: map[*serverConn]struct{}{}}
	var acceptor sync.WaitGroup
	acceptor.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			a := &serverConn{Conn: c, socket: s}
			s.mu.Lock()
			s.open[a] = struct{}{}
			s.mu.Unlock()
			select {
			case s.accepted <- a:
			case <-s.closed:
				_ = a.Close()
			}
		}
	})
	t.Cleanup(func() {
		close(s.closed)
		_ = s.Close()
		acceptor.Wait()
	})
	return s
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// connections returns how many connections there are.
func (s *socket) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// reset resets all connections.
func (s *socket) reset() {
	s.mu.Lock()
	all := make([]*serverConn, 0, len(s.open))
	for a := range s.open {
		all = append(all, a)
	}
	s.mu.Unlock()
	for _, a := range all {
		_ = a.Conn.(*net.TCPConn).SetLinger(0)
		_ = a.Close()
	}
}

// serverConn is a connection of a server.
type serverConn struct {
	net.Conn
	socket *socket
}

// Write sends a little at a time if the socket trickles. The toxics of
// toxiproxy that slow a connection down leave goroutines behind when the client
// does not wait for the end.
func (c *serverConn) Write(p []byte) (n int, err error) {
	const piece, pause = 512, 20 * time.Millisecond
	for c.socket.trickles && err == nil && len(p)-n > piece {
		var m int
		m, err = c.Conn.Write(p[n : n+piece])
		n += m
		time.Sleep(pause)
	}
	if err != nil {
		return n, err
	}
	m, err := c.Conn.Write(p[n:])
	return n + m, err
}

func (c *serverConn) Close() error {
	c.socket.mu.Lock()
	delete(c.socket.open, c)
	c.socket.mu.Unlock()
	return c.Conn.Close()
}

// share returns a listener for one server, which may close it.
func (s *socket) share() *share { return &share{socket: s, done: make(chan struct{})} }

type share struct {
	*socket
	once sync.Once
	done chan struct{}
}

func (s *share) Accept() (net.Conn, error) {
	select {
	case <-s.done: // it does not take one more
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *share) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}
