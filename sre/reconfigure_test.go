package sre_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// mark marks so many calls.
func mark(b *sre.Breaker, success, failure int) {
	for range success {
		b.MarkSuccess()
	}
	for range failure {
		b.MarkFailed()
	}
}

func TestReconfigure_SettingsTakeEffectAtOnceAndTheWindowIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		failure int
		opts    []sre.Option
		want    float64 // reject ratio
	}{
		"success ratio": {60, []sre.Option{sre.WithSuccess(0.9)}, (160 - 100/0.9) / 161},
		"request":       {60, []sre.Option{sre.WithSuccess(0.9), sre.WithRequest(161)}, 0},
		"nothing":       {60, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := classic()
			mark(b, 100, c.failure)
			before := b.Snapshot()
			require.Zero(t, before.RejectRatio)
			b.Reconfigure(append(c.opts, sre.Classic())...)
			s := b.Snapshot()
			require.InDelta(t, c.want, s.RejectRatio, 1e-12)
			require.Equal(t, before.Window, s.Window)
			require.Equal(t, before.Totals, s.Totals)
			if c.want > 0 {
				require.False(t, b.CertainlyAllows())
				require.Equal(t, breaker.ReasonThrottled, rejected(b).Reason())
			} else {
				require.NoError(t, b.Allow())
			}
		})
	}
}

func TestReconfigure_WhatIsNotGivenTakesItsDefault(t *testing.T) {
	b := classic(sre.WithSuccess(0.9), sre.WithRequest(10), sre.WithWindow(time.Second), sre.WithBucket(3))
	b.Reconfigure(sre.Classic())
	require.Equal(t, 3*time.Second, b.Snapshot().Window.Length)
	mark(b, 0, 99)
	require.Zero(t, b.Snapshot().RejectRatio)
	mark(b, 0, 1)
	require.InDelta(t, 100.0/101, b.Snapshot().RejectRatio, 1e-12)
}

func TestReconfigure_AnotherShapeEmptiesTheWindow(t *testing.T) {
	for name, opt := range map[string]sre.Option{
		"window": sre.WithWindow(time.Hour),
		"bucket": sre.WithBucket(7),
	} {
		t.Run(name, func(t *testing.T) {
			for kind, kinds := range map[string][]sre.Option{"classic": {sre.Classic()}, "adaptive": nil} {
				synctest.Test(t, func(t *testing.T) {
					b := sre.NewBreaker(kinds...)
					mark(b, 20, 2)
					before := b.Snapshot()
					require.EqualValues(t, 22, before.Window.Total(), kind)
					b.Reconfigure(append(kinds, opt)...)
					s := b.Snapshot()
					require.Zero(t, s.Window.Total())
					require.Equal(t, before.Totals, s.Totals)
					require.True(t, b.CertainlyAllows())
					mark(b, 1, 1)
					require.EqualValues(t, 2, b.Snapshot().Window.Total())
					time.Sleep(s.Window.Length)
					require.Zero(t, b.Snapshot().Window.Total(), "the new window goes on")
				})
			}
		})
	}
}

func TestReconfigure_PanicsWithNothingChanged(t *testing.T) {
	const fixed = "sre: Reconfigure: WithName, WithListener and WithRandom cannot change"
	kinds := [][]sre.Option{{}, {sre.Classic()}}
	requirePanic := func(kind []sre.Option, want string, opts ...sre.Option) {
		t.Helper()
		b := sre.NewBreaker(append(kind[:len(kind):len(kind)], sre.WithName("x"))...)
		mark(b, 3, 2)
		before := b.Snapshot()
		require.PanicsWithValue(t, want, func() { b.Reconfigure(opts...) })
		require.Equal(t, before, b.Snapshot())
		require.True(t, b.CertainlyAllows())
	}
	for i, kind := range kinds {
		for want, opt := range map[string]sre.Option{
			"sre: WithSuccess(NaN): want a ratio in [0.000001, 1]":                              sre.WithSuccess(math.NaN()),
			"sre: WithRequest(0): want a number of calls in [1, 1000000000]":                    sre.WithRequest(0),
			"sre: WithWindow(-1s): want a duration in [1µs, 24h]":                               sre.WithWindow(-time.Second),
			"sre: WithBucket(0): want a number in [1, 100000]":                                  sre.WithBucket(0),
			"sre: WithBucket(10): want buckets of at least 1µs; WithWindow(9µs) has room for 9": sre.WithWindow(9 * time.Microsecond),
			"sre: WithProbeInterval(1ms): want whole milliseconds in [10ms, 1m]":                sre.WithProbeInterval(time.Millisecond),
			"sre: Reconfigure: nil Option":                                                      nil,
		} {
			requirePanic(kind, want, append(kind[:len(kind):len(kind)], sre.WithRequest(7), opt)...)
		}
		for _, opt := range []sre.Option{
			sre.WithName("y"),
			sre.WithListener(func(breaker.Event) {}),
			sre.WithRandom(func() float64 { return 0 }),
		} {
			requirePanic(kind, fixed, append(kind[:len(kind):len(kind)], sre.WithRequest(7), opt)...)
		}
		other := kinds[1-i]
		requirePanic(kind, "sre: Reconfigure: Classic cannot change", append(other[:len(other):len(other)], sre.WithBucket(3))...)
	}
}

