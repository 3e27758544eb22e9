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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
	says := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) {
			reply, err := next(ctx, req)
			return reply, breaker.NotSent(err)
		}
	}
	for name, local := range map[string]struct {
		err    error
		silent breaker.State // what becomes of a half-open breaker if nobody says it
	}{
		"no token":                      {kratoserrors.Unauthorized("NO_TOKEN", "the token function failed"), breaker.Closed},
		"a request that is not valid":   {kratoserrors.BadRequest("VALIDATOR", "the name is empty"), breaker.Closed},
		"a limit of the client's own":   {kratoserrors.New(429, "RATELIMIT", "too many calls"), breaker.Closed},
		"no permission to sign":         {kratoserrors.Forbidden("NO_KEY", "the key is not ours"), breaker.Closed},
		"a token service that is down":  {kratoserrors.ServiceUnavailable("NO_TOKEN", "connection refused"), breaker.Open},
		"a token of gRPC that is over":  {status.Error(codes.Unauthenticated, "the token has expired"), breaker.Closed},
		"a panic that recovery answers": {kratoserrors.InternalServer("UNKNOWN", "unknown request error"), breaker.Open},
	} {
		fails := func(middleware.Handler) middleware.Handler { return answer(nil, local.err) }
		for said, row := range map[string]struct {
			inside []middleware.Middleware
			want   breaker.State
		}{
			"silent": {[]middleware.Middleware{fails}, local.silent}, // an answer of a backend that is dead
			"said":   {[]middleware.Middleware{says, fails}, breaker.HalfOpen},
		} {
			t.Run(name+"/"+said, func(t *testing.T) {
				b := circuit.NewBreaker()
				b.HalfOpen()
				h := middleware.Chain(append([]middleware.Middleware{circuitbreaker.Client(circuitbreaker.WithGroup(single(b)))}, row.inside...)...)
				_, err := h(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
				require.ErrorIs(t, err, local.err)
				require.Equal(t, kratoserrors.Code(local.err), kratoserrors.Code(err))
				require.Equal(t, row.want, b.Snapshot().State)
			})
		}
	}
}

func TestWithReplyClassifier_KnowsTheCodeInTheReply(t *testing.T) {
	type (
		reply   struct{ Code int }
		graphQL struct{ Errors []string } // that are not the caller's
	)
	b := sre.NewBreaker()
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)), circuitbreaker.WithReplyClassifier(
		func(_ context.Context, _, r any, err error) breaker.Outcome {
			switch r := r.(type) {
			case *reply:
				if r.Code == 501 {
					return breaker.Ignored
				}
				if r.Code >= 500 {
					return breaker.Failure
				}
			case graphQL:
				if len(r.Errors) > 0 {
					return breaker.Failure
				}
			case map[string]any:
				if r["success"] == false {
					return breaker.Failure
				}
			case error: // in the place of a reply
				return cberrors.Classify(r)
			}
			return cberrors.Classify(err)
		}))
	for _, h := range []middleware.Handler{
		answer(&reply{0}, nil), answer(&reply{404}, nil), answer(graphQL{}, nil), answer(map[string]any{"success": true}, nil),
		answer(errNotFound, nil), answer(nil, nil), answer(nil, errNotFound),
		answer(&reply{500}, nil), answer(&reply{503}, nil), answer(graphQL{[]string{"a subgraph is down"}}, nil),
		answer(map[string]any{"success": false}, nil), answer(status.Error(codes.Unavailable, ""), nil),
		answer(&reply{501}, nil),
	} {
		_, _ = m(h)(clientContext(t.Context(), operation), nil)
	}
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 7, Failure: 5, Ignored: 1})
	require.PanicsWithValue(t, "circuitbreaker: WithReplyClassifier: the classifier is nil", func() { circuitbreaker.WithReplyClassifier(nil) })
}

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

// What somebody does to the sentinel is no business of callers.
func TestErrNotAllowed_NobodyCanChangeARejection(t *testing.T) {
	sentinel := circuitbreaker.ErrNotAllowed
	code, reason, message, metadata := sentinel.Code, sentinel.Reason, sentinel.Message, sentinel.Metadata
	for name, change := range map[string]func(){
		"the code":      func() { sentinel.Code = 200 },
		"the reason":    func() { sentinel.Reason = "MINE" },
		"the message":   func() { sentinel.Message = "mine" },
		"the metadata":  func() { sentinel.Metadata = map[string]string{"mine": "mine"} },
		"another error": func() { circuitbreaker.ErrNotAllowed = kratoserrors.New(200, "MINE", "mine") },
		"no error":      func() { circuitbreaker.ErrNotAllowed = nil },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				circuitbreaker.ErrNotAllowed = sentinel
				sentinel.Code, sentinel.Reason, sentinel.Message, sentinel.Metadata = code, reason, message, metadata
			}()
			change()
			m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&permits{rejection: rejection()})))
			_, err := m(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
			got := kratoserrors.FromError(err)
			require.EqualValues(t, 503, got.Code)
			require.Equal(t, "CIRCUITBREAKER", got.Reason)
			require.Equal(t, message, got.Message)
			require.Empty(t, got.Metadata)
			require.ErrorIs(t, err, cberrors.ErrNotAllowed)
		})
	}
}
