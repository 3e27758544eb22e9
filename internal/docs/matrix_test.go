package docs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratosselector "github.com/go-kratos/kratos/v2/selector"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	"github.com/kratos-breaker/breaker/selector"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// whoEnds are those who may end the context of a call, each with a context, and what
// they do while the call runs.
var whoEnds = []struct {
	name string
	of   func(t *testing.T) (ctx context.Context, during func())
	row  string // of README's table, for failures; "" for that of the end itself
}{
	{"nobody", func(*testing.T) (context.Context, func()) { return clientContext("/op"), func() {} }, ""},
	{
		"the caller", func(*testing.T) (context.Context, func()) { return context.WithCancel(clientContext("/op")) },
		"any failure, but the caller had cancelled the call",
	},
	{"the caller, with a cause", func(*testing.T) (context.Context, func()) {
		ctx, cancel := context.WithCancelCause(clientContext("/op"))
		return ctx, func() { cancel(kratoserrors.NotFound("A_SIBLING_FAILED", "")) }
	}, "any failure, but the caller had cancelled the call"},
	{"a deadline before", func(t *testing.T) (context.Context, func()) {
		ctx, cancel := context.WithTimeout(clientContext("/op"), -time.Second)
		t.Cleanup(cancel)
		return ctx, func() {}
	}, "any failure, but the context had ended before the call"},
	{"a deadline during", func(*testing.T) (context.Context, func()) {
		ctx := &onTime{Context: clientContext("/op"), passed: make(chan struct{})}
		return ctx, func() { close(ctx.passed) }
	}, ""},
	{"the other side", func(*testing.T) (context.Context, func()) {
		_, cancel := context.WithCancel(clientContext("/op")) // of somebody else
		return clientContext("/op"), cancel
	}, ""},
	{ownerOfConnection, func(t *testing.T) (context.Context, func()) {
		cc, err := grpc.NewClient("passthrough:///nobody", grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		t.Cleanup(func() { _ = cc.Close() })
		return context.WithValue(clientContext("/op"), connection{}, cc), func() { _ = cc.Close() }
	}, ""},
}

// ownerOfConnection closes the connection of a call. Its context has not ended, and only
// the interceptors know the connection.
const ownerOfConnection = "nobody, the owner closed the connection"

// connection is where a context has the connection of its call.
type connection struct{}

func connectionOf(ctx context.Context) *grpc.ClientConn {
	cc, _ := ctx.Value(connection{}).(*grpc.ClientConn)
	return cc
}

// onTime is a context with a deadline that passes when the test says so: one that the
// clock decides about may have passed before the call began.
type onTime struct {
	context.Context
	passed chan struct{}
}

func (c *onTime) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }

func (c *onTime) Done() <-chan struct{} { return c.passed }

