package ledger

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// deeper calls f with so many frames of 1 KB between, and so maybe from the place
// of another lane.
//
//go:noinline
func deeper(n int, f func()) {
	var pad [1024]byte
	pad[n] = 1
	if n > 0 {
		deeper(n-1, f)
	} else {
		f()
	}
	if pad[n] == 0 {
		panic("")
	}
}

// Goroutines that mark their own rejections looked for them where they were no
// more, and then counted a failure.
func TestRegression_AMarkOfARejectionWasTakenForAFailedCall(t *testing.T) {
	var l Ledger
	l.more.Store(newRoom())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 300_000 {
				l.RejectUnmarked(1)
				mark := func() {
					if !l.Unmarked() || !l.Book() {
						l.Fail()
					}
				}
				deeper(i%5, mark)
			}
		})
	}
	wg.Wait()
	require.Zero(t, l.Totals().Failure)
}

func TestRegression_AbandonedRejectionsWereCountedTwiceForAMoment(t *testing.T) {
	var l Ledger
	l.more.Store(newRoom())
	var stop atomic.Bool
	var wg sync.WaitGroup
	var want atomic.Uint64
	wg.Go(func() {
		for range 300_000 {
			want.Add(1)
			l.RejectUnmarked(1)
			l.AbandonUnmarked()
		}
		stop.Store(true)
	})
	worst := int64(0)
	for !stop.Load() {
		got := l.Totals().Rejected
		worst = max(worst, int64(got)-int64(want.Load()))
	}
	wg.Wait()
	require.LessOrEqual(t, worst, int64(0))
}
