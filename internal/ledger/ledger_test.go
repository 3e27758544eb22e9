package ledger

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func (l *Ledger) take() (*atomic.Uint64, uint64) {
	if word, ticket, ok := l.TryTake(); ok {
		return word, ticket
	}
	return l.Take()
}

func TestLedger_LaneFillsACacheLine(t *testing.T) {
	require.Equal(t, uintptr(64), reflect.TypeFor[lane]().Size())
	require.Equal(t, uintptr(128), reflect.TypeFor[place]().Size())
	require.Zero(t, reflect.TypeFor[place]().Field(1).Offset%64)
	require.LessOrEqual(t, reflect.TypeFor[room]().Size(), uintptr(1152), "a block of this size begins at a multiple of 128")
	spread, _ := reflect.TypeFor[room]().FieldByName("spread")
	require.Zero(t, spread.Offset%128, "what is only read has a line of its own")
	require.LessOrEqual(t, reflect.TypeFor[Ledger]().Size(), uintptr(136), "a breaker of circuit fills three lines")
}

func TestLedger_ATicketIsSettledOnce(t *testing.T) {
	var l Ledger
	// More at once than there are slots, so that some words are from the pool.
	for range 2*slots(&l) + 3 {
		word, ticket := l.take()
		defer func() {
			require.True(t, l.Settle(word, ticket, 1))
			before := l.Totals()
			require.False(t, l.Settle(word, ticket, 1))
			require.False(t, l.Settle(word, ticket, 0))
			require.Equal(t, before, l.Totals())
		}()
	}
	require.EqualValues(t, 2*slots(&l)+3, l.Totals().InFlight)
}

func slots(l *Ledger) int { return len(l.first.slot) }

func TestLedger_AVoidTicketDoesNotSettleTheNextOneOfItsSlot(t *testing.T) {
	var l Ledger
	oldWord, old := l.take()
	require.True(t, l.Settle(oldWord, old, 0)) // no success: the slot's count does not change
	word, ticket := l.take()
	require.Same(t, oldWord, word)
	require.False(t, l.Settle(oldWord, old, 1))
	require.EqualValues(t, 1, l.Totals().InFlight)
	require.True(t, l.Settle(word, ticket, 1))
	require.EqualValues(t, 1, l.Totals().Success)
}

func TestLedger_AFullSlotGoesOnCountingElsewhere(t *testing.T) {
	var l Ledger
	l.first.slot[0].Store(full - 2)
	for i := range uint64(5) {
		word, ticket := l.take()
		require.Same(t, &l.first.slot[0], word)
		require.True(t, l.Settle(word, ticket, 1))
		require.False(t, l.Settle(word, ticket, 1))
		require.EqualValues(t, full-2+i+1, l.Counts().Success)
		require.Zero(t, l.Totals().InFlight)
	}
}

func TestLedger_ASerialNumberWrapsWithoutTouchingTheRest(t *testing.T) {
	var l Ledger
	l.first.slot[0].Store(^uint64(0)&^(busy|successMask) | 7) // the last serial number, 7 successes
	word, ticket := l.take()
	require.True(t, l.Settle(word, ticket, 1))
	require.EqualValues(t, 8, l.first.slot[0].Load())
	require.Equal(t, Totals{Offered: 8, Allowed: 8, Success: 8}, l.Totals())
}

func TestLedger_RejectionsAreBookedByTheirMarks(t *testing.T) {
	var l Ledger
	l.RejectUnmarked(7)
	l.RejectUnmarked(7)
	require.Equal(t, Totals{Offered: 2, Rejected: 2}, l.Totals())
	require.Zero(t, l.Rejected())
	l.MarkFailed()
	l.MarkFailed()
	l.MarkFailed()
	require.Equal(t, Totals{Offered: 3, Allowed: 1, Rejected: 2, Failure: 1}, l.Totals())
	require.EqualValues(t, 2, l.Rejected())
}

// TestLedger_LosesNothingUnderConcurrency settles each ticket from two
// goroutines at once and holds many at a time.
func TestLedger_LosesNothingUnderConcurrency(t *testing.T) {
	const workers, rounds = 16, 2000
	var l Ledger
	var settled, success, failure, marks atomic.Uint64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				word, ticket := l.take()
				if rand.IntN(4) == 0 {
					runtime.Gosched() // others overtake
				}
				l.Succeed()
				marks.Add(1)
				won := make(chan bool, 1)
				go func() { won <- l.Settle(word, ticket, 1) }()
				if l.Settle(word, ticket, 0) {
					l.Fail()
					failure.Add(1)
					settled.Add(1)
				}
				if <-won {
					success.Add(1)
					settled.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, workers*rounds, settled.Load())
	require.Equal(t, Counts{Success: success.Load() + marks.Load(), Failure: failure.Load()}, l.Counts())
	require.Zero(t, l.Totals().InFlight)
}

func TestMet_AddsWhateverHappenedMeanwhile(t *testing.T) {
	var count atomic.Uint64
	count.Store(5)
	require.False(t, met(&count, 5, 3))
	require.EqualValues(t, 8, count.Load())
	require.True(t, met(&count, 5, 3), "it is 8 by now")
	require.EqualValues(t, 11, count.Load())
}

func TestLedger_GetsMoreLanesWhenItIsContendedAndKeepsItsCounts(t *testing.T) {
	var l Ledger
	l.Succeed()
	held, ticket := l.take() // from now on each taker meets this one
	for range contentionLimit + 50 {
		word, ticket := l.take()
		require.True(t, l.Settle(word, ticket, 1))
	}
	require.NotNil(t, l.more.Load())
	require.True(t, l.Settle(held, ticket, 1))
	require.Equal(t, Totals{Offered: contentionLimit + 52, Allowed: contentionLimit + 52, Success: contentionLimit + 52}, l.Totals())
}

// A ticket from the pool was read as out, and then as a success. With more lanes,
// more time passes between the two readings.
func TestRegression_TotalsCountedATicketFromThePoolTwice(t *testing.T) {
	type ticket struct {
		word   *atomic.Uint64
		serial uint64
	}
	for round := range 2000 {
		var l Ledger
		if round%2 == 0 {
			l.more.Store(newRoom())
		}
		var out []ticket
		for range 64 {
			word, serial := l.Take()
			out = append(out, ticket{word, serial})
		}
		var done atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, k := range out {
				l.Settle(k.word, k.serial, 1)
			}
			done.Store(true)
		})
		for !done.Load() {
			require.LessOrEqual(t, l.Totals().Allowed, uint64(64))
		}
		wg.Wait()
		require.EqualValues(t, 64, l.Totals().Success)
	}
}
