package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	"github.com/kratos-breaker/breaker/sre"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler is a type of another library's, as that of Kratos v3 or go-kit is.
type handler func(ctx context.Context, req any) (any, error)

var errBackend = errors.New("the backend is down")

func byRequest(_ context.Context, req any) (transport, key string, ok bool) {
	key, ok = req.(string)
	return "http", key, ok
}

func single[B any](b B) *group.Group[B] { return group.NewGroup(func() B { return b }) }

func answers(reply any, err error) handler {
	return func(context.Context, any) (any, error) { return reply, err }
}

func mustNotBeCalled(context.Context, any) (any, error) { panic("the handler was called") }

func TestNew_OneBreakerForEachKeyAndNoneWithoutOne(t *testing.T) {
	breakers := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() })
	m := endpoint.New[handler](byRequest, endpoint.WithGroup(breakers))
	for _, req := range []any{"a", "b", "a", 17} {
		reply, err := m(answers("reply", errBackend))(t.Context(), req)
		require.Equal(t, "reply", reply)
		require.Equal(t, errBackend, err)
	}
	require.Equal(t, 2, breakers.Len())
	breakertest.RequireTotals(t, breakers.Get("a"), breaker.Totals{Failure: 2})
	breakertest.RequireTotals(t, breakers.Get("b"), breaker.Totals{Failure: 1})
}

// Kratos wraps handlers anew for each request.
func TestNew_TheBreakersLiveInWhatItReturns(t *testing.T) {
	made := 0
	m := endpoint.New[handler](byRequest, endpoint.WithCircuitBreaker(func() *circuit.Breaker {
		made++
		return circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	}))
	for range 3 {
		_, _ = m(answers(nil, errBackend))(t.Context(), "a")
	}
	_, err := m(mustNotBeCalled)(t.Context(), "a")
	require.True(t, cberrors.IsRejected(err))
	require.ErrorIs(t, err, cberrors.ErrNotAllowed)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, 1, made)
}

func TestNew_TheEndOfACallCountsAsEverywhere(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		ctx  context.Context
		err  error
		want breaker.Totals
	}{
		{t.Context(), nil, breaker.Totals{Success: 1}},
		{gone, nil, breaker.Totals{Success: 1}},
		{t.Context(), status.Error(codes.NotFound, ""), breaker.Totals{Success: 1}},
		{t.Context(), status.Error(codes.Unavailable, ""), breaker.Totals{Failure: 1}},
		{gone, status.Error(codes.Unavailable, ""), breaker.Totals{Ignored: 1}},
		{t.Context(), context.Canceled, breaker.Totals{Failure: 1}},
		{gone, context.Canceled, breaker.Totals{Ignored: 1}},
		{t.Context(), breaker.NotSent(errBackend), breaker.Totals{Ignored: 1}},
	} {
		b := sre.NewBreaker()
		_, err := endpoint.New[handler](byRequest, endpoint.WithGroup(single(b)))(answers(nil, row.err))(row.ctx, "a")
		require.Equal(t, row.err, err)
		breakertest.RequireTotals(t, b, row.want)
	}
}

func TestNew_APanicIsAFailureAndGoesOn(t *testing.T) {
	b := sre.NewBreaker()
	m := endpoint.New[handler](byRequest, endpoint.WithGroup(single(b)))
	require.PanicsWithValue(t, "boom", func() {
		_, _ = m(func(context.Context, any) (any, error) { panic("boom") })(t.Context(), "a")
	})
	breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1})
}

// rule is a set of rules with one breaker.
type rule struct {
	b        breaker.Breaker
	classify breaker.Classifier
	asked    []string
}

func (r *rule) Admit(transport, key string) (breaker.Permit, breaker.Classifier, error) {
	r.asked = append(r.asked, transport+":"+key)
	p, err := r.b.Acquire()
	return p, r.classify, err
}

