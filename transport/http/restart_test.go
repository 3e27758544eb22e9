package http_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// address is one that a server hands over to the next, as behind a load
// balancer: there is always somebody who accepts.
type address struct {
	net.Listener
	conns chan net.Conn
}

func newAddress(t *testing.T) *address {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a := &address{l, make(chan net.Conn)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case a.conns <- c:
			case <-t.Context().Done():
				_ = c.Close()
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return a
}

// turn is the address while it is one server's.
type turn struct {
	*address
	over chan struct{}
	once sync.Once
}

func (a *address) turn() *turn { return &turn{address: a, over: make(chan struct{})} }

func (s *turn) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.over:
		return nil, net.ErrClosed
	}
}

func (s *turn) Close() error {
	s.once.Do(func() { close(s.over) })
	return nil
}

// instance is a server at the address.
type instance struct {
	*http.Server
	turn  *turn
	ended chan error
}

func (a *address) serve(h http.Handler, protocols *http.Protocols, certificate *tls.Config) *instance {
	i := &instance{
		Server: &http.Server{
			Handler: h, Protocols: protocols, TLSConfig: certificate,
			ErrorLog: log.New(io.Discard, "", 0), // of clients that dialed and did not need it
		},
		turn:  a.turn(),
		ended: make(chan error, 1),
	}
	go func() {
		if certificate != nil {
			i.ended <- i.ServeTLS(i.turn, "", "")
		} else {
			i.ended <- i.Serve(i.turn)
		}
	}()
	return i
}

// drain makes the instance take no new connection.
func (i *instance) drain(t *testing.T) {
	require.NoError(t, i.turn.Close())
	<-i.ended
}

// shutdown begins it, and mustEnd waits for the end. An HTTP/2 connection whose
// handshake ends after the beginning is not told, and the server waits until the
// client closes it.
func (i *instance) shutdown(t *testing.T) {
	go func() { i.ended <- i.Shutdown(t.Context()) }()
}

func (i *instance) mustEnd(t *testing.T, client *http.Transport) {
	var err error
	require.Eventually(t, func() bool {
		client.CloseIdleConnections()
		select {
		case err = <-i.ended:
			return true
		default:
			return false
		}
	}, patience, time.Millisecond)
	require.NoError(t, err)
}

// load is a number of callers who call until the end or an error.
type load struct {
	mu      sync.Mutex
	changed sync.Cond
	done    []uint64 // by caller
	ended   bool
	err     error
	callers sync.WaitGroup
}

func newLoad(callers int, call func() error) *load {
	l := &load{done: make([]uint64, callers)}
	l.changed.L = &l.mu
	for i := range callers {
		l.callers.Go(func() {
			for l.count(i, call()) {
			}
		})
	}
	return l
}

// count counts a call, and reports whether there shall be another one.
func (l *load) count(caller int, err error) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err, l.ended = err, true
	} else {
		l.done[caller]++
	}
	l.changed.Broadcast()
	return !l.ended
}

// wait waits until each caller has made as many more calls.
func (l *load) wait(calls uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	begin := slices.Clone(l.done)
	for i := range l.done {
		for l.done[i] < begin[i]+calls && !l.ended {
			l.changed.Wait()
		}
	}
}

// end ends the load and returns how many calls there were without an error.
func (l *load) end() (done uint64, err error) {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.callers.Wait()
	for _, n := range l.done {
		done += n
	}
	return done, l.err
}

// Requests that net/http may repeat survive that a server closes the
// connections which they were about to use. The server must have been taken out
// of the choice before: what comes over a new connection after Shutdown has
// begun is dropped by net/http's server, and its client does not repeat that.
func TestRestart_GracefulOneUnderLoadRecordsNoFailure(t *testing.T) {
	const callers, restarts, calls = 8, 3, 20 // calls of each caller between two restarts
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()

	var h1, h2, clear http.Protocols
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	clear.SetUnencryptedHTTP2(true)
	for _, row := range []struct {
		name      string
		protocols *http.Protocols
		tls       bool
		method    string
		key       bool // whether a POST is declared to be one that can be repeated
	}{
		{"HTTP/1.1 GET", &h1, false, http.MethodGet, false},
		{"HTTP/1.1 POST with Idempotency-Key", &h1, false, http.MethodPost, true},
		{"HTTP/2 GET", &h2, true, http.MethodGet, false},
		{"HTTP/2 POST", &h2, true, http.MethodPost, false},
		{"HTTP/2 without TLS POST", &clear, false, http.MethodPost, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
				_, _ = io.WriteString(w, "hello")
			})
			base := &http.Transport{Protocols: row.protocols, MaxIdleConnsPerHost: callers}
			var certificate *tls.Config
			scheme := "http://"
			if row.tls {
				scheme, certificate = "https://", certificates.TLS.Clone()
				certificate.NextProtos = nil
				base.TLSClientConfig = certificates.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			}
			defer base.CloseIdleConnections()
			addr := newAddress(t)
			url := scheme + addr.Addr().String()
			b := sre.NewBreaker()
			client := &http.Client{Transport: breakerhttp.NewTransport(base, breakerhttp.WithBody(), with(b))}
			server := addr.serve(handler, row.protocols, certificate)

			load := newLoad(callers, func() error { return exchange(client, row.method, url, row.key) })
			var all []*instance
			for range restarts {
				load.wait(calls)
				old := server
				all = append(all, old)
				server = addr.serve(handler, row.protocols, certificate)
				old.drain(t)
				load.wait(2) // none has a connection to the old one now that it has not used yet
				old.shutdown(t)
			}
			done, err := load.end()
			require.NoError(t, err)
			breakertest.RequireTotals(t, b, breaker.Totals{Success: done})
			server.drain(t)
			server.shutdown(t)
			for _, i := range append(all, server) {
				i.mustEnd(t, base)
			}
		})
	}
}

func exchange(client *http.Client, method, url string, repeatable bool) error {
	var body io.Reader
	if method == http.MethodPost {
		body = bytes.NewReader([]byte("a body"))
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	if repeatable {
		req.Header["Idempotency-Key"] = nil // net/http sends none then, and still knows
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
