package circuit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	breakererrors "github.com/kratos-breaker/breaker/errors"
)

// delays is a breaker that one failure opens, and the delays of its openings.
type delays struct {
	*circuit.Breaker
	t      *testing.T
	events []breaker.Event // openings
}

func newDelays(t *testing.T, opts ...circuit.Option) *delays {
	d := &delays{t: t}
	d.Breaker = circuit.NewBreaker(append([]circuit.Option{
		circuit.WithConsecutiveFailures(1),
		circuit.WithListener(func(e breaker.Event) {
			if e.To == breaker.Open {
				d.events = append(d.events, e)
			}
		}),
	}, opts...)...)
	return d
}

// after waits until a call is allowed, lets it end with r, which opens the
// breaker, and returns for how long. Whoever tells the time tells the same.
func (d *delays) after(r breaker.Result) time.Duration {
	d.t.Helper()
	time.Sleep(d.Snapshot().RetryAfter)
	p := mustAcquire(d.t, d)
	told := len(d.events)
	p.DoneWith(r)
	delay := d.Snapshot().RetryAfter
	if delay == 0 {
		requireState(d.t, breaker.HalfOpen, d)
		return 0
	}
	requireState(d.t, breaker.Open, d)
	require.Equal(d.t, delay, theRejection(d.t, d, breaker.ReasonOpen).RetryAfter())
	require.Len(d.t, d.events, told+1)
	require.Equal(d.t, delay, d.events[told].Snapshot.RetryAfter)

	time.Sleep(delay - time.Nanosecond)
	require.Equal(d.t, time.Nanosecond, theRejection(d.t, d, breaker.ReasonOpen).RetryAfter())
	require.Equal(d.t, time.Nanosecond, d.Snapshot().RetryAfter)
	time.Sleep(time.Nanosecond)
	requireState(d.t, breaker.HalfOpen, d)
	require.Zero(d.t, d.Snapshot().RetryAfter)
	return delay
}

func (d *delays) fail() time.Duration {
	d.t.Helper()
	return d.after(breaker.Result{Outcome: breaker.Failure})
}

func (d *delays) close() {
	d.t.Helper()
	callTimes(d.t, d, 1, breaker.Success)
	requireState(d.t, breaker.Closed, d)
}

func TestDelay_IsTheSameForEachOpeningWithoutBackoff(t *testing.T) {
	for _, delay := range []time.Duration{0, 1, time.Millisecond, time.Minute, 24 * time.Hour} {
		t.Run(delay.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newDelays(t, circuit.WithDelay(delay))
				for i := range 4 {
					require.EqualValues(t, i, b.Snapshot().Openings)
					require.Equal(t, delay, b.fail())
				}
				b.close()
				require.Zero(t, b.Snapshot().Openings)
				require.Equal(t, delay, b.fail())
			})
		})
	}
}

func TestBackoff_MultipliesTheDelayWithEachOpeningUntilTheBreakerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(2*time.Second), circuit.WithBackoff(1.5, 9*time.Second))
		for range 2 {
			for i, want := range []time.Duration{2000, 3000, 4500, 6750, 9000, 9000, 9000} {
				require.Equal(t, want*time.Millisecond, b.fail())
				require.EqualValues(t, i+1, b.Snapshot().Openings)
			}
			b.close()
		}
		b.fail()
		b.fail()
		b.Reset()
		require.Equal(t, 2*time.Second, b.fail(), "a reset closes, too")
		b.fail()
		b.Close()
		b.Open()
		require.Equal(t, 2*time.Second, b.Snapshot().RetryAfter)
		time.Sleep(2 * time.Second)
		b.HalfOpen()
		b.Open()
		require.Equal(t, 3*time.Second, b.Snapshot().RetryAfter, "an opening by hand is one")
	})
}

func TestBackoff_StaysAtTheLongestHoweverOftenTheBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(time.Nanosecond), circuit.WithBackoff(100, 24*time.Hour))
		longest := 0
		for range 400 { // 100^400 is no float64
			if b.fail() == 24*time.Hour {
				longest++
			}
		}
		require.Equal(t, 400-7, longest)
	})
}

func TestBackoff_CountsALostProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(time.Second), circuit.WithBackoff(2, time.Minute), circuit.WithProbeLease(5*time.Second))
		b.fail()
		mustAcquire(t, b) // and forgotten
		time.Sleep(5 * time.Second)
		require.Equal(t, 2*time.Second, b.Snapshot().RetryAfter)
		require.EqualValues(t, 2, b.Snapshot().Openings)
		require.Equal(t, 2*time.Second, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
		require.Equal(t, 4*time.Second, b.fail())
	})
}

