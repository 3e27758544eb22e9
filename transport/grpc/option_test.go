package grpc_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

func TestOption_NilPanicsAtOnceAndSaysWhatIsNil(t *testing.T) {
	var rules *calls
	for want, f := range map[string]func(){
		"transport/grpc: WithGroup: the group is nil":            func() { cbgrpc.WithGroup[*sre.Breaker](nil) },
		"transport/grpc: WithCircuitBreaker: the factory is nil": func() { cbgrpc.WithCircuitBreaker[*sre.Breaker](nil) },
		"transport/grpc: WithRules: the rules are nil":           func() { cbgrpc.WithRules(rules) },
		"transport/grpc: WithKey: the function is nil":           func() { cbgrpc.WithKey(nil) },
		"transport/grpc: WithClassifier: the classifier is nil":  func() { cbgrpc.WithClassifier(nil) },
		"transport/grpc: UnaryClientInterceptor: nil Option":     func() { cbgrpc.UnaryClientInterceptor(nil) },
		"transport/grpc: StreamClientInterceptor: nil Option":    func() { cbgrpc.StreamClientInterceptor(nil) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.PanicsWithValue(t, "transport/grpc: WithRules: the rules are nil", func() { cbgrpc.WithRules(nil) })
}

func TestOption_OutOfRangePanicsWithItsNameValueAndRange(t *testing.T) {
	for _, d := range []time.Duration{0, -1, math.MinInt64, 24*time.Hour + 1, math.MaxInt64} {
		want := fmt.Sprintf("transport/grpc: WithStreamSuccessAfter(%v): want a duration in (0, 24h]", d)
		require.PanicsWithValue(t, want, func() { cbgrpc.StreamClientInterceptor(cbgrpc.WithStreamSuccessAfter(d)) })
		require.PanicsWithValue(t, want, func() { cbgrpc.UnaryClientInterceptor(cbgrpc.WithStreamSuccessAfter(d)) })
	}
	for _, d := range []time.Duration{1, 24 * time.Hour} {
		require.NotPanics(t, func() { cbgrpc.StreamClientInterceptor(cbgrpc.WithStreamSuccessAfter(d)) })
	}
}

func TestOption_FactoryThatReturnsNoBreakerPanicsWithTheKey(t *testing.T) {
	for name, opt := range map[string]cbgrpc.Option{
		"factory":        cbgrpc.WithCircuitBreaker(func() *sre.Breaker { return nil }),
		"group":          cbgrpc.WithGroup(single((*sre.Breaker)(nil))),
		"group of aegis": cbgrpc.WithGroup(single((*breakertest.Trio)(nil))),
		"interface":      cbgrpc.WithGroup(single(breaker.Breaker((*circuit.Breaker)(nil)))),
		"nothing":        cbgrpc.WithGroup(single[breaker.Breaker](nil)),
	} {
		const want = `transport/grpc: the factory returned no breaker for "/test.Backend/Call"`
		require.PanicsWithValue(t, want, func() {
			_ = cbgrpc.UnaryClientInterceptor(opt)(t.Context(), method, nil, nil, nil, mustNotInvoke)
		}, name)
		require.PanicsWithValue(t, want, func() {
			_, _ = cbgrpc.StreamClientInterceptor(opt)(t.Context(), nil, nil, method, mustNotStream)
		}, name)
	}
}

// Whatever is nil, gRPC's users get a status with a text.
func TestNil_IsAnErrorAndTakesNoPermit(t *testing.T) {
	b := new(permits)
	unary := cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)))
	streams := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)))
	var noContext context.Context
	open := func(ctx context.Context, s grpc.Streamer) error {
		stream, err := streams(ctx, &grpc.StreamDesc{}, nil, method, s)
		require.Nil(t, stream)
		return err
	}
	for want, err := range map[string]error{
		"the context is nil":  unary(noContext, method, nil, nil, nil, mustNotInvoke),
		"the invoker is nil":  unary(t.Context(), method, nil, nil, nil, nil),
		"the context is nil.": open(noContext, mustNotStream),
		"the streamer is nil": open(t.Context(), nil),
	} {
		s, ok := status.FromError(err)
		require.True(t, ok)
		require.Equal(t, codes.Internal, s.Code())
		require.Equal(t, "transport/grpc: "+strings.TrimSuffix(want, "."), s.Message())
		require.False(t, cberrors.IsRejected(err))
	}
	require.Zero(t, b.issued)
}

