package errors_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must not hang, and what a client
// waits for that is not meant to time out.
const patience = 20 * time.Second

// rejection returns what a breaker's Acquire may return.
func rejection() *breaker.RejectedError {
	return breaker.NewRejectedError("secret.internal:9000", breaker.Open, breaker.ReasonOpen, time.Time{}, nil)
}

// grpcError returns a gRPC error with the details.
func grpcError(c codes.Code, message string, details ...protoadapt.MessageV1) error {
	s, err := status.New(c, message).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func reason(r string) *errdetails.ErrorInfo { return &errdetails.ErrorInfo{Reason: r} }

// statusError has the gRPC status, even one that status.Err makes no error of.
type statusError struct{ s *status.Status }

func (e statusError) Error() string              { return "an error with a status" }
func (e statusError) GRPCStatus() *status.Status { return e.s }

// httpServer returns the address of a server.
func httpServer(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func httpTransport(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// get asks for url and returns what went wrong, if only in reading the answer.
func get(ctx context.Context, t *testing.T, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: httpTransport(t)}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.ReadAll(resp.Body)
	return err
}

// hijacked returns a handler that has the naked connection.
func hijacked(f func(c *net.TCPConn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		f(c.(*net.TCPConn))
		_ = c.Close()
	}
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// answer is what a server does with a call. It is given a *wrapperspb.StringValue.
type answer func(ctx context.Context, req any) (any, error)

const (
	callMethod   = "/test.Service/Call"
	streamMethod = "/test.Service/Stream"
)

// testService is a service of one unary method, and of one that answers with a
// stream of one message.
var testService = grpc.ServiceDesc{
	ServiceName: "test.Service",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			if interceptor == nil {
				return srv.(answer)(ctx, in)
			}
			info := &grpc.UnaryServerInfo{Server: srv, FullMethod: callMethod}
			return interceptor(ctx, in, info, grpc.UnaryHandler(srv.(answer)))
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName:    "Stream",
		ServerStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error {
			in := new(wrapperspb.StringValue)
			if err := stream.RecvMsg(in); err != nil {
				return err
			}
			out, err := srv.(answer)(stream.Context(), in)
			if err != nil {
				return err
			}
			return stream.SendMsg(out)
		},
	}},
}

// grpcServer returns the address of a server.
func grpcServer(t *testing.T, a answer) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	s.RegisterService(&testService, a)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		require.NoError(t, <-served)
	})
	return l.Addr().String()
}

func grpcClient(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func call(ctx context.Context, cc grpc.ClientConnInterface) error {
	return cc.Invoke(ctx, callMethod, wrapperspb.String("hello"), new(wrapperspb.StringValue))
}

// outcomeOf is what adapters make of the end of a call.
func outcomeOf(ctx context.Context, err error) breaker.Outcome {
	return breaker.OutcomeOf(ctx, err, errors.Classify)
}

// wrappings are the ways in which an error gets to a classifier. Each leaves it
// what it is.
var wrappings = []struct {
	name string
	wrap func(error) error
}{
	{"bare", func(err error) error { return err }},
	{"wrapped", func(err error) error { return fmt.Errorf("calling: %w", err) }},
	{"wrapped twice", func(err error) error { return fmt.Errorf("a: %w", fmt.Errorf("b: %w", err)) }},
	{"joined", func(err error) error { return fmt.Errorf("a: %w, b: %w", err, errPlain) }},
}

var errPlain = fmt.Errorf("an error of no known kind")

// kratosError is short for a Kratos error with a message.
func kratosError(code int, reason string) *kratoserrors.Error {
	return kratoserrors.New(code, reason, "a message")
}
