package circuit_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The traps about locks, listeners and functions of the user's.

func TestT13_NoFunctionOfTheUserRunsUnderTheLock(t *testing.T) {
	for _, place := range userFunctions {
		t.Run(place.name, func(t *testing.T) {
			var b *circuit.Breaker
			calls := 0
			b, call := place.make(func() {
				if calls++; calls > 1 {
					return
				}
				// Another goroutine needs the lock, and this one waits for it.
				requireEnds(t, func() {
					b.SetMode(breaker.DryRun)
					b.Snapshot()
				})
			})
			requireEnds(t, call)
			require.Equal(t, 1, calls)
			require.Equal(t, breaker.DryRun, b.Snapshot().Mode)
		})
	}
}

// flap moves the state of b about from many goroutines, and takes no notice of
// panics.
func flap(b *circuit.Breaker, goroutines, times int) {
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range times {
				func() {
					defer func() { _ = recover() }()
					switch rand.IntN(8) {
					case 0:
						b.Open()
					case 1:
						b.HalfOpen()
					case 2:
						b.Close()
					case 3:
						b.Reset()
					default:
						_ = callOnce(b, breaker.Outcome(rand.IntN(3)))
					}
				}()
			}
		})
	}
	wg.Wait()
}

// requireChain requires that each event begins where the one before ended, and
// that the last one is what b says.
func requireChain(t *testing.T, b *circuit.Breaker, events []breaker.Event) {
	t.Helper()
	require.NotEmpty(t, events)
	state, at := breaker.Closed, time.Time{}
	for i, e := range events {
		require.Equal(t, state, e.From, "event %d", i)
		require.NotEqual(t, e.From, e.To, "event %d", i)
		require.Equal(t, e.To, e.Snapshot.State, "event %d", i)
		require.False(t, e.At.Before(at), "event %d", i)
		state, at = e.To, e.At
	}
	require.Equal(t, b.Snapshot().State, state)
}

func TestT14_EventsOfManyGoroutinesComeInOrderAndOneAtATime(t *testing.T) {
	// The listeners take no lock: the race detector sees if they need one.
	var first, second []breaker.Event
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(2), circuit.WithDelay(time.Hour),
		circuit.WithListener(func(e breaker.Event) { first = append(first, e) }),
		circuit.WithListener(func(e breaker.Event) { second = append(second, e) }))
	requireEnds(t, func() { flap(b, 8, 2000) })
	requireChain(t, b, first)
	require.Equal(t, first, second)
}

func TestT14_ADelayThatIsAskedForDoesNotReorderEvents(t *testing.T) {
	var events []breaker.Event
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
		circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return time.Hour }),
		circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
	requireEnds(t, func() { flap(b, 8, 2000) })
	requireChain(t, b, events)
}

func TestT14_AListenerThatPanicsNowAndThenLosesNoEventAndBreaksNoLock(t *testing.T) {
	var events, others []breaker.Event
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(2), circuit.WithDelay(time.Hour),
		circuit.WithListener(func(e breaker.Event) {
			if events = append(events, e); len(events)%7 == 0 {
				panic("boom")
			}
		}),
		circuit.WithListener(func(e breaker.Event) { others = append(others, e) }))
	requireEnds(t, func() { flap(b, 8, 2000) })
	requireChain(t, b, events)
	require.Equal(t, events, others)
	require.Zero(t, b.Snapshot().Totals.InFlight)
}

func TestT14_AnEventThatAListenerLeadsToComesAfterTheOneItIsTold(t *testing.T) {
	var told []string
	var b *circuit.Breaker
	tell := func(who string) circuit.Option {
		return circuit.WithListener(func(e breaker.Event) {
			if told = append(told, who+" "+e.To.String()); e.To == breaker.Open && who == "first" {
				b.HalfOpen()
				b.Close()
				told = append(told, "first returns")
			}
		})
	}
	b = circuit.NewBreaker(tell("first"), tell("second"))
	requireEnds(t, func() { b.Open() })
	require.Equal(t, []string{
		"first open", "first returns", "second open",
		"first half-open", "second half-open", "first closed", "second closed",
	}, told)
}

func TestT14_WhileAListenerBlocksEventsWaitAndNobodyElseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []breaker.State
		leave := make(chan struct{})
		b := circuit.NewBreaker(circuit.WithListener(func(e breaker.Event) {
			if told = append(told, e.To); len(told) == 1 {
				<-leave
			}
		}))
		go b.Open()
		synctest.Wait()
		b.HalfOpen()
		callTimes(t, b, 1, breaker.Success)
		requireState(t, breaker.Closed, b)
		require.Equal(t, []breaker.State{breaker.Open}, told)
		close(leave)
		synctest.Wait()
		require.Equal(t, []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed}, told)
	})
}

