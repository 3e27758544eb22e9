package sre_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// waits returns the times between the calls that were allowed.
func waits(calls []call) (all []time.Duration) {
	last := time.Duration(-1)
	for _, c := range calls {
		if !c.allowed {
			continue
		}
		if last >= 0 {
			all = append(all, c.at-last)
		}
		last = c.at
	}
	return all
}

// requireWaits requires that each of some waits is, but for the 15 % by which they vary
// and for the call that the probe waits for, within a range.
func requireWaits(t *testing.T, calls []call, least, most time.Duration) {
	t.Helper()
	all := waits(calls)
	require.NotEmpty(t, all)
	for _, d := range all {
		require.GreaterOrEqual(t, d, least*85/100, "%v", all)
		require.LessOrEqual(t, d, most*115/100+150*time.Millisecond, "%v", all)
	}
}

const interval = 900 * time.Millisecond // the default

// aged is the wait of an outage that has lasted so long.
func aged(d time.Duration) time.Duration { return time.Duration(interval.Seconds() * float64(d) / 60) }

func TestMaxProbeInterval_ProbesOfALongOutageGetRarerUpToIt(t *testing.T) {
	for _, most := range []time.Duration{2 * time.Second, 5 * time.Second, 30 * time.Second, 5 * time.Minute, time.Hour} {
		t.Run(most.String(), func(t *testing.T) {
			inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
				tr.during(5*time.Second, up)
				tr.during(10*time.Second, down)
				requireWaits(t, tr.during(45*time.Second, down), interval, interval)
				for minute := time.Minute; minute < 10*time.Minute; minute += time.Minute {
					calls := tr.during(time.Minute, down)
					requireWaits(t, calls, min(most, aged(minute-time.Minute)), min(most, aged(minute+time.Minute)))
					require.Equal(t, breaker.Open, tr.b.Snapshot().State)
				}
			}, sre.WithMaxProbeInterval(most))
		})
	}
}

func TestMaxProbeInterval_ABackendThatHealsIsFoundWithinIt(t *testing.T) {
	for _, most := range []time.Duration{2 * time.Second, 5 * time.Second, time.Minute, 5 * time.Minute} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("%v, seed %d", most, seed), func(t *testing.T) {
				inTraffic(t, 100, seed, func(t *testing.T, tr *traffic) {
					tr.during(5*time.Second, up)
					tr.during(10*time.Minute, down)
					from := tr.now
					require.LessOrEqual(t, recovery(tr.during(min(most, aged(10*time.Minute))*2+10*time.Second, up), from),
						min(most, aged(10*time.Minute))*115/100+2*time.Second)
					require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
				}, sre.WithMaxProbeInterval(most))
			})
		}
	}
}

func TestMaxProbeInterval_AWaitOfMinutesIsNoMinuteWithoutACall(t *testing.T) {
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		tr.during(10*time.Minute, down)
		requireWaits(t, tr.during(20*time.Minute, down), 5*time.Minute, 5*time.Minute)
		s := tr.b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.EqualValues(t, 1, s.Transitions[breaker.Closed][breaker.Open], "it stayed open")
		from := tr.now
		require.LessOrEqual(t, recovery(tr.during(10*time.Minute, up), from), 5*time.Minute*115/100+5*time.Second)
		require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
	}, sre.WithProbeInterval(time.Minute), sre.WithMaxProbeInterval(5*time.Minute))
}

// TestMaxProbeInterval_AShortOutageIsProbedAsWithoutIt compares call by call.
func TestMaxProbeInterval_AShortOutageIsProbedAsWithoutIt(t *testing.T) {
	calls := func(opts ...sre.Option) (all []call) {
		inTraffic(t, 100, 1, func(_ *testing.T, tr *traffic) {
			tr.during(5*time.Second, up)
			tr.during(55*time.Second, down)
			tr.during(5*time.Second, up)
			all = tr.calls
		}, opts...)
		return all
	}
	require.Equal(t, calls(), calls(sre.WithMaxProbeInterval(time.Hour)))
}

func TestMaxProbeInterval_IsThatOfAProbeByDefault(t *testing.T) {
	calls := func(opts ...sre.Option) (all []call) {
		inTraffic(t, 100, 1, func(_ *testing.T, tr *traffic) {
			tr.during(5*time.Second, up)
			tr.during(3*time.Minute, down)
			all = tr.calls
		}, opts...)
		return all
	}
	require.Equal(t, calls(), calls(sre.WithMaxProbeInterval(interval)))
	long := sre.WithProbeInterval(20 * time.Second)
	require.Equal(t, calls(long), calls(long, sre.WithMaxProbeInterval(20*time.Second)))
}

