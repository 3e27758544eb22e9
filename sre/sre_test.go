package sre_test

import (
	"errors"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// classic is a breaker that decides as aegis does.
func classic(opts ...sre.Option) *sre.Breaker {
	return sre.NewBreaker(append(opts, sre.Classic())...)
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fail opens b: with the defaults, the next call is rejected with a
// probability of 1000/1001.
func fail(b *sre.Breaker) {
	for range 1000 {
		b.MarkFailed()
	}
}

// rejected acquires until a call is rejected.
func rejected(b *sre.Breaker) *breaker.RejectedError {
	for {
		p, err := b.Acquire()
		if err == nil {
			p.Done(breaker.Ignored)
			continue
		}
		var r *breaker.RejectedError
		if !errors.As(err, &r) {
			panic(err)
		}
		return r
	}
}

func TestBreaker_OpensWhereTheDocumentationSays(t *testing.T) {
	b := classic()
	for range 99 {
		b.MarkFailed()
	}
	require.Zero(t, b.Snapshot().RejectRatio, "99 calls are too few")
	b.MarkFailed()
	require.InDelta(t, 100.0/101, b.Snapshot().RejectRatio, 1e-12)

	b = classic()
	for range 60 {
		b.MarkSuccess()
	}
	for range 40 {
		b.MarkFailed()
	}
	require.Zero(t, b.Snapshot().RejectRatio, "60 % are just enough")
	b.MarkFailed()
	require.InDelta(t, 1.0/102, b.Snapshot().RejectRatio, 1e-12)
}

func TestBreaker_SuccessesThatLeftTheWindowBuyNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		for range 1000 {
			b.MarkSuccess()
		}
		for range 100 { // enough to make the breaker reckon with the successes
			b.MarkFailed()
		}
		require.True(t, b.CertainlyAllows())
		time.Sleep(3 * time.Second)
		for range 100 {
			b.MarkFailed()
		}
		require.False(t, b.CertainlyAllows())
		require.InDelta(t, 100.0/101, b.Snapshot().RejectRatio, 1e-12)
	})
}

func TestBreaker_RejectionSaysWhatHappened(t *testing.T) {
	b := classic(sre.WithName("/pay.v1.Pay/Charge"))
	fail(b)
	r := rejected(b)
	require.ErrorIs(t, r, circuitbreaker.ErrNotAllowed)
	require.Equal(t, "/pay.v1.Pay/Charge", r.Name())
	require.Equal(t, breaker.Open, r.State())
	require.Equal(t, breaker.ReasonThrottled, r.Reason())
	require.Zero(t, r.RetryAfter())
	require.Equal(t, `circuit breaker "/pay.v1.Pay/Charge" rejected the call: throttled`, r.Error())

	b = classic()
	fail(b)
	require.Equal(t, "circuit breaker rejected the call: throttled", rejected(b).Error())
	require.ErrorIs(t, b.Allow(), circuitbreaker.ErrNotAllowed)
}

func TestBreaker_SnapshotCountsEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := time.Now()
		b := classic(sre.WithName("x"), sre.WithWindow(10*time.Second), sre.WithBucket(3))
		require.Equal(t, breaker.Snapshot{
			Name: "x", Since: created, Window: breaker.Window{Length: 3 * (10 * time.Second / 3)},
		}, b.Snapshot())

		held, err := b.Acquire()
		require.NoError(t, err)
		for _, o := range []breaker.Outcome{breaker.Success, breaker.Success, breaker.Failure, breaker.Ignored} {
			p, err := b.Acquire()
			require.NoError(t, err)
			p.Done(o)
		}
		b.MarkIgnored()
		require.Equal(t, breaker.Totals{Offered: 6, Allowed: 6, Success: 2, Failure: 1, Ignored: 2, InFlight: 1}, b.Snapshot().Totals)
		require.Equal(t, breaker.Window{Length: b.Snapshot().Window.Length, Success: 2, Failure: 1}, b.Snapshot().Window)

		time.Sleep(time.Minute)
		fail(b)
		require.Error(t, rejected(b))
		s := b.Snapshot()
		require.EqualValues(t, 1, s.Totals.Rejected)
		require.EqualValues(t, 1, s.Window.Rejected)
		require.EqualValues(t, 1000, s.Window.Failure, "a rejection is no failure")
		require.Equal(t, s.Totals.Allowed+s.Totals.Rejected, s.Totals.Offered)
		require.EqualValues(t, 1, s.Totals.InFlight)
		held.Done(breaker.Success)
		require.Zero(t, b.Snapshot().Totals.InFlight)
	})
}

func TestBreaker_MarkAfterARejectionIsNoFailure(t *testing.T) {
	b := classic()
	fail(b)
	n := uint64(0)
	for range 500 { // what Kratos' own middleware does
		if b.Allow() != nil {
			n++
			b.MarkFailed()
		} else {
			b.MarkFailed()
		}
	}
	s := b.Snapshot()
	require.Greater(t, n, uint64(400))
	require.Equal(t, n, s.Totals.Rejected)
	require.Equal(t, n, s.Window.Rejected)
	require.Equal(t, 1000+500-n, s.Totals.Failure)
	require.EqualValues(t, 1500, s.Window.Total(), "for the decision they count alike")
}

