package circuit_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// abruptEnds is how a function of the user's can end without returning.
var abruptEnds = []struct {
	name string
	end  func()
	want any // what recover finds
}{
	{"panic", func() { panic("boom") }, "boom"},
	{"Goexit", runtime.Goexit, nil},
}

// requireEnds fails the test if f does not end. It waits in real time, since a
// goroutine that waits for a lock stops the clock of a synctest bubble.
func requireEnds(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it hangs")
	}
}

// requireEndsSo runs f in a goroutine of its own and requires that it does not
// return but ends with the panic want, or with Goexit if want is nil.
func requireEndsSo(t *testing.T, want any, f func()) {
	t.Helper()
	done := make(chan struct{})
	var recovered any
	returned := false
	go func() {
		defer close(done)
		defer func() { recovered = recover() }()
		f()
		returned = true
	}()
	<-done
	require.False(t, returned)
	require.Equal(t, want, recovered)
}

// eachAbruptEnd runs the test for each abrupt end, in a bubble.
func eachAbruptEnd(t *testing.T, test func(t *testing.T, end func(), want any)) {
	for _, e := range abruptEnds {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, e.end, e.want) })
		})
	}
}

// requireSound requires that a breaker whose permits are all settled closes,
// opens and probes as a new one does.
func requireSound(t *testing.T, b *circuit.Breaker) {
	t.Helper()
	require.Zero(t, b.Snapshot().Totals.InFlight)
	b.Reset()
	before := b.Snapshot().Totals
	callTimes(t, b, 1, breaker.Success)
	b.Open()
	requireRejected(t, b, breaker.ReasonOpen)
	b.HalfOpen()
	callTimes(t, b, 1, breaker.Ignored)
	callTimes(t, b, 1, breaker.Success)
	requireState(t, breaker.Closed, b)
	after := b.Snapshot().Totals
	before.Offered, before.Allowed, before.Rejected = before.Offered+4, before.Allowed+3, before.Rejected+1
	before.Success, before.Ignored = before.Success+2, before.Ignored+1
	require.Equal(t, before, after)
}

func TestPanic_APredicateThatDoesNotReturnLeavesTheBreakerClosedAndTheFailureCounted(t *testing.T) {
	eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
		bad := true
		b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(c circuit.Counts) bool {
			if bad {
				end()
			}
			return c.Failure == 2
		}))
		p := mustAcquire(t, b)
		requireEndsSo(t, want, func() { p.Done(breaker.Failure) })
		p.Done(breaker.Failure) // it is settled
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.EqualValues(t, 1, s.ConsecutiveFailures)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, s.Totals)
		bad = false
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Open, b)
		requireSound(t, b)
	})
}

func TestPanic_APredicateThatDoesNotReturnInMarkFailedLeavesTheFailureCounted(t *testing.T) {
	eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
		b := circuit.NewBreaker(circuit.WithOpenWhen(time.Second, func(circuit.Counts) bool {
			end()
			return false
		}))
		require.NoError(t, b.Allow())
		requireEndsSo(t, want, b.MarkFailed)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)
		requireSound(t, b)
	})
}

func TestPanic_ADelayFunctionThatDoesNotReturnOpensForTheDelayWithoutIt(t *testing.T) {
	eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
		var events []breaker.Event
		bad := true
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(7*time.Second),
			circuit.WithListener(func(e breaker.Event) { events = append(events, e) }),
			circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
				if bad {
					end()
				}
				return time.Second
			}))
		p := mustAcquire(t, b)
		requireEndsSo(t, want, func() { p.Done(breaker.Failure) })
		s := b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.Equal(t, 7*time.Second, s.RetryAfter)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, s.Totals)
		require.Len(t, events, 1, "the opening is told all the same")
		require.Equal(t, 7*time.Second, events[0].Snapshot.RetryAfter)

		time.Sleep(7 * time.Second)
		probe := mustAcquire(t, b)
		requireEndsSo(t, want, func() { probe.Done(breaker.Failure) })
		require.Equal(t, 7*time.Second, b.Snapshot().RetryAfter)
		require.EqualValues(t, 2, b.Snapshot().Openings)

		time.Sleep(7 * time.Second)
		bad = false
		callTimes(t, b, 1, breaker.Failure)
		require.Equal(t, time.Second, b.Snapshot().RetryAfter)
		require.Len(t, events, 5)
		requireSound(t, b)
	})
}