func (c *onTime) Err() error {
	select {
	case <-c.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// coded is a reply that may have a code in it.
type codedReply struct{ code int }

func byCode(r *codedReply, err error) breaker.Outcome {
	if err == nil && r != nil && r.code == 500 {
		return breaker.Failure
	}
	return cberrors.Classify(err)
}

const byAnother = "cancelled by somebody else than the caller" // a row of README's table

// whatEnds are the ends of a call, each with its row of README's table.
var whatEnds = []struct {
	name   string
	err    error
	status int // of a response over HTTP, if it is one
	code   int // in the reply
	row    string
}{
	{"nil", nil, 200, 0, "no error"},
	{"404", kratoserrors.NotFound("NO_USER", ""), 404, 0, "the backend answered, maybe with a no"},
	{"503", kratoserrors.ServiceUnavailable("DOWN", ""), 503, 0, "the backend failed"},
	{"499", kratoserrors.ClientClosed("", ""), 499, 0, byAnother},
	{"gRPC `Canceled`", status.Error(codes.Canceled, ""), 0, 0, byAnother},
	{
		"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errors.New("connection refused"))}, 0, 0,
		"connection refused, reset or timed out; no such host; TLS fails",
	},
	{
		"closed here", &net.OpError{Op: "read", Err: net.ErrClosed}, 0, 0,
		"connection refused, reset or timed out; no such host; TLS fails",
	},
	{"EOF", io.EOF, 0, 0, "the backend hung up: `io.EOF`"},
	{"404 joined with 503", errors.Join(kratoserrors.NotFound("NO_USER", ""), kratoserrors.ServiceUnavailable("DOWN", "")), 0, 0, "the backend failed"},
	{"a nil pointer", (*net.OpError)(nil), 0, 0, "a nil pointer as the error"},
	{"a reply with a code", nil, 200, 500, "any other error"}, // a failure by the classifier
	{"a rejection", breaker.NewRejectedError("other", breaker.Open, breaker.ReasonOpen, time.Time{}, nil), 0, 0, "rejected by another breaker in this process"},
}

const notAsked = "not asked"

// matrixAdapters make a call, during which something may happen.
var matrixAdapters = []struct {
	name string
	call func(ctx context.Context, b *breakertest.Recorder, during func(), status int, reply *codedReply, err error)
}{
	{"Do", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		_, _ = breaker.Do(ctx, breaker.Adapt(b), func(context.Context) (*codedReply, error) {
			during()
			return reply, err
		}, breaker.WithResultClassifier(byCode))
	}},
	{"OutcomeOf", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		p, _ := breaker.Adapt(b).Acquire()
		if ctx.Err() != nil { // before the call
			p.Done(breaker.OutcomeOf(endedContext(), err, func(err error) breaker.Outcome { return byCode(reply, err) }))
			return
		}
		during()
		p.Done(breaker.OutcomeOf(ctx, err, func(err error) breaker.Outcome { return byCode(reply, err) }))
	}},
	{"middleware", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		m := circuitbreaker.Client(circuitbreaker.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })), circuitbreaker.WithReplyClassifier(byAnyReply))
		_, _ = m(func(context.Context, any) (any, error) { during(); return reply, err })(ctx, nil)
	}},
	{"endpoint", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		key := func(context.Context, any) (string, string, bool) { return "", "key", true }
		m := endpoint.New[func(context.Context, any) (any, error)](key, endpoint.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })),
			endpoint.WithReplyClassifier(byAnyReply))
		_, _ = m(func(context.Context, any) (any, error) { during(); return reply, err })(ctx, nil)
	}},
	{"RoundTripper", func(ctx context.Context, b *breakertest.Recorder, during func(), status int, reply *codedReply, err error) {
		matrixRoundTrip(ctx, b, during, status, reply, err)
	}},
	{"RoundTripper, body", func(ctx context.Context, b *breakertest.Recorder, during func(), status int, reply *codedReply, err error) {
		matrixRoundTrip(ctx, b, during, status, reply, err, breakerhttp.WithBody())
	}},
	{"interceptor", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		matrixInvoke(ctx, b, during, reply, err)
	}},
	{"stream", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		matrixStream(ctx, b, during, reply, err)
	}},
	{"selector", func(ctx context.Context, b *breakertest.Recorder, during func(), _ int, reply *codedReply, err error) {
		nodes := selector.NewNodes(selector.WithCircuitBreaker(func() *breakertest.Recorder { return b }),
			selector.WithClassifier(func(err error) breaker.Outcome { return byCode(reply, err) }))
		peer := &kratosselector.Peer{}
		_, _ = nodes.Client()(func(context.Context, any) (any, error) {
			peer.Node = kratosselector.NewNode("grpc", "127.0.0.1:9000", nil)
			during()
			return reply, err
		})(kratosselector.NewPeerContext(ctx, peer), nil)
	}},
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type openStream struct{ grpc.ClientStream }