func TestReconfigure_KeepsNameModeListenersTotalsAndPermits(t *testing.T) {
	for name, kind := range map[string][]sre.Option{"classic": {sre.Classic()}, "adaptive": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				events := 0
				b := sre.NewBreaker(append(kind[:len(kind):len(kind)], sre.WithName("users"),
					sre.WithListener(func(breaker.Event) { events++ }))...)
				kept, err := b.Acquire()
				require.NoError(t, err)
				b.SetModeFor(breaker.DryRun, time.Minute)
				overruled, err := b.Acquire()
				require.NoError(t, err)
				before := b.Snapshot()
				for _, opts := range [][]sre.Option{
					{sre.WithRequest(7)},
					{sre.WithBucket(3), sre.WithWindow(30 * time.Second)},
				} {
					b.Reconfigure(append(kind[:len(kind):len(kind)], opts...)...)
					s := b.Snapshot()
					require.Equal(t, before.Name, s.Name)
					require.Equal(t, breaker.DryRun, s.Mode)
					require.Equal(t, before.ModeUntil, s.ModeUntil)
					require.Equal(t, before.Totals, s.Totals)
					require.Equal(t, before.Since, s.Since)
					require.Zero(t, events)
				}
				kept.Done(breaker.Success)
				overruled.Done(breaker.Failure)
				kept.Done(breaker.Failure) // void
				s := b.Snapshot()
				require.Equal(t, breaker.Totals{Offered: 2, Allowed: 2, Success: 1, Failure: 1}, s.Totals)
				require.EqualValues(t, 2, s.Window.Total())
				b.SetMode(breaker.Auto)
				for range 40 {
					time.Sleep(20 * time.Millisecond)
					mark(b, 0, 10)
				}
				require.Equal(t, breaker.Open, b.Snapshot().State)
				require.Equal(t, 1, events, "the listener is still there")
				require.Equal(t, "users", rejected(b).Name())
			})
		})
	}
}

// often changes what a breaker decides by, and the shape of its window in turn.
var often = [][]sre.Option{
	nil,
	{sre.WithSuccess(0.5)},
	{sre.WithBucket(20)},
	{sre.WithBucket(20), sre.WithRequest(50), sre.WithProbeInterval(500 * time.Millisecond)},
	{sre.WithWindow(10 * time.Second)},
	{sre.WithWindow(time.Second), sre.WithBucket(5)},
}

// reconfigured is during, and reconfigures its breaker all the time.
func (tr *traffic) reconfigured(d time.Duration, to backend) (calls []call) {
	const every = 70 * time.Millisecond
	from := len(tr.calls)
	for i := range int(d / every) {
		tr.b.Reconfigure(often[i%len(often)]...)
		tr.during(every, to)
	}
	return tr.calls[from:]
}

func TestReconfigure_AHealthyBackendIsNeverRejectedMeanwhile(t *testing.T) {
	atEachRate(t, func(t *testing.T, tr *traffic) {
		require.Zero(t, rejections(tr.reconfigured(10*time.Second, failing(0.05))))
		require.Zero(t, tr.b.Snapshot().Transitions)
	})
}

func TestReconfigure_AnOutageIsSeenProbedAndOverMeanwhile(t *testing.T) {
	atEachRate(t, func(t *testing.T, tr *traffic) {
		tr.reconfigured(5*time.Second, up)
		from := tr.now
		calls := tr.reconfigured(20*time.Second, down)
		opened := opening(t, calls, from)
		require.LessOrEqual(t, opened, 2500*time.Millisecond)
		after := between(calls, from+opened, tr.now)
		require.LessOrEqual(t, allowed(after), 60.0, "probes come more often at times")
		s := tr.b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.EqualValues(t, 1, s.RejectRatio)
		require.EqualValues(t, 1, s.Transitions[breaker.Closed][breaker.Open], "it stayed open")
		from = tr.now
		require.LessOrEqual(t, recovery(tr.reconfigured(5*time.Second, up), from), 3*time.Second)
		require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
	})
}

