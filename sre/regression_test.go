package sre_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
)

func TestRegression_FailuresVanishedAfterRejectionsThatNobodyMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		fail(b)
		rejected := uint64(0)
		for range 500 { // a host that does not mark its rejections
			if b.Allow() != nil {
				rejected++
			}
		}
		require.Positive(t, rejected)
		time.Sleep(4 * time.Second)
		for range 90 {
			b.MarkFailed()
		}
		s := b.Snapshot()
		require.EqualValues(t, 90, s.Window.Failure)
		require.Equal(t, breaker.Totals{
			Offered: 1090 + rejected, Allowed: 1090, Failure: 1090, Rejected: rejected,
		}, s.Totals)
	})
}

func TestRegression_SinceWasAlwaysNowWhenExpiringSuccessesOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		start := time.Now()
		for range 1000 {
			b.MarkSuccess()
		}
		time.Sleep(1500 * time.Millisecond)
		for range 200 {
			b.MarkFailed()
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		time.Sleep(1900 * time.Millisecond)
		for range 2 { // at 3.4 s and 3.5 s; the successes left at 3 s
			s := b.Snapshot()
			require.Equal(t, breaker.Open, s.State)
			require.Equal(t, 3*time.Second, s.Since.Sub(start))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second) // the failures left at 4.5 s
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Equal(t, 4500*time.Millisecond, s.Since.Sub(start))
	})
}

// TestRegression_OfferedWentBackwards reads the totals while permits are taken
// and settled. A slot that was read twice could be in neither sum.
func TestRegression_OfferedWentBackwards(t *testing.T) {
	b := classic()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 300_000 {
				if p, err := b.Acquire(); err == nil {
					p.Done(breaker.Success)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for last := uint64(0); ; {
		offered := b.Snapshot().Totals.Offered
		require.GreaterOrEqual(t, offered, last)
		last = offered
		select {
		case <-done:
			require.EqualValues(t, 600_000, b.Snapshot().Totals.Offered)
			return
		default:
		}
	}
}

// Calls that end ignored, as those of callers who give up, used up what successes
// had earned: with four of five of them, a breaker stayed open for minutes after
// the backend had healed.
func TestRegression_IgnoredCallsKeptTheBreakerOpenAfterAnOutage(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			b := sre.NewBreaker(sre.WithRandom(rand.New(rand.NewPCG(seed, 2)).Float64))
			r := rand.New(rand.NewPCG(seed, 1))
			during := func(d time.Duration, answer breaker.Outcome) {
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					outcome := answer
					if r.Float64() < 0.8 {
						outcome = breaker.Ignored
					}
					if p, err := b.Acquire(); err == nil {
						p.Done(outcome)
					}
				}
			}
			during(10*time.Second, breaker.Success)
			during(30*time.Second, breaker.Failure)
			require.Equal(t, breaker.Open, b.Snapshot().State, "seed %d", seed)
			during(30*time.Second, breaker.Success)
			require.Equal(t, breaker.Closed, b.Snapshot().State, "seed %d", seed)
		})
	}
}

func TestRegression_AStampFromBeforeAResetCountedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "suspect")
		p, err := b.Acquire()
		require.NoError(t, err)
		b.Reset()
		lead(t, b, "suspect")
		p.Done(breaker.Success)
		require.Equal(t, adaptive.Suspect, phaseOf(t, b), "the call began before the Reset")
	})
}

func TestRegression_AProbeFromBeforeAResetEndedAnOutageAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "down")
		time.Sleep(b.Snapshot().RetryAfter)
		p, err := b.Acquire()
		require.NoError(t, err)
		b.Reset()
		lead(t, b, "down")
		p.Done(breaker.Success)
		require.Equal(t, adaptive.Down, phaseOf(t, b), "the probe began before the Reset")
	})
}

func TestRegression_CallsThatWereNeverMarkedBlockedTheBreakerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "ramp")
		for n := range 6000 { // a minute
			time.Sleep(10 * time.Millisecond)
			switch {
			case b.Allow() != nil:
				b.MarkFailed()
			case n%10 != 0: // one of ten panics, and the middleware of Kratos does not mark it
				b.MarkSuccess()
			}
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})
}

func TestRegression_PermitsThatHangBlockedTheBreakerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		lead(t, b, "ramp")
		for n := range 6000 { // a minute
			time.Sleep(10 * time.Millisecond)
			if p, err := b.Acquire(); err == nil && n%10 != 0 { // the others have no deadline
				p.Done(breaker.Success)
			}
		}
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})
}

// A bucket that began took the budget away, and only Acquire set it again: from the
// second bucket on, each Allow read the clock.
func TestRegression_AHostThatAsksWithAllowLeftTheCheapPathForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		for range 10 {
			require.NoError(t, b.Allow())
			require.True(t, b.CertainlyAllows())
			b.MarkSuccess()
			time.Sleep(time.Second)
		}
	})
}

// A classic breaker that opened made an adaptive law, only to write down when.
func TestRegression_AClassicBreakerMadeAnAdaptiveLaw(t *testing.T) {
	b := classic()
	fail(b)
	require.Error(t, rejected(b))
	require.Equal(t, breaker.Open, b.Snapshot().State)
	b.Reset()
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	require.False(t, b.HasGuard())
}

// Failures in a row were taken for a part of what was before them: after a single success
// they needed hundreds of failures where no time passes.
func TestRegression_FailuresAtAFrozenClockDidNotOpenItAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sre.NewBreaker()
		done(t, b, breaker.Success)
		for range 100 {
			done(t, b, breaker.Failure)
			if b.Snapshot().State == breaker.Open {
				return
			}
		}
		require.Fail(t, "100 failures do not open it")
	})
}

// A client that is made before a test begins has a breaker with another clock, from
// which that of the test is decades back. Such a breaker rejected every call.
func TestRegression_ABreakerOfAnotherClockRejectedEverything(t *testing.T) {
	b := sre.NewBreaker()
	synctest.Test(t, func(t *testing.T) {
		for i := range 1000 {
			o := breaker.Success
			if i%5 < 2 {
				o = breaker.Failure
			}
			done(t, b, o)
			time.Sleep(10 * time.Millisecond)
		}
		for b.Snapshot().State == breaker.Closed { // an outage is seen there, and is over
			done(t, b, breaker.Failure)
			time.Sleep(time.Millisecond)
		}
		require.Eventually(t, func() bool {
			if p, err := b.Acquire(); err == nil {
				p.Done(breaker.Success)
			}
			return b.Snapshot().State == breaker.Closed
		}, 20*time.Second, 10*time.Millisecond)
	})
}

func done(t *testing.T, b *sre.Breaker, o breaker.Outcome) {
	t.Helper()
	p, err := b.Acquire()
	require.NoError(t, err)
	p.Done(o)
}
