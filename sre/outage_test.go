package sre_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// atEachRate runs f over a thousandfold range of loads.
func atEachRate(t *testing.T, f func(t *testing.T, tr *traffic), opts ...sre.Option) {
	for _, rate := range []float64{10, 100, 1000, 10_000} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) { inTraffic(t, rate, 1, f, opts...) })
	}
}

// opening returns when the first call was rejected.
func opening(t *testing.T, calls []call, from time.Duration) time.Duration {
	i := slices.IndexFunc(calls, func(c call) bool { return !c.allowed })
	require.GreaterOrEqual(t, i, 0, "no call was rejected")
	return calls[i].at - from
}

// recovery returns when the last call was rejected.
func recovery(calls []call, from time.Duration) (at time.Duration) {
	for _, c := range calls {
		if !c.allowed {
			at = c.at - from
		}
	}
	return at
}

// requireProbes requires that the allowed calls are probes: at least 100 ms
// apart, and 0.5 to 2 per second.
func requireProbes(t *testing.T, calls []call, d time.Duration) {
	last := -time.Second
	for _, c := range calls {
		if c.allowed {
			require.GreaterOrEqual(t, c.at-last, 100*time.Millisecond)
			last = c.at
		}
	}
	perSecond := allowed(calls) / d.Seconds()
	require.GreaterOrEqual(t, perSecond, 0.5)
	require.LessOrEqual(t, perSecond, 2.0)
}

func TestOutage_IsSeenSoonAndThenProbed(t *testing.T) {
	atEachRate(t, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
		from := tr.now
		calls := tr.during(20*time.Second, down)
		opened := opening(t, calls, from)
		if tr.rate < 100 {
			require.LessOrEqual(t, opened, 2*time.Second)
		} else {
			require.LessOrEqual(t, opened, 500*time.Millisecond)
		}
		// From the first rejection on, there are only probes, at most one every
		// 128 ms in the first second and one every 765 ms later.
		after := between(calls, from+opened, tr.now)
		require.LessOrEqual(t, allowed(between(after, 0, from+opened+time.Second)), 8.0)
		requireProbes(t, after, tr.now-from-opened)
		s := tr.b.Snapshot()
		require.Equal(t, breaker.Open, s.State)
		require.EqualValues(t, 1, s.RejectRatio)
		require.Regexp(t, `^\d+ failures in a row$`, s.Cause)
	})
}

func TestOutage_OfManyMinutesIsStillProbed(t *testing.T) {
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		tr.during(10*time.Minute, down)
		requireProbes(t, tr.during(time.Minute, down), time.Minute)
		from := tr.now
		require.LessOrEqual(t, recovery(tr.during(10*time.Second, up), from), 2*time.Second)
	})
}

func TestOutage_AllCallsAreServedSoonAfterIt(t *testing.T) {
	for _, rate := range []float64{10, 100, 1000, 10_000} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			var times []time.Duration
			for seed := range uint64(5) {
				inTraffic(t, rate, seed, func(t *testing.T, tr *traffic) {
					tr.during(3*time.Second, up)
					tr.during(4*time.Second+time.Duration(seed)*170*time.Millisecond, down)
					from := tr.now
					times = append(times, recovery(tr.during(4*time.Second, up), from))
					s := tr.b.Snapshot()
					require.Equal(t, breaker.Closed, s.State)
					require.Zero(t, s.RejectRatio)
					require.Equal(t, "nothing is rejected any more", s.Cause)
				})
			}
			slices.Sort(times)
			// The probe alone may come 1.04 s after the end of the outage, which
			// with few calls waits for one.
			require.LessOrEqual(t, times[2], 1500*time.Millisecond, "%v", times)
			require.LessOrEqual(t, times[4], 2500*time.Millisecond, "%v", times)
		})
	}
}

