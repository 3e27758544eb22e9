package grpc_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// noToken are credentials that fail, or give what is not allowed.
type noToken struct {
	err    error
	header map[string]string
	secure bool
}

func (c noToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return c.header, c.err
}

func (c noToken) RequireTransportSecurity() bool { return c.secure }

// brokenCompressor fails.
type brokenCompressor struct{}

func init() { encoding.RegisterCompressor(brokenCompressor{}) }

func (brokenCompressor) Name() string { return "broken" }

func (brokenCompressor) Compress(io.Writer) (io.WriteCloser, error) {
	return nil, errors.New("the compressor is broken")
}

func (brokenCompressor) Decompress(io.Reader) (io.Reader, error) {
	return nil, errors.New("the compressor is broken")
}

// notSent are the ways in which grpc-go fails before it sends a request. Its errors
// are told from a backend's by their texts, which are all that there is; if it changes
// them, this is where it shows.
var notSent = []struct {
	name     string
	opts     []grpc.CallOption
	header   []string
	request  any
	code     codes.Code
	anywhere bool // also without a connection
}{
	{name: "credentials of the call fail", opts: creds(noToken{err: errors.New("no token")}), code: codes.Internal},
	{name: "credentials with an illegal status", opts: creds(noToken{err: status.Error(codes.NotFound, "no token")}), code: codes.Internal},
	{name: "credentials with an illegal header", opts: creds(noToken{header: map[string]string{"a b": "c"}}), code: codes.Internal},
	{name: "credentials with a value that cannot be sent", opts: creds(noToken{header: map[string]string{"a": "\x00"}}), code: codes.Internal},
	{name: "credentials that need TLS", opts: creds(noToken{secure: true}), code: codes.Unauthenticated},
	{name: "unknown compressor", opts: []grpc.CallOption{grpc.UseCompressor("nobody's")}, code: codes.Internal, anywhere: true},
	{name: "compressor that fails", opts: []grpc.CallOption{grpc.UseCompressor("broken")}, request: large(10), code: codes.Internal},
	{name: "codec that is not registered", opts: []grpc.CallOption{grpc.CallContentSubtype("nobody's")}, code: codes.Internal, anywhere: true},
	{name: "metadata with an illegal key", header: []string{"a b", "c"}, code: codes.Internal, anywhere: true},
	{name: "metadata with an illegal value", header: []string{"a", "\x00"}, code: codes.Internal, anywhere: true},
	{name: "metadata with an empty key", header: []string{"", "c"}, code: codes.Internal, anywhere: true},
	{name: "metadata that is more than the server takes", header: []string{"a", strings.Repeat("x", 2000)}, code: codes.Internal},
	{name: "message that is too large", opts: []grpc.CallOption{grpc.MaxCallSendMsgSize(10)}, request: large(100), code: codes.ResourceExhausted},
	{name: "request that cannot be encoded", request: "no message", code: codes.Internal},
}

func creds(c noToken) []grpc.CallOption { return []grpc.CallOption{grpc.PerRPCCredentials(c)} }

func large(n int) *testgrpc.SimpleRequest {
	return &testgrpc.SimpleRequest{Payload: &testgrpc.Payload{Body: []byte(strings.Repeat("x", n))}}
}

func TestNotSent_WhatGRPCItselfFailsWithIsIgnored(t *testing.T) {
	var received atomic.Int64
	l := listen(t)
	serve(t, l, &backend{
		unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
			received.Add(1)
			return new(testgrpc.SimpleResponse), nil
		},
		stream: func(s grpc.ServerStream) error {
			for {
				if err := s.RecvMsg(empty()); err != nil {
					return nil
				}
				received.Add(1)
			}
		},
	}, grpc.MaxHeaderListSize(1000))
	b := new(permits)
	opt := cbgrpc.WithGroup(single(b))
	cc := dial(t, l.Addr().String(), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(opt)),
		grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(opt)))
	for _, c := range notSent {
		t.Run(c.name, func(t *testing.T) {
			request := c.request
			if request == nil {
				request = empty()
			}
			calls := map[string]func(ctx context.Context) error{"unary": func(ctx context.Context) error {
				return cc.Invoke(ctx, unaryMethod, request, empty(), c.opts...)
			}}
			for _, k := range kinds {
				calls[k.name] = func(ctx context.Context) error {
					s, err := cc.NewStream(ctx, k.desc, k.method, c.opts...)
					if err != nil {
						return err
					}
					if err := s.SendMsg(request); err != nil {
						return err
					}
					return s.RecvMsg(empty())
				}
			}
			for name, call := range calls {
				n := len(b.results())
				err := call(metadata.AppendToOutgoingContext(t.Context(), c.header...))
				require.Equal(t, c.code, status.Code(err), "%s: %v", name, err)
				eventually(t, "the end", func() bool { return len(b.results()) == n+1 })
				r := b.results()[n]
				require.Equal(t, breaker.Result{Outcome: ignored, Err: err, NotSent: true}, r, name)
				require.True(t, cberrors.IsNotSent(err))
				require.True(t, cberrors.IsNotSent(errors.Join(err, cberrors.NotAllowed(rejection()))))
				require.Equal(t, ignored, cberrors.NewClassifier(cberrors.WithOverload())(err), "whatever its code means otherwise")
			}
			require.Zero(t, received.Load())
		})
	}
}

