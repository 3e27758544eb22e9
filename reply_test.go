package breaker_test

import (
	"context"
	"errors"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// Replies that have the outcome of their call in them, each in its own way.
type (
	graphQL struct{ Errors []string } // not the caller's
	batch   struct{ Done, Failed int }
	cached  struct{ Stale bool } // what a proxy has when its backend is down
	health  interface{ Healthy() bool }
	unwell  struct{}

	codedReply struct{ code int }
)

func (unwell) Healthy() bool { return false }

// byWhatTheReplySays knows all of them.
func byWhatTheReplySays(reply any, err error) breaker.Outcome {
	failed := false
	switch r := reply.(type) {
	case *codedReply:
		if r != nil && r.code == 501 {
			return breaker.Ignored
		}
		failed = r == nil || r.code >= 500
	case *testgrpc.SimpleResponse:
		failed = r.GetUsername() == "nobody is there"
	case graphQL:
		failed = len(r.Errors) > 0
	case batch:
		if r.Done > r.Failed { // an error tells of the few
			return breaker.Success
		}
		failed = r.Failed > 0
	case cached:
		failed = r.Stale
	case map[string]any:
		failed = r["success"] == false
	case []string:
		failed = r == nil
	case health:
		failed = !r.Healthy()
	case error: // in the place of a reply
		return cberrors.Classify(r)
	}
	if failed {
		return breaker.Failure
	}
	return cberrors.Classify(err)
}

// repliedThrough makes a call that ends with a reply and an error.
var repliedThrough = map[string]func(ctx context.Context, b *breakertest.Recorder, reply any, err error) (any, error){
	"Do": func(ctx context.Context, b *breakertest.Recorder, reply any, err error) (any, error) {
		return breaker.Do(ctx, breaker.Adapt(b), func(context.Context) (any, error) { return reply, err },
			breaker.WithResultClassifier(byWhatTheReplySays))
	},
	"middleware": func(ctx context.Context, b *breakertest.Recorder, reply any, err error) (any, error) {
		m := circuitbreaker.Client(circuitbreaker.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })),
			circuitbreaker.WithReplyClassifier(func(_ context.Context, _, reply any, err error) breaker.Outcome {
				return byWhatTheReplySays(reply, err)
			}))
		return m(func(context.Context, any) (any, error) { return reply, err })(ctx, nil)
	},
	"endpoint": func(ctx context.Context, b *breakertest.Recorder, reply any, err error) (any, error) {
		key := func(context.Context, any) (string, string, bool) { return "", "key", true }
		m := endpoint.New[func(context.Context, any) (any, error)](key, endpoint.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })),
			endpoint.WithReplyClassifier(func(_ context.Context, _, reply any, err error) breaker.Outcome {
				return byWhatTheReplySays(reply, err)
			}))
		return m(func(context.Context, any) (any, error) { return reply, err })(ctx, nil)
	},
	"interceptor": func(ctx context.Context, b *breakertest.Recorder, reply any, err error) (any, error) {
		in := breakergrpc.UnaryClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *breakertest.Recorder { return b })),
			breakergrpc.WithReplyClassifier(func(_ context.Context, _, reply any, err error) breaker.Outcome {
				return byWhatTheReplySays(reply, err)
			}))
		return reply, in(ctx, "/a/b", nil, reply, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return err })
	},
}

func TestReplyClassifier_KnowsTheOutcomeWhateverTheReplyIsThroughEveryAdapter(t *testing.T) {
	few := errors.New("3 of 100 were not written")
	for _, row := range []struct {
		name  string
		reply any
		err   error
		want  string
	}{
		{"a code", &codedReply{200}, nil, "success"},
		{"a code that fails", &codedReply{503}, nil, "failure"},
		{"a code that says nothing", &codedReply{501}, nil, "ignored"},
		{"a nil pointer in place of a reply", (*codedReply)(nil), nil, "failure"},
		{"no reply", nil, nil, "success"},
		{"a message", new(testgrpc.SimpleResponse), nil, "success"},
		{"a message that fails", &testgrpc.SimpleResponse{Username: "nobody is there"}, nil, "failure"},
		{"a list of errors, empty", graphQL{}, nil, "success"},
		{"a list of errors", graphQL{[]string{"a subgraph is down"}}, nil, "failure"},
		{"most of a batch, with an error", batch{97, 3}, few, "success"},
		{"none of a batch, without one", batch{0, 100}, nil, "failure"},
		{"fresh from a cache", cached{}, nil, "success"},
		{"stale from a cache", cached{true}, nil, "failure"},
		{"a map that says yes", map[string]any{"success": true}, nil, "success"},
		{"a map that says no", map[string]any{"success": false}, nil, "failure"},
		{"an empty list", []string{}, nil, "success"},
		{"a list that is nil", []string(nil), nil, "failure"},
		{"a method of the reply", unwell{}, nil, "failure"},
		{"an answer's error as the reply", kratoserrors.NotFound("NO_USER", ""), nil, "success"},
		{"a failure's error as the reply", status.Error(codes.Unavailable, ""), nil, "failure"},
		{"a reply that is well beside an error", &codedReply{200}, kratoserrors.ServiceUnavailable("DOWN", ""), "failure"},
	} {
		for name, call := range repliedThrough {
			t.Run(row.name+", "+name, func(t *testing.T) {
				b := &breakertest.Recorder{}
				reply, err := call(breakertest.ClientContext(context.Background(), "/op"), b, row.reply, row.err)
				require.Equal(t, row.reply, reply)
				require.Equal(t, row.err, err)
				require.Equal(t, []string{row.want}, b.Marks)

				ctx, cancel := context.WithCancel(breakertest.ClientContext(context.Background(), "/op"))
				cancel()
				want := row.want
				if want == "failure" || row.err != nil {
					want = "ignored"
				}
				b = &breakertest.Recorder{}
				_, _ = call(ctx, b, row.reply, row.err)
				require.Equal(t, []string{want}, b.Marks, "of a caller who is gone")
			})
		}
	}
}
