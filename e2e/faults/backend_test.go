package faults_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What a backend may be asked to do, besides a status. A gRPC backend says the
// code that Kratos has for the status.
const (
	wellDone = "well done" // answer
	large    = "large"     // answer with more than fits into a packet
	await    = "await"     // answer when told to
	hang     = "hang"      // not answer
	half     = "half"      // send half of the answer, and then nothing
	breakOff = "break off" // send half of the answer, and then give it up
	garbled  = "garbled"   // send a whole answer that nobody can decode
	garbage  = "garbage"   // over gRPC: send what is no message
)

// The headers, or metadata, of a call.
const (
	headerDo = "do"
	headerID = "id"
)

// marker is in the first half of an answer.
const marker = "<<first half>>"

var codeOf = map[string]codes.Code{
	"500": codes.Internal, "503": codes.Unavailable, "504": codes.DeadlineExceeded, "429": codes.ResourceExhausted,
}

// backend does what each call asks for.
type backend struct {
	testgrpc.UnimplementedTestServiceServer
	mu      sync.Mutex
	waiting map[string]chan struct{} // by call
	running int
	told    chan struct{}
}

func newBackend() *backend {
	return &backend{waiting: map[string]chan struct{}{}, told: make(chan struct{})}
}

// expect returns a channel that is closed when the call has come, and the
// backend now waits.
func (b *backend) expect(id string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[id] = make(chan struct{})
	return b.waiting[id]
}

func (b *backend) done(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.waiting[id]; ok {
		close(c)
		delete(b.waiting, id)
	}
}

// begin is called with each call; the result is called at its end.
func (b *backend) begin() (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.running--
	}
}

// streams returns how many calls the backend is at.
func (b *backend) streams() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running
}

// ServeHTTP is the backend for HTTP clients.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer b.begin()()
	_, _ = io.Copy(io.Discard, r.Body)
	do := r.Header.Get(headerDo)
	w.Header().Set("Content-Type", "application/json")
	switch do {
	case await:
		b.done(r.Header.Get(headerID))
		<-b.told
		fallthrough
	case wellDone:
		_, _ = io.WriteString(w, `{"text": "hello"}`)
	case large:
		_, _ = io.WriteString(w, `{"text": "`+marker+strings.Repeat(".", 1<<19)+`"}`)
	case garbled:
		_, _ = io.WriteString(w, `{"text"`)
	case hang, half, breakOff:
		b.doHalf(w, r, func() { _, _ = io.WriteString(w, `{"text": "`+marker) })
	default:
		code, err := strconv.Atoi(do)
		if err != nil {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"reason": "AS_ASKED"}`)
	}
}

func (b *backend) doHalf(w http.ResponseWriter, r *http.Request, write func()) {
	do := r.Header.Get(headerDo)
	if do != hang {
		write()
		_ = http.NewResponseController(w).Flush()
	}
	b.done(r.Header.Get(headerID))
	if do == breakOff {
		panic(http.ErrAbortHandler)
	}
	<-r.Context().Done()
}

// proxied is a backend for gRPC clients that has something before it, or in it,
// that does not speak gRPC well.
type proxied struct {
	*backend
	status int // of the proxy's answer to all calls, or 0
}

func (p proxied) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.begin()()
	if p.status != 0 {
		w.WriteHeader(p.status)
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	if strings.HasPrefix(r.URL.Path, "/grpc.health.") { // Kratos' client asks
		w.Header().Set("Grpc-Status", strconv.Itoa(int(codes.Unimplemented)))
		return
	}
	switch r.Header.Get(headerDo) {
	case wellDone:
		_, _ = w.Write(frame(nil))
	case garbled:
		_, _ = w.Write(frame([]byte("\xff\xff\xff")))
	case garbage:
		_, _ = w.Write([]byte("garbage"))
	default:
		p.doHalf(w, r, func() {
			whole := frame([]byte(marker + strings.Repeat(".", 100)))
			_, _ = w.Write(whole[:len(whole)/2])
		})
	}
	w.Header().Set("Grpc-Status", "0")
}

// frame returns a message of gRPC.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// handle does what a call over gRPC asks for, other than to answer.
func (b *backend) handle(ctx context.Context) (do string, err error) {
	asked := func(header string) string {
		if v := metadata.ValueFromIncomingContext(ctx, header); len(v) == 1 {
			return v[0]
		}
		return ""
	}
	switch do = asked(headerDo); do {
	case await:
		b.done(asked(headerID))
		<-b.told
		return do, nil
	case wellDone, large:
		return do, nil
	case hang:
		b.done(asked(headerID))
		<-ctx.Done()
		return do, ctx.Err()
	}
	code, ok := codeOf[do]
	if !ok {
		code = codes.InvalidArgument
	}
	return do, status.Error(code, "as asked")
}

func payload(do string) *testgrpc.Payload {
	p := &testgrpc.Payload{Body: []byte("hello")}
	if do == large {
		p.Body = append([]byte(marker), bytes.Repeat([]byte("."), 1<<19)...)
	}
	return p
}

func (b *backend) UnaryCall(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	defer b.begin()()
	do, err := b.handle(ctx)
	if err != nil {
		return nil, err
	}
	return &testgrpc.SimpleResponse{Payload: payload(do)}, nil
}

func (b *backend) StreamingOutputCall(_ *testgrpc.StreamingOutputCallRequest, s testgrpc.TestService_StreamingOutputCallServer) error {
	defer b.begin()()
	do, err := b.handle(s.Context())
	for n := 0; n < messages && err == nil; n++ {
		err = s.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload(do)})
	}
	return err
}

func (b *backend) StreamingInputCall(s testgrpc.TestService_StreamingInputCallServer) error {
	defer b.begin()()
	do, err := b.handle(s.Context())
	if err != nil {
		return err
	}
	for err == nil {
		_, err = s.Recv()
	}
	return s.SendMsg(&testgrpc.StreamingOutputCallResponse{Payload: payload(do)}) // the right one has no room
}

func (b *backend) FullDuplexCall(s testgrpc.TestService_FullDuplexCallServer) error {
	defer b.begin()()
	do, err := b.handle(s.Context())
	if err != nil {
		return err
	}
	for {
		if _, err := s.Recv(); err != nil {
			return nil // the client has no more
		}
		if err := s.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload(do)}); err != nil {
			return err
		}
	}
}

// server is a running server.
type server struct {
	stop     func() // at once
	drain    func() // when the calls have ended
	draining <-chan struct{}
}

// serveHTTP runs h on s, with HTTP/1.1 and HTTP/2, until the end of the test.
func serveHTTP(t testing.TB, s *socket, h http.Handler) *server {
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols), ErrorLog: quiet}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	l := s.share()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
	})
	return &server{
		draining: l.done,
		stop:     func() { _ = srv.Close() },
		drain: func() {
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		},
	}
}

// quiet is for servers that would tell of clients who behave as they shall here.
var quiet = log.New(io.Discard, "", 0)

// serveGRPC runs b on s until the end of the test.
func serveGRPC(t testing.TB, s *socket, b *backend) *server {
	srv := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(srv, b)
	l := s.share()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		<-ended
	})
	return &server{stop: srv.Stop, drain: srv.GracefulStop, draining: l.done}
}

// serveTLS returns the address of a server with a certificate that nobody
// trusts.
func serveTLS(t testing.TB) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = quiet
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
