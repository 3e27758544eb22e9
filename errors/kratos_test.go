package errors_test

import (
	"context"
	stderrors "errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/registry"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/transport"
	kgrpc "github.com/go-kratos/kratos/v2/transport/grpc"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	httpstatus "github.com/go-kratos/kratos/v2/transport/http/status"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

// seen is a middleware that keeps what a breaker's middleware would see, and
// what it would make of it: the context is cancelled when the call is over.
type seen struct {
	err     error
	outcome breaker.Outcome
}

func (s *seen) middleware(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, req any) (any, error) {
		reply, err := next(ctx, req)
		s.err, s.outcome = err, outcomeOf(ctx, err)
		return reply, err
	}
}

func kratosHTTPClient(t *testing.T, s *seen, opts ...khttp.ClientOption) *khttp.Client {
	t.Helper()
	c, err := khttp.NewClient(t.Context(), append([]khttp.ClientOption{
		khttp.WithTransport(httpTransport(t)), khttp.WithTimeout(patience), khttp.WithMiddleware(s.middleware),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func kratosGRPCClient(t *testing.T, s *seen, opts ...kgrpc.ClientOption) *grpc.ClientConn {
	t.Helper()
	cc, err := kgrpc.DialInsecure(t.Context(), append([]kgrpc.ClientOption{
		kgrpc.WithTimeout(patience), kgrpc.WithMiddleware(s.middleware),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func kratosGRPCServer(t *testing.T, a answer) (address string) {
	t.Helper()
	s := kgrpc.NewServer(kgrpc.Address("127.0.0.1:0"), kgrpc.Timeout(0))
	s.RegisterService(&testService, a)
	endpoint, err := s.Endpoint()
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Start(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Stop(ctx))
		require.NoError(t, <-served)
	})
	return endpoint.Host
}

// kratosHTTPServer answers every request with the error, encoded as Kratos does.
func kratosHTTPServer(t *testing.T, answer func() error) (url string) {
	t.Helper()
	s := khttp.NewServer()
	s.Route("/").GET("/call", func(ctx khttp.Context) error {
		if err := answer(); err != nil {
			return err
		}
		return ctx.Result(http.StatusOK, map[string]string{})
	})
	return httpServer(t, s.ServeHTTP)
}

// discovery knows these instances, and never hears of others.
type discovery []*registry.ServiceInstance

func (d discovery) GetService(context.Context, string) ([]*registry.ServiceInstance, error) {
	return d, nil
}

func (d discovery) Watch(ctx context.Context, _ string) (registry.Watcher, error) {
	ctx, cancel := context.WithCancel(ctx)
	return &watcher{d, ctx, cancel}, nil
}

type watcher struct {
	news   discovery
	ctx    context.Context
	cancel context.CancelFunc
}

func (w *watcher) Next() (news []*registry.ServiceInstance, err error) {
	if w.news != nil {
		news, w.news = w.news, nil
		return news, nil
	}
	<-w.ctx.Done()
	return nil, w.ctx.Err()
}

func (w *watcher) Stop() error {
	w.cancel()
	return nil
}

// A gRPC client waits for its first node. What it gets in the end says nothing
// of nodes, so it is a timeout like any other.
func TestKratos_AGRPCClientThatKnowsNoNodeTimesOutWhichIsAFailure(t *testing.T) {
	var s seen
	cc := kratosGRPCClient(t, &s, kgrpc.WithEndpoint("discovery:///nobody"), kgrpc.WithDiscovery(discovery{}),
		kgrpc.WithTimeout(20*time.Millisecond))
	require.Equal(t, codes.DeadlineExceeded, status.Code(call(t.Context(), cc)))
	require.Equal(t, failure, s.outcome)
}

func TestKratos_EveryHTTPStatusCountsTheSameAfterTheWire(t *testing.T) {
	var next error
	var s seen
	c := kratosHTTPClient(t, &s, khttp.WithEndpoint(kratosHTTPServer(t, func() error { return next })))
	for code := 300; code <= 599; code++ {
		next = kratosError(code, "REASON")
		require.Error(t, c.Invoke(t.Context(), http.MethodGet, "/call", nil, nil))
		require.Equal(t, code, kratoserrors.Code(s.err))
		require.Equal(t, httpOutcome(code), errors.Classify(s.err), "%d", code)
		require.Equal(t, httpOutcome(code), s.outcome, "%d", code)
	}
	next = errPlain
	require.Error(t, c.Invoke(t.Context(), http.MethodGet, "/call", nil, nil))
	require.Equal(t, failure, errors.Classify(s.err), "a plain error of the handler")
}

// What answers is often a proxy that has never heard of Kratos.
func TestKratos_EveryHTTPStatusOfAnotherServerCountsTheSame(t *testing.T) {
	var code int
	var s seen
	c := kratosHTTPClient(t, &s, khttp.WithEndpoint(httpServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, "<html>")
	})))
	for code = 300; code <= 599; code++ {
		require.Error(t, c.Invoke(t.Context(), http.MethodGet, "/call", nil, nil), "%d", code)
		require.Equal(t, httpOutcome(code), errors.Classify(s.err), "%d", code)
	}
	code = 200
	require.Error(t, c.Invoke(t.Context(), http.MethodGet, "/call", nil, new(struct{})))
	require.Equal(t, failure, errors.Classify(s.err), "an answer that is none")
}

// Kratos has a gRPC code for few statuses. The others become Unknown, and only a
// reason tells them from a crash. So a 502 with a reason is taken for a business
// error over gRPC, and a 402 without one for a crash: the number is lost.
func TestKratos_AnErrorCountsByWhatGRPCLeavesOfIt(t *testing.T) {
	var next error
	var s seen
	cc := kratosGRPCClient(t, &s, kgrpc.WithEndpoint(kratosGRPCServer(t, func(context.Context, any) (any, error) { return nil, next })))
	want := func(code int, reason string) breaker.Outcome {
		switch {
		case httpstatus.ToGRPCCode(code) != codes.Unknown:
			return httpOutcome(code)
		case reason != "":
			return success
		}
		return failure
	}
	var numbers []int
	for code := 300; code <= 599; code++ {
		numbers = append(numbers, code)
	}
	for _, code := range append(numbers, 0, -1, 10001) {
		for _, r := range []string{"", "REASON"} {
			next = kratosError(code, r)
			require.Error(t, call(t.Context(), cc))
			require.Equal(t, want(code, r), errors.Classify(s.err), "%d %q", code, r)
		}
	}
	next = errPlain
	require.Error(t, call(t.Context(), cc))
	require.Equal(t, failure, errors.Classify(s.err), "a plain error of the handler")
}

// A cancellation looks different to each client. All of them are told.
func TestOutcomeOf_ACancelledCallOfARealClientIsIgnoredIfTheCallerCancelled(t *testing.T) {
	started := make(chan struct{}, 1)
	waitHTTP := func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		wait(w, r)
	}
	waitGRPC := func(ctx context.Context, req any) (any, error) {
		started <- struct{}{}
		return waitForEnd(ctx, req)
	}
	var s seen
	plain := httpServer(t, waitHTTP)
	httpClient := kratosHTTPClient(t, &s, khttp.WithEndpoint(httpServer(t, waitHTTP)))
	grpcPlain := grpcClient(t, grpcServer(t, waitGRPC))
	grpcKratos := kratosGRPCClient(t, &s, kgrpc.WithEndpoint(kratosGRPCServer(t, waitGRPC)))
	clients := []struct {
		name string
		call func(ctx context.Context) (breaker.Outcome, error) // what the breaker next to the client says
	}{
		{"net/http", func(ctx context.Context) (breaker.Outcome, error) {
			err := get(ctx, t, plain)
			return outcomeOf(ctx, err), err
		}},
		{"Kratos HTTP", func(ctx context.Context) (breaker.Outcome, error) {
			_ = httpClient.Invoke(ctx, http.MethodGet, "/call", nil, nil)
			return s.outcome, s.err
		}},
		{"grpc", func(ctx context.Context) (breaker.Outcome, error) {
			err := call(ctx, grpcPlain)
			return outcomeOf(ctx, err), err
		}},
		{"Kratos gRPC", func(ctx context.Context) (breaker.Outcome, error) {
			_ = call(ctx, grpcKratos)
			return s.outcome, s.err
		}},
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			// cancelled makes a call and cancels it while it runs.
			cancelled := func(ctx context.Context, cancel func()) (breaker.Outcome, error) {
				go func() {
					<-started
					cancel()
				}()
				o, err := c.call(ctx)
				require.Error(t, err)
				return o, err
			}
			t.Run("by the caller", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				o, err := cancelled(ctx, cancel)
				require.Equal(t, ignored, o, "%v", err)
				for _, w := range wrappings {
					require.Equal(t, failure, errors.Classify(w.wrap(err)), "%v", err)
					require.Equal(t, ignored, outcomeOf(ctx, w.wrap(err)), "%v", err)
				}
			})
			for name, cause := range map[string]error{
				"plain": errPlain, "of 404": kratosError(404, "NO_SUCH_USER"), "of 503": kratosError(503, "DOWN"), "of EOF": io.EOF,
			} {
				t.Run("by the caller with a cause "+name, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					o, err := cancelled(ctx, func() { cancel(cause) })
					require.Equal(t, ignored, o, "%v", err)
				})
			}
			t.Run("by somebody below the caller", func(t *testing.T) {
				inner, cancel := context.WithCancel(t.Context())
				_, err := cancelled(inner, cancel)
				require.Equal(t, failure, outcomeOf(t.Context(), err), "%v", err)
			})
			t.Run("by the caller's deadline", func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				o, err := cancelled(ctx, func() {})
				require.Equal(t, failure, o, "%v", err)
			})
		})
	}
}