func TestWithReplyClassifier_ComesAfterARuleAndBeforeTheErrors(t *testing.T) {
	byReply := endpoint.WithReplyClassifier(func(_ context.Context, req, reply any, err error) breaker.Outcome {
		require.Equal(t, "a", req)
		if err == nil && reply == 500 {
			return breaker.Failure
		}
		return cberrors.Classify(err)
	})
	never := endpoint.WithClassifier(func(error) breaker.Outcome { panic("asked") })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		ctx   context.Context
		rule  breaker.Classifier
		reply any
		err   error
		want  breaker.Totals
	}{
		{t.Context(), nil, 200, nil, breaker.Totals{Success: 1}},
		{t.Context(), nil, 500, nil, breaker.Totals{Failure: 1}},
		{gone, nil, 500, nil, breaker.Totals{Ignored: 1}},
		{t.Context(), nil, nil, status.Error(codes.Unavailable, ""), breaker.Totals{Failure: 1}},
		{gone, nil, 500, context.Canceled, breaker.Totals{Ignored: 1}},
		{t.Context(), func(error) breaker.Outcome { return breaker.Success }, 500, nil, breaker.Totals{Success: 1}},
	} {
		r := &rule{b: sre.NewBreaker(), classify: row.rule}
		reply, err := endpoint.New[handler](byRequest, never, byReply, endpoint.WithRules(r))(answers(row.reply, row.err))(row.ctx, "a")
		require.Equal(t, row.reply, reply)
		require.Equal(t, row.err, err)
		require.Equal(t, []string{"http:a"}, r.asked)
		breakertest.RequireTotals(t, r.b, row.want)
	}
}

// ownError is of the caller's own kind.
type ownError struct{ cause *breaker.RejectedError }

func (ownError) Error() string   { return "unavailable" }
func (e ownError) Unwrap() error { return e.cause }

func TestWithRejection_MakesTheErrorOfTheCallersKind(t *testing.T) {
	rejects := endpoint.WithCircuitBreaker(func() aegis.CircuitBreaker { return &breakertest.Trio{Rejection: aegis.ErrNotAllowed} })
	own := endpoint.WithRejection(func(r *breaker.RejectedError) error { return ownError{r} })
	_, err := endpoint.New[handler](byRequest, rejects, own)(mustNotBeCalled)(t.Context(), "a")
	var got ownError
	require.ErrorAs(t, err, &got)
	require.Equal(t, "a", got.cause.Name())
	require.Equal(t, breaker.Ignored, cberrors.Classify(err), "a breaker around it sees that nothing was sent")

	reply, err := endpoint.New[handler](byRequest, rejects, own, endpoint.WithFallback(
		func(_ context.Context, req any, rejected error) (any, error) {
			require.ErrorAs(t, rejected, &got)
			return fmt.Sprint("instead of ", req), nil
		}))(mustNotBeCalled)(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "instead of a", reply)
}

// codedRejection is a rejection with a code of its own.
type codedRejection struct {
	*breaker.RejectedError
	code int32
}

func (e codedRejection) GetCode() int32  { return e.code }
func (codedRejection) GetReason() string { return "BUSY" }

// statusRejection is one with a status.
type statusRejection struct{ *breaker.RejectedError }

func (statusRejection) GRPCStatus() *status.Status {
	return status.New(codes.ResourceExhausted, "busy")
}

func TestWithRejection_ABreakerAroundItKnowsWhichErrorsSayThatNothingWasSent(t *testing.T) {
	for name, row := range map[string]struct {
		make func(r *breaker.RejectedError) error
		want breaker.Outcome
	}{
		"wrapped": {func(r *breaker.RejectedError) error { return fmt.Errorf("busy: %w", r) }, breaker.Ignored},
		"the cause of Kratos' 503 CIRCUITBREAKER": {func(r *breaker.RejectedError) error { return kratoserrors.New(503, "CIRCUITBREAKER", "").WithCause(r) }, breaker.Ignored},
		"embedded, with a code":                   {func(r *breaker.RejectedError) error { return codedRejection{r, 429} }, breaker.Ignored},
		"embedded, with a status":                 {func(r *breaker.RejectedError) error { return statusRejection{r} }, breaker.Ignored},
		"the cause of another code":               {func(r *breaker.RejectedError) error { return kratoserrors.New(503, "BUSY", "").WithCause(r) }, breaker.Failure},
		"the cause of another code, and marked": {func(r *breaker.RejectedError) error {
			return breaker.NotSent(kratoserrors.New(503, "BUSY", "").WithCause(r))
		}, breaker.Ignored},
	} {
		t.Run(name, func(t *testing.T) {
			inner := endpoint.New[handler](byRequest, endpoint.WithRejection(row.make), endpoint.WithCircuitBreaker(func() aegis.CircuitBreaker {
				return &breakertest.Trio{Rejection: aegis.ErrNotAllowed}
			}))(mustNotBeCalled)
			_, err := inner(t.Context(), "a")
			require.Equal(t, row.want == breaker.Ignored, cberrors.IsNotSent(err))
			for _, opts := range [][]endpoint.Option{nil, {endpoint.WithClassifier(cberrors.NewClassifier(cberrors.WithReason(breaker.Failure, "BUSY"), cberrors.WithOverload()))}} {
				outer := sre.NewBreaker()
				_, _ = endpoint.New[handler](byRequest, append(opts, endpoint.WithGroup(single(outer)))...)(inner)(t.Context(), "a")
				want := breaker.Totals{Ignored: 1}
				if row.want == breaker.Failure {
					want = breaker.Totals{Failure: 1}
				}
				breakertest.RequireTotals(t, outer, want)
			}
			outer := sre.NewBreaker()
			_ = breaker.Run(t.Context(), outer, func(ctx context.Context) error { _, err := inner(ctx, "a"); return err })
			require.Equal(t, row.want == breaker.Ignored, outer.Snapshot().Totals.Ignored == 1)
		})
	}
}

