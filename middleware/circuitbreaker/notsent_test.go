package circuitbreaker_test

import (
	"context"
	"testing"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/transport"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

func TestNotSent_TwentyCallsForWhichThereIsNoNodeLoseNoProbe(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			b := circuit.NewBreaker()
			b.HalfOpen()
			endpoint := w.serve(t, func(_ context.Context, in string) (string, error) { return in, nil })
			call := w.dialNowhere(t, endpoint, circuitbreaker.Client(circuitbreaker.WithGroup(single(b))))
			for range 20 {
				_, err := call(t.Context(), "")
				require.Equal(t, 503, kratoserrors.Code(err))
			}
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			require.Equal(t, breaker.Totals{Offered: 20, Allowed: 20, Ignored: 20}, b.Snapshot().Totals)
			dead := w.dial(t, refusing(t), never, circuitbreaker.Client(circuitbreaker.WithGroup(single(b))))
			_, err := dead(t.Context(), "")
			require.Error(t, err)
			require.Equal(t, breaker.Open, b.Snapshot().State, "the next call is the probe")
		})
	}
}

// A middleware inside of the breaker, as Kratos' jwt.Client, may fail before anything is
// sent. Outside it would cost the breaker nothing; inside it can say so.
func TestNotSent_AMiddlewareInsideCanSayIt(t *testing.T) {
	noToken := kratoserrors.Unauthorized("NO_TOKEN", "the token function failed")
	jwt := func(middleware.Handler) middleware.Handler { return answer(nil, noToken) }
	says := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) {
			reply, err := next(ctx, req)
			return reply, breaker.NotSent(err)
		}
	}
	for name, row := range map[string]struct {
		inside []middleware.Middleware
		want   breaker.State
	}{
		"silent": {[]middleware.Middleware{jwt}, breaker.Closed}, // a 401 of a backend that is dead
		"said":   {[]middleware.Middleware{says, jwt}, breaker.HalfOpen},
	} {
		t.Run(name, func(t *testing.T) {
			b := circuit.NewBreaker()
			b.HalfOpen()
			h := middleware.Chain(append([]middleware.Middleware{circuitbreaker.Client(circuitbreaker.WithGroup(single(b)))}, row.inside...)...)
			_, err := h(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
			require.ErrorIs(t, err, noToken)
			require.Equal(t, 401, kratoserrors.Code(err))
			require.Equal(t, row.want, b.Snapshot().State)
		})
	}
}

func TestWithReplyClassifier_KnowsTheCodeInTheReply(t *testing.T) {
	type reply struct{ Code int }
	b := sre.NewBreaker()
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)), circuitbreaker.WithReplyClassifier(
		func(_ context.Context, _, r any, err error) breaker.Outcome {
			if r, ok := r.(*reply); ok && r.Code == 500 {
				return breaker.Failure
			}
			return cberrors.Classify(err)
		}))
	for _, h := range []middleware.Handler{answer(&reply{0}, nil), answer(&reply{500}, nil), answer(nil, errNotFound)} {
		_, _ = m(h)(clientContext(t.Context(), operation), nil)
	}
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 2, Failure: 1})
	require.PanicsWithValue(t, "circuitbreaker: WithReplyClassifier: the classifier is nil", func() { circuitbreaker.WithReplyClassifier(nil) })
}

// What somebody does to the sentinel is no business of callers.
// Kratos' own middleware rejects with the error that a backend sends of its breaker, and
// nothing in it tells the two apart.
func TestNotSent_ARejectionByKratosOwnMiddlewareIsAFailure(t *testing.T) {
	inner := kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return &breakertest.Trio{Rejection: aegis.ErrNotAllowed} }))
	b := circuit.NewBreaker()
	_, err := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)))(
		inner(func(context.Context, any) (any, error) { panic("it was called") }))(transport.NewClientContext(t.Context(), &benchTransport{operation: "/op"}), nil)
	require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
	breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1})
}

func TestErrNotAllowed_NobodyCanChangeARejection(t *testing.T) {
	defer func() { circuitbreaker.ErrNotAllowed.Code = 503 }()
	circuitbreaker.ErrNotAllowed.Code = 200
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&permits{rejection: rejection()})))
	_, err := m(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
	require.Equal(t, 503, kratoserrors.Code(err))
	require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
	require.ErrorIs(t, err, cberrors.ErrNotAllowed)
}