func TestOutcomeOf_ACancellationThatTheBackendReportsIsAFailure(t *testing.T) {
	var s seen
	cancelled := kratosError(499, "CLIENT_CLOSED")
	cc := kratosGRPCClient(t, &s, kgrpc.WithEndpoint(kratosGRPCServer(t, func(context.Context, any) (any, error) { return nil, cancelled })))
	require.Error(t, call(t.Context(), cc))
	require.Equal(t, codes.Canceled, status.Code(s.err))
	require.Equal(t, failure, s.outcome)

	c := kratosHTTPClient(t, &s, khttp.WithEndpoint(kratosHTTPServer(t, func() error { return cancelled })))
	require.Error(t, c.Invoke(t.Context(), http.MethodGet, "/call", nil, nil))
	require.Equal(t, 499, kratoserrors.Code(s.err))
	require.Equal(t, failure, s.outcome)
}

func TestKratos_ARequestThatCannotBeEncodedIsIgnored(t *testing.T) {
	var s seen
	called := false
	c := kratosHTTPClient(t, &s, khttp.WithEndpoint(httpServer(t, func(http.ResponseWriter, *http.Request) { called = true })))
	err := c.Invoke(t.Context(), http.MethodPost, "/call", make(chan int), nil)
	require.Error(t, err)
	require.False(t, called)
	require.NoError(t, s.err, "Kratos' middleware is not even asked")
	require.Equal(t, ignored, errors.Classify(err))
}