func TestWithNotSent_KnowsFromTheContext(t *testing.T) {
	type local struct{}
	knows := endpoint.WithNotSent(func(ctx context.Context, err error) bool { return ctx.Value(local{}) != nil })
	for ctx, want := range map[context.Context]breaker.Totals{
		t.Context(): {Failure: 1},
		context.WithValue(t.Context(), local{}, true): {Ignored: 1},
	} {
		b := sre.NewBreaker()
		_, err := endpoint.New[handler](byRequest, knows, endpoint.WithGroup(single(b)),
			endpoint.WithClassifier(cberrors.NewClassifier(cberrors.WithOverload())))(answers(nil, errBackend))(ctx, "a")
		require.Equal(t, errBackend, err)
		breakertest.RequireTotals(t, b, want)
	}
}

func TestNew_TwentyCallsThatWereNotSentLoseNoProbe(t *testing.T) {
	b := circuit.NewBreaker()
	b.HalfOpen()
	m := endpoint.New[handler](byRequest, endpoint.WithGroup(single(b)))
	for range 20 {
		_, _ = m(answers(nil, breaker.NotSent(errBackend)))(t.Context(), "a")
	}
	require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
	_, _ = m(answers(nil, errBackend))(t.Context(), "a")
	require.Equal(t, breaker.Open, b.Snapshot().State)
}

func TestNew_PanicsForWhatIsNil(t *testing.T) {
	for want, f := range map[string]func(){
		"endpoint: New: the function of the key is nil":        func() { endpoint.New[handler](nil) },
		"endpoint: New: nil Option":                            func() { endpoint.New[handler](byRequest, nil) },
		"endpoint: the handler is nil":                         func() { endpoint.New[handler](byRequest)(nil) },
		"endpoint: WithGroup: the group is nil":                func() { endpoint.WithGroup[*sre.Breaker](nil) },
		"endpoint: WithCircuitBreaker: the factory is nil":     func() { endpoint.WithCircuitBreaker[*sre.Breaker](nil) },
		"endpoint: WithRules: the rules are nil":               func() { endpoint.WithRules((*rule)(nil)) },
		"endpoint: WithClassifier: the classifier is nil":      func() { endpoint.WithClassifier(nil) },
		"endpoint: WithReplyClassifier: the classifier is nil": func() { endpoint.WithReplyClassifier(nil) },
		"endpoint: WithFallback: the function is nil":          func() { endpoint.WithFallback(nil) },
		"endpoint: WithRejection: the function is nil":         func() { endpoint.WithRejection(nil) },
		"endpoint: WithNotSent: the function is nil":           func() { endpoint.WithNotSent(nil) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	var noContext context.Context
	_, err := endpoint.New[handler](byRequest)(mustNotBeCalled)(noContext, "a")
	require.EqualError(t, err, "endpoint: the context is nil")
}

// A group that somebody else made may give a nil pointer.
func TestRegression_ANilPointerOfTheGroupWasDereferenced(t *testing.T) {
	for name, opt := range map[string]endpoint.Option{
		"permits":   endpoint.WithGroup(single((*sre.Breaker)(nil))),
		"aegis":     endpoint.WithGroup(single((*breakertest.Trio)(nil))),
		"interface": endpoint.WithGroup(single(aegis.CircuitBreaker((*circuit.Breaker)(nil)))),
		"nothing":   endpoint.WithGroup(single[aegis.CircuitBreaker](nil)),
		"factory":   endpoint.WithCircuitBreaker(func() *sre.Breaker { return nil }),
	} {
		require.PanicsWithValue(t, `endpoint: the factory returned no breaker for "a"`, func() {
			_, _ = endpoint.New[handler](byRequest, opt)(mustNotBeCalled)(t.Context(), "a")
		}, name)
	}
}

func TestNew_AllocatesNothingAroundACallThatSucceeds(t *testing.T) {
	h := endpoint.New[handler](byRequest)(answers(nil, nil))
	ctx, req := t.Context(), any("a")
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = h(ctx, req) }))
}
