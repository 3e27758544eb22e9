package sre

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// TestGuard_FailuresThatMeetAreAllTakenIn ends calls at once: those that find the
// lock taken leave their failure to who has it, or wait for one who only looks.
func TestGuard_FailuresThatMeetAreAllTakenIn(t *testing.T) {
	const goroutines, each, rounds = 8, 10, 200
	for range rounds {
		b := NewBreaker()
		for range fewFailures {
			b.MarkFailed()
		}
		g := b.guarded()
		require.NotNil(t, g)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range goroutines {
			var permits []breaker.Permit
			for range each {
				p, err := b.Acquire()
				require.NoError(t, err)
				permits = append(permits, p)
			}
			wg.Go(func() {
				<-start
				for _, p := range permits {
					p.Done(breaker.Failure)
					if i == 0 {
						b.Snapshot()
						b.Idle()
					}
				}
			})
		}
		close(start)
		wg.Wait()
		require.Zero(t, g.missed.Load())
		require.EqualValues(t, fewFailures+goroutines*each, g.streak.n)
	}
}

// missedOutage returns a breaker with an outage that waits in missed, as while
// somebody holds the lock.
func missedOutage(told *int) (*Breaker, *guard) {
	b := NewBreaker(WithListener(func(breaker.Event) { *told++ }))
	for range fewFailures {
		b.MarkFailed()
	}
	time.Sleep(200 * time.Millisecond)
	g := b.guarded()
	g.mu.Lock()
	for range 40 {
		b.MarkFailed()
	}
	g.mu.Unlock()
	return b, g
}

func TestRegression_ASnapshotToldListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		b, g := missedOutage(&told)
		b.Snapshot()
		b.Idle()
		require.Zero(t, told)
		require.EqualValues(t, 40, g.missed.Load())
	})
}

func TestRegression_ReconfigureToldNobodyOfTheFailuresThatItTookIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		b, g := missedOutage(&told)
		require.Zero(t, told)
		b.Reconfigure(WithRequest(30))
		g.mu.Lock()
		p := g.phase
		g.mu.Unlock()
		require.Equal(t, down, p)
		require.Equal(t, 1, told)
	})
}
