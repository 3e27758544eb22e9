package breaker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	"github.com/kratos-breaker/breaker/selector"
	"github.com/kratos-breaker/breaker/sre"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// withFactory makes a client of each kind whose breakers a factory makes.
var withFactory = map[string]func(factory func() *sre.Breaker){
	"middleware/circuitbreaker": func(f func() *sre.Breaker) { circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(f)) },
	"middleware/endpoint": func(f func() *sre.Breaker) {
		key := func(context.Context, any) (string, string, bool) { return "", "", true }
		endpoint.New[func(context.Context, any) (any, error)](key, endpoint.WithCircuitBreaker(f))
	},
	"transport/http":        func(f func() *sre.Breaker) { breakerhttp.NewTransport(nil, breakerhttp.WithCircuitBreaker(f)) },
	"transport/grpc unary":  func(f func() *sre.Breaker) { breakergrpc.UnaryClientInterceptor(breakergrpc.WithCircuitBreaker(f)) },
	"transport/grpc stream": func(f func() *sre.Breaker) { breakergrpc.StreamClientInterceptor(breakergrpc.WithCircuitBreaker(f)) },
	"selector":              func(f func() *sre.Breaker) { selector.NewNodes(selector.WithCircuitBreaker(f)) },
}

// It was found by the first request.
func TestFactory_AnOptionOutOfItsRangeIsFoundWhenTheClientIsMade(t *testing.T) {
	for name, client := range withFactory {
		require.PanicsWithValue(t, "sre: WithSuccess(2): want a ratio in [0.000001, 1]", func() {
			client(func() *sre.Breaker { return sre.NewBreaker(sre.WithSuccess(2)) })
		}, name)
	}
}

func TestFactory_TheBreakerThatIsMadeWithTheClientIsThatOfTheFirstKey(t *testing.T) {
	var made []*sre.Breaker
	m := endpoint.New[func(context.Context, any) (any, error)](
		func(_ context.Context, req any) (string, string, bool) { return "", req.(string), true },
		endpoint.WithCircuitBreaker(func() *sre.Breaker {
			made = append(made, sre.NewBreaker())
			return made[len(made)-1]
		}))
	require.Len(t, made, 1)
	call := m(func(context.Context, any) (any, error) { return nil, nil })
	for _, key := range []string{"a", "b", "a", "b"} {
		_, err := call(t.Context(), key)
		require.NoError(t, err)
	}
	require.Len(t, made, 2)
	for _, b := range made {
		require.EqualValues(t, 2, b.Snapshot().Totals.Success)
	}
}
