package circuit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// TestBreaker_LetsNoMoreProbesRunThanTheLimit sends 1000 goroutines to a breaker
// whose delay has just passed. Probes that end ignored make room for others, in
// the same instant of a clock that stands still.
func TestBreaker_LetsNoMoreProbesRunThanTheLimit(t *testing.T) {
	const goroutines, rounds, limit = 1000, 50, 3
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(
			circuit.WithProbes(4, 6), circuit.WithProbeLimit(limit), circuit.WithDelay(time.Second),
		)
		b.Open()
		most := int64(0)
		for range rounds {
			time.Sleep(time.Second)
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
			var running, highest, admitted atomic.Int64
			var wg sync.WaitGroup
			start := make(chan struct{})
			for g := range goroutines {
				wg.Go(func() {
					<-start
					p, err := b.Acquire()
					if err != nil {
						return
					}
					admitted.Add(1)
					n := running.Add(1)
					for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
					}
					for range g % 5 {
						runtime.Gosched()
					}
					running.Add(-1)
					p.Done(breaker.Ignored)
				})
			}
			close(start)
			wg.Wait()
			require.LessOrEqual(t, highest.Load(), int64(limit))
			require.Positive(t, admitted.Load())
			most = max(most, admitted.Load())
			for range 3 { // failures, which reopen it
				p, err := b.Acquire()
				require.NoError(t, err)
				p.Done(breaker.Failure)
			}
			require.Equal(t, breaker.Open, b.Snapshot().State)
		}
		require.Greater(t, most, int64(limit), "ignored probes made room")
		s := b.Snapshot().Totals
		require.Zero(t, s.InFlight)
		require.EqualValues(t, rounds*(goroutines+3), s.Offered)
	})
}

// TestBreaker_LetsAsManyProbesRunAsTheLimit is the other half: of those who ask
// at once, so many are let through while none of them returns.
func TestBreaker_LetsAsManyProbesRunAsTheLimit(t *testing.T) {
	const goroutines, rounds, limit = 1000, 50, 7
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(
			circuit.WithProbes(limit, limit), circuit.WithDelay(time.Second), circuit.WithProbeFailures(1),
		)
		b.Open()
		for range rounds {
			time.Sleep(time.Second)
			probes := make(chan breaker.Permit, goroutines)
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					if p, err := b.Acquire(); err == nil {
						probes <- p
					}
				})
			}
			wg.Wait()
			close(probes)
			require.Len(t, probes, limit)
			for p := range probes {
				wg.Go(func() { p.Done(breaker.Failure) }) // one reopens it, the others are late
			}
			wg.Wait()
			require.EqualValues(t, time.Second, b.Snapshot().RetryAfter)
		}
		require.Equal(t, breaker.Totals{
			Offered: rounds * goroutines, Allowed: rounds * limit, Rejected: rounds * (goroutines - limit), Failure: rounds * limit,
		}, b.Snapshot().Totals)
	})
}

// TestBreaker_TellsEveryListenerEveryChangeInOrder flaps with 8 goroutines. The
// openings are numbered: had an event got lost, or come twice, the numbers or
// the states would not follow one another.
func TestBreaker_TellsEveryListenerEveryChangeInOrder(t *testing.T) {
	const goroutines, calls = 8, 5000
	type change struct {
		from, to breaker.State
		at       time.Time
		openings uint64
		offered  uint64
	}
	var told [2][]change // by one goroutine at a time: the race detector looks on
	listener := func(i int) circuit.Option {
		return circuit.WithListener(func(e breaker.Event) {
			told[i] = append(told[i], change{e.From, e.To, e.At, e.Snapshot.Openings, e.Snapshot.Totals.Offered})
		})
	}
	b := circuit.NewBreaker(listener(0), listener(1),
		circuit.WithConsecutiveFailures(1), circuit.WithProbes(2, 3), circuit.WithDelay(0))
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(g)))
			for range calls {
				if p, err := b.Acquire(); err == nil {
					runtime.Gosched()
					p.Done([]breaker.Outcome{breaker.Success, breaker.Failure}[random.IntN(2)])
				}
				switch random.IntN(50) {
				case 0:
					b.HalfOpen()
				case 1:
					b.Open()
				case 2:
					b.Reset()
				}
			}
		})
	}
	wg.Wait()
	b.Close()
	last := change{to: breaker.Closed}
	opened := 0
	for _, e := range told[0] {
		require.Equal(t, last.to, e.from)
		require.NotEqual(t, e.from, e.to)
		require.False(t, e.at.Before(last.at))
		require.GreaterOrEqual(t, e.offered, last.offered)
		switch e.to {
		case breaker.Open:
			opened++
			require.Equal(t, last.openings+1, e.openings)
		case breaker.HalfOpen:
			require.Equal(t, last.openings, e.openings)
		case breaker.Closed:
			require.Zero(t, e.openings)
		}
		last = e
	}
	require.Equal(t, breaker.Closed, last.to)
	require.Greater(t, opened, 100)
	require.Equal(t, told[0], told[1])
}

