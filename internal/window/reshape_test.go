package window

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// requireRollsOn requires that the window of n buckets of the given length is
// up to date at now, keeps what is counted as long as it should, and then
// forgets it.
func requireRollsOn(t *testing.T, w *Rolling, l *ledger.Ledger, now int64, n int, span time.Duration) {
	t.Helper()
	gotN, gotSpan := w.Shape()
	require.Equal(t, n, gotN)
	require.Equal(t, span, gotSpan)
	w.mark(now, l, l.AddFailure)
	bucket := now / int64(span)
	require.Equal(t, (bucket+1)*int64(span), w.Until(), "the newest bucket is that of the time")
	require.EqualValues(t, 1, w.Counts(now, l).Failure)
	for range n - 1 {
		now += int64(span)
		require.True(t, w.Due(now))
		w.mark(now, l, l.Succeed)
		require.EqualValues(t, 1, w.Counts(now, l).Failure)
	}
	w.mark(now+int64(span), l, l.Succeed)
	require.Zero(t, w.Counts(now+int64(span), l).Failure)
}

func TestReshape_TellsWhoeverKnowsTheWindowBeforeTheNewOneIsThere(t *testing.T) {
	var l ledger.Ledger
	var w Rolling
	w.Init(4, 10)
	w.mark(0, &l, l.AddFailure)
	told := 0
	w.Reshape(15, 3, 7, &l, func() {
		told++
		require.Equal(t, 4, w.Buckets())
		require.EqualValues(t, 1, w.Counts(0, &l).Failure)
		l.Fail() // what is counted until then is of the old window
	})
	require.Equal(t, 1, told)
	require.Zero(t, w.Counts(15, &l))
	requireRollsOn(t, &w, &l, 15, 3, 7)
}

// TestReshape_WhoRollsAWindowThatIsReplacedRollsTheNewOne replaces the window
// while somebody begins a bucket of the old one, of an hour, which is far longer
// than the new one has.
func TestReshape_WhoRollsAWindowThatIsReplacedRollsTheNewOne(t *testing.T) {
	for name, shapes := range map[string][2]time.Duration{
		"shorter buckets": {time.Hour, time.Millisecond},
		"longer buckets":  {time.Millisecond, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			replacedAt := int64(shapes[0] + shapes[0]/2)
			for _, now := range []int64{replacedAt, replacedAt + 3*int64(shapes[1])} {
				var l ledger.Ledger
				var w Rolling
				w.Init(2, shapes[0])
				replaced := false
				began := w.Roll(now, &l, func() {
					if !replaced {
						replaced = true
						w.Reshape(replacedAt, 10, shapes[1], &l, func() {})
					}
				})
				require.Equal(t, now > replacedAt, began, "the first bucket of the new window begins with it")
				require.False(t, w.Due(now))
				requireRollsOn(t, &w, &l, now, 10, shapes[1])
			}
		})
	}
}

func TestReshape_AClearOfAWindowThatIsReplacedClearsTheNewOne(t *testing.T) {
	var l ledger.Ledger
	var w Rolling
	w.Init(2, time.Hour)
	replaced := false
	w.Clear(5, &l, func() {
		if !replaced {
			replaced = true
			w.Reshape(5, 10, time.Millisecond, &l, func() {})
			l.Fail()
			require.EqualValues(t, 1, w.Counts(5, &l).Failure)
		}
	})
	require.Zero(t, w.Counts(5, &l))
	requireRollsOn(t, &w, &l, 5, 10, time.Millisecond)
}

// TestReshape_RacesWithEverything counts from goroutines, over buckets as short
// as a microsecond and as long as an hour, while one changes the shape again and
// again. A torn reading would be enormous.
func TestReshape_RacesWithEverything(t *testing.T) {
	const counters, changes = 4, 3000
	spans := []time.Duration{time.Microsecond, 3 * time.Microsecond, time.Millisecond, time.Hour}
	var l ledger.Ledger
	var w Rolling
	w.Init(10, time.Microsecond)
	var end atomic.Bool
	var counting sync.WaitGroup
	for range counters {
		counting.Go(func() {
			for n := 0; !end.Load(); n++ {
				w.mark(w.Now(), &l, l.Succeed)
				if n%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	counting.Go(func() { // reads
		for !end.Load() {
			now := w.Now()
			c := w.Counts(now, &l)
			most := l.Counts().Success
			require.LessOrEqual(t, c.Success, most)
			require.Zero(t, c.Failure+c.Rejected)
			largest := uint64(0)
			if w.Suffixes(&l, func(c ledger.Counts, _ int64) { largest = max(largest, c.Success) }) {
				require.LessOrEqual(t, largest, l.Counts().Success)
			}
			runtime.Gosched()
		}
	})
	counting.Go(func() { // clears
		for !end.Load() {
			w.Clear(w.Now(), &l, func() {})
			runtime.Gosched()
		}
	})
	for i := range changes {
		w.Reshape(w.Now(), 1+rand.IntN(12), spans[i%len(spans)], &l, func() {})
		runtime.Gosched()
	}
	end.Store(true)
	counting.Wait()
	requireRollsOn(t, &w, &l, w.Now()+int64(2*time.Hour), w.Buckets(), time.Hour)
}

// TestReshape_TheNewWindowHoldsWhatIsCountedSince races one change of the shape
// with goroutines that count and roll.
func TestReshape_TheNewWindowHoldsWhatIsCountedSince(t *testing.T) {
	const counters, rounds, marks = 4, 300, 200
	for round := range rounds {
		var l ledger.Ledger
		var w Rolling
		w.Init(3, time.Microsecond)
		var counting sync.WaitGroup
		for range counters {
			counting.Go(func() {
				for range marks {
					w.mark(w.Now(), &l, l.Succeed)
					runtime.Gosched()
				}
			})
		}
		for l.Counts().Success < uint64(round%counters*marks) {
			runtime.Gosched()
		}
		before := l.Counts().Success
		w.Reshape(w.Now(), 2, time.Hour, &l, func() {})
		after := l.Counts().Success
		counting.Wait()
		got := w.Counts(w.Now(), &l).Success
		require.Equal(t, uint64(counters*marks), l.Counts().Success)
		require.GreaterOrEqual(t, got, counters*marks-after)
		require.LessOrEqual(t, got, counters*marks-before)
		requireRollsOn(t, &w, &l, w.Now(), 2, time.Hour)
	}
}
