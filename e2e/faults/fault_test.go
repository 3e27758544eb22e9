package faults_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// scene is what a cell of the table plays in: a backend, and a client of a line.
type scene struct {
	t       *testing.T
	line    *line
	network *network
	socket  *socket
	backend *backend
	b       *recorder
	dial    dialer
	clients []*client
	servers []*server
	calls   int

	// soon is how long a timeout or a deadline is here; late says that it was
	// over before the scene was set.
	soon time.Duration
	late bool
}

func newScene(t *testing.T, l *line, soon time.Duration) *scene {
	s := &scene{
		t: t, line: l, soon: soon,
		network: newNetwork(nameServer(t)), socket: newSocket(t), backend: newBackend(), b: new(recorder),
	}
	s.dial = l.guard(s.network, single(s.b))
	return s
}

// end ends all that the scene has begun, and requires that nothing is left.
func (s *scene) end() {
	for _, srv := range s.servers {
		srv.stop()
	}
	s.socket.end()
	eventually(s.t, "no connection and no stream is left", func() bool {
		for _, c := range s.clients {
			c.close()
		}
		return s.network.connections() == 0 && s.socket.connections() == 0 && s.backend.streams() == 0
	})
	// A deadline ends a stream for its caller, and a moment later for gRPC.
	eventually(s.t, "every permit is settled", s.b.settled)
}

// serve runs a server that can do what is asked.
func (s *scene) serve(do string) *server {
	switch {
	case !s.line.grpc:
		return s.serveHTTP(s.backend)
	case do == "502":
		return s.serveHTTP(proxied{s.backend, http.StatusBadGateway})
	case do == half || do == breakOff || do == garbled || do == garbage:
		return s.serveHTTP(proxied{backend: s.backend})
	}
	srv := serveGRPC(s.t, s.socket, s.backend)
	s.servers = append(s.servers, srv)
	return srv
}

func (s *scene) serveHTTP(h http.Handler) *server {
	srv := serveHTTP(s.t, s.socket, h)
	s.servers = append(s.servers, srv)
	return srv
}

func (s *scene) client(to target) *client {
	c := s.dial(to)
	s.clients = append(s.clients, c)
	return c
}

// toSocket is the target without anything in between.
func (s *scene) toSocket() target { return target{address: s.socket.Addr().String()} }

func (s *scene) id() string {
	s.calls++
	return strconv.Itoa(s.calls)
}

func (s *scene) call(c *client, do string) (saw string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return c.call(ctx, do, s.id())
}

// during makes a call, and does something while the backend waits in the middle
// of it.
func (s *scene) during(ctx context.Context, c *client, do string, then func()) (saw string) {
	id := s.id()
	staged := s.backend.expect(id)
	if do == half || do == large {
		staged = s.network.answered.c
	}
	ended := make(chan string, 1)
	go func() { ended <- c.call(ctx, do, id) }()
	select {
	case <-staged:
		then()
	case saw := <-ended:
		if _, ok := ctx.Deadline(); ok {
			s.late = true
		} else {
			s.t.Errorf("the call ended too early: %s", saw)
		}
		return saw
	case <-time.After(patience):
		s.t.Error("the call did not come")
	}
	select {
	case saw := <-ended:
		return saw
	case <-time.After(patience):
		s.t.Error("the call did not end")
		return ""
	}
}

// beforeDeadline makes a call with a deadline, in the middle of which the
// backend is when the deadline comes.
func (s *scene) beforeDeadline(c *client, do string) (saw string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), s.soon)
	defer cancel()
	return s.during(ctx, c, do, func() {
		deadline, _ := ctx.Deadline()
		s.late = time.Until(deadline) < s.soon/2 // too close to be sure who is first
	})
}

// fault is a row of the table.
type fault struct {
	name string
	// play makes calls and returns what the caller saw of each.
	play func(s *scene) (saw []string)
	// onlyGRPC says that HTTP has nothing like it.
	onlyGRPC bool
}

