package ledger

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// failThrough counts a failure as a caller does whose lane is the i-th of the room,
// or the first one of the ledger if there is no room.
func failThrough(l *Ledger, i int) (Counts, uint64) {
	var word *atomic.Uint64
	if more := l.more.Load(); more != nil {
		word = &more.place[i].slot[0]
	}
	ended := l.Failures().Enter(word).Fail()
	return ended, l.Failures().RowAt(ended.Success)
}

func TestEntry_ARowIsThatOfAllLanesTogetherLikeThatOfANaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Ledger
		l.first.success.Store(rapid.SampledFrom([]uint64{0, 1 << 39, 1<<40 - 3}).Draw(t, "successes"))
		since := l.Ended().Success
		var successes, failures, failed, succeeded uint64
		before := since
		t.Repeat(map[string]func(*rapid.T){
			"succeed": func(*rapid.T) {
				l.Succeed()
				successes, failures, succeeded = successes+1, 0, succeeded+1
			},
			"fail": func(t *rapid.T) {
				ended, row := failThrough(&l, rapid.IntRange(0, lanes-1).Draw(t, "lane"))
				successes, failures, failed = 0, failures+1, failed+1
				require.Equal(t, failures, row)
				require.Equal(t, Counts{Success: before + succeeded, Failure: failed}, ended)
			},
			"more lanes": func(*rapid.T) { l.more.CompareAndSwap(nil, newRoom()) },
			"begin": func(*rapid.T) {
				l.Failures().Drain()
				l.Failures().BeginRow()
				since, successes, failures = l.Ended().Success, 0, 0
			},
			"": func(t *rapid.T) {
				s, f := l.Failures().Row(since)
				require.Equal(t, [2]uint64{successes, failures}, [2]uint64{s, f})
				require.Equal(t, failed, l.Counts().Failure)
			},
		})
	})
}

func TestEntry_TheLastOfManyFailuresAtOnceKnowsOfAll(t *testing.T) {
	const workers, rounds = 8, 500
	for range rounds {
		var l Ledger
		l.more.Store(newRoom())
		var longest atomic.Uint64
		var wg sync.WaitGroup
		for i := range workers {
			wg.Go(func() {
				ended, row := failThrough(&l, i)
				require.LessOrEqual(t, row, ended.Failure+workers)
				for was := longest.Load(); was < row && !longest.CompareAndSwap(was, row); was = longest.Load() {
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, workers, longest.Load())
	}
}

func TestEntry_ARowThatIsTooLongForItsWordStaysTheLongest(t *testing.T) {
	var l Ledger
	l.more.Store(newRoom())
	for i := range 3 {
		l.more.Load().place[i].streak.word.Store(rowMask - 1)
	}
	_, row := failThrough(&l, 0)
	require.EqualValues(t, rowMask, row)
	_, row = failThrough(&l, 0)
	require.EqualValues(t, rowMask, row)
	l.Succeed()
	_, row = failThrough(&l, 1)
	require.EqualValues(t, 1, row)
}

func TestEntry_ItIsThatOfTheLaneOfATicket(t *testing.T) {
	var l Ledger
	first, _ := l.take()
	require.Same(t, &l.first, l.Failures().Enter(first).lane)
	require.Same(t, &l.first, l.Failures().Enter(nil).lane)
	l.more.Store(newRoom())
	require.Same(t, &l.first, l.Failures().Enter(first).lane, "of before there was a room")
	pooled, _ := l.takePooled()
	for _, word := range []*atomic.Uint64{nil, pooled} {
		require.NotSame(t, &l.first, l.Failures().Enter(word).lane)
	}
	for i := range lanes {
		p := &l.more.Load().place[i]
		require.Same(t, &p.lane, l.Failures().Enter(&p.slot[3]).lane)
	}
}

// Drain is for who changes what calls look at after Enter: when it returns, nobody
// acts on what was there before.
func TestDrain_WaitsForThoseInsideAndNoLonger(t *testing.T) {
	for name, l := range map[string]*Ledger{"one lane": {}, "more": {}} {
		t.Run(name, func(t *testing.T) {
			if name == "more" {
				l.more.Store(newRoom())
			}
			var open atomic.Bool
			var closed atomic.Bool // nobody may count any more
			open.Store(true)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for {
						e := l.Failures().Enter(nil)
						if !open.Load() {
							e.Leave()
							return
						}
						require.False(t, closed.Load())
						e.Fail()
					}
				})
			}
			time.Sleep(time.Millisecond)
			open.Store(false)
			l.Failures().Drain()
			closed.Store(true)
			before := l.Counts()
			wg.Wait()
			require.Equal(t, before, l.Counts())
			l.Failures().Drain()
		})
	}
}

// Each failure that met another one looked at all the successes again, so
// processors hindered each other. Now the order follows from what they found.
func TestStreak_AFailureThatFoundFewerSuccessesContinuesTheRowOfTheOther(t *testing.T) {
	var s streak
	s.word.Store(10 << rowBits)
	fail := func(success uint64) uint64 {
		require.True(t, s.fail(success))
		return s.word.Load() & rowMask
	}
	for i, c := range []struct{ success, row uint64 }{{10, 1}, {10, 2}, {12, 1}, {11, 2}, {12, 3}, {13, 1}} {
		require.Equal(t, c.row, fail(c.success), "failure %d", i)
	}
	s.word.Store((1<<40 - 1) << rowBits & (1<<64 - 1))
	require.EqualValues(t, 1, fail(1<<40+1), "the number of successes has no bound")
	require.EqualValues(t, 2, fail(1<<40-1))
}

// A row of failures after half of 2^40 successes was waited for without end.
func TestRegression_AFailureAfterVeryManySuccessesDidNotReturn(t *testing.T) {
	var l Ledger
	l.Succeed()
	var s streak
	s.word.Store((1<<39 + 1) << rowBits) // as if 2^39 successes had come since
	require.True(t, s.fail(l.Ended().Success))
	require.EqualValues(t, 1, s.word.Load()&rowMask)
}
