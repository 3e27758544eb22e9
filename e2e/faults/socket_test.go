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
	acceptor sync.WaitGroup
	shut     *signal

	mu   sync.Mutex
	open map[*serverConn]struct{}
}

func newSocket(t testing.TB) *socket {
	t.Helper()
	s := &socket{Listener: listen(t), accepted: make(chan net.Conn), shut: newSignal(), open: map[*serverConn]struct{}{}}
	s.acceptor.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			conn := &serverConn{Conn: c, socket: s}
			s.mu.Lock()
			s.open[conn] = struct{}{}
			s.mu.Unlock()
			select {
			case s.accepted <- conn:
			case <-s.shut.c:
				_ = conn.Close()
			}
		}
	})
	t.Cleanup(s.end)
	return s
}

// end closes the socket, and the connection that no server has taken.
func (s *socket) end() {
	s.shut.give()
	_ = s.Close()
	s.acceptor.Wait()
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

// hangUp ends all connections, and resets them if it shall not be gentle.
func (s *socket) hangUp(gentle bool) {
	s.mu.Lock()
	all := make([]*serverConn, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		if !gentle {
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
		}
		_ = c.Close()
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
