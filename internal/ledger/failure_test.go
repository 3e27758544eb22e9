package ledger

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFail_CountsFailuresSinceTheLastSuccess(t *testing.T) {
	for name, succeed := range map[string]func(*Ledger){
		"a mark": (*Ledger).Succeed,
		"a ticket": func(l *Ledger) {
			word, ticket := l.take()
			require.True(t, l.Settle(word, ticket, 1))
		},
		"a ticket from the pool": func(l *Ledger) {
			word, ticket := l.takePooled()
			require.True(t, l.Settle(word, ticket, 1))
		},
		"a ticket of a full slot": func(l *Ledger) {
			l.first.slot[0].Store(full)
			word, ticket := l.take()
			require.True(t, l.Settle(word, ticket, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for range 3 {
				for n := range uint64(1000) {
					require.Equal(t, n+1, l.Fail())
				}
				succeed(&l)
			}
			require.EqualValues(t, 3000, l.Counts().Failure)
		})
	}
}

func TestFail_WhatIsNoSuccessBreaksNoRow(t *testing.T) {
	var l Ledger
	require.EqualValues(t, 1, l.Fail())
	word, ticket := l.take()
	require.EqualValues(t, 2, l.Fail())
	require.True(t, l.Settle(word, ticket, 0))
	l.Ignore()
	require.EqualValues(t, 3, l.Fail())
	l.Reject()
	l.RejectUnmarked(1)
	require.EqualValues(t, 4, l.Fail())
	l.AddFailure()
	require.EqualValues(t, 5, l.Fail(), "it concerns no row")
	require.EqualValues(t, 6, l.Counts().Failure)
}

func TestSettleFailure_CountsATicketThatIsOut(t *testing.T) {
	var l Ledger
	for n := range uint64(2*slots(&l) + 3) { // from the pool, too
		word, ticket := l.take()
		defer func() {
			before := l.Totals()
			_, ok := l.SettleFailure(word, ticket)
			require.False(t, ok)
			require.Equal(t, before, l.Totals())
		}()
		defer func() {
			row, ok := l.SettleFailure(word, ticket)
			require.True(t, ok)
			require.Positive(t, row)
			require.Equal(t, l.Totals().Failure, row)
		}()
		require.Equal(t, n+1, l.Totals().InFlight)
	}
}

// A goroutine that asks and ends its calls at different depths of its stack has
// two lanes. Its failures have to know of its successes.
func TestSettleFailure_CountsInTheLaneThatTheTicketIsFrom(t *testing.T) {
	var l Ledger
	l.more.Store(newRoom())
	for i := range 200 {
		call := func(success bool) (row uint64) {
			word, ticket := l.take()
			deeper(i%7, func() {
				if success {
					require.True(t, l.Settle(word, ticket, 1))
				} else {
					row, _ = l.SettleFailure(word, ticket)
				}
			})
			return row
		}
		call(true)
		require.EqualValues(t, 1, call(false))
		require.EqualValues(t, 2, call(false))
	}
	require.Equal(t, Counts{Success: 200, Failure: 400}, l.Counts())
}

// A ticket is settled in its lane, whether there are more lanes by then or not.
func TestSettleFailure_TheFirstLaneKeepsItsTicketsAndItsRow(t *testing.T) {
	var l Ledger
	one, first := l.take()
	other, second := l.take()
	require.EqualValues(t, 1, l.Fail())
	l.more.Store(newRoom())
	row, ok := l.SettleFailure(one, first)
	require.True(t, ok)
	require.EqualValues(t, 2, row)
	require.EqualValues(t, 1, l.Fail(), "of another lane")
	row, ok = l.SettleFailure(other, second)
	require.True(t, ok)
	require.EqualValues(t, 3, row)
	require.EqualValues(t, 4, l.Counts().Failure)
	require.EqualValues(t, 4, l.Unsuccessful())
}

func TestForgetRows_EveryLaneBeginsAnew(t *testing.T) {
	for name, successes := range map[string]uint64{"no success": 0, "some": 7, "very many": 1<<40 + 7, "all that the word can tell": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			l.first.success.Store(successes)
			for range 2 {
				require.EqualValues(t, 1, l.Fail())
				require.EqualValues(t, 2, l.Fail())
				l.ForgetRows()
			}
			require.EqualValues(t, 1, l.Fail())

			more := newRoom()
			l.more.Store(more)
			rows := func() (all []uint64) {
				for i := range more.place {
					all = append(all, l.fail(&more.place[i].lane, &more.place[i].side))
				}
				return append(all, l.fail(&l.first, &l.side))
			}
			rows()
			require.NotContains(t, rows(), uint64(1))
			l.ForgetRows()
			for _, row := range rows() {
				require.EqualValues(t, 1, row)
			}
		})
	}
}

func TestFail_ARowThatIsTooLongForItsWordStaysTheLongest(t *testing.T) {
	var l Ledger
	l.first.success.Store(5)
	l.side.row.word.Store(5<<rowBits | rowMask - 1)
	require.EqualValues(t, rowMask, l.Fail())
	require.EqualValues(t, rowMask, l.Fail())
	l.Succeed()
	require.EqualValues(t, 1, l.Fail())
}

func TestFail_TakesInSuccessesOfEverySlot(t *testing.T) {
	for i := range slots(new(Ledger)) {
		var l Ledger
		require.EqualValues(t, 1, l.Fail())
		require.EqualValues(t, 2, l.Fail())
		l.first.slot[i].Add(1)
		require.EqualValues(t, 1, l.Fail(), "slot %d", i)
	}
}

// TestFail_NeverForgetsASuccessThatCameBefore fails and succeeds from many
// goroutines. Whoever has just counted a success through a lane, and fails next,
// cannot continue a row that began before, so its row is no longer than the
// number of failures that were begun since.
func TestFail_NeverForgetsASuccessThatCameBefore(t *testing.T) {
	const workers, rounds = 8, 20_000
	var l Ledger
	var begun atomic.Uint64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				l.first.success.Add(1) // Succeed may go elsewhere
				before := begun.Load()
				for range 1 + rand.IntN(3) {
					begun.Add(1)
					row := l.fail(&l.first, &l.side)
					// Those that were begun and not counted by then are at most workers.
					require.LessOrEqual(t, row, begun.Load()-before+workers)
					require.Positive(t, row)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, begun.Load(), l.Counts().Failure)
	require.EqualValues(t, workers*rounds, l.Counts().Success)
}

// TestFail_CountsEveryFailureOfARowOnce: without a success, each number from 1 on
// is returned once.
func TestFail_CountsEveryFailureOfARowOnce(t *testing.T) {
	const workers, rounds = 8, 5000
	var l Ledger
	seen := make([]atomic.Bool, workers*rounds+1)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				row := l.fail(&l.first, &l.side)
				require.True(t, seen[row].CompareAndSwap(false, true), "%d came twice", row)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, workers*rounds, l.Unsuccessful())
}