// TestOutage_TheLoadGrowsExponentiallyAfterIt counts the calls of each round
// trip of 50 ms, of 500 calls, from the success of the probe on.
func TestOutage_TheLoadGrowsExponentiallyAfterIt(t *testing.T) {
	const trip = 50 * time.Millisecond
	slow := func(time.Duration, float64) (bool, time.Duration) { return true, trip }
	inTraffic(t, 10_000, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, slow)
		tr.during(10*time.Second, down)
		calls := tr.during(5*time.Second, slow)
		probe := slices.IndexFunc(calls, func(c call) bool { return c.ok })
		healed := calls[probe].at + trip
		var trips []float64
		for at := healed; at < healed+20*trip; at += trip {
			trips = append(trips, allowed(between(calls, at, at+trip)))
		}
		// No herd: the pace after a probe is three calls a round, and a probe may come besides.
		require.LessOrEqual(t, trips[0], 4.0, "%v", trips)
		// What has arrived sets the pace, so it takes two trips to treble.
		for i := 2; i < len(trips) && trips[i-2] < 100; i++ {
			require.GreaterOrEqual(t, trips[i], 2*trips[i-2], "%v", trips)
			require.LessOrEqual(t, trips[i], 10*max(1, trips[i-2]), "%v", trips)
		}
		require.GreaterOrEqual(t, trips[15], 400.0, "%v", trips)
	})
}

func TestBlip_CostsLessThanASecondOfTraffic(t *testing.T) {
	for _, rate := range []float64{100, 1000, 10_000} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			var lost []float64
			for seed := range uint64(5) {
				inTraffic(t, rate, seed, func(t *testing.T, tr *traffic) {
					tr.during(3*time.Second, up)
					tr.during(2*time.Second, down)
					lost = append(lost, rejections(tr.during(4*time.Second, up))/rate)
					require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
				})
			}
			slices.Sort(lost)
			require.LessOrEqual(t, lost[2], 0.9, "%v", lost)
		})
	}
}

// TestBlip_ThatIsOverBeforeAProbeIsNotNoticed makes fewer than 100 calls fail
// within less than 140 ms.
func TestBlip_ThatIsOverBeforeAProbeIsNotNoticed(t *testing.T) {
	inTraffic(t, 500, 1, func(t *testing.T, tr *traffic) {
		tr.regular = true
		tr.during(5*time.Second, up)
		for range 5 {
			require.InDelta(t, 60, float64(len(tr.during(120*time.Millisecond, down))), 1)
			tr.during(2*time.Second, up)
		}
		require.Zero(t, rejections(tr.calls))
	})
}

func TestFlapping_NearlyAllOfTheGoodTimesIsServed(t *testing.T) {
	atEachRate(t, func(t *testing.T, tr *traffic) {
		good, total := 0.0, 0.0
		for range 4 {
			calls := tr.during(5*time.Second, up)
			good += served(calls)
			total += float64(len(calls))
			tr.during(5*time.Second, down)
		}
		require.GreaterOrEqual(t, good/total, 0.8)
	})
}

// mostFailures returns how many calls fail at most in the first 10 s of an outage:
// 13 in any case, those of 0.14 s if that is more, and 100 if it does not take
// that long; those in flight when it begins, for 10 ms, and when it is seen; and
// 18 probes.
func mostFailures(rate float64) float64 { return max(13, min(100, 0.18*rate)) + 0.02*rate + 18 }

func TestColdStart_ABackendThatIsDeadAtTheFirstCallIsSeen(t *testing.T) {
	atEachRate(t, func(t *testing.T, tr *traffic) {
		calls := tr.during(10*time.Second, down)
		require.LessOrEqual(t, allowed(calls), mostFailures(tr.rate))
		require.Equal(t, breaker.Open, tr.b.Snapshot().State)
	})
}

func TestIdleMinute_ABackendThatIsDeadAfterItIsSeen(t *testing.T) {
	for _, before := range []struct {
		name string
		backend
	}{{"well", up}, {"dead", down}} {
		t.Run(before.name+" before", func(t *testing.T) {
			atEachRate(t, func(t *testing.T, tr *traffic) {
				tr.during(10*time.Second, before.backend)
				tr.silence(62 * time.Second)
				require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
				require.Zero(t, tr.b.Snapshot().RejectRatio)
				calls := tr.during(10*time.Second, down)
				require.LessOrEqual(t, allowed(calls), mostFailures(tr.rate))
				require.Equal(t, breaker.Open, tr.b.Snapshot().State)
				from := tr.now
				require.LessOrEqual(t, recovery(tr.during(5*time.Second, up), from), 2500*time.Millisecond)
			})
		})
	}
}

