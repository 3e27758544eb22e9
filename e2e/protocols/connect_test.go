package protocols_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

const (
	unaryMethod  = "/test.Service/Unary"
	streamMethod = "/test.Service/Stream"
)

type text = wrapperspb.StringValue

// answer returns the end of a call with a code, or nil for OK.
func answer(code codes.Code) error {
	if code == codes.OK {
		return nil
	}
	return connect.NewError(connect.Code(code), errors.New("no luck"))
}

// serves is a server that ends each call with the code, a stream after messages.
func serves(code *codes.Code, messages *int) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(unaryMethod, connect.NewUnaryHandler(unaryMethod,
		func(context.Context, *connect.Request[text]) (*connect.Response[text], error) {
			if err := answer(*code); err != nil {
				return nil, err
			}
			return connect.NewResponse(wrapperspb.String("hello")), nil
		}))
	mux.Handle(streamMethod, connect.NewServerStreamHandler(streamMethod,
		func(_ context.Context, _ *connect.Request[text], s *connect.ServerStream[text]) error {
			for range *messages {
				if err := s.Send(wrapperspb.String("hello")); err != nil {
					return err
				}
			}
			return answer(*code)
		}))
	return mux
}

// outcome is what the gRPC code counts as.
func outcome(code codes.Code) breaker.Outcome {
	if code == codes.OK {
		return breaker.Success
	}
	return cberrors.Classify(status.Error(code, ""))
}

// How the three protocols tell the code of a call: by what the transport sees of it,
// without the body, which it does not read.
var protocols = []struct {
	name   string
	opts   []connect.ClientOption
	unary  bool // whether it sees how unary calls end
	before bool // streams that end before the first message
	after  bool // and after it
}{
	{"Connect", nil, true, false, false},
	{"gRPC", []connect.ClientOption{connect.WithGRPC()}, true, true, true},
	{"gRPC-Web", []connect.ClientOption{connect.WithGRPCWeb()}, true, true, false},
}

func TestConnect_AllCodesCountAsTheirGRPCCode(t *testing.T) {
	for _, v := range versions {
		for _, p := range protocols {
			if p.name == "gRPC" && v.name == "HTTP/1.1" {
				continue // there is no such thing
			}
			t.Run(v.name+"/"+p.name, func(t *testing.T) {
				var code codes.Code
				var messages int
				base, url := v.serve(t, serves(&code, &messages))
				b := newRecorder()
				client := &http.Client{Transport: breakerhttp.NewTransport(base, breakerhttp.WithGroup(single(b)), breakerhttp.WithBody())}
				unary := connect.NewClient[text, text](client, url+unaryMethod, p.opts...)
				stream := connect.NewClient[text, text](client, url+streamMethod, p.opts...)
				for code = codes.OK; code <= codes.Unauthenticated; code++ {
					_, err := unary.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("hello")))
					requireCode(t, code, err)
					require.Equal(t, outcome(code), (<-b.results).Outcome, "unary, %v", code)
					for messages = range 2 {
						s, err := stream.CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("hello")))
						require.NoError(t, err)
						for s.Receive() {
							require.Equal(t, "hello", s.Msg().GetValue())
						}
						requireCode(t, code, s.Err())
						require.NoError(t, s.Close())
						want := breaker.Success
						if messages == 0 && p.before || messages == 1 && p.after {
							want = outcome(code)
						}
						require.Equal(t, want, (<-b.results).Outcome, "stream of %d, %v", messages, code)
					}
				}
				require.Empty(t, b.results, "each call was counted once")
			})
		}
	}
}

func requireCode(t *testing.T, want codes.Code, err error) {
	t.Helper()
	if want == codes.OK {
		require.NoError(t, err)
		return
	}
	require.Equal(t, connect.Code(want), connect.CodeOf(err), "%v", err)
}

// guard is for what sits in the body: the ends of streams of Connect and gRPC-Web. It is
// an interceptor of Connect around breaker.Do, without the transport. It is in
// docs/protocols.md.
func guard(b breaker.Acquirer) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			return breaker.Do(ctx, b, func(ctx context.Context) (connect.AnyResponse, error) {
				return next(ctx, req)
			}, breaker.WithClassifier(ofConnect))
		}
	}
}

// ofConnect says what an error of Connect means.
func ofConnect(err error) breaker.Outcome {
	if e := new(connect.Error); errors.As(err, &e) {
		return cberrors.Classify(status.Error(codes.Code(e.Code()), e.Message()))
	}
	return cberrors.Classify(err)
}

// guardedStream calls f with a stream, and counts how it ends.
func guardedStream[Req, Res any](ctx context.Context, b breaker.Acquirer, c *connect.Client[Req, Res], req *connect.Request[Req],
	f func(*Res),
) error {
	return breaker.Run(ctx, b, func(ctx context.Context) error {
		s, err := c.CallServerStream(ctx, req)
		if err != nil {
			return err
		}
		for s.Receive() {
			f(s.Msg())
		}
		return errors.Join(s.Err(), s.Close())
	}, breaker.WithClassifier(ofConnect))
}

func TestConnect_AnInterceptorSeesWhatTheTransportDoesNot(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			var code codes.Code
			messages := 1
			base, url := versions[1].serve(t, serves(&code, &messages))
			b := sre.NewBreaker(sre.WithRequest(1000))
			client := &http.Client{Transport: base}
			unary := connect.NewClient[text, text](client, url+unaryMethod, append(p.opts, connect.WithInterceptors(guard(b)))...)
			stream := connect.NewClient[text, text](client, url+streamMethod, p.opts...)
			var want breaker.Totals
			for code = codes.OK; code <= codes.Unauthenticated; code++ {
				if outcome(code) == breaker.Failure {
					b.Reset() // or it opens
				}
				_, err := unary.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("hello")))
				requireCode(t, code, err)
				err = guardedStream(t.Context(), b, stream, connect.NewRequest(wrapperspb.String("hello")), func(*text) {})
				requireCode(t, code, err)
				want.Offered, want.Allowed = want.Offered+2, want.Allowed+2
				switch outcome(code) {
				case breaker.Success:
					want.Success += 2
				case breaker.Failure:
					want.Failure += 2
				default:
					want.Ignored += 2
				}
				require.Equal(t, want, b.Snapshot().Totals, "%v", code)
			}
		})
	}
}