var faults = []fault{
	{name: "none", play: func(s *scene) []string {
		s.serve(wellDone)
		return []string{s.call(s.client(s.toSocket()), wellDone)}
	}},
	{name: "connection refused", play: func(s *scene) []string {
		p := newProxy(s.t, s.socket)
		p.Stop()
		return []string{s.call(s.client(target{address: p.Listen}), wellDone)}
	}},
	{name: "unknown host", play: func(s *scene) []string {
		return []string{s.call(s.client(target{name: "nowhere.invalid."}), wellDone)}
	}},
	{name: "certificate that is not trusted", play: func(s *scene) []string {
		return []string{s.call(s.client(target{address: serveTLS(s.t), tls: true}), wellDone)}
	}},
	{name: "another protocol on the port", play: func(s *scene) []string {
		return []string{s.call(s.client(target{address: loginServer(s.t)}), wellDone)}
	}},
	{name: "reset before the header", play: func(s *scene) []string { return resets(s, hang) }},
	{name: "reset in the middle of the body", play: func(s *scene) []string { return resets(s, half) }},
	{name: "answer broken off by the backend", play: func(s *scene) []string { return answers(s, breakOff, 1) }},
	{name: "black hole past the client's timeout", play: func(s *scene) []string {
		s.serve(wellDone)
		p := newProxy(s.t, s.socket)
		c := s.client(target{address: p.Listen, timeout: s.soon})
		first := s.call(c, wellDone)
		s.late = first != "200" && first != "OK"
		p.swallows(s.t)
		return []string{first, s.call(c, wellDone)}
	}},
	{name: "trickle past the deadline", play: func(s *scene) []string {
		s.socket.trickles = true
		s.serve(large)
		return []string{s.beforeDeadline(s.client(s.toSocket()), large)}
	}},
	{name: "burst of 500", play: func(s *scene) []string { return answers(s, "500", 5) }},
	{name: "burst of 502", play: func(s *scene) []string { return answers(s, "502", 5) }},
	{name: "burst of 503", play: func(s *scene) []string { return answers(s, "503", 5) }},
	{name: "burst of 504", play: func(s *scene) []string { return answers(s, "504", 5) }},
	{name: "burst of 429", play: func(s *scene) []string { return answers(s, "429", 5) }},
	{name: "burst of 429 from a proxy", onlyGRPC: true, play: func(s *scene) []string {
		s.serveHTTP(proxied{s.backend, http.StatusTooManyRequests})
		return calls(s, wellDone, 5)
	}},
	{name: "body that cannot be decoded", play: func(s *scene) []string { return answers(s, garbled, 1) }},
	{name: "garbage in place of a message", onlyGRPC: true, play: func(s *scene) []string { return answers(s, garbage, 1) }},
	{name: "server stop", play: func(s *scene) []string {
		srv := s.serve(hang)
		c := s.client(s.toSocket())
		return []string{s.call(c, wellDone), s.during(s.t.Context(), c, hang, srv.stop)}
	}},
	{name: "graceful stop, and a new server", play: func(s *scene) []string {
		old := s.serve(await)
		c := s.client(s.toSocket())
		drained := make(chan struct{})
		first := s.during(s.t.Context(), c, await, func() {
			s.serve(wellDone)
			go func() {
				defer close(drained)
				old.drain()
			}()
			<-old.draining
			close(s.backend.told)
		})
		<-drained
		return []string{first, s.call(c, wellDone)}
	}},
	{name: "graceful stop while the next call is on its way", play: func(s *scene) []string {
		old := s.serve(wellDone)
		c := s.client(s.toSocket())
		first := s.call(c, wellDone)
		h := s.network.hold()
		s.serve(wellDone)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			old.drain()
		}()
		<-h.waits.c // the old server's goodbye
		second := make(chan string, 1)
		go func() { second <- s.call(c, wellDone) }()
		<-h.sent.c
		close(h.over)
		saw := []string{first, <-second}
		c.close() // the old server waits for it
		<-drained
		return saw
	}},
	{name: "cancelled by the caller", play: func(s *scene) []string { return cancels(s, hang) }},
	{name: "cancelled in the middle of the body", play: func(s *scene) []string { return cancels(s, half) }},
	{name: "deadline of the caller", play: func(s *scene) []string {
		s.serve(hang)
		return []string{s.beforeDeadline(s.client(s.toSocket()), hang)}
	}},
	{name: "connection closed by its owner", play: func(s *scene) []string {
		s.serve(hang)
		c := s.client(s.toSocket())
		closing := s.network.close // those of net/http cannot be closed from above
		if s.line.grpc {
			closing = c.close
		}
		return []string{s.during(s.t.Context(), c, hang, closing), s.call(c, wellDone)}
	}},
	{name: "flapping", play: func(s *scene) (saw []string) {
		s.serve(wellDone)
		p := newProxy(s.t, s.socket)
		c := s.client(target{address: p.Listen})
		for range 2 {
			saw = append(saw, s.call(c, wellDone))
			p.Stop()
			eventually(s.t, "the client knows", func() bool { return s.network.connections() == 0 })
			saw = append(saw, s.call(c, wellDone))
			eventually(s.t, "the port is free", func() bool { return p.Start() == nil })
			c.connect(s.t.Context())
		}
		return saw
	}},
}

// answers plays a backend that gives the same answer to several calls.
func answers(s *scene, do string, n int) (saw []string) {
	s.serve(do)
	return calls(s, do, n)
}

func calls(s *scene, do string, n int) (saw []string) {
	c := s.client(s.toSocket())
	for range n {
		saw = append(saw, s.call(c, do))
	}
	return saw
}

// resets plays a connection that is reset in the middle of its second call. In
// the first one, an HTTP/2 client may still have something else to send, and then
// it is that which meets the reset, and the answer just ends.
func resets(s *scene, do string) []string {
	s.serve(do)
	p := newProxy(s.t, s.socket)
	p.resets(s.t)
	c := s.client(target{address: p.Listen})
	return []string{s.call(c, wellDone), s.during(s.t.Context(), c, do, p.Stop)}
}

// cancels plays a caller who gives up in the middle of a call.
func cancels(s *scene, do string) []string {
	s.serve(do)
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	return []string{s.during(ctx, s.client(s.toSocket()), do, cancel)}
}
