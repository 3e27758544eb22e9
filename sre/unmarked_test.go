package sre_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// allowRejected asks until a call is rejected, marks none, and returns how many
// were allowed.
func allowRejected(b *sre.Breaker) (allowed uint64) {
	for b.Allow() == nil {
		allowed++
	}
	return allowed
}

func TestUnmarkedRejections_AMarkAfterARejectionIsAFailure(t *testing.T) {
	for name, kind := range map[string][]sre.Option{"classic": {sre.Classic()}, "adaptive": nil} {
		t.Run(name, func(t *testing.T) {
			b := sre.NewBreaker(append(kind, sre.WithUnmarkedRejections())...)
			fail(b)
			for i := range uint64(10) {
				allowRejected(b)
				s := b.Snapshot()
				require.Equal(t, i+1, s.Totals.Rejected)
				require.Equal(t, i+1, s.Window.Rejected, "it counts at once")
				b.MarkFailed() // a call that was allowed before
				s = b.Snapshot()
				require.Equal(t, 1000+i+1, s.Totals.Failure)
				require.Equal(t, 1000+i+1, s.Window.Failure)
				require.Equal(t, i+1, s.Totals.Rejected)
			}
		})
	}
}

func TestUnmarkedRejections_AreNoCallsToAClassicBreaker(t *testing.T) {
	b := classic(sre.WithUnmarkedRejections())
	mark(b, 200, 400)
	want := (600 - 200/0.6) / 601
	require.InDelta(t, want, b.Snapshot().RejectRatio, 1e-12)
	for range 10_000 {
		_ = b.Allow()
		if p, err := b.Acquire(); err == nil {
			p.Done(breaker.Ignored)
		}
	}
	s := b.Snapshot()
	require.InDelta(t, want, s.RejectRatio, 1e-12)
	require.Positive(t, s.Window.Rejected)
	require.Equal(t, s.Totals.Rejected, s.Window.Rejected)
}

// TestUnmarkedRejections_AClassicBreakerRecoversWithinAWindow makes a hundred
// calls a second after an outage.
func TestUnmarkedRejections_AClassicBreakerRecoversWithinAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic(sre.WithUnmarkedRejections())
		call := func(end func()) (allowed bool) {
			time.Sleep(10 * time.Millisecond)
			if b.Allow() != nil {
				return false
			}
			end()
			return true
		}
		rejected := 0
		for range 1000 {
			if !call(b.MarkFailed) {
				rejected++
			}
		}
		require.Greater(t, rejected, 500)
		time.Sleep(10 * time.Millisecond)
		healed, last := time.Now(), time.Now()
		for range 1000 {
			if !call(b.MarkSuccess) {
				last = time.Now()
			}
		}
		require.LessOrEqual(t, last.Sub(healed), 3300*time.Millisecond)
	})
}

func TestUnmarkedRejections_TakenLiveEndTheWaitForMarks(t *testing.T) {
	b := classic()
	fail(b)
	allowRejected(b)
	b.Reset() // which goes on waiting
	b.Reconfigure(sre.Classic(), sre.WithUnmarkedRejections())
	b.MarkFailed()
	require.EqualValues(t, 1001, b.Snapshot().Totals.Failure)
	require.EqualValues(t, 1, b.Snapshot().Totals.Rejected)
}

func TestRegression_AFailureVanishedAfterForceOpenForAHostThatMarksNoRejection(t *testing.T) {
	b := sre.NewBreaker(sre.WithUnmarkedRejections())
	require.NoError(t, b.Allow())
	b.SetMode(breaker.ForceOpen)
	require.Error(t, b.Allow())
	b.MarkFailed() // the call of before
	s := b.Snapshot()
	require.Equal(t, breaker.Totals{Offered: 2, Allowed: 1, Rejected: 1, Failure: 1}, s.Totals)
	require.EqualValues(t, 1, s.Window.Failure)
}

// TestRegression_ARejectionThatNobodyMarksWasCountedInAnOldBucket rejects in a
// bucket that no mark has begun, the last one in which the failures are seen.
func TestRegression_ARejectionThatNobodyMarksWasCountedInAnOldBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic(sre.WithUnmarkedRejections())
		time.Sleep(2750 * time.Millisecond)
		fail(b)
		time.Sleep(2700 * time.Millisecond)
		allowRejected(b)
		time.Sleep(300 * time.Millisecond)
		w := b.Snapshot().Window
		require.Zero(t, w.Failure)
		require.EqualValues(t, 1, w.Rejected)
	})
}
