package http_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// listen returns the address of a server with the handler.
func listen(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// wire is a version of HTTP, with a real server and client on loopback.
type wire struct {
	name  string
	major int
	start func(t *testing.T, h http.Handler) (base *http.Transport, url string)
}

var wires = []wire{
	{"HTTP/1.1", 1, func(t *testing.T, h http.Handler) (*http.Transport, string) {
		return &http.Transport{}, "http://" + listen(t, h)
	}},
	{"HTTP/2", 2, func(t *testing.T, h http.Handler) (*http.Transport, string) {
		s := httptest.NewUnstartedServer(h)
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Client().Transport.(*http.Transport).Clone(), s.URL
	}},
	{"HTTP/2 without TLS", 2, func(t *testing.T, h http.Handler) (*http.Transport, string) {
		var clear http.Protocols
		clear.SetUnencryptedHTTP2(true)
		s := httptest.NewUnstartedServer(h)
		s.Config.Protocols = &clear
		s.Start()
		t.Cleanup(s.Close)
		return &http.Transport{Protocols: &clear}, s.URL
	}},
}

// fates are what may become of a call. A handler that hangs does until its
// client is gone.
var fates = map[string]struct {
	serve        http.HandlerFunc
	ends         error // with what the context ends, if it does
	inBody       bool  // and whether after the header has come
	header, body breaker.Outcome
	fails        bool // whether the caller sees an error, be it of the body
}{
	"an answer": {
		serve:  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		header: success, body: success,
	},
	"an empty answer": {
		serve:  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		header: success, body: success,
	},
	"a long answer": {
		serve:  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		header: success, body: success,
	},
	"not found": {
		serve:  http.NotFound,
		header: success, body: success,
	},
	"bad gateway": {
		serve:  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no upstream", http.StatusBadGateway) },
		header: failure, body: failure,
	},
	"too many requests": {
		serve:  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "slow down", http.StatusTooManyRequests) },
		header: success, body: success,
	},
	"no such method": {
		serve:  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		header: ignored, body: ignored,
	},
	"hung up before the header": {
		serve:  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		header: failure, body: failure, fails: true,
	},
	"hung up in the body": {
		serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		header: success, body: failure, fails: true,
	},
	"garbage for gzip": {
		serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "this is not gzip")
		},
		header: success, body: failure, fails: true,
	},
	"no header in time": {
		serve:  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		ends:   context.DeadlineExceeded,
		header: failure, body: failure, fails: true,
	},
	"no end of the body in time": {
		serve: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		ends: context.DeadlineExceeded, inBody: true,
		header: success, body: failure, fails: true,
	},
	"cancelled before the header": {
		serve:  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		ends:   context.Canceled,
		header: ignored, body: ignored, fails: true,
	},
	"cancelled in the body": {
		serve: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		ends: context.Canceled, inBody: true,
		header: success, body: ignored, fails: true,
	},
}

// secondRead does something while the second Read runs.
type secondRead struct {
	io.ReadCloser
	reads int
	do    func()
}

func (r *secondRead) Read(p []byte) (int, error) {
	if r.reads++; r.reads == 2 {
		r.do()
	}
	return r.ReadCloser.Read(p)
}

// ending is a context that ends when the test says so, with any error.
type ending struct {
	context.Context
	done chan struct{}
	err  error
}

func (e *ending) Done() <-chan struct{} { return e.done }

func (e *ending) Err() error {
	select {
	case <-e.done:
		return e.err
	default:
		return nil
	}
}

func TestWire_EveryEndOfACallCountsAsDocumented(t *testing.T) {
	for _, wire := range wires {
		for fate, row := range fates {
			for _, mode := range modes {
				t.Run(wire.name+"/"+fate+"/"+mode.name, func(t *testing.T) {
					ctx := &ending{Context: t.Context(), done: make(chan struct{}), err: row.ends}
					if row.ends == nil {
						ctx.err = context.Canceled
						defer close(ctx.done)
					}
					base, url := wire.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if row.ends != nil && !row.inBody {
							close(ctx.done)
						}
						row.serve(w, r)
					}))
					defer base.CloseIdleConnections()
					b := sre.NewBreaker()
					rt := breakerhttp.NewTransport(tripper(func(req *http.Request) (*http.Response, error) {
						resp, err := base.RoundTrip(req)
						if err == nil && row.inBody {
							resp.Body = &secondRead{ReadCloser: resp.Body, do: func() { close(ctx.done) }}
						}
						return resp, err
					}), append(mode.opts, with(b))...)

					err := func() error {
						resp, err := (&http.Client{Transport: rt}).Do(request(ctx, t, http.MethodGet, url, nil))
						if err != nil {
							return err
						}
						defer func() { _ = resp.Body.Close() }()
						require.Equal(t, wire.major, resp.ProtoMajor)
						_, err = io.Copy(io.Discard, resp.Body)
						return err
					}()
					require.Equal(t, row.fails, err != nil, "%v", err)
					want := row.header
					if mode.name == "body" {
						want = row.body
					}
					breakertest.RequireTotals(t, b, breakertest.Add(breaker.Totals{}, want))
				})
			}
		}
	}
}

func TestWire_NobodyThereIsAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	b := &permits{}
	_, err = roundTrip(breakerhttp.NewTransport(&http.Transport{}, with(b)), request(t.Context(), t, http.MethodGet, "http://"+l.Addr().String(), nil))
	require.Error(t, err)
	b.requireOnly(t, failure)
}

