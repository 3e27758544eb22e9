package circuitbreaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// A breaker with aegis' three methods gets exactly one mark per call.
func TestForeign_ExactlyOneMarkPerCall(t *testing.T) {
	says := func(o breaker.Outcome) circuitbreaker.Option {
		return circuitbreaker.WithClassifier(func(error) breaker.Outcome { return o })
	}
	fallback := circuitbreaker.WithFallback(func(context.Context, any, error) (any, error) { return nil, nil })
	for _, row := range []struct {
		name      string
		opts      []circuitbreaker.Option
		ctx       context.Context
		rejection error
		end       error
		plain     string
		ignoring  string
	}{
		{"no error", nil, context.Background(), nil, nil, "MarkSuccess", "MarkSuccess"},
		{"a business error", nil, context.Background(), nil, kratoserrors.NotFound("X", ""), "MarkSuccess", "MarkSuccess"},
		{"an error", nil, context.Background(), nil, errBackend, "MarkFailed", "MarkFailed"},
		{"an ignored error", nil, breakertest.Canceled(), nil, context.Canceled, "MarkSuccess", "MarkIgnored"},
		{"a cancellation from elsewhere", nil, context.Background(), nil, context.Canceled, "MarkFailed", "MarkFailed"},
		{"a classifier says success", []circuitbreaker.Option{says(success)}, context.Background(), nil, errBackend, "MarkSuccess", "MarkSuccess"},
		{"a classifier says failure", []circuitbreaker.Option{says(failure)}, context.Background(), nil, nil, "MarkFailed", "MarkFailed"},
		{"a classifier says ignored", []circuitbreaker.Option{says(ignored)}, context.Background(), nil, errBackend, "MarkSuccess", "MarkIgnored"},
		{"a classifier says nonsense", []circuitbreaker.Option{says(breaker.Outcome(9))}, context.Background(), nil, nil, "MarkFailed", "MarkFailed"},
		{"rejected", nil, context.Background(), aegis.ErrNotAllowed, nil, "MarkFailed", "MarkFailed"},
		{"rejected with an error of its own", nil, context.Background(), errBackend, nil, "MarkFailed", "MarkFailed"},
		{"rejected for a caller who gave up", nil, breakertest.Canceled(), aegis.ErrNotAllowed, nil, "MarkFailed", "MarkFailed"},
		{"rejected with a classifier", []circuitbreaker.Option{says(success)}, context.Background(), aegis.ErrNotAllowed, nil, "MarkFailed", "MarkFailed"},
		{"rejected with a fallback", []circuitbreaker.Option{fallback}, context.Background(), aegis.ErrNotAllowed, nil, "MarkFailed", "MarkFailed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			plain, ignoring := &breakertest.Trio{Rejection: row.rejection}, &breakertest.IgnoringTrio{Trio: breakertest.Trio{Rejection: row.rejection}}
			ctx := clientContext(row.ctx, operation)
			for range 3 {
				call(ctx, t, answer(nil, row.end), append(row.opts, circuitbreaker.WithGroup(single(plain)))...)
				call(ctx, t, answer(nil, row.end), append(row.opts, circuitbreaker.WithGroup(single(ignoring)))...)
				call(ctx, t, answer(nil, row.end), append(row.opts, circuitbreaker.WithCircuitBreaker(
					func() aegis.CircuitBreaker { return ignoring }))...)
				require.Equal(t, []string{"Allow", row.plain}, plain.Heard())
				require.Equal(t, []string{"Allow", row.ignoring, "Allow", row.ignoring}, ignoring.Heard())
			}
		})
	}
}

func call(ctx context.Context, t *testing.T, handler func(context.Context, any) (any, error), opts ...circuitbreaker.Option) {
	t.Helper()
	_, _ = circuitbreaker.Client(opts...)(handler)(ctx, nil)
}

