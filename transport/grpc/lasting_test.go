package grpc_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/sre"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// As docs/streams.md says: streams that stay open, and nothing else, tell a breaker too
// late that the backend is back.
func TestWithStreamSuccessAfter_ClosesTheBreakerOfStreamsThatNeverEnd(t *testing.T) {
	require.Contains(t, strings.Join(strings.Fields(docsText(t)), " "),
		"stays open for hours: set `WithStreamSuccessAfter`, to a few seconds, so that the first message after that closes it. "+
			"A unary call now and then over the same key is no substitute: it closes the breaker only if it is the probe")
	require.Contains(t, strings.Join(strings.Fields(docsText(t)), " "),
		"`sre` needs neither: the first message of a probe tells it that the backend is back, and it closes within 10 s.")
	type openable interface {
		breaker.Breaker
		breaker.Controller
	}
	for name, makeBreaker := range map[string]func() openable{
		"circuit": func() openable { return circuit.NewBreaker() },
		"sre":     func() openable { return sre.NewBreaker() },
		"circuit with a rate of failures": func() openable {
			return circuit.NewBreaker(circuit.WithFailureRate(0.5, 20, 10*time.Second))
		},
		"circuit with two probes of three": func() openable {
			return circuit.NewBreaker(circuit.WithProbes(2, 3), circuit.WithDelay(10*time.Second))
		},
		"circuit with a rule of slow calls": func() openable {
			return circuit.NewBreaker(circuit.WithSlowCallRate(time.Second, 0.5, 20, time.Minute))
		},
	} {
		for _, row := range []struct {
			remedy string
			opts   []cbgrpc.Option
			unary  bool
			closes bool
		}{
			{remedy: "nothing"},
			{remedy: "WithStreamSuccessAfter", opts: []cbgrpc.Option{cbgrpc.WithStreamSuccessAfter(5 * time.Second)}, closes: true},
			{remedy: "a unary call now and then", unary: true},
		} {
			t.Run(name+", "+row.remedy, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := makeBreaker()
					opts := append(row.opts, cbgrpc.WithGroup(single[openable](b)), cbgrpc.WithKey(func(context.Context, string, *grpc.ClientConn) string { return "" }))
					streams, unary := cbgrpc.StreamClientInterceptor(opts...), cbgrpc.UnaryClientInterceptor(opts...)
					call := func(err error) {
						_ = unary(t.Context(), method, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return err })
					}
					for b.Snapshot().State == breaker.Closed { // the outage
						call(status.Error(codes.Unavailable, ""))
						time.Sleep(10 * time.Millisecond)
					}
					var lasting []grpc.ClientStream
					closedAfter := time.Duration(0)
					for began := time.Now(); time.Since(began) < 3*time.Hour && closedAfter == 0; time.Sleep(time.Second) {
						if s, err := streams(t.Context(), nil, nil, method, new(fakeStream).opens()); err == nil {
							lasting = append(lasting, s)
						}
						if row.unary && time.Since(began)%(10*time.Second) == 0 {
							call(nil)
						}
						for _, s := range lasting[max(0, len(lasting)-20):] {
							require.NoError(t, s.RecvMsg(nil))
						}
						if b.Snapshot().State == breaker.Closed {
							closedAfter = time.Since(began)
						}
					}
					switch {
					case name == "sre":
						require.NotZero(t, closedAfter)
						require.Less(t, closedAfter, 10*time.Second)
					case row.closes:
						require.NotZero(t, closedAfter)
						require.Less(t, closedAfter, 3*time.Minute)
					default:
						require.Zero(t, closedAfter, "%d streams", len(lasting))
					}
				})
			})
		}
	}
}

// gRPC opens a stream before the backend has said anything. Taken for an answer, that kept
// sre closed, whatever became of the streams.
func TestRegression_StreamsThatOpenAndFailOrHangOpenABreakerOfSRE(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"fail": 0, "hang": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := sre.NewBreaker()
				intercept := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single[breaker.Breaker](b)))
				var opened []*fakeStream
				open := func() bool {
					s := new(fakeStream)
					if _, err := intercept(t.Context(), nil, nil, method, s.opens()); err != nil {
						return false
					}
					opened = append(opened, s)
					return true
				}
				for range 500 { // all is well
					require.True(t, open())
					time.Sleep(10 * time.Millisecond)
					opened[len(opened)-1].finish(nil)
				}
				opened = nil
				for began := time.Now(); open(); time.Sleep(10 * time.Millisecond) {
					require.Less(t, time.Since(began), 3*time.Second, "nothing is rejected")
					if late := len(opened) - 1 - int(timeout/(10*time.Millisecond)); late >= 0 {
						opened[late].finish(status.Error(codes.Unavailable, ""))
					}
				}
			})
		})
	}
}