func byAnyReply(_ context.Context, _, reply any, err error) breaker.Outcome {
	r, _ := reply.(*codedReply)
	return byCode(r, err)
}

// endedContext is a context that has ended, for who knows that a call was too late.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func matrixRoundTrip(ctx context.Context, b *breakertest.Recorder, during func(), status int, reply *codedReply, err error, opts ...breakerhttp.Option) {
	opts = append(opts, breakerhttp.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })))
	if reply.code != 0 {
		opts = append(opts, breakerhttp.WithResponseClassifier(func(*http.Response) breaker.Outcome { return byCode(reply, nil) }))
	}
	rt := breakerhttp.NewTransport(roundTripper(func(req *http.Request) (*http.Response, error) {
		during()
		if status != 0 {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}
		return nil, err
	}), opts...)
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://backend:80", nil)
	_, _ = rt.RoundTrip(req) //nolint:bodyclose // it has none
}

func matrixInvoke(ctx context.Context, b *breakertest.Recorder, during func(), reply *codedReply, err error) {
	in := breakergrpc.UnaryClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })),
		breakergrpc.WithReplyClassifier(byAnyReply))
	_ = in(ctx, "/a/b", nil, reply, connectionOf(ctx), func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
		during()
		return err
	})
}

func matrixStream(ctx context.Context, b *breakertest.Recorder, during func(), reply *codedReply, err error) {
	in := breakergrpc.StreamClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })),
		breakergrpc.WithClassifier(func(err error) breaker.Outcome { return byCode(reply, err) }))
	_, _ = in(ctx, &grpc.StreamDesc{}, connectionOf(ctx), "/a/b",
		func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			during()
			opts[0].(grpc.OnFinishCallOption).OnFinish(err)
			return openStream{}, nil
		})
}

// readmeOutcome returns what a row of README's table says.
func readmeOutcome(t *testing.T, row string) string {
	outcome, _, _ := strings.Cut(readmeRow(t, "how the call ended", row)[3], ", or ")
	return outcome
}

// TestMatrix_WhoEndedTheContextAndWhatCameBackCountTheSameThroughEveryAdapter prints
// the whole as a table, with -v. What each cell has to be, README's table says.
func TestMatrix_WhoEndedTheContextAndWhatCameBackCountTheSameThroughEveryAdapter(t *testing.T) {
	var table strings.Builder
	fmt.Fprint(&table, "| context ended by | what came back |")
	for _, a := range matrixAdapters {
		fmt.Fprintf(&table, " %s |", a.name)
	}
	fmt.Fprintf(&table, "\n|%s\n", strings.Repeat("---|", len(matrixAdapters)+2))
	for _, who := range whoEnds {
		for _, what := range whatEnds {
			said := readmeOutcome(t, what.row)
			if said == "failure" && who.row != "" {
				said = readmeOutcome(t, who.row)
			}
			fmt.Fprintf(&table, "| %s | %s |", who.name, what.name)
			for _, a := range matrixAdapters {
				want := said
				if who.name == ownerOfConnection && what.row == byAnother && (a.name == "interceptor" || a.name == "stream") {
					want = readmeOutcome(t, "any failure, but the caller had cancelled the call")
				}
				ctx, during := who.of(t)
				b := &breakertest.Recorder{}
				require.NotPanics(t, func() { a.call(ctx, b, during, what.status, &codedReply{what.code}, what.err) })
				got := notAsked
				if len(b.Marks) > 0 {
					require.Len(t, b.Marks, 1)
					got = b.Marks[0]
				}
				if strings.HasPrefix(a.name, "RoundTripper") && who.name == "a deadline before" {
					require.Equal(t, notAsked, got, "it makes no such call")
				} else {
					require.Equal(t, want, got, "%s, %s, %s", who.name, what.name, a.name)
				}
				fmt.Fprintf(&table, " %s |", got)
			}
			fmt.Fprintln(&table)
		}
	}
	t.Log("\n" + table.String())
}