// Credentials of the connection are asked as those of a call are. A status of their own
// comes back as it is, and nothing tells it from the backend's.
func TestNotSent_CredentialsOfTheConnection(t *testing.T) {
	for _, row := range []struct {
		err  error
		code codes.Code
		want breaker.Outcome
	}{
		{errors.New("no token"), codes.Unauthenticated, ignored},
		{status.Error(codes.NotFound, "no token"), codes.Internal, ignored},
		{status.Error(codes.Unavailable, "the token service is down"), codes.Unavailable, failure},
	} {
		l := listen(t)
		serve(t, l, &backend{})
		b := new(permits)
		cc := dial(t, l.Addr().String(), grpc.WithPerRPCCredentials(noToken{err: row.err}),
			grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)))))
		err := callUnary(t.Context(), cc)
		require.Equal(t, row.code, status.Code(err))
		require.Equal(t, []breaker.Outcome{row.want}, b.outcomes(), "%v", err)
	}
}

func TestNotSent_WordsAloneAreNotEnough(t *testing.T) {
	for _, err := range []error{
		status.Error(codes.Unavailable, "grpc: error while marshaling: x"),
		status.Error(codes.Internal, "x: grpc: error while marshaling: x"),
		status.Error(codes.Internal, "trying to send message larger than max (2 vs. 1)"),
		status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: connection refused"`),
		status.Error(codes.Internal, `header key "a" is missing`),
	} {
		require.Equal(t, failure, cberrors.Classify(err), "%v", err)
		require.False(t, cberrors.IsNotSent(err))
	}
	require.Equal(t, success, cberrors.Classify(status.Error(codes.Unauthenticated, "no token")))
}

// A call that does not leave the process must not use up the probe of a breaker over a
// backend that is dead, neither to close it nor to open it.
func TestNotSent_TwentyOnAHalfOpenBreakerOverADeadBackendLoseNoProbe(t *testing.T) {
	for _, c := range notSent {
		if !c.anywhere {
			continue // without a connection, that it is refused comes first
		}
		t.Run(c.name, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithDelay(time.Hour))
			b.HalfOpen()
			opt := cbgrpc.WithGroup(single(b))
			cc := dial(t, closedPort(t), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(opt)),
				grpc.WithStreamInterceptor(cbgrpc.StreamClientInterceptor(opt)))
			ctx := metadata.AppendToOutgoingContext(t.Context(), c.header...)
			for range 20 {
				require.Equal(t, c.code, status.Code(cc.Invoke(ctx, unaryMethod, empty(), empty(), c.opts...)))
				_, err := cc.NewStream(ctx, kinds[0].desc, kinds[0].method, c.opts...)
				require.Equal(t, c.code, status.Code(err))
			}
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			require.Equal(t, breaker.Totals{Offered: 40, Allowed: 40, Ignored: 40}, b.Snapshot().Totals)
			require.Equal(t, codes.Unavailable, status.Code(callUnary(t.Context(), cc)))
			require.Equal(t, breaker.Open, b.Snapshot().State, "the next call is the probe")
		})
	}
}

// As README says: nothing tells them apart.
func TestNotSent_WhatABackendPassesOnFromAClientOfItsOwnLooksTheSame(t *testing.T) {
	for _, passedOn := range []error{
		status.Error(codes.Internal, "grpc: error while marshaling: string field contains invalid UTF-8"),
		status.Error(codes.Unauthenticated, "transport: per-RPC creds failed due to error: no token"),
		status.Error(codes.ResourceExhausted, "trying to send message larger than max (8 vs. 4)"),
	} {
		l := listen(t)
		serve(t, l, &backend{unary: func(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) { return nil, passedOn }})
		b := new(permits)
		cc := dial(t, l.Addr().String(), grpc.WithUnaryInterceptor(cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)))))
		require.Equal(t, passedOn.Error(), callUnary(t.Context(), cc).Error())
		require.Equal(t, []breaker.Outcome{ignored}, b.outcomes())
	}
}
