package circuitbreaker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

// ended are contexts of callers that are too late: one that was cancelled, and
// one past its deadline.
func ended(t *testing.T) []context.Context {
	return []context.Context{gaveUp(t), withTimeout(-time.Second)(t)}
}

// A caller with little time left, say behind a slow call to somebody else, made
// no call of it, and the breaker took that for the backend's slowness.
func TestRegression_DeadlinesThatWereOverBeforeTheCallOpenedTheBreakerOfAHealthyBackend(t *testing.T) {
	for _, w := range wires {
		for name, opts := range map[string][]circuitbreaker.Option{
			"default":        nil,
			"own classifier": {circuitbreaker.WithClassifier(cberrors.NewClassifier(cberrors.WithOverload()))},
		} {
			t.Run(w.name+"/"+name, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
				endpoint := w.serve(t, func(_ context.Context, in string) (string, error) { return in, nil })
				call := w.dial(t, endpoint, never, circuitbreaker.Client(append(opts, circuitbreaker.WithGroup(single(b)))...))
				for _, ctx := range ended(t) {
					for range 5 {
						_, err := call(ctx, "hello")
						require.Error(t, err)
					}
				}
				reply, err := call(t.Context(), "hello")
				require.NoError(t, err)
				require.Equal(t, "hello", reply)
				breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Ignored: 10})
				require.Equal(t, breaker.Closed, b.Snapshot().State)
			})
		}
	}
}

// A classifier is asked about answers only: what it means that the caller was late
// is not for it to say.
func TestLate_FailureIsTheCallersAndAnAnswerIsOne(t *testing.T) {
	for _, row := range []struct {
		err   error
		want  breaker.Outcome
		asked bool
	}{
		{nil, success, true}, // say from a cache behind the breaker
		{context.DeadlineExceeded, ignored, false},
		{fmt.Errorf("calling: %w", context.DeadlineExceeded), ignored, false},
		{status.Error(codes.DeadlineExceeded, ""), ignored, true},
		{kratoserrors.GatewayTimeout("", ""), ignored, true},
		{kratoserrors.ClientClosed("", ""), ignored, false},
		{errBackend, ignored, false},
		{errNotFound, success, true},
	} {
		for _, ctx := range ended(t) {
			ctx := clientContext(ctx, operation)
			var seen []error
			classify := circuitbreaker.WithClassifier(func(err error) breaker.Outcome {
				seen = append(seen, err)
				return cberrors.Classify(err)
			})
			for _, opts := range [][]circuitbreaker.Option{nil, {classify}} {
				var b permits
				opts = append(opts, circuitbreaker.WithGroup(single(&b)))
				_, err := circuitbreaker.Client(opts...)(answer(nil, row.err))(ctx, nil)
				require.Equal(t, row.err, err)
				require.Equal(t, []breaker.Outcome{row.want}, b.outcomes(), "%v", row.err)
			}
			if row.asked {
				require.Equal(t, []error{row.err}, seen)
			} else {
				require.Empty(t, seen)
			}
		}
	}
}

var errNotFound = kratoserrors.NotFound("NO_USER", "")

func TestLate_PanicIsAFailureAllTheSame(t *testing.T) {
	for _, ctx := range ended(t) {
		for _, exit := range exits {
			var b permits
			call := circuitbreaker.Client(circuitbreaker.WithGroup(single(&b)))(func(context.Context, any) (any, error) {
				exit.leave()
				return nil, nil
			})
			_, returned := breakertest.EndOf(func() { _, _ = call(clientContext(ctx, operation), nil) })
			require.False(t, returned)
			require.Equal(t, []breaker.Outcome{failure}, b.outcomes(), exit.name)
		}
	}
}

func TestRegression_ADeadlineWithACauseThatWasOverBeforeTheCallWasAFailureOverHTTP(t *testing.T) {
	for _, w := range wires {
		var b permits
		endpoint := w.serve(t, func(_ context.Context, in string) (string, error) { return in, nil })
		call := w.dial(t, endpoint, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(&b))))
		ctx, cancel := context.WithTimeoutCause(t.Context(), -time.Second, errBackend)
		defer cancel()
		_, err := call(ctx, "hello")
		require.Error(t, err)
		require.Equal(t, []breaker.Outcome{ignored}, b.outcomes(), "%s: %v", w.name, err)
	}
}
