package sre

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBudget_IsLeftWhilePositive(t *testing.T) {
	var b budget
	require.True(t, b.set(b.word.Load(), 2))
	require.True(t, b.left())
	require.EqualValues(t, 1, b.spend(1))
	require.True(t, b.left())
	require.EqualValues(t, 0, b.spend(1))
	require.False(t, b.left())
	require.EqualValues(t, -5, b.spend(5))
	require.False(t, b.left())
	require.True(t, b.set(b.word.Load(), budgetMax))
	require.True(t, b.left())
}

func TestBudget_WhatIsSpentWhileItIsReckonedIsCarriedOver(t *testing.T) {
	var b budget
	b.set(b.word.Load(), 10)
	read := b.word.Load()
	b.spend(3)
	require.True(t, b.set(read, 100))
	require.EqualValues(t, 97, amount(b.word.Load()))
}

func TestBudget_AReckoningThatWasOvertakenIsRefused(t *testing.T) {
	var b budget
	read := b.word.Load()
	require.True(t, b.set(read, 7))
	require.False(t, b.set(read, 100))
	require.EqualValues(t, 7, amount(b.word.Load()))
}

// TestRegression_AnOldBudgetOutlivedItsWindow stops a goroutine where it has
// announced a new bucket and not yet reckoned the budget anew. With one bucket,
// the successes that bought the old budget have all left the window by then.
func TestRegression_AnOldBudgetOutlivedItsWindow(t *testing.T) {
	b := NewBreaker(Classic(), WithBucket(1))
	for range 100_000 {
		b.MarkSuccess()
	}
	for range 100 {
		b.MarkFailed()
	}
	require.True(t, b.budget.left())
	now := int64(b.window.Length())
	require.True(t, b.window.Roll(now, &b.ledger, b.budget.shut))
	require.False(t, b.budget.left(), "nobody has reckoned it for the new bucket")
	b.roll(now) // too late to begin the bucket: there is nothing to do
	require.False(t, b.budget.left())
	require.Positive(t, b.assess(1))
}

func TestBudget_SpendingNeverTouchesTheNumberOfSettings(t *testing.T) {
	var b budget
	b.set(b.word.Load(), -1)
	read := b.word.Load()
	b.spend(1 << 36)
	require.True(t, b.set(read, 1<<37))
	require.Equal(t, int64(1<<37-1<<36), amount(b.word.Load()))
}

func TestBudget_ConcurrentSpendingIsNeverLost(t *testing.T) {
	const workers, times = 8, 20_000
	var b budget
	b.set(b.word.Load(), budgetMax)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range times {
				b.spend(1)
				read := b.word.Load()
				b.set(read, amount(read)) // as it was, but for what is spent meanwhile
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(budgetMax-workers*times), amount(b.word.Load()))
}

func TestWholeFailures_IsNeverOneTooMany(t *testing.T) {
	for headroom, want := range map[float64]int64{
		-math.MaxFloat64: 0, -1: 0, 0: 0, 1e-13: 0, 0.9: 0, 1: 0, 1.5: 1, 40: 39, 40.5: 40, 1e9: 999_999_999,
		budgetMax: budgetMax - 275, math.MaxFloat64: budgetMax, math.Inf(1): budgetMax,
	} {
		require.Equal(t, want, wholeFailures(headroom), "%v", headroom)
	}
}