func TestJitter_ShortensTheDelayByUpToItsShareAndNeverLengthensIt(t *testing.T) {
	for _, ratio := range []float64{0, 0.1, 0.5, 1} {
		t.Run(fmt.Sprint(ratio), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const delay = time.Minute
				b := newDelays(t, circuit.WithDelay(delay), circuit.WithJitter(ratio))
				least, most := delay, time.Duration(0)
				for range 500 {
					d := b.fail()
					least, most = min(least, d), max(most, d)
				}
				allowed := time.Duration(float64(delay) * ratio)
				require.LessOrEqual(t, most, delay)
				require.GreaterOrEqual(t, least, delay-allowed)
				// 500 of them reach nearly to both ends, but once in 10^22.
				require.LessOrEqual(t, least, delay-allowed*9/10)
				require.GreaterOrEqual(t, most, delay-allowed/10)
			})
		})
	}
}

func TestJitter_OfALostProbeIsTheSameForWhoeverLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(time.Hour), circuit.WithJitter(1), circuit.WithProbeLease(time.Second))
		b.HalfOpen()
		mustAcquire(t, b)
		time.Sleep(time.Second)
		want := b.Snapshot().RetryAfter
		require.Equal(t, want, b.Snapshot().RetryAfter)
		require.Equal(t, want, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
		require.Equal(t, want, b.events[0].Snapshot.RetryAfter)
	})
}

func TestJitter_AppliesAfterBackoffAndNotToATimeThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(time.Second), circuit.WithBackoff(2, time.Minute), circuit.WithJitter(0.5),
			circuit.WithRetryAfter(time.Hour, nil),
			circuit.WithDelayFunc(func(o circuit.Opening) time.Duration {
				if o.Result.Err != nil {
					return 10 * time.Second
				}
				return -1
			}))
		for want := time.Second; want <= time.Minute; want *= 2 {
			d := b.fail()
			require.LessOrEqual(t, d, want)
			require.GreaterOrEqual(t, d, want/2)
		}
		for range 20 {
			require.Equal(t, 7*time.Second, b.after(breaker.Result{Outcome: breaker.Failure, RetryAfter: 7 * time.Second}))
			require.Equal(t, 10*time.Second, b.after(breaker.Result{Outcome: breaker.Failure, Err: errBackend}))
		}
	})
}

func TestDelayFunc_IsAskedAboutEachOpeningAndMayLeaveTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []circuit.Opening
		answer := time.Duration(0)
		b := newDelays(t, circuit.WithName("users"), circuit.WithDelay(time.Second), circuit.WithBackoff(2, time.Minute),
			circuit.WithDelayFunc(func(o circuit.Opening) time.Duration {
				asked = append(asked, o)
				return answer
			}))
		failed := breaker.Result{Outcome: breaker.Failure, Err: errBackend, RetryAfter: 3 * time.Second}
		for i, c := range []struct{ answer, without, want time.Duration }{
			{5 * time.Second, time.Second, 5 * time.Second},
			{-1, 2 * time.Second, 2 * time.Second},
			{-time.Hour, 4 * time.Second, 4 * time.Second},
			{0, 8 * time.Second, 0},
			{24 * time.Hour, 16 * time.Second, 24 * time.Hour},
			{24*time.Hour + 1, 32 * time.Second, 24 * time.Hour},
			{1<<63 - 1, time.Minute, 24 * time.Hour},
		} {
			answer = c.answer
			require.Equal(t, c.want, b.after(failed), "opening %d", i+1)
			require.Len(t, asked, i+1)
			require.Equal(t, circuit.Opening{Name: "users", Result: failed, Number: uint64(i + 1), Delay: c.without}, asked[i])
		}
		b.close()
		b.fail()
		require.Equal(t, circuit.Opening{
			Name: "users", Result: breaker.Result{Outcome: breaker.Failure}, Number: 1, Delay: time.Second,
		}, asked[len(asked)-1])
	})
}

func TestDelayFunc_IsNotAskedAboutALostProbeNorAnOpeningByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithProbeLease(time.Second), circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
			t.Error("it is asked")
			return time.Hour
		}))
		b.Open()
		require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
		time.Sleep(30 * time.Second)
		mustAcquire(t, b)
		time.Sleep(time.Second)
		require.Equal(t, 30*time.Second, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
	})
}

