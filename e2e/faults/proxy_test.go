package faults_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

var toxics = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

// proxy stands before a server, and breaks what goes through it. Stop closes
// the port and all connections, Start opens the port again.
type proxy struct{ *toxiproxy.Proxy }

func newProxy(t *testing.T, to *socket) *proxy {
	t.Helper()
	p := &proxy{toxiproxy.NewProxy(toxics, t.Name(), "127.0.0.1:0", to.Addr().String())}
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// resets makes Stop reset the connections. With this toxic toxiproxy prepares
// them for it; the toxicity keeps it from doing so at once.
func (p *proxy) resets(t *testing.T) {
	p.add(t, `{"type": "reset_peer", "stream": "upstream", "toxicity": 0}`)
}

// swallows makes what clients send from now on go nowhere.
func (p *proxy) swallows(t *testing.T) { p.add(t, `{"type": "timeout", "stream": "upstream"}`) }

func (p *proxy) add(t *testing.T, toxic string) {
	_, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
	require.NoError(t, err)
}

// nameServer returns the address of a DNS server that knows no name.
func nameServer(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var server sync.WaitGroup
	server.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if n < 12 {
				continue
			}
			buf[2] |= 0x80    // an answer,
			buf[3] = 0x80 | 3 // and it is NXDOMAIN
			_, _ = c.WriteTo(buf[:n], from)
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		server.Wait()
	})
	return c.LocalAddr().String()
}

// loginServer returns the address of a server that speaks another protocol.
func loginServer(t *testing.T) string {
	t.Helper()
	l := listen(t)
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			server.Go(func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 1500)
				for err == nil { // until the client has had enough
					if _, err = c.Read(buf); err == nil {
						_, err = c.Write([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		server.Wait()
	})
	return l.Addr().String()
}

// closedPort returns the address of nobody.
func closedPort(t testing.TB) string {
	t.Helper()
	l := listen(t)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