func TestPanic_AFunctionOfWithRetryAfterThatDoesNotReturnOpensForTheDelayWithoutIt(t *testing.T) {
	eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(7*time.Second),
			circuit.WithRetryAfter(time.Hour, func(error) (time.Duration, bool) {
				end()
				return 0, false
			}))
		requireEndsSo(t, want, func() {
			_ = breaker.Run(t.Context(), b, func(context.Context) error { return errBackend })
		})
		s := b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.Equal(t, 7*time.Second, s.RetryAfter)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, s.Totals)
		requireSound(t, b)
	})
}

// A call that is still in flight can open the breaker when another one asks for
// a permit, which then is the goroutine that asks for the delay.
func TestPanic_ADelayFunctionThatDoesNotReturnInAcquireKeepsNoPermit(t *testing.T) {
	for _, mode := range []breaker.Mode{breaker.Auto, breaker.DryRun} {
		t.Run(mode.String(), func(t *testing.T) {
			eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
				b := circuit.NewBreaker(circuit.WithSlowCallRate(time.Second, 1, 1, time.Minute),
					circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
						end()
						return 0
					}))
				b.SetMode(mode)
				hangs := mustAcquire(t, b)
				time.Sleep(time.Second)
				requireEndsSo(t, want, func() { _, _ = b.Acquire() })
				totals := breaker.Totals{Offered: 2, Allowed: 1, Rejected: 1, InFlight: 1}
				if mode == breaker.DryRun {
					totals = breaker.Totals{Offered: 2, Allowed: 2, Ignored: 1, InFlight: 1, WouldReject: 1}
				}
				require.Equal(t, totals, b.Snapshot().Totals)
				requireState(t, breaker.Open, b)
				hangs.Done(breaker.Failure)
				b.SetMode(breaker.Auto)
				requireSound(t, b)
			})
		})
	}
}

func TestPanic_AClassifierThatDoesNotReturnMakesTheCallAFailure(t *testing.T) {
	for _, state := range []breaker.State{breaker.Closed, breaker.HalfOpen} {
		t.Run(state.String(), func(t *testing.T) {
			eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
				b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Second))
				if state == breaker.HalfOpen {
					b.HalfOpen()
				}
				requireEndsSo(t, want, func() {
					_ = breaker.Run(t.Context(), b, func(context.Context) error { return nil },
						breaker.WithClassifier(func(error) breaker.Outcome {
							end()
							return breaker.Success
						}))
				})
				requireState(t, breaker.Open, b)
				require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)
				time.Sleep(time.Second)
				callTimes(t, b, 1, breaker.Success)
				requireState(t, breaker.Closed, b)
				requireSound(t, b)
			})
		})
	}
}