// TestBreaker_TellsAsManyOpeningsAsItCounts never closes, so that the breaker's
// own count of openings stays.
func TestBreaker_TellsAsManyOpeningsAsItCounts(t *testing.T) {
	opened, probing := uint64(0), uint64(0)
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(0),
		circuit.WithListener(func(e breaker.Event) {
			if e.To == breaker.Open {
				opened++
			} else {
				probing++
			}
		}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				if p, err := b.Acquire(); err == nil {
					p.Done(breaker.Failure)
				}
			}
		})
	}
	wg.Wait()
	b.HalfOpen() // the last one may not be told yet
	require.Equal(t, b.Snapshot().Openings, opened)
	require.Equal(t, opened, probing)
	require.Greater(t, opened, uint64(1000))
}

// TestBreaker_TotalsAreExactUnderLoad compares with what the callers counted,
// while the breaker flaps and a person plays with it.
func TestBreaker_TotalsAreExactUnderLoad(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"failures": {
			circuit.WithConsecutiveFailures(4), circuit.WithFailureCount(6, 20),
			circuit.WithFailureRate(0.5, 5, 10*time.Millisecond),
		},
		"slow calls": {
			circuit.WithFailuresInPeriod(10, 10*time.Millisecond),
			circuit.WithSlowCallRate(100*time.Microsecond, 0.3, 5, 10*time.Millisecond),
		},
	} {
		t.Run(name, func(t *testing.T) {
			events := 0
			b := circuit.NewBreaker(append(opts, circuit.WithProbes(2, 4), circuit.WithDelay(200*time.Microsecond),
				circuit.WithListener(func(breaker.Event) { events++ }))...)
			var want stressCount
			var callers, person sync.WaitGroup
			done := make(chan struct{})
			person.Go(func() {
				random := rand.New(rand.NewPCG(3, 3))
				for {
					select {
					case <-done:
						return
					default:
					}
					switch random.IntN(4) {
					case 0:
						b.SetMode(breaker.Mode(random.IntN(4)))
					case 1:
						b.SetModeFor(breaker.Mode(random.IntN(4)), time.Duration(1+random.IntN(int(time.Millisecond))))
					case 2:
						b.Reset()
					default:
						b.SetMode(breaker.Auto)
					}
					if s := b.Snapshot().Totals; s.Offered != s.Allowed+s.Rejected || s.Allowed != s.Success+s.Failure+s.Ignored+s.InFlight {
						t.Errorf("%+v", s)
						return
					}
					runtime.Gosched()
				}
			})
			const goroutines, calls = 64, 1000
			for g := range goroutines {
				callers.Go(func() {
					random := rand.New(rand.NewPCG(4, uint64(g)))
					for range calls {
						want.call(b, random)
					}
				})
			}
			callers.Wait()
			close(done)
			person.Wait()
			s := b.Snapshot().Totals
			require.LessOrEqual(t, s.WouldReject, s.Allowed)
			require.Equal(t, breaker.Totals{
				Offered:  goroutines * calls,
				Allowed:  goroutines*calls - want.rejected.Load(),
				Rejected: want.rejected.Load(),
				Success:  want.success.Load(), Failure: want.failure.Load(), Ignored: want.ignored.Load(),
				WouldReject: s.WouldReject,
			}, s)
			require.Positive(t, s.Rejected)
			require.Positive(t, events)
		})
	}
}

// stressCount is what callers count themselves.
type stressCount struct{ rejected, success, failure, ignored atomic.Uint64 }

// call makes one call, and lets it end in a random way.
func (c *stressCount) call(b *circuit.Breaker, random *rand.Rand) {
	boom := errors.New("boom")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	do := func(fn func(context.Context) error) { //nolint:contextcheck // a context of its own
		if breaker.Run(ctx, b, func(ctx context.Context) error {
			runtime.Gosched()
			return fn(ctx)
		}) != nil {
			return
		}
	}
	// ran is set by the function: a call whose function did not run was rejected.
	ran := false
	count := &c.success
	switch random.IntN(10) {
	case 0:
		count = &c.failure
		do(func(context.Context) error { ran = true; return boom })
	case 1:
		count = &c.failure
		func() {
			defer func() { _ = recover() }()
			do(func(context.Context) error { ran = true; panic(boom) })
		}()
	case 2:
		count = &c.failure
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			do(func(context.Context) error { ran = true; runtime.Goexit(); return nil })
		}()
		<-ended
	case 3:
		count = &c.ignored
		do(func(ctx context.Context) error { ran = true; cancel(); return ctx.Err() })
	case 4, 5, 6:
		do(func(context.Context) error { ran = true; return nil })
	default:
		p, err := b.Acquire()
		ran = err == nil
		if random.IntN(3) == 0 {
			runtime.Gosched()
		}
		o := []breaker.Outcome{breaker.Success, breaker.Success, breaker.Failure, breaker.Ignored}[random.IntN(4)]
		count = map[breaker.Outcome]*atomic.Uint64{breaker.Success: &c.success, breaker.Failure: &c.failure, breaker.Ignored: &c.ignored}[o]
		p.Done(o)
		p.Done(breaker.Failure) // void by now
	}
	if !ran {
		count = &c.rejected
	}
	count.Add(1)
}