func TestBreaker_StateChangesAreDated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		start := b.Snapshot().Since
		time.Sleep(1050 * time.Millisecond)
		fail(b)
		s := b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.Equal(t, 1050*time.Millisecond, s.Since.Sub(start))

		// Nobody calls; the failures leave the window when the bucket that
		// began at 0.9 s does.
		time.Sleep(2849 * time.Millisecond)
		require.Equal(t, breaker.Open, b.Snapshot().State)
		time.Sleep(10 * time.Second)
		for range 2 { // looking changes nothing
			s = b.Snapshot()
			require.Equal(t, breaker.Closed, s.State)
			require.Equal(t, 3900*time.Millisecond, s.Since.Sub(start))
		}

		// A call takes note of it; and successes close it, too.
		require.NoError(t, b.Allow())
		fail(b)
		require.Equal(t, breaker.Open, b.Snapshot().State)
		time.Sleep(time.Second)
		for range 2000 {
			b.MarkSuccess()
		}
		require.NoError(t, b.Allow())
		s = b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Equal(t, time.Now(), s.Since.Local().Round(0))
	})
}

func TestBreaker_IsIdleOnlyWhenAsGoodAsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		require.True(t, b.Idle())
		b.MarkSuccess()
		require.False(t, b.Idle(), "the window holds a call")
		p, err := b.Acquire()
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.False(t, b.Idle(), "a permit is in flight")
		p.Done(breaker.Ignored)
		require.True(t, b.Idle())
		fail(b)
		require.False(t, b.Idle())
	})
}

func TestBreaker_SurvivesDecadesOfIdling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic(sre.WithWindow(time.Microsecond), sre.WithBucket(1), sre.WithRequest(1))
		for range 3 {
			time.Sleep(30 * 365 * 24 * time.Hour)
			b.MarkFailed()
			require.Equal(t, breaker.Open, b.Snapshot().State)
			require.EqualValues(t, 1, b.Snapshot().Window.Total())
		}
	})
}

func TestNewBreaker_RefusesImpossibleOptions(t *testing.T) {
	for want, opt := range map[string]sre.Option{
		"sre: WithSuccess(NaN): want a ratio in [0.000001, 1]":                                    sre.WithSuccess(math.NaN()),
		"sre: WithSuccess(+Inf): want a ratio in [0.000001, 1]":                                   sre.WithSuccess(math.Inf(1)),
		"sre: WithSuccess(-Inf): want a ratio in [0.000001, 1]":                                   sre.WithSuccess(math.Inf(-1)),
		"sre: WithSuccess(0): want a ratio in [0.000001, 1]":                                      sre.WithSuccess(0),
		"sre: WithSuccess(-1): want a ratio in [0.000001, 1]":                                     sre.WithSuccess(-1),
		"sre: WithSuccess(1.0000001): want a ratio in [0.000001, 1]":                              sre.WithSuccess(1.0000001),
		"sre: WithSuccess(5e-324): want a ratio in [0.000001, 1]":                                 sre.WithSuccess(math.SmallestNonzeroFloat64),
		"sre: WithRequest(0): want a number of calls in [1, 1000000000]":                          sre.WithRequest(0),
		"sre: WithRequest(-1): want a number of calls in [1, 1000000000]":                         sre.WithRequest(-1),
		"sre: WithRequest(9223372036854775807): want a number of calls in [1, 1000000000]":        sre.WithRequest(math.MaxInt64),
		"sre: WithRequest(-9223372036854775808): want a number of calls in [1, 1000000000]":       sre.WithRequest(math.MinInt64),
		"sre: WithWindow(0s): want a duration in [1µs, 24h]":                                      sre.WithWindow(0),
		"sre: WithWindow(-1s): want a duration in [1µs, 24h]":                                     sre.WithWindow(-time.Second),
		"sre: WithWindow(999ns): want a duration in [1µs, 24h]":                                   sre.WithWindow(999),
		"sre: WithWindow(2562047h47m16.854775807s): want a duration in [1µs, 24h]":                sre.WithWindow(math.MaxInt64),
		"sre: WithBucket(0): want a number in [1, 100000]":                                        sre.WithBucket(0),
		"sre: WithBucket(-1): want a number in [1, 100000]":                                       sre.WithBucket(-1),
		"sre: WithBucket(9223372036854775807): want a number in [1, 100000]":                      sre.WithBucket(math.MaxInt),
		"sre: WithBucket(10): want buckets of at least 1µs; WithWindow(9µs) has room for 9":       func() sre.Option { return sre.WithWindow(9 * time.Microsecond) }(),
		"sre: WithProbeInterval(0s): want whole milliseconds in [10ms, 1m]":                       sre.WithProbeInterval(0),
		"sre: WithProbeInterval(-1s): want whole milliseconds in [10ms, 1m]":                      sre.WithProbeInterval(-time.Second),
		"sre: WithProbeInterval(9ms): want whole milliseconds in [10ms, 1m]":                      sre.WithProbeInterval(9 * time.Millisecond),
		"sre: WithProbeInterval(10.000001ms): want whole milliseconds in [10ms, 1m]":              sre.WithProbeInterval(10*time.Millisecond + 1),
		"sre: WithProbeInterval(1m0.001s): want whole milliseconds in [10ms, 1m]":                 sre.WithProbeInterval(time.Minute + time.Millisecond),
		"sre: WithProbeInterval(2562047h47m16.854775807s): want whole milliseconds in [10ms, 1m]": sre.WithProbeInterval(math.MaxInt64),
		"sre: NewBreaker: nil Option":                                                             nil,
	} {
		require.PanicsWithValue(t, want, func() { classic(opt) })
		require.PanicsWithValue(t, want, func() { sre.NewBreaker(opt) })
	}
}