// A listener is met in every method that can change the state. Whatever it
// does, the change is made, the other listener is told, and nobody keeps a
// permit that was not handed out.
func TestPanic_AListenerThatDoesNotReturnChangesNothing(t *testing.T) {
	const delay = 10 * time.Second
	lease := circuit.WithProbeLease(time.Second)
	var held breaker.Permit // by a call before the one that meets the listener
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, b *circuit.Breaker)
		act     func(b *circuit.Breaker)
		want    breaker.State
		totals  breaker.Totals
		told    []breaker.State
	}{
		{
			"a failure opens",
			func(t *testing.T, b *circuit.Breaker) { held = mustAcquire(t, b) },
			func(*circuit.Breaker) { held.Done(breaker.Failure) },
			breaker.Open,
			breaker.Totals{Offered: 1, Allowed: 1, Failure: 1},
			[]breaker.State{breaker.Open},
		},
		{
			"a mark opens",
			func(t *testing.T, b *circuit.Breaker) { require.NoError(t, b.Allow()) },
			(*circuit.Breaker).MarkFailed,
			breaker.Open,
			breaker.Totals{Offered: 1, Allowed: 1, Failure: 1},
			[]breaker.State{breaker.Open},
		},
		{
			"a first probe is asked for",
			func(_ *testing.T, b *circuit.Breaker) {
				b.Open()
				time.Sleep(delay)
			},
			func(b *circuit.Breaker) { _, _ = b.Acquire() },
			breaker.HalfOpen,
			breaker.Totals{Offered: 1, Allowed: 1, Ignored: 1},
			[]breaker.State{breaker.Open, breaker.HalfOpen},
		},
		{
			"a first probe is asked for with Allow",
			func(_ *testing.T, b *circuit.Breaker) {
				b.Open()
				time.Sleep(delay)
			},
			func(b *circuit.Breaker) { _ = b.Allow() },
			breaker.HalfOpen,
			breaker.Totals{Offered: 1, Allowed: 1, Ignored: 1},
			[]breaker.State{breaker.Open, breaker.HalfOpen},
		},
		{
			"a probe closes",
			func(t *testing.T, b *circuit.Breaker) {
				b.HalfOpen()
				held = mustAcquire(t, b)
			},
			func(*circuit.Breaker) { held.Done(breaker.Success) },
			breaker.Closed,
			breaker.Totals{Offered: 1, Allowed: 1, Success: 1},
			[]breaker.State{breaker.HalfOpen, breaker.Closed},
		},
		{
			"a probe reopens",
			func(t *testing.T, b *circuit.Breaker) {
				b.HalfOpen()
				held = mustAcquire(t, b)
			},
			func(*circuit.Breaker) { held.Done(breaker.Failure) },
			breaker.Open,
			breaker.Totals{Offered: 1, Allowed: 1, Failure: 1},
			[]breaker.State{breaker.HalfOpen, breaker.Open},
		},
		{
			"a lost probe is found by the next call",
			func(t *testing.T, b *circuit.Breaker) {
				b.HalfOpen()
				mustAcquire(t, b)
				time.Sleep(time.Second)
			},
			func(b *circuit.Breaker) { _, _ = b.Acquire() },
			breaker.Open,
			breaker.Totals{Offered: 2, Allowed: 1, Rejected: 1, Failure: 1},
			[]breaker.State{breaker.HalfOpen, breaker.Open},
		},
		{
			"a probe is asked for long after one was lost",
			func(t *testing.T, b *circuit.Breaker) {
				b.HalfOpen()
				mustAcquire(t, b)
				time.Sleep(time.Hour)
			},
			func(b *circuit.Breaker) { _, _ = b.Acquire() },
			breaker.HalfOpen,
			breaker.Totals{Offered: 2, Allowed: 2, Failure: 1, Ignored: 1},
			[]breaker.State{breaker.HalfOpen, breaker.Open, breaker.HalfOpen},
		},
		{
			"Open",
			func(*testing.T, *circuit.Breaker) {},
			(*circuit.Breaker).Open,
			breaker.Open,
			breaker.Totals{},
			[]breaker.State{breaker.Open},
		},
		{
			"HalfOpen",
			func(*testing.T, *circuit.Breaker) {},
			(*circuit.Breaker).HalfOpen,
			breaker.HalfOpen,
			breaker.Totals{},
			[]breaker.State{breaker.HalfOpen},
		},
		{
			"Close",
			func(_ *testing.T, b *circuit.Breaker) { b.Open() },
			(*circuit.Breaker).Close,
			breaker.Closed,
			breaker.Totals{},
			[]breaker.State{breaker.Open, breaker.Closed},
		},
		{
			"Reset",
			func(_ *testing.T, b *circuit.Breaker) { b.Open() },
			(*circuit.Breaker).Reset,
			breaker.Closed,
			breaker.Totals{},
			[]breaker.State{breaker.Open, breaker.Closed},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
				bad := false
				var told []breaker.State
				b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(delay), lease,
					circuit.WithListener(func(breaker.Event) {
						if bad {
							end()
						}
					}),
					circuit.WithListener(func(e breaker.Event) { told = append(told, e.To) }))
				c.prepare(t, b)
				bad = true
				requireEndsSo(t, want, func() { c.act(b) })
				bad = false
				requireState(t, c.want, b)
				require.Equal(t, c.totals, b.Snapshot().Totals)
				require.Equal(t, c.told, told)
				requireSound(t, b)
			})
		})
	}
}

// Goexit or a panic of a listener during Done in Do must not hide the other.
func TestPanic_AListenerThatDoesNotReturnDoesNotKeepDoFromSettling(t *testing.T) {
	eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
		bad := true
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithListener(func(breaker.Event) {
			if bad {
				end()
			}
		}))
		requireEndsSo(t, want, func() {
			_ = breaker.Run(t.Context(), b, func(context.Context) error { return errBackend })
		})
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)
		requireState(t, breaker.Open, b)
		bad = false
		requireSound(t, b)
	})
}