func TestNil_StreamWithoutAnErrorIsAnErrorAndAFailure(t *testing.T) {
	b := new(permits)
	nothing := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		return nil, nil
	}
	for _, opts := range [][]cbgrpc.Option{nil, {cbgrpc.WithStreamSuccessAfter(time.Second)}} {
		in := cbgrpc.StreamClientInterceptor(append(opts, cbgrpc.WithGroup(single(b)))...)
		stream, err := in(t.Context(), nil, nil, method, nothing)
		require.Nil(t, stream)
		require.Equal(t, codes.Internal, status.Code(err))
		require.ErrorContains(t, err, "transport/grpc: the streamer returned neither a stream nor an error")
	}
	require.Equal(t, []breaker.Outcome{failure, failure}, b.outcomes())
}

func TestNil_ConnectionIsNoTarget(t *testing.T) {
	rules := &calls{b: new(permits)}
	require.NoError(t, cbgrpc.UnaryClientInterceptor(cbgrpc.WithRules(rules))(t.Context(), method, nil, nil, nil, invoker(nil)))
	require.Equal(t, [][2]string{{"grpc", method}}, rules.asked)
}

func TestCall_IsPassedOnUnchanged(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "mine")
	cc := dial(t, "passthrough:///nowhere")
	req, reply := new(string), new(int)
	desc := &grpc.StreamDesc{StreamName: "Call"}
	mine := grpc.WaitForReady(true)
	other := status.Error(codes.Aborted, "")

	err := cbgrpc.UnaryClientInterceptor()(ctx, method, req, reply, cc,
		func(c context.Context, m string, rq, rp any, conn *grpc.ClientConn, opts ...grpc.CallOption) error {
			require.Equal(t, ctx, c)
			require.Equal(t, method, m)
			require.Same(t, req, rq)
			require.Same(t, reply, rp)
			require.Same(t, cc, conn)
			require.Equal(t, []grpc.CallOption{mine}, opts)
			return other
		}, mine)
	require.Same(t, other, err)

	want := new(fakeStream)
	for n := range 7 { // more than there is room for
		all := make([]grpc.CallOption, n)
		for i := range all {
			all[i] = grpc.MaxCallRecvMsgSize(i)
		}
		stream, err := cbgrpc.StreamClientInterceptor()(ctx, desc, cc, method,
			func(c context.Context, d *grpc.StreamDesc, conn *grpc.ClientConn, m string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				require.Equal(t, ctx, c)
				require.Same(t, desc, d)
				require.Equal(t, method, m)
				require.Same(t, cc, conn)
				require.IsType(t, grpc.OnFinishCallOption{}, opts[0])
				require.Equal(t, all, append([]grpc.CallOption{}, opts[1:]...))
				require.Equal(t, len(opts), cap(opts), "who appends gets a copy")
				return want, other
			}, all...)
		require.Same(t, want, stream)
		require.Same(t, other, err)
	}
}

func TestKey_IsTheTargetAsItWasDialledAndTheMethod(t *testing.T) {
	for _, target := range []string{"127.0.0.1:9000", "passthrough:///payments:9000", "dns:///payments:9000", "dns:payments"} {
		rules := &calls{b: new(permits)}
		unary, streams := cbgrpc.UnaryClientInterceptor(cbgrpc.WithRules(rules)), cbgrpc.StreamClientInterceptor(cbgrpc.WithRules(rules))
		cc := dial(t, target)
		require.NoError(t, unary(t.Context(), "/payments.v1.Payments/Pay", nil, nil, cc, invoker(nil)))
		_, err := streams(t.Context(), nil, cc, "/payments.v1.Payments/Watch", new(fakeStream).opens())
		require.NoError(t, err)
		require.Equal(t, [][2]string{
			{"grpc", target + "/payments.v1.Payments/Pay"}, {"grpc", target + "/payments.v1.Payments/Watch"},
		}, rules.asked)
	}
}

