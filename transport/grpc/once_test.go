package grpc_test

import (
	"context"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	cbgrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

func open(t *testing.T, in grpc.StreamClientInterceptor, s *fakeStream) grpc.ClientStream {
	t.Helper()
	stream, err := in(t.Context(), nil, nil, method, s.opens())
	require.NoError(t, err)
	return stream
}

// gRPC tells the error of opening a stream by OnFinish and by returning it, or
// only by one of the two, which depends on the version.
func TestStream_WhoTellsItsEndFirstCounts(t *testing.T) {
	down, other := status.Error(codes.Unavailable, "first"), status.Error(codes.NotFound, "second")
	tell := func(opts []grpc.CallOption, err error) {
		for _, opt := range opts {
			if o, ok := opt.(grpc.OnFinishCallOption); ok {
				o.OnFinish(err)
			}
		}
	}
	for name, streamer := range map[string]grpc.Streamer{
		"only returned": func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
			return nil, down
		},
		"told, then returned": func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			tell(opts, down)
			tell(opts, other)
			return nil, other
		},
		"told while it opens": func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			tell(opts, down)
			return new(fakeStream), nil
		},
		"told, then a panic": func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			tell(opts, down)
			panic(other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := new(permits)
			in := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)))
			breakertest.EndOf(func() { _, _ = in(t.Context(), nil, nil, method, streamer) })
			require.Len(t, b.results(), 1)
			require.Equal(t, breaker.Result{Outcome: failure, Err: down}, b.results()[0])
		})
	}
}

func TestStream_EndsOnceWhateverRaces(t *testing.T) {
	for range 200 {
		b := new(permits)
		s := new(fakeStream)
		stream := open(t, cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)), cbgrpc.WithStreamSuccessAfter(1)), s)
		var racers sync.WaitGroup
		for i := range 6 {
			racers.Go(func() {
				if i == 0 {
					_ = stream.RecvMsg(nil)
					return
				}
				s.finish(status.Error(codes.Unavailable, ""))
			})
		}
		racers.Wait()
		require.Len(t, b.results(), 1)
	}
}

// A caller who forgets a stream leaks it in gRPC, and must not leave a half-open
// breaker stuck.
func TestStream_ThatIsForgottenGivesItsProbeBackAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Second))
		in := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)))
		open(t, in, new(fakeStream)) // not a probe: closed, nobody waits for it
		s := new(fakeStream)
		open(t, in, s)
		s.finish(status.Error(codes.Unavailable, ""))
		require.Equal(t, breaker.Open, b.Snapshot().State)
		time.Sleep(time.Second)

		forgotten := new(fakeStream)
		open(t, in, forgotten)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		_, err := in(t.Context(), nil, nil, method, mustNotStream)
		require.True(t, cberrors.IsRejected(err), "the only probe runs")

		time.Sleep(30*time.Second - time.Nanosecond)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		time.Sleep(time.Nanosecond)
		require.Equal(t, breaker.Open, b.Snapshot().State, "the probe is lost")
		time.Sleep(time.Second)
		probe := new(fakeStream)
		open(t, in, probe)
		forgotten.finish(status.Error(codes.Unavailable, "")) // after all
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State, "it is too late")
		probe.finish(nil)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 2, Rejected: 1, InFlight: 1})
	})
}

// exits are the ways out of a function that are no return.
var exits = []struct {
	name  string
	leave func()
	want  any // what a recover sees
}{
	{"panic", func() { panic(errBackend) }, errBackend},
	{"Goexit", runtime.Goexit, nil},
}

