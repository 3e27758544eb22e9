package window

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// filled returns a window of four buckets of length 10, of which bucket b began
// with b successes and a failure more than the one before. It is at 35.
func filled() (*Rolling, *ledger.Ledger) {
	var l ledger.Ledger
	w := &Rolling{}
	w.Init(4, 10)
	for b := range int64(4) {
		w.mark(10*b+5, &l, func() {
			l.AddFailure()
			for range b {
				l.Succeed()
			}
		})
	}
	return w, &l
}

type suffix struct {
	counts     ledger.Counts
	oldestFrom int64
}

func suffixes(w *Rolling, l *ledger.Ledger, during func()) (all []suffix, ok bool) {
	ok = w.Suffixes(l, func(c ledger.Counts, oldestFrom int64) {
		all = append(all, suffix{c, oldestFrom})
		during()
	})
	return all, ok
}

func nothing() {}

func TestSuffixes_ThereIsOneForEachBucketOldestFirst(t *testing.T) {
	w, l := filled()
	all, ok := suffixes(w, l, nothing)
	require.True(t, ok)
	require.Equal(t, []suffix{
		{ledger.Counts{Success: 6, Failure: 4}, 30},
		{ledger.Counts{Success: 6, Failure: 3}, 40},
		{ledger.Counts{Success: 5, Failure: 2}, 50},
		{ledger.Counts{Success: 3, Failure: 1}, 60},
	}, all)

	w.mark(45, l, l.Reject) // the oldest leaves
	all, ok = suffixes(w, l, nothing)
	require.True(t, ok)
	require.Equal(t, []suffix{
		{ledger.Counts{Success: 6, Failure: 3, Rejected: 1}, 40},
		{ledger.Counts{Success: 5, Failure: 2, Rejected: 1}, 50},
		{ledger.Counts{Success: 3, Failure: 1, Rejected: 1}, 60},
		{ledger.Counts{Rejected: 1}, 70},
	}, all)
}

func TestSuffixes_AYoungWindowHasAsManyAsItHasBuckets(t *testing.T) {
	var l ledger.Ledger
	var w Rolling
	w.Init(4, 10)
	w.mark(0, &l, l.Succeed)
	w.mark(10, &l, l.Succeed)
	all, ok := suffixes(&w, &l, nothing)
	require.True(t, ok)
	require.Equal(t, []suffix{{ledger.Counts{Success: 2}, 30}, {ledger.Counts{Success: 1}, 40}}, all)
}

func TestSuffixes_AreVoidIfTheWindowChangedMeanwhile(t *testing.T) {
	for name, change := range map[string]struct {
		f    func(*Rolling, *ledger.Ledger)
		void bool
	}{
		"a call is counted":      {func(_ *Rolling, l *ledger.Ledger) { l.Succeed() }, false},
		"no bucket is due":       {func(w *Rolling, l *ledger.Ledger) { w.Roll(39, l, nothing) }, false},
		"a bucket is begun":      {func(w *Rolling, l *ledger.Ledger) { w.Roll(40, l, nothing) }, true},
		"the window is cleared":  {func(w *Rolling, l *ledger.Ledger) { w.Clear(35, l, nothing) }, true},
		"the window is reshaped": {func(w *Rolling, l *ledger.Ledger) { w.Reshape(35, 4, 10, l, nothing) }, true},
		"a bucket is just begun": {func(w *Rolling, _ *ledger.Ledger) { w.first.rolling.Store(4 << clearBits) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, l := filled()
			first := true
			all, ok := suffixes(w, l, func() {
				if first {
					change.f(w, l)
				}
				first = false
			})
			require.Len(t, all, 4)
			require.Equal(t, !change.void, ok)
			if !change.void {
				require.Equal(t, ledger.Counts{Success: 6, Failure: 3}, all[1].counts, "the ledger was read before")
			}
		})
	}
}

// A Clear between the reading of what a bucket began with and that of the ledger.
func TestSince_ReadsAgainIfTheWindowIsClearedMeanwhile(t *testing.T) {
	w, l := filled()
	reads := 0
	c := w.Since(35, func() ledger.Counts {
		if reads++; reads == 1 {
			w.Clear(35, l, nothing)
			l.Reject()
		}
		return l.Counts()
	})
	require.Equal(t, ledger.Counts{Rejected: 1}, c)
	require.Equal(t, 2, reads)
}

func TestSince_ReadsAgainIfABucketIsBegunMeanwhile(t *testing.T) {
	w, l := filled()
	reads := 0
	c := w.Since(45, func() ledger.Counts {
		if reads++; reads == 1 {
			w.mark(45, l, l.Reject)
		}
		return l.Counts()
	})
	require.Equal(t, ledger.Counts{Success: 6, Failure: 3, Rejected: 1}, c)
	require.Equal(t, 2, reads)
}

// While a Clear writes down what all buckets begin with, half of them are wrong.
func TestSince_WaitsForAClear(t *testing.T) {
	w, l := filled()
	f := w.frame.Load()
	cleared := f.rolling.Load()&^clearMask | (f.rolling.Load()+1)&clearMask
	f.rolling.Store(cleared)
	wrong := ledger.Counts{Success: 1 << 50}
	for i := range f.starts {
		f.starts[i].store(wrong)
	}
	done := make(chan ledger.Counts, 1)
	go func() { done <- w.Counts(35, l) }()
	for range 10_000 {
		runtime.Gosched()
	}
	require.Empty(t, done, "it did not wait")
	for i := range f.starts {
		f.starts[i].store(l.Counts())
	}
	f.newest.Store(cleared)
	select {
	case c := <-done:
		require.Zero(t, c)
	case <-time.After(30 * time.Second):
		t.Fatal("it waits for ever")
	}
}

// A bucket that is just begun is not waited for: the ones before it are there.
func TestSince_DoesNotWaitForABucketThatIsJustBegun(t *testing.T) {
	w, l := filled()
	w.first.rolling.Store(4 << clearBits)
	require.Equal(t, ledger.Counts{Success: 6, Failure: 3}, w.Counts(45, l))
	require.Equal(t, ledger.Counts{Success: 6, Failure: 3}, w.Counts(35, l), "who is late does not see the oldest one any more")
	require.Zero(t, w.Counts(95, l), "all is too old")
}

func TestClear_CanBeRepeatedMoreOftenThanItsNumberHasValues(t *testing.T) {
	w, l := filled()
	require.True(t, w.Roll(45, l, nothing))
	for range clearMask + 2 {
		l.AddFailure()
		require.Positive(t, w.Counts(45, l).Failure)
		w.Clear(45, l, nothing)
		require.Zero(t, w.Counts(45, l))
		require.EqualValues(t, 4, bucket(w.first.newest.Load()), "the number of the bucket stays")
	}
	requireRollsOn(t, w, l, 45, 4, 10)
}