// What a late result adds must not show in an event, nor in what an open
// breaker says of its opening.
func TestT16_AnEventKeepsTheCountsOfItsMoment(t *testing.T) {
	var events []breaker.Event
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(2),
		circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
	late := []breaker.Permit{mustAcquire(t, b), mustAcquire(t, b)}
	callTimes(t, b, 1, breaker.Success)
	callTimes(t, b, 2, breaker.Failure)
	require.Len(t, events, 1)
	check := func(e breaker.Event) {
		require.Equal(t, breaker.Window{Success: 1, Failure: 2}, e.Snapshot.Window)
		require.Equal(t, breaker.Totals{Offered: 5, Allowed: 5, Success: 1, Failure: 2, InFlight: 2}, e.Snapshot.Totals)
	}
	check(events[0])
	late[0].Done(breaker.Failure)
	late[1].Done(breaker.Success)
	b.MarkFailed()
	require.Equal(t, breaker.Window{Success: 1, Failure: 2}, b.Snapshot().Window)
	check(events[0])
}

// A breaker that shows its new state before its deadline lets calls through at
// once.
func TestT17_NobodyMeetsAnOpenBreakerWithoutItsDelay(t *testing.T) {
	for name, opt := range map[string]circuit.Option{
		"fixed": circuit.WithDelay(time.Hour),
		"asked": circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return time.Hour }),
	} {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), opt, circuit.WithListener(func(e breaker.Event) {
					if e.To == breaker.HalfOpen {
						t.Error("a probe at once")
					}
				}))
				p := mustAcquire(t, b)
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						rejected := false
						for range 50 {
							err := callOnce(b, breaker.Ignored)
							if rejected && err == nil {
								t.Error("allowed after a rejection")
							}
							rejected = rejected || err != nil
						}
					})
				}
				wg.Go(func() { p.Done(breaker.Failure) })
				wg.Wait()
				requireState(t, breaker.Open, b)
			}
		})
	}
}

func TestT18_AVerdictOnAStateThatHasEndedIsNotCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.Event
		b := circuit.NewBreaker(circuit.WithListener(func(e breaker.Event) { events = append(events, e) }),
			circuit.WithOpenWhen(0, func(circuit.Counts) bool {
				time.Sleep(time.Second)
				return true
			}))
		// Two failures are asked about at once; only one of them opens.
		for range 2 {
			p := mustAcquire(t, b)
			go p.Done(breaker.Failure)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, events, 1)
		require.EqualValues(t, 1, b.Snapshot().Openings)

		for name, change := range map[string]func(){
			"reset": b.Reset,
			"opened and closed": func() {
				b.Open()
				b.Close()
			},
		} {
			b.Reset()
			p := mustAcquire(t, b)
			go p.Done(breaker.Failure)
			synctest.Wait()
			change()
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, breaker.Closed, b.Snapshot().State, name)
		}
	})
}

// The first call of a new bucket decides whether later successes need the lock.
// With slow calls counted, an ignored one began the bucket and decided nothing.
func TestT18_ASuccessOpensThoughAnIgnoredCallBeganItsBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithFailureRate(0.5, 10, time.Second),
			circuit.WithSlowCallRate(time.Hour, 1, 1_000_000, time.Second))
		callTimes(t, b, 10, breaker.Success)
		time.Sleep(500 * time.Millisecond)
		callTimes(t, b, 5, breaker.Failure) // 5 of 15
		time.Sleep(500 * time.Millisecond)  // the successes have left
		callTimes(t, b, 1, breaker.Ignored)
		callTimes(t, b, 4, breaker.Success)
		requireState(t, breaker.Closed, b)
		callTimes(t, b, 1, breaker.Success) // 5 of 10
		requireState(t, breaker.Open, b)
	})
}

func TestT19_APredicateOrAClassifierThatPanicsKeepsNoPermit(t *testing.T) {
	eachAbruptEnd(t, func(t *testing.T, end func(), want any) {
		bad := true
		b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(c circuit.Counts) bool {
			if bad {
				end()
			}
			return c.Failure >= 4
		}))
		for range 3 {
			p := mustAcquire(t, b)
			requireEndsSo(t, want, func() { p.Done(breaker.Failure) })
		}
		require.Equal(t, breaker.Totals{Offered: 3, Allowed: 3, Failure: 3}, b.Snapshot().Totals)
		bad = false
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Open, b)
	})
}