func TestPanic_IsAFailureAndGoesOn(t *testing.T) {
	for _, exit := range exits {
		leaving := cbgrpc.WithClassifier(func(error) breaker.Outcome { exit.leave(); return success })
		for name, c := range map[string]struct {
			call func(...cbgrpc.Option)
			err  error // what the breaker is told
		}{
			"invoker": {call: func(opts ...cbgrpc.Option) {
				_ = cbgrpc.UnaryClientInterceptor(opts...)(t.Context(), method, nil, nil, nil,
					func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
						exit.leave()
						return nil
					})
			}},
			"streamer": {call: func(opts ...cbgrpc.Option) {
				_, _ = cbgrpc.StreamClientInterceptor(opts...)(t.Context(), nil, nil, method,
					func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
						exit.leave()
						return nil, nil
					})
			}},
			"classifier of a call": {err: errBackend, call: func(opts ...cbgrpc.Option) {
				_ = cbgrpc.UnaryClientInterceptor(append(opts, leaving)...)(t.Context(), method, nil, nil, nil, invoker(errBackend))
			}},
			"classifier of a call that succeeded": {call: func(opts ...cbgrpc.Option) {
				_ = cbgrpc.UnaryClientInterceptor(append(opts, leaving)...)(t.Context(), method, nil, nil, nil, invoker(nil))
			}},
			"classifier of a stream that succeeded": {call: func(opts ...cbgrpc.Option) {
				in := cbgrpc.StreamClientInterceptor(append(opts, leaving)...)
				s := new(fakeStream)
				open(t, in, s)
				s.finish(nil)                                           // maybe on a goroutine of gRPC's
				_, _ = in(t.Context(), nil, nil, method, mustNotStream) // so the next caller meets it
			}},
			"classifier of a stream": {err: errBackend, call: func(opts ...cbgrpc.Option) {
				in := cbgrpc.StreamClientInterceptor(append(opts, leaving)...)
				s := new(fakeStream)
				open(t, in, s)
				s.finish(errBackend)
				_, _ = in(t.Context(), nil, nil, method, mustNotStream)
			}},
			"classifier of a stream that does not open": {err: io.EOF, call: func(opts ...cbgrpc.Option) {
				_, _ = cbgrpc.StreamClientInterceptor(append(opts, leaving)...)(t.Context(), nil, nil, method,
					func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
						return nil, io.EOF
					})
			}},
		} {
			t.Run(exit.name+" in the "+name, func(t *testing.T) {
				b := new(permits)
				panicked, returned := breakertest.EndOf(func() { c.call(cbgrpc.WithGroup(single(b))) })
				require.False(t, returned)
				require.True(t, panicked == exit.want, "%v", panicked)
				require.Equal(t, []breaker.Result{{Outcome: failure, Err: c.err}}, b.results())
			})
		}
		t.Run(exit.name+" in the key", func(t *testing.T) {
			b := new(permits)
			key := cbgrpc.WithKey(func(context.Context, string, *grpc.ClientConn) string { exit.leave(); return "" })
			panicked, returned := breakertest.EndOf(func() {
				_ = cbgrpc.UnaryClientInterceptor(cbgrpc.WithGroup(single(b)), key)(t.Context(), method, nil, nil, nil, mustNotInvoke)
			})
			require.False(t, returned)
			require.True(t, panicked == exit.want, "%v", panicked)
			require.Zero(t, b.issued)
		})
	}
}

func TestWithStreamSuccessAfter_CountsTheFirstMessageAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(permits)
		s := new(fakeStream)
		stream := open(t, cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)), cbgrpc.WithStreamSuccessAfter(10*time.Second)), s)
		for range 10 {
			require.NoError(t, stream.RecvMsg(nil))
			require.Empty(t, b.outcomes())
			time.Sleep(time.Second)
		}
		require.NoError(t, stream.RecvMsg(nil))
		require.Equal(t, []breaker.Outcome{success}, b.outcomes())
		require.NoError(t, stream.RecvMsg(nil))
		s.finish(status.Error(codes.Unavailable, ""))
		require.Equal(t, []breaker.Outcome{success}, b.outcomes(), "what happens then does not count")
	})
}

func TestWithStreamSuccessAfter_AtTheEndIsOnlyForAStreamThatWasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name     string
			messages int
			lasts    time.Duration
			want     breaker.Outcome
		}{
			{"a silent stream that began with a message", 1, time.Hour, success},
			{"just long enough", 1, 10 * time.Second, success},
			{"too short", 1, 9 * time.Second, failure},
			{"a backend that never answered", 0, time.Hour, failure},
		} {
			b := new(permits)
			s := new(fakeStream)
			stream := open(t, cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)), cbgrpc.WithStreamSuccessAfter(10*time.Second)), s)
			for range c.messages {
				require.NoError(t, stream.RecvMsg(nil))
			}
			time.Sleep(c.lasts)
			require.Empty(t, b.outcomes(), "nothing runs by itself")
			s.finish(status.Error(codes.Unavailable, ""))
			require.Equal(t, []breaker.Outcome{c.want}, b.outcomes(), c.name)
		}
	})
}

// endless is a stream whose end a caller sees.
type endless struct{ grpc.ClientStream }

func (endless) RecvMsg(any) error { return errBackend }

func TestWithStreamSuccessAfter_AnErrorIsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(permits)
		in := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)), cbgrpc.WithStreamSuccessAfter(time.Second))
		stream, err := in(t.Context(), nil, nil, method,
			func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
				return endless{}, nil
			})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Same(t, errBackend, stream.RecvMsg(nil))
		require.Empty(t, b.outcomes())
	})
}

func TestWithStreamSuccessAfter_EndsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Second), circuit.WithProbeLease(time.Minute))
		in := cbgrpc.StreamClientInterceptor(cbgrpc.WithGroup(single(b)), cbgrpc.WithStreamSuccessAfter(10*time.Second))
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(failure)
		time.Sleep(time.Second)
		s := new(fakeStream)
		stream := open(t, in, s)
		time.Sleep(10 * time.Second)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		require.NoError(t, stream.RecvMsg(nil))
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		time.Sleep(time.Hour)
		s.finish(status.Error(codes.Unavailable, ""))
		breakertest.RequireTotals(t, b, breaker.Totals{Success: 1, Failure: 1})
	})
}
