package circuit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// userFunctions are the places where the breaker calls a function of the
// user's. Each makes a breaker that calls f in that place, and a call that gets
// it there.
var userFunctions = []struct {
	name string
	make func(f func()) (b *circuit.Breaker, call func())
}{
	{"a predicate", func(f func()) (*circuit.Breaker, func()) {
		b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(circuit.Counts) bool {
			f()
			return false
		}))
		return b, func() { _ = callOnce(b, breaker.Failure) }
	}},
	{"a predicate that opens", func(f func()) (*circuit.Breaker, func()) {
		b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(circuit.Counts) bool {
			f()
			return true
		}))
		return b, func() { _ = callOnce(b, breaker.Failure) }
	}},
	{"a delay function", func(f func()) (*circuit.Breaker, func()) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
			f()
			return time.Second
		}))
		return b, func() { _ = callOnce(b, breaker.Failure) }
	}},
	{"a function of WithRetryAfter", func(f func()) (*circuit.Breaker, func()) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithRetryAfter(time.Hour, func(error) (time.Duration, bool) {
			f()
			return time.Second, true
		}))
		return b, func() { _ = breaker.Run(context.Background(), b, func(context.Context) error { return errBackend }) }
	}},
	{"a classifier", func(f func()) (*circuit.Breaker, func()) {
		b := circuit.NewBreaker()
		return b, func() {
			_ = breaker.Run(context.Background(), b, func(context.Context) error { return errBackend },
				breaker.WithClassifier(func(error) breaker.Outcome {
					f()
					return breaker.Failure
				}))
		}
	}},
	{"a listener", func(f func()) (*circuit.Breaker, func()) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithListener(func(breaker.Event) { f() }))
		return b, func() { _ = callOnce(b, breaker.Failure) }
	}},
}

func TestReentry_AFunctionOfTheUserMayCallEveryMethodOfTheBreaker(t *testing.T) {
	methods := map[string]func(b *circuit.Breaker){
		"Snapshot": func(b *circuit.Breaker) { b.Snapshot() },
		"Idle":     func(b *circuit.Breaker) { b.Idle() },
		"Acquire":  func(b *circuit.Breaker) { _ = callOnce(b, breaker.Success) },
		"fail":     func(b *circuit.Breaker) { _ = callOnce(b, breaker.Failure) },
		"Allow": func(b *circuit.Breaker) {
			if b.Allow() != nil {
				b.MarkFailed()
				return
			}
			b.MarkIgnored()
		},
		"Open":     (*circuit.Breaker).Open,
		"HalfOpen": (*circuit.Breaker).HalfOpen,
		"Close":    (*circuit.Breaker).Close,
		"Reset":    (*circuit.Breaker).Reset,
		"Reconfigure": func(b *circuit.Breaker) {
			b.Reconfigure(circuit.WithSlowCallRate(time.Second, 0.5, 10, time.Minute), circuit.WithProbes(1, 4))
		},
		"SetMode":    func(b *circuit.Breaker) { b.SetMode(breaker.DryRun) },
		"SetModeFor": func(b *circuit.Breaker) { b.SetModeFor(breaker.ForceOpen, time.Hour) },
	}
	for _, place := range userFunctions {
		for name, method := range methods {
			t.Run(place.name+" calls "+name, func(t *testing.T) {
				var b *circuit.Breaker
				calls := 0
				b, call := place.make(func() {
					if calls++; calls == 1 { // else it would call itself for ever
						method(b)
					}
				})
				requireEnds(t, call)
				require.Positive(t, calls)
				b.SetMode(breaker.Auto)
				calls = 1
				requireEnds(t, func() { requireSound(t, b) })
			})
		}
	}
}

// A function that has changed the state decides nothing any more about the one
// that it was asked about.
func TestReentry_TheAnswerOfAFunctionThatChangedTheStateIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *circuit.Breaker
		b = circuit.NewBreaker(circuit.WithOpenWhen(0, func(circuit.Counts) bool {
			b.Reset()
			return true
		}))
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Closed, b)

		var events []string
		b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
			circuit.WithListener(func(e breaker.Event) { events = append(events, e.From.String()+" to "+e.To.String()) }),
			circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
				b.Close()
				b.Open()
				return time.Hour
			}))
		callTimes(t, b, 1, breaker.Failure)
		require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter, "that of the opening by hand")
		require.Equal(t, []string{"closed to open", "open to closed", "closed to open"}, events)
	})
}

func TestReentry_AFunctionThatBlocksHoldsUpItsOwnCallerOnly(t *testing.T) {
	for _, place := range userFunctions {
		t.Run(place.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entered, leave := false, make(chan struct{})
				b, call := place.make(func() {
					if !entered {
						entered = true
						<-leave
					}
				})
				returned := false
				go func() {
					call()
					returned = true
				}()
				synctest.Wait()
				require.True(t, entered)

				requireEndsHere(t, func() {
					for _, mode := range []breaker.Mode{breaker.DryRun, breaker.ForceClosed, breaker.Auto} {
						b.SetMode(mode)
						_ = callOnce(b, breaker.Success)
						b.Snapshot()
					}
					b.Close()
					callTimes(t, b, 1, breaker.Success)
					b.HalfOpen()
					callTimes(t, b, 1, breaker.Success)
					b.Open()
					requireRejected(t, b, breaker.ReasonOpen)
					require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
				})
				require.False(t, returned)
				close(leave)
				synctest.Wait()
				require.True(t, returned)
				require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter, "a late answer is about another opening")
				requireSound(t, b)
			})
		})
	}
}

// requireEndsHere is requireEnds for a bubble, where what blocks is seen at once
// unless it waits for a lock.
func requireEndsHere(t *testing.T, f func()) {
	t.Helper()
	done := false
	go func() {
		f()
		done = true
	}()
	synctest.Wait()
	require.True(t, done, "it blocks")
}

func TestReentry_WhileADelayFunctionRunsEveryCallIsRejectedAndNoTimeIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan breaker.Event, 2)
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
			circuit.WithListener(func(e breaker.Event) { events <- e }),
			circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
				time.Sleep(time.Minute)
				return 90 * time.Second
			}))
		p := mustAcquire(t, b)
		go p.Done(breaker.Failure)
		time.Sleep(59 * time.Second) // longer than the delay without the function
		requireState(t, breaker.Open, b)
		require.Zero(t, theRejection(t, b, breaker.ReasonOpen).RetryAfter())
		require.Zero(t, b.Snapshot().RetryAfter)
		require.Empty(t, events, "the opening is told when its delay is known")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 30*time.Second, theRejection(t, b, breaker.ReasonOpen).RetryAfter(), "it counts from the opening")
		require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
		require.Len(t, events, 1)
		e := <-events
		require.Equal(t, 30*time.Second, e.Snapshot.RetryAfter)
		require.Equal(t, time.Minute, time.Since(e.At))
	})
}