// TestIdleMinute_AnOpenBreakerThatNobodyCallsIsIdle lets the traffic stop during
// an outage. The minute counts from the last probe, up to a second earlier.
func TestIdleMinute_AnOpenBreakerThatNobodyCallsIsIdle(t *testing.T) {
	var events []breaker.Event
	inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
		tr.during(5*time.Second, up)
		calls := tr.during(10*time.Second, down)
		probe := time.Duration(0)
		for _, c := range calls {
			if c.allowed {
				probe = c.at + c.took
			}
		}
		tr.silence(probe + time.Minute - tr.now)
		require.False(t, tr.b.Idle())
		require.Equal(t, breaker.Open, tr.b.Snapshot().State)
		tr.silence(1)
		require.True(t, tr.b.Idle())
		for range 2 { // looking changes nothing
			s := tr.b.Snapshot()
			require.Equal(t, breaker.Closed, s.State)
			require.Zero(t, s.RejectRatio)
			require.WithinDuration(t, time.Now(), s.Since, 1)
			require.Len(t, events, 1)
			tr.silence(0)
		}
		tr.silence(time.Hour)
		require.True(t, tr.b.Idle())
		require.WithinDuration(t, time.Now().Add(-time.Hour), tr.b.Snapshot().Since, 1)
		require.Zero(t, rejections(tr.during(5*time.Second, up)))
		require.Len(t, events, 2)
		require.Equal(t, breaker.Closed, events[1].To)
		require.Equal(t, "no call for a minute", events[1].Cause)
	}, sre.WithListener(func(e breaker.Event) { events = append(events, e) }))
}

// TestProbeInterval_SetsHowOftenAnOutageIsProbed gives the whole range. Five
// standard deviations of a mean of n probes, each even within 15 %, are below
// 0.44/√n of it; and each waits for the next call, up to 50 ms on average here.
func TestProbeInterval_SetsHowOftenAnOutageIsProbed(t *testing.T) {
	for _, interval := range []time.Duration{100 * time.Millisecond, 3 * time.Second, 20 * time.Second, time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			inTraffic(t, 100, 1, func(t *testing.T, tr *traffic) {
				tr.during(5*time.Second, up)
				tr.during(2*interval+2*time.Second, down)
				for range 40 {
					tr.during(interval, down)
					require.Equal(t, breaker.Open, tr.b.Snapshot().State)
				}
				calls := between(tr.calls, tr.now-40*interval, tr.now)
				last := time.Duration(-1)
				for _, c := range calls {
					if c.allowed {
						if last >= 0 {
							require.GreaterOrEqual(t, c.at-last, interval*85/100)
							require.LessOrEqual(t, c.at-last, interval*115/100+150*time.Millisecond)
						}
						last = c.at
					}
				}
				require.InDelta(t, 40, allowed(calls), 6)
			}, sre.WithProbeInterval(interval))
		})
	}
}

// TestOutage_EndsWhateverTheWindowIs gives shapes of the window that no default
// was made for.
func TestOutage_EndsWhateverTheWindowIs(t *testing.T) {
	for name, opts := range map[string][]sre.Option{
		"one bucket":       {sre.WithBucket(1)},
		"two buckets":      {sre.WithBucket(2)},
		"three buckets":    {sre.WithBucket(3)},
		"a hundred":        {sre.WithBucket(100)},
		"a window of 0.1s": {sre.WithWindow(100 * time.Millisecond)},
		"a window of 1s":   {sre.WithWindow(time.Second)},
		"a window of 10s":  {sre.WithWindow(10 * time.Second)},
		"a window of 10m":  {sre.WithWindow(10 * time.Minute)},
		"a window of 1h":   {sre.WithWindow(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			inTraffic(t, 1000, 1, func(t *testing.T, tr *traffic) {
				tr.during(5*time.Second, up)
				from := tr.now
				calls := tr.during(10*time.Second, down)
				require.LessOrEqual(t, opening(t, calls, from), 500*time.Millisecond)
				from = tr.now
				calls = tr.during(10*time.Second, up)
				require.LessOrEqual(t, recovery(calls, from), 3*time.Second, "%.0f of %d were rejected", rejections(calls), len(calls))
				require.Equal(t, breaker.Closed, tr.b.Snapshot().State)
			}, opts...)
		})
	}
}