// However often which calls come: what is remembered changes no key.
func TestKey_IsRightForAnyNumberOfTargetsAndMethods(t *testing.T) {
	conns := make([]*grpc.ClientConn, 5)
	for i := range conns {
		conns[i] = dial(t, strings.Repeat("passthrough:///a", i+1))
	}
	rules := &calls{b: new(permits)}
	in := cbgrpc.UnaryClientInterceptor(cbgrpc.WithRules(rules))
	rapid.Check(t, func(t *rapid.T) {
		cc := rapid.SampledFrom(conns).Draw(t, "connection")
		few := rapid.IntRange(0, 9).Draw(t, "few")
		many := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("/", rapid.IntRange(0, 5000).Draw(t, "method")) })
		for range 50 {
			m := many.Draw(t, "method")
			if few > 3 {
				m = fmt.Sprint("/", few)
			}
			rules.asked = rules.asked[:0]
			require.NoError(t, in(context.Background(), m, nil, nil, cc, invoker(nil)))
			require.Equal(t, [][2]string{{"grpc", cc.Target() + m}}, rules.asked)
		}
	})
}

// Of so many targets some have their keys in one place of the memory, and of
// those that differ before the middle, all of one length have.
func TestKey_OfAMethodIsNotThatOfAnotherTarget(t *testing.T) {
	for _, target := range []string{"passthrough:///node-%d", "passthrough:///node-%d.payments.svc.cluster.local:9000"} {
		rules := &calls{b: new(permits)}
		in := cbgrpc.UnaryClientInterceptor(cbgrpc.WithRules(rules))
		for i := range 129 {
			cc := dial(t, fmt.Sprintf(target, i))
			for range 2 {
				require.NoError(t, in(t.Context(), method, nil, nil, cc, invoker(nil)))
			}
			require.Equal(t, [][2]string{{"grpc", cc.Target() + method}, {"grpc", cc.Target() + method}}, rules.asked[2*i:])
		}
	}
}

func TestKey_CanBeAnything(t *testing.T) {
	type tenant struct{}
	cc := dial(t, "passthrough:///payments")
	key := cbgrpc.WithKey(func(ctx context.Context, m string, conn *grpc.ClientConn) string {
		require.Same(t, cc, conn)
		return fmt.Sprint(ctx.Value(tenant{}), m)
	})
	breakers := group.NewGroup(func() *permits { return new(permits) })
	opts := []cbgrpc.Option{cbgrpc.WithKey(func(context.Context, string, *grpc.ClientConn) string { panic("the last one counts") }), cbgrpc.WithGroup(breakers), key}
	ctx := context.WithValue(t.Context(), tenant{}, "blue")
	require.NoError(t, cbgrpc.UnaryClientInterceptor(opts...)(ctx, method, nil, nil, cc, invoker(nil)))
	_, err := cbgrpc.StreamClientInterceptor(opts...)(ctx, nil, cc, method, new(fakeStream).opens())
	require.NoError(t, err)
	require.Equal(t, 1, breakers.Len())
	require.Equal(t, 2, breakers.Get("blue"+method).issued, "the two have one breaker")
}

func TestGroup_IsSharedByTheInterceptorsThatHaveIt(t *testing.T) {
	breakers := group.NewGroup(func() *circuit.Breaker { return circuit.NewBreaker(circuit.WithConsecutiveFailures(2)) })
	unary := cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(breakers))
	streams := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(breakers))
	cc := dial(t, "passthrough:///payments")
	down := status.Error(codes.Unavailable, "")
	require.Same(t, down, unary(t.Context(), method, nil, nil, cc, invoker(down)))
	s := new(fakeStream)
	_, err := streams(t.Context(), nil, cc, method, s.opens())
	require.NoError(t, err)
	s.finish(down)
	require.Error(t, unary(t.Context(), method, nil, nil, cc, mustNotInvoke))
	_, err = streams(t.Context(), nil, cc, method, mustNotStream)
	require.True(t, cberrors.IsRejected(err))
	require.NoError(t, unary(t.Context(), method+"2", nil, nil, cc, invoker(nil)), "another key")
}

func TestGroup_OfAnInterceptorWithoutOneIsItsOwn(t *testing.T) {
	opt := cbgrpc.WithCircuitBreaker(func() *circuit.Breaker { return circuit.NewBreaker(circuit.WithConsecutiveFailures(1)) })
	for name, opts := range map[string][]cbgrpc.Option{"default": nil, "factory": {opt}} {
		one, two := cbgrpc.UnaryClientInterceptor(opts...), cbgrpc.UnaryClientInterceptor(opts...)
		breakertest.MustReject(t, func() bool {
			return cberrors.IsRejected(one(t.Context(), method, nil, nil, nil, invoker(errBackend)))
		})
		require.Same(t, errBackend, two(t.Context(), method, nil, nil, nil, invoker(errBackend)), name)
	}
}

