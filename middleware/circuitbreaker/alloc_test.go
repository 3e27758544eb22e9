package circuitbreaker_test

import (
	"context"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

func TestClient_AllocatesNothing(t *testing.T) {
	// However much fails, so that only calls that are allowed are measured.
	healthy := circuitbreaker.WithGroup(single(sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9))))
	rejecting := circuitbreaker.WithGroup(single(broken("users")))
	ctx := clientContext(t.Context(), operation)
	for name, call := range map[string]func(context.Context, any) (any, error){
		"allowed, Client()":   circuitbreaker.Client()(answer(nil, nil)),
		"allowed, WithGroup":  circuitbreaker.Client(healthy)(answer(nil, nil)),
		"allowed, failing":    circuitbreaker.Client(healthy)(answer(nil, kratosDown)),
		"allowed, classifier": circuitbreaker.Client(healthy, circuitbreaker.WithClassifier(func(error) breaker.Outcome { return success }))(answer(nil, errBackend)),
		"rejected":            circuitbreaker.Client(rejecting)(answer(nil, nil)),
		"no transport":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := ctx
			if call == nil {
				ctx, call = context.Background(), circuitbreaker.Client()(answer(nil, nil))
			}
			require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = call(ctx, nil) }))
		})
	}
}

var kratosDown = kratoserrors.InternalServer("DOWN", "down")
