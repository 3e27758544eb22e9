package breaker_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// The callers of a server leave after a second each, while its backend hangs: 300 of 300
// calls ended as cancelled, and nothing was seen.
func TestRegression_ABackendThatHangsBehindCallersWhoLeaveWasNeverSeen(t *testing.T) {
	through := map[string]func(ctx context.Context, b *circuit.Breaker, backend func() error) error{
		"Do": func(ctx context.Context, b *circuit.Breaker, backend func() error) error {
			return breaker.Run(ctx, b, func(context.Context) error { return backend() })
		},
		"middleware": func(ctx context.Context, b *circuit.Breaker, backend func() error) error {
			m := circuitbreaker.Client(circuitbreaker.WithGroup(group.NewGroup(func() *circuit.Breaker { return b })))
			_, err := m(func(context.Context, any) (any, error) { return nil, backend() })(ctx, nil)
			return err
		},
		"RoundTripper": func(ctx context.Context, b *circuit.Breaker, backend func() error) error {
			rt := breakerhttp.NewTransport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, backend() }),
				breakerhttp.WithGroup(group.NewGroup(func() *circuit.Breaker { return b })))
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://backend:80", nil)
			_, err := rt.RoundTrip(req) //nolint:bodyclose // there is none
			return err
		},
		"interceptor": func(ctx context.Context, b *circuit.Breaker, backend func() error) error {
			in := breakergrpc.UnaryClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *circuit.Breaker { return b })))
			return in(ctx, "/a/b", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return backend() })
		},
		"stream": func(ctx context.Context, b *circuit.Breaker, backend func() error) error {
			in := breakergrpc.StreamClientInterceptor(breakergrpc.WithGroup(group.NewGroup(func() *circuit.Breaker { return b })))
			_, err := in(ctx, &grpc.StreamDesc{}, nil, "/a/b",
				func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
					return nil, backend()
				})
			return err
		},
	}
	for name, call := range through {
		for _, row := range []struct {
			what   string
			leaves time.Duration // of callers
			err    error         // of the backend, if it does not hang
			open   bool
		}{
			{"after a second", time.Second, nil, true},
			{"after as long as is slow", 500 * time.Millisecond, nil, true},
			{"after 2 s", 2 * time.Second, nil, true},
			{"after a second, with gRPC's Canceled", time.Second, status.FromContextError(context.Canceled).Err(), true},
			{"after a second, with a 499", time.Second, coded{code: 499}, true},
			{"after less than is slow", 499 * time.Millisecond, nil, false},
			{"after 10 ms", 10 * time.Millisecond, nil, false},
			{"after a second, and nothing was sent", time.Second, breaker.NotSent(errBackend), false},
		} {
			t.Run(name+"/"+row.what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := circuit.NewBreaker(circuit.WithSlowCallRate(500*time.Millisecond, 0.5, 20, time.Minute))
					for range 25 {
						ctx, cancel := context.WithCancel(breakertest.ClientContext(context.Background(), "/op"))
						_ = call(ctx, b, func() error {
							time.Sleep(row.leaves)
							cancel()
							if row.err != nil {
								return row.err
							}
							return ctx.Err()
						})
						cancel()
					}
					s := b.Snapshot()
					require.Equal(t, row.open, s.State == breaker.Open, "%v", s)
					require.Zero(t, s.Totals.Failure, "the answer is ignored")
				})
			})
		}
	}
}

// What never left the process uses up no probe, neither to close a breaker over a dead
// backend nor to open it again.
func TestDo_TwentyCallsThatAreNotSentLoseNoProbe(t *testing.T) {
	for name, run := range map[string]func(b *circuit.Breaker, err error) error{
		"Run": func(b *circuit.Breaker, err error) error {
			return breaker.Run(t.Context(), b, func(context.Context) error { return err })
		},
		"Do": func(b *circuit.Breaker, err error) error {
			_, err = breaker.Do(t.Context(), b, func(context.Context) (string, error) { return "", err })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			noToken := errors.New("no token")
			b := circuit.NewBreaker(circuit.WithDelay(time.Hour))
			b.HalfOpen()
			for range 20 {
				require.ErrorIs(t, run(b, breaker.NotSent(noToken)), noToken)
			}
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			require.Equal(t, breaker.Totals{Offered: 20, Allowed: 20, Ignored: 20}, b.Snapshot().Totals)
			require.ErrorIs(t, run(b, errBackend), errBackend)
			require.Equal(t, breaker.Open, b.Snapshot().State, "the next call is the probe")
		})
	}
}
