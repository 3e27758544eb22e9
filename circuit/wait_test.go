package circuit_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// A probe that hung kept the breaker half-open for its lease, 30 s, though the backend
// was back after 200 ms.
func TestRegression_AHungProbeKeptTheBreakerHalfOpenForItsLease(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"one probe":         nil,
		"two of three":      {circuit.WithProbes(2, 3)},
		"two, one by one":   {circuit.WithProbes(2, 2), circuit.WithProbeLimit(1)},
		"a rate of failure": {circuit.WithFailureRate(0.5, 4, slowPeriod)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(append(opts, circuit.WithSlowCallRate(time.Second, 0.5, 4, slowPeriod), circuit.WithDelay(time.Second))...)
				b.HalfOpen()
				var hung []breaker.Permit
				for range 3 {
					if p, err := b.Acquire(); err == nil {
						hung = append(hung, p)
					}
				}
				began := time.Now()
				for b.Snapshot().State != breaker.Closed {
					require.Less(t, time.Since(began), 5*time.Second)
					time.Sleep(100 * time.Millisecond)
					if p, err := b.Acquire(); err == nil {
						time.Sleep(20 * time.Millisecond) // the backend is back
						p.Done(breaker.Success)
					}
				}
				require.EqualValues(t, len(hung), b.Snapshot().Totals.InFlight, "they hang still")
				for _, p := range hung {
					p.Done(breaker.Success)
				}
				require.Equal(t, breaker.Closed, b.Snapshot().State)
				require.Zero(t, b.Snapshot().Totals.InFlight)
			})
		})
	}
}

func TestSlowCallRate_AHungProbeFailsWithoutASnapshotOrCallAtTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithSlowCallRate(time.Second, 0.5, 4, slowPeriod), circuit.WithDelay(time.Minute))
		b.HalfOpen()
		mustAcquire(t, b)
		began := time.Now()
		time.Sleep(10 * time.Second)
		s := b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.Equal(t, began.Add(time.Second), s.Since, "when it became slow")
		require.Equal(t, 51*time.Second, s.RetryAfter)
		time.Sleep(21 * time.Second)
		require.Zero(t, b.Snapshot().Totals.InFlight, "then its lease ends")
		require.EqualValues(t, 1, b.Snapshot().Totals.Failure)
	})
}

// A backend that is down fails fast.
func TestRegression_ASlowCallRuleAloneLeftABackendThatIsDownToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := func(opts ...circuit.Option) uint64 {
			b := circuit.NewBreaker(append(opts, circuit.WithSlowCallRate(time.Second, 0.5, 20, slowPeriod))...)
			for range 600 {
				_ = breaker.Run(t.Context(), b, func(context.Context) error { return errBackend })
			}
			return b.Snapshot().Totals.Failure
		}
		require.EqualValues(t, 5, down())
		require.EqualValues(t, 5, down(circuit.WithProbes(2, 3)), "what else is set makes no rule of failures")
		require.EqualValues(t, 5, down(circuit.WithDelay(time.Minute)))
		require.EqualValues(t, 5, down(circuit.WithProbeLease(time.Minute)))
		require.EqualValues(t, 600, down(circuit.WithSlowCallsOnly()), "who wants that says so")
		require.EqualValues(t, 7, down(circuit.WithConsecutiveFailures(7)))
		require.EqualValues(t, 20, down(circuit.WithFailureRate(0.5, 20, slowPeriod)), "a rule of failures is one")
		require.EqualValues(t, 7, down(circuit.WithConsecutiveFailures(7), circuit.WithSlowCallsOnly()), "it takes nothing away")
	})
}

