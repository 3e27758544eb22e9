package sre

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// begin is when the tests begin: late, so that nothing is 0 by chance.
const begin = 100 * sec

// The random numbers of the tests.
func lowest() float64  { return 0 }
func middle() float64  { return 0.5 }
func highest() float64 { return math.Nextafter(1, 0) }

// decides returns the decision of a breaker with the defaults, which a failure
// was told of at begin.
func decides(opts ...Option) *decision {
	d := NewBreaker(opts...).newDecision()
	d.heard = begin
	return &d
}

// failInRow makes n calls fail, the first at begin and the others at now.
func (d *decision) failInRow(n int, now int64, w ledger.Counts) {
	d.streak = failures{from: begin}
	for i := range n {
		at := now
		if i == 0 {
			at = begin
		}
		w.Failure++
		d.fail(at, w, middle)
	}
}

// wentDown returns a decision that has just come to down.
func wentDown(opts ...Option) (d *decision, now int64) {
	d = decides(opts...)
	d.failInRow(minStreak, begin+minSilence, ledger.Counts{})
	return d, begin + minSilence
}

func TestDown_NeedsALongStreakAndASilence(t *testing.T) {
	for _, c := range []struct {
		n       int
		silence int64
		flight  uint64
		want    phase
	}{
		{13, 140 * ms, 0, down},
		{13, 140*ms - 1, 0, calm},
		{12, 140 * ms, 0, calm},
		{12, 10 * sec, 0, calm}, // with no success before it, a third is taken for failing
		{99, 0, 0, calm},
		{100, 0, 0, down},
		{109, 139 * ms, 10, calm},
		{110, 139 * ms, 10, down},
	} {
		d := decides()
		d.streak = failures{from: begin, flight: c.flight}
		for i := range c.n {
			require.Equal(t, calm, d.phase)
			d.fail(begin+c.silence, ledger.Counts{Failure: uint64(i + 1)}, middle)
		}
		require.Equal(t, c.want, d.phase, "%+v", c)
		if c.want == down {
			require.Equal(t, fmt.Sprintf("%d failures in a row", c.n), d.cause)
			require.EqualValues(t, 1, d.rejects())
		} else {
			require.Zero(t, d.rejects())
		}
	}
}

// TestDown_NeedsAStreakThatIsNoCoincidence: of 203 calls, 101 had failed; 1 in
// 754 000 streaks of 19 and 1 in 1.5 million of 20 is by chance.
func TestDown_NeedsAStreakThatIsNoCoincidence(t *testing.T) {
	before := ledger.Counts{Success: 100, Failure: 100}
	d := decides()
	d.failInRow(19, begin+sec, before)
	require.Equal(t, calm, d.phase)
	d = decides()
	d.failInRow(20, begin+sec, before)
	require.Equal(t, down, d.phase)
}

func TestDown_FewFailuresAreEnoughAfterHalfAWindowIfThereWereManySuccesses(t *testing.T) {
	for _, c := range []struct {
		n       int
		silence int64
		success uint64
		want    phase
	}{
		{3, 1500 * ms, 98, down}, // (1/101)^3 is less than 1 in a million
		{3, 1500 * ms, 96, calm},
		{3, 1500*ms - 1, 1000, calm},
		{2, 1500 * ms, 1_000_000, calm},
		{5, 1500 * ms, 13, down},
		{5, 1500 * ms, 12, calm},
	} {
		d := decides()
		d.failInRow(c.n, begin+c.silence, ledger.Counts{Success: c.success})
		require.Equal(t, c.want, d.phase, "%+v", c)
	}
}

func TestDown_ProbesComeAtIntervalsThatVary(t *testing.T) {
	for _, c := range []struct {
		random    func() float64
		young, be time.Duration
	}{
		{lowest, 476 * time.Millisecond, 765 * time.Millisecond},
		{middle, 560 * time.Millisecond, 900 * time.Millisecond},
		{highest, 644 * time.Millisecond, 1035 * time.Millisecond},
	} {
		d, now := wentDown()
		d.plan(now, c.random)
		require.InDelta(t, int64(c.young), d.nextProbe-now, 1, "four times the 140 ms so far")
		now += 10 * sec
		d.plan(now, c.random)
		require.InDelta(t, int64(c.be), d.nextProbe-now, 1)
	}
	d, _ := wentDown()
	d.plan(d.streak.from, middle)
	require.EqualValues(t, 150*ms, d.nextProbe-d.streak.from, "not sooner")
	d, now := wentDown(WithProbeInterval(10 * time.Millisecond))
	d.plan(now, middle)
	require.EqualValues(t, 10*ms, d.nextProbe-now, "but as often as one asks for")
}

