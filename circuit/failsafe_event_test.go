package circuit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// change is what an event says of the states.
type change struct{ from, to breaker.State }

// recordInto returns a listener that appends to changes.
func recordInto(changes *[]change) circuit.Option {
	return circuit.WithListener(func(e breaker.Event) { *changes = append(*changes, change{e.From, e.To}) })
}

func TestF26_ListenersAreToldEachChangeInTheOrderInWhichTheyWereGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type told struct {
			who string
			change
		}
		var got []told
		listener := func(who string) circuit.Option {
			return circuit.WithListener(func(e breaker.Event) { got = append(got, told{who, change{e.From, e.To}}) })
		}
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), listener("first"), listener("second"))
		makeCalls(t, b, "F")
		b.Open()
		time.Sleep(30 * time.Second)
		p := takePermits(t, b, 1)[0]
		b.HalfOpen()
		p.Done(breaker.Success)
		b.Close()
		b.Close()
		b.Reset()
		opened, halfOpened, closed := change{breaker.Closed, breaker.Open}, change{breaker.Open, breaker.HalfOpen}, change{breaker.HalfOpen, breaker.Closed}
		require.Equal(t, []told{
			{"first", opened},
			{"second", opened},
			{"first", halfOpened},
			{"second", halfOpened},
			{"first", closed},
			{"second", closed},
		}, got)
	})
}

func TestF27_AnEventKeepsTheCountsOfTheStateThatEnded(t *testing.T) {
	var events []breaker.Event
	b := circuit.NewBreaker(circuit.WithFailureCount(2, 10),
		circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
	late := takePermits(t, b, 3)
	makeCalls(t, b, "SFF")
	want := breaker.Window{Success: 1, Failure: 2}
	require.Equal(t, want, events[0].Snapshot.Window)
	before := events[0]
	var wg sync.WaitGroup
	for _, p := range late { // the race detector looks at the event meanwhile
		wg.Go(func() { p.Done(breaker.Failure) })
	}
	require.Equal(t, before, events[0])
	wg.Wait()
	require.Equal(t, before, events[0])
	require.EqualValues(t, 5, b.Snapshot().Totals.Failure)
	require.EqualValues(t, 2, events[0].Snapshot.Totals.Failure)

	b.HalfOpen()
	makeCalls(t, b, "S")
	require.Len(t, events, 3)
	require.Equal(t, want, events[1].Snapshot.Window, "half-open, the calls before the opening")
	require.Equal(t, breaker.Window{Success: 1}, events[2].Snapshot.Window, "closed, the probes")
	require.Zero(t, b.Snapshot().Window)
}

func TestF28_AnEventHoldsNoContextAndComesBeforeTheCallReturns(t *testing.T) {
	// So it can be kept, and the caller can tell by its own context.
	isContext := reflect.TypeFor[context.Context]()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[breaker.Event]()) {
		require.False(t, f.Type.Implements(isContext), f.Name)
	}
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "request 7")
	var changes []change
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), recordInto(&changes))
	require.Same(t, errDown, breaker.Run(ctx, b, func(ctx context.Context) error {
		require.Equal(t, "request 7", ctx.Value(key{}))
		return errDown
	}))
	require.Equal(t, []change{{breaker.Closed, breaker.Open}}, changes)
}

func TestF29_AListenerMayUseTheBreakerAndOneThatPanicsHarmsNobody(t *testing.T) {
	t.Run("use", func(t *testing.T) {
		var b *circuit.Breaker
		var changes []change
		var seen []breaker.State
		b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1), recordInto(&changes),
			circuit.WithListener(func(e breaker.Event) {
				seen = append(seen, b.Snapshot().State)
				switch e.To {
				case breaker.Open:
					requireRejection(t, b, breaker.ReasonOpen)
					b.Open()
					b.HalfOpen()
				case breaker.HalfOpen:
					makeCalls(t, b, "S")
				case breaker.Closed:
					makeCalls(t, b, "S")
				}
			}))
		makeCalls(t, b, "F")
		require.Equal(t, []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed}, seen)
		require.Equal(t, []change{
			{breaker.Closed, breaker.Open}, {breaker.Open, breaker.HalfOpen}, {breaker.HalfOpen, breaker.Closed},
		}, changes)
	})
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var changes []change
			b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
				circuit.WithListener(func(e breaker.Event) {
					if e.To == breaker.Open {
						panic("listener")
					}
				}), recordInto(&changes))
			require.PanicsWithValue(t, "listener", func() { _ = runErr(t.Context(), b, errDown) })
			require.Equal(t, []change{{breaker.Closed, breaker.Open}}, changes, "the next listener is told")
			require.Equal(t, 30*time.Second, rejectionOf(t, b, breaker.ReasonOpen).RetryAfter())
			time.Sleep(30 * time.Second)
			makeCalls(t, b, "SS")
			requireStateOf(t, b, breaker.Closed)
			require.Len(t, changes, 3)
			require.Equal(t, breaker.Totals{Offered: 4, Allowed: 3, Rejected: 1, Success: 2, Failure: 1}, b.Snapshot().Totals)
		})
	})
}

func TestF30_EachEventBeginsWhereTheOneBeforeEnded(t *testing.T) {
	for name, delay := range map[string]time.Duration{"with no delay": 0, "with a long delay": time.Hour} {
		t.Run(name, func(t *testing.T) {
			var changes []change
			b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(delay), recordInto(&changes))
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(2, uint64(g)))
					for range 2000 {
						switch random.IntN(5) {
						case 0:
							b.Open()
						case 1:
							b.HalfOpen()
						case 2:
							b.Close()
						default:
							if p, err := b.Acquire(); err == nil {
								p.Done(breaker.Outcome(random.IntN(3)))
							}
						}
					}
				})
			}
			wg.Wait()
			require.Greater(t, len(changes), 1000)
			at := breaker.Closed
			for i, c := range changes {
				require.Equal(t, at, c.from, "event %d", i)
				require.NotEqual(t, c.from, c.to, "event %d", i)
				at = c.to
			}
			b.HalfOpen() // so that a delay that has passed does not matter
			require.Equal(t, breaker.HalfOpen, changes[len(changes)-1].to)
		})
	}
}

