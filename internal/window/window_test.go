package window

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// naive counts by bucket and forgets nothing.
type naive struct {
	n       int64
	span    int64
	buckets map[int64]ledger.Counts
}

func (m *naive) mark(now int64, c ledger.Counts) {
	b := m.buckets[now/m.span]
	m.buckets[now/m.span] = ledger.Counts{Success: b.Success + c.Success, Failure: b.Failure + c.Failure, Rejected: b.Rejected + c.Rejected}
}

func (m *naive) counts(now int64) (c ledger.Counts) {
	for b := now/m.span - m.n + 1; b <= now/m.span; b++ {
		c.Success += m.buckets[b].Success
		c.Failure += m.buckets[b].Failure
		c.Rejected += m.buckets[b].Rejected
	}
	return c
}

func (w *Rolling) mark(now int64, l *ledger.Ledger, count func()) {
	if w.Due(now) {
		w.Roll(now, l, func() {})
	}
	count()
}

func TestRolling_EqualsANaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "buckets")
		span := rapid.Int64Range(1, 1000).Draw(t, "span")
		var l ledger.Ledger
		var w Rolling
		w.Init(n, time.Duration(span))
		model := naive{n: int64(n), span: span, buckets: map[int64]ledger.Counts{}}
		now := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"step": func(t *rapid.T) { now += rapid.Int64Range(0, 2*model.span).Draw(t, "by") },
			"jump": func(t *rapid.T) { now += model.span * rapid.Int64Range(0, 2*model.n).Draw(t, "buckets") },
			"success": func(*rapid.T) {
				w.mark(now, &l, l.Succeed)
				model.mark(now, ledger.Counts{Success: 1})
			},
			"failure": func(*rapid.T) {
				w.mark(now, &l, l.AddFailure)
				model.mark(now, ledger.Counts{Failure: 1})
			},
			"rejection": func(*rapid.T) {
				w.mark(now, &l, l.Reject)
				model.mark(now, ledger.Counts{Rejected: 1})
			},
			"clear": func(*rapid.T) {
				w.Clear(now, &l, func() {})
				clear(model.buckets)
			},
			"reshape": func(t *rapid.T) {
				n := rapid.IntRange(1, 12).Draw(t, "buckets")
				span := rapid.Int64Range(1, 1000).Draw(t, "span")
				w.Reshape(now, n, time.Duration(span), &l, func() {})
				require.False(t, w.Due(now), "the newest bucket has begun")
				model = naive{n: int64(n), span: span, buckets: map[int64]ledger.Counts{}}
			},
			"": func(t *rapid.T) {
				require.Equal(t, model.counts(now), w.Counts(now, &l))
				require.Equal(t, model.counts(now), w.Counts(now, &l), "reading changed something")
				n, span := w.Shape()
				require.Equal(t, []int64{model.n, model.span}, []int64{int64(n), int64(span)})
				require.Equal(t, n, w.Buckets())
				require.Equal(t, time.Duration(n)*span, w.Length())
				// If nothing more happens, these are the windows to come.
				require.True(t, w.Suffixes(&l, func(c ledger.Counts, oldestFrom int64) {
					if oldestFrom >= now {
						require.Equal(t, model.counts(oldestFrom), c)
					}
				}))
				require.Zero(t, model.counts(w.EmptyFrom()))
			},
		})
	})
}

func TestRolling_SuffixesAreTheWindowsToCome(t *testing.T) {
	var l ledger.Ledger
	var w Rolling
	w.Init(4, 10)
	for now := int64(0); now < 95; now += 3 {
		w.mark(now, &l, l.AddFailure)
		require.True(t, w.Suffixes(&l, func(c ledger.Counts, oldestFrom int64) {
			// Nothing more happens; then this is the window from oldestFrom on.
			require.Equal(t, c, w.Counts(max(now, oldestFrom), &l), "at %d, from %d", now, oldestFrom)
		}))
	}
}

// TestRolling_LosesNothingAtARollover races two goroutines to begin a bucket.
// The time that they pass is the same, so the model knows the bucket of each
// mark: one that gets between the reading of the ledger and the beginning of
// the bucket would be missing.
func TestRolling_LosesNothingAtARollover(t *testing.T) {
	const rounds = 50_000
	for _, n := range []int{1, 2, 10} {
		var l ledger.Ledger
		var w Rolling
		span := int64(1000)
		w.Init(n, time.Duration(span))
		model := naive{n: int64(n), span: span, buckets: map[int64]ledger.Counts{}}
		now := int64(0)
		for range rounds {
			now += span * int64(rand.IntN(n+2)) // past the window, too
			// Both spin until both are here, so that they start within a few
			// nanoseconds.
			var here atomic.Int32
			race := func() {
				here.Add(1)
				for here.Load() < 2 {
					runtime.Gosched()
				}
				w.mark(now, &l, l.Succeed)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				race()
			}()
			race()
			<-done
			model.mark(now, ledger.Counts{Success: 2})
			require.Equal(t, model.counts(now), w.Counts(now, &l))
		}
	}
}

// TestRolling_ReadersSeeAWholeWindow reads while buckets are begun all the
// time, with one mark in each. Whatever moment a reader gets, all buckets but
// the newest hold theirs; a torn reading would see none or enormously many.
func TestRolling_ReadersSeeAWholeWindow(t *testing.T) {
	const n, buckets = 6, 300_000
	var l ledger.Ledger
	var w Rolling
	w.Init(n, 1)
	for now := range int64(n) {
		w.mark(now, &l, l.Succeed)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for now := int64(n); now < buckets; now++ {
			w.mark(now, &l, l.Succeed)
		}
	}()
	for reads := 0; ; reads++ {
		before := l.Counts().Success
		c := w.Counts(0, &l) // a reader that is late
		require.GreaterOrEqual(t, c.Success, uint64(n-1))
		require.LessOrEqual(t, c.Success, n+l.Counts().Success-before)
		w.Suffixes(&l, func(ledger.Counts, int64) {})
		select {
		case <-done:
			require.EqualValues(t, buckets, l.Counts().Success)
			require.EqualValues(t, n, w.Counts(buckets-1, &l).Success)
			require.Zero(t, w.Counts(buckets+n, &l), "all is too old by then")
			return
		default:
		}
	}
}

// TestRolling_ReadersSeeNoHalfClearedWindow clears all the time what always
// holds as many successes as failures.
func TestRolling_ReadersSeeNoHalfClearedWindow(t *testing.T) {
	var l ledger.Ledger
	var w Rolling
	w.Init(10, time.Hour)
	for range 100 {
		l.Succeed()
		l.Fail()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100_000 {
			w.Clear(0, &l, func() {})
		}
	}()
	for {
		c := w.Counts(0, &l)
		require.Equal(t, c.Success, c.Failure)
		select {
		case <-done:
			require.Zero(t, w.Counts(0, &l))
			return
		default:
		}
	}
}