func TestDown_OnlyProbesAreAllowed(t *testing.T) {
	d, now := wentDown()
	for range 20 {
		require.Greater(t, d.nextProbe, now)
		require.False(t, d.ask(d.nextProbe-1, middle))
		now = d.nextProbe
		require.True(t, d.ask(now, middle))
		require.False(t, d.ask(now, middle))
		d.fail(now+ms, ledger.Counts{}, middle)
		require.Equal(t, down, d.phase)
	}
}

func TestDown_EndsWithTheSuccessOfAProbe(t *testing.T) {
	d, now := wentDown()
	d.succeed(now, 0, middle)
	require.Equal(t, down, d.phase, "the call began before the outage")
	now = d.nextProbe
	require.True(t, d.ask(now, middle))
	d.succeed(now, 0, middle)
	require.Equal(t, shedding, d.phase)
	require.Equal(t, "a probe succeeded", d.cause)
	require.True(t, d.pure)
	require.EqualValues(t, 1, d.rejects(), "as long as nobody has asked")
	for range 3 {
		require.True(t, d.ask(now, middle))
	}
	require.False(t, d.ask(now, middle))
}

func TestShedding_ASuccessEarnsCalls(t *testing.T) {
	d := decides()
	d.rate = 100.0 / float64(sec) // 20 calls in the time that can be hoarded
	d.shed(begin, "", true)
	require.InDelta(t, 3, d.credit, 0)
	d.succeed(begin, 0, middle)
	require.InDelta(t, 6, d.credit, 1e-9)
	d.fail(begin, ledger.Counts{}, middle)
	require.InDelta(t, 6, d.credit, 1e-9, "a failure costs nothing but what it would have earned")
	d.succeed(begin, 0, middle)
	require.InDelta(t, 7.15, d.credit, 1e-9)
	for range 100 {
		d.succeed(begin, 0, middle)
	}
	require.InDelta(t, 21, d.credit, 1e-9)
}

func TestShedding_LateFailuresOfTheOutageDoNotSlowTheLoadDown(t *testing.T) {
	d, now := wentDown()
	now = max(now, d.nextProbe)
	require.True(t, d.ask(now, middle))
	d.succeed(now, 2, middle)
	d.fail(now, ledger.Counts{}, middle)
	d.fail(now, ledger.Counts{}, middle)
	require.True(t, d.pure)
	d.fail(now, ledger.Counts{}, middle)
	require.False(t, d.pure)
}

func TestShedding_ARowOfSuccessesEarnsMuchAgain(t *testing.T) {
	d := decides()
	d.shed(begin, "", false)
	for range pureAgain - 1 {
		d.succeed(begin, 0, middle)
	}
	require.False(t, d.pure)
	d.fail(begin, ledger.Counts{}, middle)
	for range pureAgain - 1 {
		d.succeed(begin, 0, middle)
	}
	require.False(t, d.pure, "a failure came in between")
	d.succeed(begin, 0, middle)
	require.True(t, d.pure)
}

func TestShedding_EarnedCallsAreSpreadOverTime(t *testing.T) {
	for _, c := range []struct {
		credit, draw float64
		want         bool
	}{
		{3, 0.29, true}, {3, 0.31, false}, {10, 0.99, true}, {0.99, 0, false},
	} {
		d := decides()
		d.rate = 200.0 / float64(sec) // 10 in 50 ms
		d.shed(begin, "", true)
		d.credit, d.nextProbe = c.credit, begin+sec
		require.Equal(t, c.want, d.ask(begin, func() float64 { return c.draw }), "%+v", c)
		if c.want {
			require.InDelta(t, c.credit-1, d.credit, 1e-9)
		} else {
			require.InDelta(t, c.credit, d.credit, 0)
		}
	}
}

func TestShedding_WithoutCreditACallIsAProbe(t *testing.T) {
	for _, c := range []struct {
		served float64 // per second
		wait   int64
	}{{0, 900 * ms}, {1, 900 * ms}, {10, 300 * ms}, {1000, 3 * ms}} {
		d := decides()
		d.served = c.served / float64(sec)
		d.shed(begin, "", true)
		d.credit, d.pure = 0, false
		require.True(t, d.ask(begin, middle))
		require.False(t, d.ask(begin+c.wait-2, middle))
		require.True(t, d.ask(begin+c.wait+2, middle))
	}
}

// TestShedding_OfABackendThatIsNotDownProbesItRarely: ten probes in ten seconds
// are as many calls as a backend can do that serves one a second.
func TestShedding_OfABackendThatIsNotDownProbesItRarely(t *testing.T) {
	for _, c := range []struct {
		served float64 // per second
		wait   int64
	}{{0, 900 * ms}, {0.1, 2700 * ms}, {1, 2700 * ms}, {2, 1500 * ms}, {10, 300 * ms}} {
		d := decides()
		d.served = c.served / float64(sec)
		d.shed(begin, "", false)
		d.credit = 0
		require.True(t, d.ask(begin, middle))
		for at := begin + 100*ms; at < begin+c.wait-2; at += 100 * ms {
			require.False(t, d.ask(at, middle), "%+v", c)
		}
		require.False(t, d.ask(begin+c.wait-2, middle), "%+v", c)
		require.True(t, d.ask(begin+c.wait+2, middle), "%+v", c)
	}
}