func TestClassifier_DecidesAndThatOfARuleCountsFirst(t *testing.T) {
	says := func(o breaker.Outcome) breaker.Classifier { return func(error) breaker.Outcome { return o } }
	for _, c := range []struct {
		opts []cbgrpc.Option
		rule breaker.Classifier
		want breaker.Outcome
	}{
		{nil, nil, failure},
		{[]cbgrpc.Option{cbgrpc.WithClassifier(says(success))}, nil, success},
		{[]cbgrpc.Option{cbgrpc.WithClassifier(says(success)), cbgrpc.WithClassifier(says(ignored))}, nil, ignored},
		{[]cbgrpc.Option{cbgrpc.WithClassifier(says(success))}, says(ignored), ignored},
		{nil, says(success), success},
		{nil, says(9), 9},
	} {
		for _, end := range []error{nil, errBackend} {
			want := c.want
			if end == nil && c.rule == nil && c.opts == nil {
				want = success
			}
			b := new(permits)
			opts := append(c.opts, cbgrpc.WithRules(&calls{b: b, classify: c.rule}))
			require.Equal(t, end, cbgrpc.UnaryClientInterceptor(opts...)(t.Context(), method, nil, nil, nil, invoker(end)))
			s := new(fakeStream)
			_, err := cbgrpc.StreamClientInterceptor(opts...)(t.Context(), nil, nil, method, s.opens())
			require.NoError(t, err)
			s.finish(end)
			require.Equal(t, []breaker.Outcome{want, want}, b.outcomes(), "%v", end)
		}
	}
}

func TestClassifier_IsNotAskedAboutTheEndOfAClosedConnection(t *testing.T) {
	cc := dial(t, "passthrough:///payments")
	require.NoError(t, cc.Close())
	var asked []error
	b := new(permits)
	in := cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)), cbgrpc.WithClassifier(func(err error) breaker.Outcome {
		asked = append(asked, err)
		return failure
	}))
	closing := status.Error(codes.Canceled, "closing")
	late := status.Error(codes.Unavailable, "late")
	require.Same(t, closing, in(t.Context(), method, nil, nil, cc, invoker(closing)))
	require.Same(t, late, in(t.Context(), method, nil, nil, cc, invoker(late)))
	require.Same(t, closing, in(t.Context(), method, nil, nil, dial(t, "passthrough:///open"), invoker(closing)))
	require.Equal(t, []error{late, closing}, asked)
	require.Equal(t, []breaker.Outcome{ignored, failure, failure}, b.outcomes())
}

func TestForeign_AegisBreakersGetExactlyOneMarkPerCall(t *testing.T) {
	for _, row := range []struct {
		end  error
		ctx  context.Context
		mark string
	}{
		{nil, t.Context(), "MarkSuccess"},
		{status.Error(codes.NotFound, ""), t.Context(), "MarkSuccess"},
		{status.Error(codes.Unavailable, ""), t.Context(), "MarkFailed"},
		{status.Error(codes.Canceled, ""), breakertest.Canceled(), "MarkIgnored"},
		{status.Error(codes.Canceled, ""), t.Context(), "MarkFailed"},
	} {
		b := new(breakertest.IgnoringTrio)
		opts := cbgrpc.WithCircuitBreaker(func() aegis.CircuitBreaker { return b })
		_ = cbgrpc.UnaryClientInterceptor(opts)(row.ctx, method, nil, nil, nil, invoker(row.end))
		require.Equal(t, []string{"Allow", row.mark}, b.Heard())
		s := new(fakeStream)
		_, err := cbgrpc.StreamClientInterceptor(opts)(row.ctx, nil, nil, method, s.opens())
		require.NoError(t, err)
		s.finish(row.end)
		s.finish(errBackend)
		require.Equal(t, []string{"Allow", row.mark}, b.Heard())
	}
	b := &breakertest.Trio{Rejection: aegis.ErrNotAllowed}
	opt := cbgrpc.WithGroup(single(b))
	require.True(t, cberrors.IsRejected(cbgrpc.UnaryClientInterceptor(opt)(t.Context(), method, nil, nil, nil, mustNotInvoke)))
	_, err := cbgrpc.StreamClientInterceptor(opt)(t.Context(), nil, nil, method, mustNotStream)
	require.True(t, cberrors.IsRejected(err))
	require.Equal(t, []string{"Allow", "MarkFailed", "Allow", "MarkFailed"}, b.Heard())
}