func TestMaxProbeInterval_ARejectionSaysWhenTheRareProbeIs(t *testing.T) {
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		tr.during(10*time.Minute, down)
		for tr.b.Snapshot().RetryAfter < 4*time.Second {
			tr.during(100*time.Millisecond, down)
		}
		after := tr.b.Snapshot().RetryAfter
		require.LessOrEqual(t, after, 5*time.Second*115/100)
		require.Zero(t, allowed(tr.during(after-1, down)))
		require.EqualValues(t, 1, allowed(tr.during(time.Second, down)))
	}, sre.WithMaxProbeInterval(5*time.Second))
}

func TestReconfigure_ALongOutageIsProbedByTheMaxProbeIntervalOfNow(t *testing.T) {
	rare := sre.WithMaxProbeInterval(5 * time.Second)
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		tr.during(10*time.Minute, down)
		requireWaits(t, tr.during(time.Minute, down), interval, interval)

		tr.b.Reconfigure(rare)
		tr.during(interval*2, down) // one was planned before
		requireWaits(t, tr.during(time.Minute, down), 5*time.Second, 5*time.Second)

		tr.b.Reconfigure() // does not wait until the long time has passed
		calls := tr.during(time.Minute, down)
		require.LessOrEqual(t, calls[0].at+interval*115/100+150*time.Millisecond, tr.now)
		requireWaits(t, calls, interval, interval)
		require.InDelta(t, time.Minute/interval, allowed(calls), 8)
		require.Equal(t, breaker.Open, tr.b.Snapshot().State)
	})
}

func TestMaxProbeInterval_RefusesWhatIsImpossible(t *testing.T) {
	const wanted = ": want whole milliseconds in [10ms, 1h]"
	for want, opts := range map[string][]sre.Option{
		"sre: WithMaxProbeInterval(0s)" + wanted:                       {sre.WithMaxProbeInterval(0)},
		"sre: WithMaxProbeInterval(-1s)" + wanted:                      {sre.WithMaxProbeInterval(-time.Second)},
		"sre: WithMaxProbeInterval(9ms)" + wanted:                      {sre.WithMaxProbeInterval(9 * time.Millisecond)},
		"sre: WithMaxProbeInterval(1.5ms)" + wanted:                    {sre.WithMaxProbeInterval(1500 * time.Microsecond)},
		"sre: WithMaxProbeInterval(1.000000001s)" + wanted:             {sre.WithMaxProbeInterval(time.Second), sre.WithMaxProbeInterval(time.Second + 1)},
		"sre: WithMaxProbeInterval(1h0m0.001s)" + wanted:               {sre.WithMaxProbeInterval(time.Hour + time.Millisecond)},
		"sre: WithMaxProbeInterval(2562047h47m16.854775807s)" + wanted: {sre.WithMaxProbeInterval(math.MaxInt64)},

		"sre: WithMaxProbeInterval(899ms): want at least the 900ms of WithProbeInterval": {sre.WithMaxProbeInterval(899 * time.Millisecond)},
		"sre: WithMaxProbeInterval(2s): want at least the 3s of WithProbeInterval":       {sre.WithMaxProbeInterval(2 * time.Second), sre.WithProbeInterval(3 * time.Second)},
		"sre: WithProbeInterval(0s): want whole milliseconds in [10ms, 1m]":              {sre.WithProbeInterval(0)},
	} {
		for _, kind := range [][]sre.Option{nil, {sre.Classic()}} {
			require.PanicsWithValue(t, want, func() { sre.NewBreaker(append(kind, opts...)...) })
			b := sre.NewBreaker(kind...)
			require.PanicsWithValue(t, want, func() { b.Reconfigure(append(kind, opts...)...) })
		}
	}
	for _, opts := range [][]sre.Option{
		{sre.WithMaxProbeInterval(interval)},
		{sre.WithMaxProbeInterval(time.Hour)},
		{sre.WithMaxProbeInterval(10 * time.Millisecond), sre.WithProbeInterval(10 * time.Millisecond)},
		{sre.WithMaxProbeInterval(0), sre.WithMaxProbeInterval(time.Minute), sre.WithProbeInterval(time.Minute)},
	} {
		require.NotPanics(t, func() { sre.NewBreaker(opts...) })
	}
}

func TestMaxProbeInterval_ClassicDecidesAsWithoutIt(t *testing.T) {
	calls := func(opts ...sre.Option) (all []bool) {
		synctest.Test(t, func(*testing.T) {
			b := sre.NewBreaker(append(opts, sre.Classic(), sre.WithRandom(rand.New(rand.NewPCG(1, 2)).Float64))...)
			for range 30_000 {
				time.Sleep(10 * time.Millisecond)
				p, err := b.Acquire()
				if all = append(all, err == nil); err == nil {
					p.Done(breaker.Failure)
				}
			}
		})
		return all
	}
	require.Equal(t, calls(), calls(sre.WithMaxProbeInterval(time.Hour)))
}
