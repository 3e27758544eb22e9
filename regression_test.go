package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
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

// A cache that misses looked like one that is down: 608 of 824 calls were rejected.
func TestRegression_AnAnswerThatIsAnErrorOpenedTheBreaker(t *testing.T) {
	answered := []error{
		errors.New("redis: nil"), errors.New("sql: no rows in result set"), errors.New("memcache: cache miss"),
		errors.New("mongo: no documents in result"), os.ErrNotExist, errors.New("etcdserver: duplicate key given in txn request"),
	}
	answers := breaker.WithClassifier(func(err error) breaker.Outcome {
		for _, answer := range answered {
			if errors.Is(err, answer) {
				return breaker.Success
			}
		}
		return breaker.OutcomeOf(context.Background(), err, nil)
	})
	b := circuit.NewBreaker()
	for i := range 1000 {
		end := answered[i%len(answered)]
		switch i % 5 {
		case 0:
			end = nil
		case 1:
			end = fmt.Errorf("get: %w", end)
		}
		require.Equal(t, end, breaker.Run(t.Context(), b, func(context.Context) error { return end }, answers))
	}
	breakertest.RequireTotals(t, b, breaker.Totals{Success: 1000})
	for range 5 {
		_ = breaker.Run(t.Context(), b, func(context.Context) error { return errBackend }, answers)
	}
	require.Equal(t, breaker.Open, b.Snapshot().State)
}

// A caller with no time left made no call of it, and the breaker took that for the
// backend's slowness.
func TestRegression_ADeadlineThatHadPassedBeforeTheCallOpenedTheBreaker(t *testing.T) {
	for _, end := range []error{context.DeadlineExceeded, fmt.Errorf("call: %w", context.DeadlineExceeded), os.ErrDeadlineExceeded, errBackend, coded{code: 504}} {
		b := circuit.NewBreaker()
		for range 5 {
			require.Equal(t, end, breaker.Run(expired(t), b, func(context.Context) error { return end }))
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		breakertest.RequireTotals(t, b, breaker.Totals{Ignored: 5})
	}
}

// A retry over nodes, each with a breaker, inside of the operation's breaker.
func TestRegression_AFailureJoinedWithARejectionWasIgnored(t *testing.T) {
	for _, end := range []error{
		errors.Join(rejection(), coded{code: 503}), errors.Join(coded{code: 503}, rejection()), errors.Join(rejection(), io.EOF),
		fmt.Errorf("%w, then %w", rejection(), os.ErrDeadlineExceeded), errors.Join(breaker.NotSent(errBackend), context.DeadlineExceeded),
	} {
		require.Equal(t, breaker.Failure, breaker.OutcomeOf(t.Context(), end, nil), "%v", end)
	}
	for _, end := range []error{
		errors.Join(rejection(), rejection()), errors.Join(errors.New("all nodes failed"), rejection()), fmt.Errorf("%w: %w", errBackend, rejection()),
	} {
		require.Equal(t, breaker.Ignored, breaker.OutcomeOf(t.Context(), end, nil), "%v", end)
	}
}

func TestRegression_ACauseWhoseTextPanicsMadeThatOfTheRejectionPanic(t *testing.T) {
	for _, cause := range []error{panicsInText{}, (*url.Error)(nil), fmt.Errorf("a: %w", io.EOF)} {
		r := breaker.NewRejectedError("gate 17", breaker.Open, breaker.ReasonOpen, time.Time{}, cause)
		require.NotPanics(t, func() {
			require.Contains(t, r.Error(), `circuit breaker "gate 17" rejected the call: open: `)
			_ = cberrors.NotAllowed(r).Error()
		})
	}
}