// A server's own callers leave after a second each, while its backend hangs.
func TestSlowCallRate_CallersWhoLosePatienceAreEvidence(t *testing.T) {
	give := func(t *testing.T, b *circuit.Breaker, n int, after time.Duration, notSent bool) {
		var all sync.WaitGroup
		for range n {
			p, err := b.Acquire()
			if err != nil {
				break
			}
			all.Go(func() {
				time.Sleep(after)
				p.DoneWith(breaker.Result{Outcome: breaker.Ignored, Err: context.Canceled, NotSent: notSent})
			})
		}
		all.Wait()
	}
	for name, row := range map[string]struct {
		after   time.Duration
		notSent bool
		want    breaker.State
	}{
		"after more than the threshold":     {time.Second, false, breaker.Open},
		"after 10 ms":                       {10 * time.Millisecond, false, breaker.Closed},
		"just below":                        {slowThreshold - 1, false, breaker.Closed},
		"after long, without having called": {slowThreshold - 1, true, breaker.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := slowBreaker()
				give(t, b, 20, row.after, row.notSent)
				require.Equal(t, row.want, b.Snapshot().State)
			})
		})
	}
	t.Run("what never left the process is not slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := slowBreaker()
			give(t, b, 3, time.Minute, true) // fewer than the rule needs, while they are in flight
			require.Zero(t, b.Snapshot().Window.Slow)
			slowCalls(t, b, 1, time.Second, breaker.Success)
			require.EqualValues(t, 1, b.Snapshot().Window.Slow)
			require.Equal(t, breaker.Closed, b.Snapshot().State)
		})
	})
}

func TestPause_TheLifeOfAStreamIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		for range 20 {
			p := mustAcquire(t, b)
			require.True(t, p.Pause())
			time.Sleep(time.Minute)
			for range 3 {
				p.Resume()
				time.Sleep(slowThreshold - 1)
				require.True(t, p.Pause())
				time.Sleep(time.Minute) // the caller's own
			}
			p.Done(breaker.Success)
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		require.Zero(t, b.Snapshot().Window.Slow)
		require.EqualValues(t, 20, b.Snapshot().Totals.Success)
	})
}

func TestPause_EachWaitCountsForItselfAndACallOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker()
		stream := mustAcquire(t, b)
		time.Sleep(slowThreshold)
		stream.Pause()
		require.EqualValues(t, 1, b.Snapshot().Window.Slow, "at once")
		for range 5 {
			stream.Resume()
			time.Sleep(slowThreshold)
			stream.Pause()
		}
		require.EqualValues(t, 1, b.Snapshot().Window.Slow)
		stream.Done(breaker.Success)
		require.EqualValues(t, 1, b.Snapshot().Window.Slow)

		hanging := mustAcquire(t, b)
		hanging.Pause()
		time.Sleep(time.Second)
		hanging.Resume()
		time.Sleep(slowThreshold)
		require.EqualValues(t, 2, b.Snapshot().Window.Slow, "while it is in flight")
		hanging.Done(breaker.Success)
		hanging.Pause()
		hanging.Resume()
		require.EqualValues(t, 2, b.Snapshot().Window.Slow)
		require.Equal(t, breaker.Totals{Offered: 2, Allowed: 2, Success: 2}, b.Snapshot().Totals)
	})
}

func TestPause_AProbeThatIsPausedDoesNotFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := slowBreaker(circuit.WithProbeLease(time.Hour))
		b.HalfOpen()
		p := mustAcquire(t, b)
		require.True(t, p.Pause())
		time.Sleep(time.Minute)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		p.Resume()
		time.Sleep(slowThreshold - 1)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		p.Pause()
		p.Done(breaker.Success)
		require.Equal(t, breaker.Closed, b.Snapshot().State)

		b.HalfOpen()
		p = mustAcquire(t, b)
		p.Pause()
		p.Resume()
		time.Sleep(slowThreshold)
		require.Equal(t, breaker.Open, b.Snapshot().State)
		require.False(t, p.Pause(), "its result is no longer wanted")
	})
}

func TestPause_MattersToNobodyWithoutARuleOfSlowCalls(t *testing.T) {
	b := circuit.NewBreaker()
	p := mustAcquire(t, b)
	require.False(t, p.Pause())
	p.Resume()
	p.Done(breaker.Success)
	b.HalfOpen()
	p = mustAcquire(t, b)
	require.False(t, p.Pause())
	p.Done(breaker.Success)
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	require.False(t, breaker.Permit{}.Pause())
	breaker.Permit{}.Resume()
}

// The ends of a call, and the pauses, race; each call is counted once.
func TestPause_ManyAtOnceLoseNoCall(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithSlowCallRate(time.Hour, 1, 1_000_000, slowPeriod))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				p := mustAcquire(t, b)
				var racing sync.WaitGroup
				racing.Go(func() {
					for range 3 {
						p.Pause()
						p.Resume()
					}
				})
				racing.Go(func() { p.Done(breaker.Success) })
				racing.Wait()
			}
		})
	}
	all.Wait()
	require.Equal(t, breaker.Totals{Offered: 4000, Allowed: 4000, Success: 4000}, b.Snapshot().Totals)
}