// The real breaker of aegis, through an outage: each rejection is marked failed
// once, as it wants it, and no call twice.
func TestForeign_RealAegisBreakerIsMarkedOncePerCallThroughAnOutage(t *testing.T) {
	b := &breakertest.Trio{Real: aegissre.NewBreaker(aegissre.WithWindow(longWindow))}
	m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker { return b }))
	ctx := clientContext(t.Context(), operation)
	var end error
	rejected := 0
	for n := range 3000 {
		end = nil
		if n > 500 && n%7 != 0 {
			end = errBackend
		}
		called := false
		_, err := m(func(context.Context, any) (any, error) {
			called = true
			return nil, end
		})(ctx, nil)
		switch told := b.Heard(); {
		case !called:
			rejected++
			require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
			require.Equal(t, []string{"Allow", "MarkFailed"}, told)
		case end != nil:
			require.Same(t, errBackend, err)
			require.Equal(t, []string{"Allow", "MarkFailed"}, told)
		default:
			require.NoError(t, err)
			require.Equal(t, []string{"Allow", "MarkSuccess"}, told)
		}
	}
	require.Greater(t, rejected, 500)
}

func TestForeign_ErrorOfTheBreakerIsTheCauseOfTheRejection(t *testing.T) {
	for name, opts := range map[string][]circuitbreaker.Option{
		"aegis":   {circuitbreaker.WithGroup(single[aegis.CircuitBreaker](&breakertest.Trio{Rejection: errBackend}))},
		"adapted": {circuitbreaker.WithGroup(single(breaker.Adapt(&breakertest.Trio{Rejection: errBackend})))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := circuitbreaker.Client(opts...)(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
			require.ErrorIs(t, err, errBackend)
			require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
			require.ErrorIs(t, err, aegis.ErrNotAllowed)
		})
	}
}

// What Kratos' documentation and issues show compiles and runs as it stands.
func TestForeign_DocumentedFactoriesCompileAndGuard(t *testing.T) {
	for name, opt := range map[string]circuitbreaker.Option{
		"aegis' interface, aegis' breaker": circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
			return aegissre.NewBreaker()
		}),
		"aegis' interface, ours": circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
			return sre.NewBreaker()
		}),
		"our type": circuitbreaker.WithCircuitBreaker(func() *sre.Breaker {
			return sre.NewBreaker()
		}),
		"our interface": circuitbreaker.WithCircuitBreaker(func() breaker.Breaker {
			return sre.NewBreaker()
		}),
		"adapted": circuitbreaker.WithCircuitBreaker(func() breaker.Breaker {
			return breaker.Adapt(aegissre.NewBreaker())
		}),
		"group of aegis' interface": circuitbreaker.WithGroup(group.NewGroup(func() aegis.CircuitBreaker {
			return aegissre.NewBreaker()
		})),
		"group of aegis' interface with ours": circuitbreaker.WithGroup(group.NewGroup(func() aegis.CircuitBreaker {
			return sre.NewBreaker()
		})),
		"group of our type": circuitbreaker.WithGroup(group.NewGroup(func() *sre.Breaker {
			return sre.NewBreaker()
		})),
		"constructor": circuitbreaker.WithCircuitBreaker(newAegisBreaker),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := circuitbreaker.Client(opt)
				ctx := clientContext(t.Context(), operation)
				reply, err := m(answer("hello", nil))(ctx, nil)
				require.NoError(t, err)
				require.Equal(t, "hello", reply)
				failed := 0
				breakertest.MustReject(t, func() bool {
					_, err := m(answer(nil, errBackend))(ctx, nil)
					failed++
					return errors.Is(err, circuitbreaker.ErrNotAllowed)
				})
				require.GreaterOrEqual(t, failed, 88, "no time passes: ours opens after so many, aegis' after more")
			})
		})
	}
}

var newAegisBreaker = func() aegis.CircuitBreaker { return aegissre.NewBreaker() }

// Ours behind aegis' interface still has permits: they are not lost to marks.
func TestForeign_OursBehindAegisInterfaceIsAskedForPermits(t *testing.T) {
	b := sre.NewBreaker()
	m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker { return b }))
	_, err := m(func(context.Context, any) (any, error) {
		breakertest.RequireTotals(t, b, breaker.Totals{InFlight: 1})
		return nil, nil
	})(clientContext(t.Context(), operation), nil)
	require.NoError(t, err)
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1})
}