func TestF31_TheWindowCountsThePresentStateAndAnOpenBreakerShowsTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithFailureCount(10, 10), circuit.WithProbes(2, 3))
		require.Zero(t, b.Snapshot().Window)
		makeCalls(t, b, "SFSFSFS")
		w := b.Snapshot().Window
		require.Equal(t, breaker.Window{Success: 4, Failure: 3}, w)
		require.InDelta(t, 0.57, float64(w.Success)/float64(w.Total()), 0.005)
		require.InDelta(t, 0.43, float64(w.Failure)/float64(w.Total()), 0.005)
		makeCalls(t, b, "FFFFS") // the first two of twelve are no longer among the last ten
		w = breaker.Window{Success: 4, Failure: 6}
		require.Equal(t, w, b.Snapshot().Window)
		b.Open()
		require.Equal(t, w, b.Snapshot().Window)
		time.Sleep(30 * time.Second)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		require.Zero(t, b.Snapshot().Window)
		makeCalls(t, b, "SF")
		w = breaker.Window{Success: 1, Failure: 1}
		require.Equal(t, w, b.Snapshot().Window)
		makeCalls(t, b, "F")
		requireStateOf(t, b, breaker.Open)
		w.Failure = 2
		require.Equal(t, w, b.Snapshot().Window)
		time.Sleep(30 * time.Second)
		makeCalls(t, b, "SS")
		requireStateOf(t, b, breaker.Closed)
		require.Zero(t, b.Snapshot().Window)
	})
}

func TestF32_LateResultsDoNotChangeWhatAnOpenBreakerShows(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithFailureCount(3, 3))
	late := takePermits(t, b, 3)
	makeCalls(t, b, "FFF")
	for i, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		late[i].Done(o)
		require.Equal(t, breaker.Window{Failure: 3}, b.Snapshot().Window, o)
	}
	require.Equal(t, breaker.Totals{Offered: 6, Allowed: 6, Success: 1, Failure: 4, Ignored: 1}, b.Snapshot().Totals)
}

// errTimeout is an error that is known by its type.
type errTimeout struct{ op string }

func (e *errTimeout) Error() string { return e.op + " timed out" }

// handle returns the classifier of failsafe-go's conditions: an error that
// meets none of them is a success.
func handle(conditions ...func(error) bool) breaker.Option {
	return breaker.WithClassifier(func(err error) breaker.Outcome {
		for _, c := range conditions {
			if c(err) {
				return breaker.Failure
			}
		}
		return breaker.Success
	})
}

func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isTimeout(err error) bool {
	var t *errTimeout
	return errors.As(err, &t)
}

func TestF33_WhatFailsIsSaidByErrorByTypeOrByResult(t *testing.T) {
	other := errors.New("no such user")
	wrapped := &wrapping{errDown}
	joined := errors.Join(other, &errTimeout{"dial"})
	for _, c := range []struct {
		name    string
		opts    []breaker.Option
		err     error
		failure bool
	}{
		{"any error, by default", nil, other, true},
		{"no error, by default", nil, nil, false},
		{"the error", []breaker.Option{handle(isErr(errDown))}, errDown, true},
		{"the error, wrapped", []breaker.Option{handle(isErr(errDown))}, wrapped, true},
		{"another error", []breaker.Option{handle(isErr(errDown))}, other, false},
		{"the type", []breaker.Option{handle(isTimeout)}, &errTimeout{"read"}, true},
		{"the type, joined with another", []breaker.Option{handle(isTimeout)}, joined, true},
		{"another type", []breaker.Option{handle(isTimeout)}, other, false},
		{"the first of two", []breaker.Option{handle(isErr(errDown), isTimeout)}, errDown, true},
		{"the second of two", []breaker.Option{handle(isErr(errDown), isTimeout)}, joined, true},
		{"none of two", []breaker.Option{handle(isErr(errDown), isTimeout)}, other, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := circuit.NewBreaker()
			require.Equal(t, c.err, runErr(t.Context(), b, c.err, c.opts...))
			want := breaker.Window{Success: 1}
			if c.failure {
				want = breaker.Window{Failure: 1}
			}
			require.Equal(t, want, b.Snapshot().Window)
		})
	}
	t.Run("a result, with a permit", func(t *testing.T) {
		b := circuit.NewBreaker()
		call := func(status int, err error) {
			p := takePermits(t, b, 1)[0]
			if err != nil || status == 503 {
				p.Done(breaker.Failure)
				return
			}
			p.Done(breaker.Success)
		}
		call(200, nil)
		call(503, nil)
		call(0, other)
		require.Equal(t, breaker.Window{Success: 1, Failure: 2}, b.Snapshot().Window)
	})
}

// wrapping is an error around another one.
type wrapping struct{ error }

func (w *wrapping) Unwrap() error { return w.error }

func TestF34_OnlyTheErrorDecidesAboutACallThatReturnedOne(t *testing.T) {
	b := circuit.NewBreaker()
	boom := errors.New("boom")
	v, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 0, boom }, handle(isErr(errDown)))
	require.Zero(t, v)
	require.Same(t, boom, err)
	require.Equal(t, breaker.Window{Success: 1}, b.Snapshot().Window)
}