func TestReconfigure_AShorterProbeIntervalDoesNotWaitForALongerOne(t *testing.T) {
	for _, shape := range [][]sre.Option{nil, {sre.WithWindow(time.Hour), sre.WithBucket(1)}} {
		inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
			tr.during(5*time.Second, up)
			tr.during(30*time.Second, down) // the next probe may be a minute away
			tr.b.Reconfigure(shape...)
			from := tr.now
			require.LessOrEqual(t, recovery(tr.during(5*time.Second, up), from), 2500*time.Millisecond)
			require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
		}, append(shape, sre.WithProbeInterval(time.Minute))...)
	}
}

func TestReconfigure_ALongerProbeIntervalHoldsFromTheNextProbeOn(t *testing.T) {
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		tr.during(20*time.Second, down) // a young outage is probed more often
		tr.b.Reconfigure(sre.WithProbeInterval(time.Minute))
		require.LessOrEqual(t, allowed(tr.during(45*time.Second, down)), 1.0)
		require.Equal(t, breaker.Open, tr.b.Snapshot().State)
	})
}

func TestReconfigure_OfAnOpenClassicBreakerWaitsUntilItCloses(t *testing.T) {
	for name, c := range map[string]struct {
		opts [][]sre.Option
		want []sre.Option
	}{
		"another shape":            {[][]sre.Option{{sre.WithWindow(time.Minute)}}, []sre.Option{sre.WithWindow(time.Minute)}},
		"settings":                 {[][]sre.Option{{sre.WithRequest(1e9)}}, []sre.Option{sre.WithRequest(1e9)}},
		"the last one counts":      {[][]sre.Option{{sre.WithBucket(3)}, {sre.WithWindow(time.Minute)}}, []sre.Option{sre.WithWindow(time.Minute)}},
		"what it is clears others": {[][]sre.Option{{sre.WithWindow(time.Minute)}, {}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events []breaker.Event
				b := classic(sre.WithListener(func(e breaker.Event) { events = append(events, e) }))
				fail(b)
				before := b.Snapshot()
				require.Equal(t, breaker.Open, before.State)
				for _, opts := range c.opts {
					b.Reconfigure(append(opts, sre.Classic())...)
					require.Equal(t, before, b.Snapshot())
				}
				require.Equal(t, breaker.ReasonThrottled, rejected(b).Reason())
				time.Sleep(3 * time.Second)
				require.Equal(t, breaker.Closed, b.Snapshot().State)
				require.Equal(t, 3*time.Second, b.Snapshot().Window.Length, "no call has met it")
				require.NoError(t, b.Allow())
				require.Len(t, events, 2)
				twin := classic(c.want...)
				require.Equal(t, twin.Snapshot().Window.Length, b.Snapshot().Window.Length)
				mark(b, 0, 500)
				mark(twin, 0, 500)
				require.Equal(t, twin.Snapshot().RejectRatio, b.Snapshot().RejectRatio)
			})
		})
	}
}

func TestReconfigure_OfAClosedClassicBreakerForgetsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		fail(b)
		b.Reconfigure(sre.Classic(), sre.WithWindow(time.Minute))
		time.Sleep(3 * time.Second) // it is closed, and no call has met it
		b.Reconfigure(sre.Classic(), sre.WithBucket(3))
		for range 5 { // buckets
			require.NoError(t, b.Allow())
			b.MarkSuccess()
			require.Equal(t, 3*time.Second, b.Snapshot().Window.Length)
			time.Sleep(time.Second)
		}
	})
}

func TestReconfigure_WhatWaitsIsTakenUpAfterAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := classic()
		fail(b)
		b.Reconfigure(sre.Classic(), sre.WithWindow(time.Minute))
		b.Reset()
		time.Sleep(300 * time.Millisecond) // a bucket
		require.NoError(t, b.Allow())
		b.MarkSuccess()
		require.Equal(t, time.Minute, b.Snapshot().Window.Length)
	})
}

func TestReconfigure_WithStricterSettingsMayOpen(t *testing.T) {
	var events []breaker.Event
	b := classic(sre.WithListener(func(e breaker.Event) { events = append(events, e) }))
	mark(b, 60, 39)
	b.Reconfigure(sre.Classic(), sre.WithRequest(10), sre.WithSuccess(0.9))
	s := b.Snapshot()
	require.Equal(t, breaker.Open, s.State)
	require.EqualValues(t, 1, s.Transitions[breaker.Closed][breaker.Open])
	require.Empty(t, events, "no call has met it")
	require.NotNil(t, rejected(b))
	require.Len(t, events, 1)
	require.Equal(t, s.Transitions, b.Snapshot().Transitions)
}
