package grpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	goleak.VerifyTestMain(m)
}

const (
	success = breaker.Success
	failure = breaker.Failure
	ignored = breaker.Ignored
)

var errBackend = errors.New("the backend is down")

// patience is how long a test waits for what comes soon.
const patience = 10 * time.Second

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, time.Millisecond, what)
}

// single is a group with one breaker for every key.
func single[B any](b B) *group.Group[B] { return group.NewGroup(func() B { return b }) }

// permits is a breaker that hands out permits and writes down how they were
// settled, twice if they were settled twice. Its aegis methods panic: who has
// permits does not need them.
type permits struct {
	mu               sync.Mutex
	rejection        error
	issued, rejected int
	settled          []breaker.Result
}

func (b *permits) Acquire() (breaker.Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rejection != nil {
		b.rejected++
		return breaker.Permit{}, b.rejection
	}
	b.issued++
	return breaker.NewPermit(b, breaker.Ticket{}), nil
}

func (b *permits) Settle(t breaker.Ticket, o breaker.Outcome) {
	b.SettleResult(t, breaker.Result{Outcome: o})
}

func (b *permits) SettleResult(_ breaker.Ticket, r breaker.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = append(b.settled, r)
}

func (b *permits) results() []breaker.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]breaker.Result(nil), b.settled...)
}

func (b *permits) outcomes() (all []breaker.Outcome) {
	for _, r := range b.results() {
		all = append(all, r.Outcome)
	}
	return all
}

func (*permits) Allow() error { panic("Allow was called") }
func (*permits) MarkSuccess() { panic("MarkSuccess was called") }
func (*permits) MarkFailed()  { panic("MarkFailed was called") }

func rejection() *breaker.RejectedError {
	return breaker.NewRejectedError("gate 17", breaker.Open, breaker.ReasonOpen, time.Now().Add(time.Hour), nil)
}

// calls are rules that write down what they are asked and let b decide.
type calls struct {
	b        breaker.Acquirer
	classify breaker.Classifier
	asked    [][2]string // transport and key
}

func (c *calls) Admit(transport, key string) (breaker.Permit, breaker.Classifier, error) {
	c.asked = append(c.asked, [2]string{transport, key})
	p, err := c.b.Acquire()
	return p, c.classify, err
}

// Without a wire.

const method = "/test.Backend/Call"

// invoker ends each call with err.
func invoker(err error) grpc.UnaryInvoker {
	return func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return err }
}

func mustNotInvoke(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
	panic("the invoker was called")
}

func mustNotStream(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	panic("the streamer was called")
}

// fakeStream is a stream that ends when a test says so.
type fakeStream struct {
	grpc.ClientStream
	onFinish []func(error)
}

// opens returns a streamer that returns s.
func (s *fakeStream) opens() grpc.Streamer {
	return func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		for _, opt := range opts {
			if o, ok := opt.(grpc.OnFinishCallOption); ok {
				s.onFinish = append(s.onFinish, o.OnFinish)
			}
		}
		return s, nil
	}
}

func (s *fakeStream) finish(err error) {
	for _, f := range s.onFinish {
		f(err)
	}
}

func (s *fakeStream) RecvMsg(any) error { return nil }

// The wire: a backend with one method of each kind, on loopback.

type backend struct {
	testgrpc.UnimplementedTestServiceServer
	unary  func(ctx context.Context, req *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error)
	stream func(s grpc.ServerStream) error // for all kinds of streams
}

func (b *backend) UnaryCall(ctx context.Context, req *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	return b.unary(ctx, req)
}

func (b *backend) StreamingOutputCall(_ *testgrpc.StreamingOutputCallRequest, s testgrpc.TestService_StreamingOutputCallServer) error {
	return b.stream(s)
}

func (b *backend) StreamingInputCall(s testgrpc.TestService_StreamingInputCallServer) error {
	return b.stream(s)
}

func (b *backend) FullDuplexCall(s testgrpc.TestService_FullDuplexCallServer) error {
	return b.stream(s)
}

// kind is one kind of stream.
type kind struct {
	name, method string
	desc         *grpc.StreamDesc
}

var kinds = []kind{
	{"server streaming", testgrpc.TestService_StreamingOutputCall_FullMethodName, &grpc.StreamDesc{ServerStreams: true}},
	{"client streaming", testgrpc.TestService_StreamingInputCall_FullMethodName, &grpc.StreamDesc{ClientStreams: true}},
	{"bidirectional", testgrpc.TestService_FullDuplexCall_FullMethodName, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}},
}

const unaryMethod = testgrpc.TestService_UnaryCall_FullMethodName

// empty is a message that is the same on the wire whatever type the other side
// takes it for.
func empty() *testgrpc.Empty { return new(testgrpc.Empty) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// serve runs a server until the end of the test.
func serve(t *testing.T, l net.Listener, b *backend, opts ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	s := grpc.NewServer(opts...)
	testgrpc.RegisterTestServiceServer(s, b)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return s
}

func dial(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(target, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// closedPort returns the address of nobody.
func closedPort(t *testing.T) string {
	t.Helper()
	l := listen(t)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func callUnary(ctx context.Context, cc grpc.ClientConnInterface) error {
	return cc.Invoke(ctx, unaryMethod, new(testgrpc.SimpleRequest), new(testgrpc.SimpleResponse))
}

// receiveAll receives until the end, which it returns.
func receiveAll(s grpc.ClientStream) error {
	for {
		if err := s.RecvMsg(empty()); err != nil {
			return err
		}
	}
}