func TestShedding_EndsWhenNothingWasRejectedForAWhile(t *testing.T) {
	for _, c := range []struct {
		pure bool
		wait int64
	}{{true, 500 * ms}, {false, 1500 * ms}} {
		d := decides()
		d.shed(begin, "", c.pure)
		d.credit = 100
		require.True(t, d.ask(begin+c.wait, middle))
		require.Equal(t, shedding, d.phase)
		require.True(t, d.ask(begin+c.wait+1, middle))
		require.Equal(t, calm, d.phase)
		require.Equal(t, "nothing is rejected any more", d.cause)

		d.shed(begin, "", c.pure)
		d.credit, d.nextProbe = 0, begin+9*sec
		require.False(t, d.ask(begin+400*ms, middle))
		d.credit = 1
		require.True(t, d.ask(begin+400*ms+c.wait, middle))
		require.Equal(t, shedding, d.phase, "the while counts from the last rejection")
	}
}

func TestShedding_TellsTheShareThatItRejects(t *testing.T) {
	d := decides()
	d.shed(begin, "", false)
	d.memory = stretch{asked: 60, allowed: 30}
	d.now = stretch{asked: 40, allowed: 10}
	require.InDelta(t, 0.6, d.rejects(), 1e-9)
	d.now.allowed = 70
	require.InDelta(t, 0.01, d.rejects(), 1e-9, "it is still open")
}

func TestForget_AMinuteWithoutACallIsTheEndOfAnyPhase(t *testing.T) {
	for _, p := range []phase{trial, shedding, down} {
		d := decides()
		d.become(p, begin, "")
		d.nextProbe = begin + forget
		require.Equal(t, p, d.phaseAt(begin+60*sec))
		require.Equal(t, calm, d.phaseAt(begin+60*sec+1))
		require.Equal(t, p, d.phase, "looking changes nothing")
		require.True(t, d.ask(begin+60*sec+1, highest))
		require.Equal(t, calm, d.phase)
		require.Equal(t, "no call for a minute", d.cause)
	}
}

// TestDecision_NeverLosesItsMind makes random histories, and requires of each
// step what no history may break.
func TestDecision_NeverLosesItsMind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := decides()
		now, last, success := begin, int64(-1), uint64(0)
		random := func() float64 { return rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "random") }
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now += rapid.SampledFrom([]int64{1, ms, 50 * ms, 300 * ms, 2 * sec, 70 * sec}).Draw(t, "by")
			},
			"fail": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{1, 13, 120}).Draw(t, "times")
				for range n {
					if !d.inStreak(success) {
						d.streak = failures{from: now, after: success}
					}
					d.fail(now, ledger.Counts{Failure: d.streak.n + 1}, random)
				}
			},
			"succeed": func(t *rapid.T) {
				success++
				if d.phase != calm {
					d.succeed(now, 0, random)
				}
			},
			"look": func(t *rapid.T) {
				d.lookAt(now, rapid.Uint64Range(0, 50).Draw(t, "success"), rapid.Uint64Range(0, 50).Draw(t, "failure"))
			},
			"ask": func(t *rapid.T) {
				was := d.phaseAt(now)
				if d.phase == calm {
					return
				}
				early := now < d.nextProbe
				allowed := d.ask(now, random)
				switch was {
				case calm:
					require.True(t, allowed)
				case down:
					require.Equal(t, !early, allowed)
					if allowed && last >= 0 {
						require.GreaterOrEqual(t, now-last, 127*ms, "two probes")
					}
				}
				last = -1
				if d.phase == down && allowed {
					last = now
				}
			},
			"": func(t *rapid.T) {
				require.GreaterOrEqual(t, d.credit, 0.0)
				require.GreaterOrEqual(t, d.rejects(), 0.0)
				require.LessOrEqual(t, d.rejects(), 1.0)
				require.False(t, math.IsNaN(d.rejects()+d.credit+d.rate+d.served))
				if d.phase == calm {
					require.Zero(t, d.rejects())
				} else {
					require.NotEmpty(t, d.cause)
				}
				if d.phase == down {
					require.LessOrEqual(t, d.nextProbe-d.heard, 1036*ms)
				} else {
					last = -1
				}
			},
		})
	})
}

func (p phase) String() string { return [...]string{"calm", "trial", "shedding", "down"}[p] }