func TestWire_ServerThatSpeaksNoTLSIsAFailure(t *testing.T) {
	address := listen(t, http.NotFoundHandler())
	b := &permits{}
	_, err := roundTrip(breakerhttp.NewTransport(&http.Transport{}, with(b)), request(t.Context(), t, http.MethodGet, "https://"+address, nil))
	require.Error(t, err)
	b.requireOnly(t, failure)
}

// closable is a connection that the server closes when the test says so.
type closable struct {
	net.Conn
	end    chan struct{}
	closed chan struct{} // by the client, who has seen it
	once   sync.Once
}

func (c *closable) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := c.Conn.Read(p)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-c.end:
		return 0, io.EOF
	}
}

func (c *closable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A server that closes an idle connection just when it is chosen for a request
// looks like one that hangs up instead of answering: net/http may say the same of
// both.
func TestWire_ConnectionThatWasClosedWhileIdleIsAFailure(t *testing.T) {
	address := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	conn := &closable{end: make(chan struct{}), closed: make(chan struct{})}
	base := &http.Transport{DialContext: func(context.Context, string, string) (_ net.Conn, err error) {
		conn.Conn, err = net.Dial("tcp", address)
		return conn, err
	}}
	defer base.CloseIdleConnections()
	b := &permits{}
	rt := breakerhttp.NewTransport(base, with(b))
	resp, err := rt.RoundTrip(request(t.Context(), t, http.MethodGet, "http://"+address, nil))
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body) // then it is idle
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		close(conn.end)
		<-conn.closed
	}})
	_, err = roundTrip(rt, request(ctx, t, http.MethodPost, "http://"+address, newSource("cannot be sent twice")))
	require.ErrorContains(t, err, "server closed idle connection")
	require.Equal(t, []breaker.Outcome{success, failure}, b.outcomes())
}

// http.Client.Timeout ends calls through two channels at once, and what net/http
// makes of it may be called a cancellation. It is a deadline.
func TestWire_TimeoutOfTheClientIsAFailure(t *testing.T) {
	for _, wire := range wires {
		for _, fate := range []string{"no header in time", "no end of the body in time"} {
			t.Run(wire.name+"/"+fate, func(t *testing.T) {
				t.Parallel()
				row := fates[fate]
				base, url := wire.start(t, row.serve)
				defer base.CloseIdleConnections()
				b := &permits{}
				client := &http.Client{Transport: breakerhttp.NewTransport(base, breakerhttp.WithBody(), with(b)), Timeout: time.Second} // by when the header has come, if it does
				resp, err := client.Do(request(t.Context(), t, http.MethodGet, url, nil))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				require.Error(t, err)
				b.requireOnly(t, failure)
			})
		}
	}
}

func TestWire_ConnectionsAreUsedAgain(t *testing.T) {
	for _, wire := range wires {
		for _, mode := range modes {
			t.Run(wire.name+"/"+mode.name, func(t *testing.T) {
				base, url := wire.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }))
				defer base.CloseIdleConnections()
				client := &http.Client{Transport: breakerhttp.NewTransport(base, mode.opts...)}
				from := make(map[string]bool)
				for range 10 {
					resp, err := client.Do(request(t.Context(), t, http.MethodGet, url, nil))
					require.NoError(t, err)
					text, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					from[string(text)] = true
				}
				require.Len(t, from, 1)
			})
		}
	}
}

func TestWire_ConnectionOfA101CanBeWrittenTo(t *testing.T) {
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	address := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buf.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}))
	for _, mode := range modes {
		b := &permits{}
		req := request(t.Context(), t, http.MethodGet, "http://"+address, nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := breakerhttp.NewTransport(base, append(mode.opts, with(b))...).RoundTrip(req)
		require.NoError(t, err)
		b.requireOnly(t, success)
		_, err = io.WriteString(resp.Body.(io.ReadWriteCloser), "hello\n")
		require.NoError(t, err)
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "hello\n", line)
		require.NoError(t, resp.Body.Close())
		b.requireOnly(t, success)
	}
}

// tracer is what otelhttp does around a transport, and around the body.
type tracer struct {
	base http.RoundTripper
	ends atomic.Int64
}

func (tr *tracer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := context.WithValue(req.Context(), tracerKey{}, "span")
	resp, err := tr.base.RoundTrip(req.Clone(ctx))
	if err == nil {
		resp.Body = &tracedBody{resp.Body, tr}
	}
	return resp, err
}

type tracerKey struct{}

type tracedBody struct {
	io.ReadCloser
	tr *tracer
}

func (b *tracedBody) Close() error {
	b.tr.ends.Add(1)
	return b.ReadCloser.Close()
}

func TestWire_WorksUnderAndOverATransportThatClonesAndWraps(t *testing.T) {
	for _, wire := range wires {
		for _, mode := range modes {
			t.Run(wire.name+"/"+mode.name, func(t *testing.T) {
				base, url := wire.start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
				defer base.CloseIdleConnections()
				b := &permits{}
				inner := &tracer{base: base}
				outer := &tracer{base: breakerhttp.NewTransport(inner, append(mode.opts, with(b),
					breakerhttp.WithKey(func(r *http.Request) string { return fmt.Sprint(r.Context().Value(tracerKey{})) }))...)}
				resp, err := (&http.Client{Transport: outer}).Do(request(t.Context(), t, http.MethodGet, url, nil))
				require.NoError(t, err)
				text, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, "hello", string(text))
				b.requireOnly(t, success)
				require.EqualValues(t, 1, inner.ends.Load())
				require.EqualValues(t, 1, outer.ends.Load())
			})
		}
	}
}