// marks is a breaker that counts what it is told.
type marks struct{ succeeded, failed int }

func (m *marks) Allow() error { return nil }
func (m *marks) MarkSuccess() { m.succeeded++ }
func (m *marks) MarkFailed()  { m.failed++ }

type operation struct{ transport.Transporter }

func (operation) Operation() string { return "/test.Service/Call" }

func TestClassifyKratos_SaysWhatKratosOwnMiddlewareMarks(t *testing.T) {
	all := []error{
		nil, io.EOF, io.ErrUnexpectedEOF, errPlain, context.Canceled, context.DeadlineExceeded,
		&url.Error{Op: "Get", URL: "http://a", Err: context.Canceled}, &url.Error{Op: "Get", URL: "http://a", Err: io.EOF},
		rejection(), errors.NotAllowed(rejection()), errors.ErrNotAllowed, kratoscb.ErrNotAllowed, aegis.ErrNotAllowed,
		kratosError(503, "NODE_NOT_FOUND"), selector.ErrNoAvailable,
		statusError{nil},
		statusError{status.New(codes.OK, "")},
		grpcError(codes.Unknown, "", reason("BUSINESS")), kratosError(10001, "BUSINESS"), kratosError(-1, ""), kratosError(0, ""),
		kratosError(404, "").WithCause(context.Canceled), stderrors.Join(errPlain, kratosError(404, "")),
	}
	for code := 100; code <= 600; code++ {
		all = append(all, kratosError(code, ""))
	}
	for code := codes.Code(1); code <= 18; code++ {
		all = append(all, status.Error(code, "a message"))
	}
	m := new(marks)
	client := kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return m }))
	ctx := transport.NewClientContext(t.Context(), operation{})
	marked := map[marks]breaker.Outcome{{succeeded: 1}: success, {failed: 1}: failure}
	outcomes := map[breaker.Outcome]int{}
	for _, err := range all {
		for _, w := range wrappings {
			given := err
			if err != nil {
				given = w.wrap(err)
			}
			*m = marks{}
			_, got := client(func(context.Context, any) (any, error) { return nil, given })(ctx, nil)
			require.Equal(t, given, got)
			want, ok := marked[*m]
			require.True(t, ok, "one mark")
			require.Equal(t, want, errors.ClassifyKratos(given), "%v", given)
			outcomes[want]++
		}
	}
	require.Len(t, outcomes, 2)
}

// echo says what it was asked.
func echo(_ context.Context, req any) (any, error) {
	return wrapperspb.String(req.(*wrapperspb.StringValue).GetValue()), nil
}

func TestKratos_ACallThatSucceedsIsASuccess(t *testing.T) {
	var s seen
	cc := kratosGRPCClient(t, &s, kgrpc.WithEndpoint(kratosGRPCServer(t, echo)))
	require.NoError(t, call(t.Context(), cc))
	require.Equal(t, success, s.outcome)
	c := kratosHTTPClient(t, &s, khttp.WithEndpoint(kratosHTTPServer(t, func() error { return nil })))
	require.NoError(t, c.Invoke(t.Context(), http.MethodGet, "/call", nil, new(map[string]string)))
	require.Equal(t, success, s.outcome)
}
