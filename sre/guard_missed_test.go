package sre

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// TestGuard_FailuresThatMeetAreAllTakenIn ends calls at once: those that find the
// lock taken leave their failure to who has it, be it only somebody who looks.
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