func TestRetryAfter_OfTheResultIsTheDelayUpToTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(time.Second), circuit.WithRetryAfter(time.Minute, nil),
			circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return 2 * time.Second }))
		for asked, want := range map[time.Duration]time.Duration{
			1: 1, 5 * time.Second: 5 * time.Second, time.Minute: time.Minute,
			time.Minute + 1: time.Minute, 1<<63 - 1: time.Minute,
			0: 2 * time.Second, -time.Hour: 2 * time.Second,
		} {
			require.Equal(t, want, b.after(breaker.Result{Outcome: breaker.Failure, RetryAfter: asked}), asked)
		}
		ignores := newDelays(t, circuit.WithDelay(time.Second))
		require.Equal(t, time.Second, ignores.after(breaker.Result{Outcome: breaker.Failure, RetryAfter: time.Minute}))
	})
}

// grpcError is what a gRPC client returns for a server that sent a RetryInfo.
func grpcError(t *testing.T, retry time.Duration) error {
	t.Helper()
	s, err := status.New(codes.Unavailable, "come back later").
		WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	require.NoError(t, err)
	return s.Err()
}

func TestRetryAfter_IsFoundInTheErrorOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDelays(t, circuit.WithDelay(time.Second), circuit.WithRetryAfter(time.Minute, breakererrors.RetryAfter))
		for _, c := range []struct {
			err  error
			want time.Duration
		}{
			{grpcError(t, 7*time.Second), 7 * time.Second},
			{fmt.Errorf("get user: %w", grpcError(t, 8*time.Second)), 8 * time.Second},
			{grpcError(t, time.Hour), time.Minute},
			{grpcError(t, 0), time.Second},
			{grpcError(t, -time.Second), time.Second},
			{status.Error(codes.Unavailable, "no details"), time.Second},
			{errBackend, time.Second},
		} {
			time.Sleep(b.Snapshot().RetryAfter)
			require.Equal(t, c.err, breaker.Run(t.Context(), b, func(context.Context) error { return c.err }))
			require.Equal(t, c.want, b.Snapshot().RetryAfter, "%v", c.err)
			require.Equal(t, c.want, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
			require.Equal(t, c.want, b.events[len(b.events)-1].Snapshot.RetryAfter)
		}
		require.Equal(t, 3*time.Second, b.after(breaker.Result{
			Outcome: breaker.Failure, Err: grpcError(t, 7*time.Second), RetryAfter: 3 * time.Second,
		}), "what the result says comes first")
	})
}

func TestRetryAfter_OfTheFunctionIsNoneIfItSaysSoOrIsNotPositive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer, ok := time.Duration(0), false
		var asked error
		b := newDelays(t, circuit.WithDelay(time.Second), circuit.WithRetryAfter(time.Minute, func(err error) (time.Duration, bool) {
			asked = err
			return answer, ok
		}))
		boom := errors.New("boom")
		for _, c := range []struct {
			answer time.Duration
			ok     bool
			want   time.Duration
		}{
			{5 * time.Second, true, 5 * time.Second},
			{5 * time.Second, false, time.Second},
			{0, true, time.Second},
			{-time.Second, true, time.Second},
		} {
			answer, ok, asked = c.answer, c.ok, nil
			require.Equal(t, c.want, b.after(breaker.Result{Outcome: breaker.Failure, Err: boom}))
			require.Equal(t, boom, asked)
		}
		asked = nil
		b.fail()
		require.NoError(t, asked, "without an error there is nothing to ask about")
	})
}

// A mode decides how long calls are rejected. Where the delay came from must
// not show.
func TestDelay_TheEventOfAnOpeningSaysTheSameHoweverTheDelayWasFound(t *testing.T) {
	for _, mode := range []breaker.Mode{breaker.Auto, breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				openedWith := func(opts ...circuit.Option) breaker.Snapshot {
					b := newDelays(t, opts...)
					p := mustAcquire(t, b)
					b.SetModeFor(mode, time.Hour)
					p.Done(breaker.Failure)
					require.Len(t, b.events, 1)
					require.Equal(t, b.Snapshot(), b.events[0].Snapshot)
					return b.events[0].Snapshot
				}
				require.Equal(t,
					openedWith(circuit.WithDelay(time.Minute)),
					openedWith(circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return time.Minute })))
			})
		})
	}
}