func TestNewBreaker_TakesTheBoundsOfItsOptions(t *testing.T) {
	for _, opts := range [][]sre.Option{
		{sre.WithSuccess(1)},
		{sre.WithSuccess(1e-6), sre.WithRequest(1e9), sre.WithWindow(24 * time.Hour), sre.WithBucket(100_000)},
		{sre.WithRequest(1), sre.WithWindow(time.Microsecond), sre.WithBucket(1)},
		{sre.WithProbeInterval(10 * time.Millisecond)},
		{sre.WithProbeInterval(time.Minute)},
	} {
		for _, b := range []*sre.Breaker{classic(opts...), sre.NewBreaker(opts...)} {
			require.NoError(t, b.Allow())
			b.MarkFailed()
			b.MarkSuccess()
			require.EqualValues(t, 2, b.Snapshot().Totals.Allowed)
		}
	}
}

func TestBreaker_NeverAllocates(t *testing.T) {
	healthy, open := classic(), classic()
	fail(open)
	require.Error(t, rejected(open))
	for name, f := range map[string]func(){
		"a success": func() {
			if p, err := healthy.Acquire(); err == nil {
				p.Done(breaker.Success)
			}
		},
		"a failure": func() {
			if p, err := healthy.Acquire(); err == nil {
				p.Done(breaker.Failure)
			}
		},
		"marks": func() {
			_ = healthy.Allow()
			healthy.MarkSuccess()
		},
		"a rejection": func() {
			if p, err := open.Acquire(); err == nil {
				p.Done(breaker.Failure)
			}
			_ = open.Allow()
			open.MarkFailed()
		},
		"a snapshot": func() { _ = open.Snapshot() },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
}

func TestBreaker_TakesAtMost560Bytes(t *testing.T) {
	requireSmall(t, 560, func(*sre.Breaker) {})
}

// TestReconfigure_TheMemoryOfABreakerDoesNotGrowWithIt allows for other settings
// than the common ones, and for a second window of 10 buckets.
func TestReconfigure_TheMemoryOfABreakerDoesNotGrowWithIt(t *testing.T) {
	requireSmall(t, 560, func(b *sre.Breaker) {
		b.Reconfigure(sre.Classic(), sre.WithSuccess(0.7))
		b.Reconfigure(sre.Classic())
	})
	requireSmall(t, 560+64+320, func(b *sre.Breaker) {
		for i := range 10 {
			b.Reconfigure(sre.Classic(), sre.WithSuccess(0.7), sre.WithWindow(time.Duration(i+1)*time.Second))
		}
	})
}

// TestBreaker_TakesAtMost1100BytesAfterTrouble: each has been open, and closed again.
func TestBreaker_TakesAtMost1100BytesAfterTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requireSmallOf(t, 1100, 2000, func() *sre.Breaker { return sre.NewBreaker() }, func(b *sre.Breaker) {
			for range 200 {
				if p, err := b.Acquire(); err == nil {
					p.Done(breaker.Failure)
				}
			}
			require.Equal(t, breaker.Open, b.Snapshot().State)
			for range 400 {
				time.Sleep(10 * time.Millisecond)
				if p, err := b.Acquire(); err == nil {
					p.Done(breaker.Success)
				}
			}
			require.Equal(t, breaker.Closed, b.Snapshot().State)
		})
	})
}

// requireSmall requires that breakers that were called and changed take at most so
// many bytes each.
func requireSmall(t *testing.T, most uint64, change func(*sre.Breaker)) {
	t.Helper()
	requireSmallOf(t, most, 50_000, func() *sre.Breaker { return classic() }, change)
}

func requireSmallOf(t *testing.T, most, n uint64, newBreaker func() *sre.Breaker, change func(*sre.Breaker)) {
	t.Helper()
	breakers := make([]*sre.Breaker, n)
	heap := func() uint64 {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range breakers {
		b := newBreaker()
		for range 10 {
			if p, err := b.Acquire(); err == nil {
				p.Done(breaker.Success)
			}
			b.MarkFailed()
		}
		change(b)
		breakers[i] = b
	}
	bytes := (heap() - before) / n
	t.Logf("%d bytes per breaker", bytes)
	require.LessOrEqual(t, bytes, most)
	runtime.KeepAlive(breakers)
}
