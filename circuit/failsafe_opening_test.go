package circuit_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The tests F01 to F40 say what users of failsafe-go find here: how a breaker
// opens in this file, the delay and the probes in failsafe_halfopen_test.go,
// events and results in failsafe_event_test.go, and the rest in
// failsafe_control_test.go.

// requireOpensAtEnd makes the calls of script, of which the last one and no
// other must open the breaker.
func requireOpensAtEnd(t *testing.T, script string, opts ...circuit.Option) {
	t.Helper()
	b := circuit.NewBreaker(opts...)
	makeCalls(t, b, script[:len(script)-1])
	requireStateOf(t, b, breaker.Closed, script)
	makeCalls(t, b, script[len(script)-1:])
	requireStateOf(t, b, breaker.Open, script)
}

// requireStaysClosed makes the calls of script, none of which may open the
// breaker.
func requireStaysClosed(t *testing.T, script string, opts ...circuit.Option) {
	t.Helper()
	b := circuit.NewBreaker(opts...)
	makeCalls(t, b, script)
	requireStateOf(t, b, breaker.Closed, script)
}

func TestF01_WithThresholdOneOneCallDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The defaults of failsafe-go; ours are those of mist-go, see M02.
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Minute))
		makeCalls(t, b, "SF")
		requireStateOf(t, b, breaker.Open)
		time.Sleep(time.Minute - time.Nanosecond)
		requireRejection(t, b, breaker.ReasonOpen)
		time.Sleep(time.Nanosecond)
		makeCalls(t, b, "S")
		requireStateOf(t, b, breaker.Closed)
	})
}

func TestF02_ThreeSuccessiveFailuresOpen(t *testing.T) {
	requireOpensAtEnd(t, "FSFFF", circuit.WithConsecutiveFailures(3))
}

func TestF03_ThreeFailuresOfTheLastFiveCallsOpen(t *testing.T) {
	requireOpensAtEnd(t, "SFSFF", circuit.WithFailureCount(3, 5))
	requireOpensAtEnd(t, "FSFSF", circuit.WithFailureCount(3, 5))
	requireStaysClosed(t, "FSSFSF", circuit.WithFailureCount(3, 5))
}

func TestF04_TheThirdFailureOpensThoughThereWereNotFiveCalls(t *testing.T) {
	requireOpensAtEnd(t, "FFF", circuit.WithFailureCount(3, 5))
}

func TestF05_ResultsOlderThanTheLastNCallsAreForgotten(t *testing.T) {
	requireStaysClosed(t, strings.Repeat("SF", 500), circuit.WithFailureCount(3, 4))
	requireOpensAtEnd(t, strings.Repeat("SF", 500)+"F", circuit.WithFailureCount(3, 4))
}

func TestF06_ThreeFailuresWithinAnyMinuteOpenWhateverSucceedsBetween(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration // between the second and the third failure
		want breaker.State
	}{
		{0, breaker.Open},
		{30*time.Second - time.Nanosecond, breaker.Open},
		{30 * time.Second, breaker.Closed},
		{61 * time.Second, breaker.Closed},
	} {
		t.Run(c.gap.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithFailuresInPeriod(3, time.Minute))
				time.Sleep(59 * time.Second) // the minute may begin at any time
				makeCalls(t, b, "FSSS")
				time.Sleep(30 * time.Second)
				makeCalls(t, b, "SSFSSS")
				time.Sleep(c.gap)
				makeCalls(t, b, "F")
				requireStateOf(t, b, c.want)
			})
		})
	}
}

func TestF07_TheRateCountsFromTheFifthCallOn(t *testing.T) {
	for name, rule := range map[string]circuit.Option{
		"percent": circuit.WithFailurePercent(20, 5, time.Minute),
		"ratio":   circuit.WithFailureRate(0.2, 5, time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			requireStaysClosed(t, "FFFF", rule)
			requireOpensAtEnd(t, "FFFFF", rule)
			requireOpensAtEnd(t, "SSSSF", rule) // 20 % are enough
			requireStaysClosed(t, "SSSSSF", rule)
			requireOpensAtEnd(t, "SSSSSSSSFF", rule)
		})
	}
}

func TestF08_ASuccessCanBeTheCallThatOpens(t *testing.T) {
	requireOpensAtEnd(t, "FFS", circuit.WithFailureRate(0.5, 3, time.Minute))
	requireOpensAtEnd(t, "FSSSS", circuit.WithFailurePercent(20, 5, time.Minute))
}

func TestF09_NinetyNineOfTwoHundredDoNotReachHalf(t *testing.T) {
	// The first 99 calls are too few, so the 200 decide as a whole.
	nearly := strings.Repeat("F", 99) + strings.Repeat("S", 101)
	half := strings.Repeat("F", 100) + strings.Repeat("S", 100)
	requireStaysClosed(t, nearly, circuit.WithFailureRate(0.5, 200, time.Minute))
	requireStaysClosed(t, nearly, circuit.WithFailurePercent(50, 200, time.Minute))
	requireOpensAtEnd(t, half, circuit.WithFailureRate(0.5, 200, time.Minute))
	requireOpensAtEnd(t, half, circuit.WithFailurePercent(50, 200, time.Minute))
	requireOpensAtEnd(t, nearly, circuit.WithFailureRate(0.495, 200, time.Minute))
}

func TestF10_PercentAndRatioAreTwoOptionsAndTakeNothingElse(t *testing.T) {
	for _, ratio := range []float64{0, -0.5, 1.01, 20, math.NaN(), math.Inf(1)} {
		require.PanicsWithValue(t, fmt.Sprintf("circuit: WithFailureRate(%v, 5, 1m0s): want a ratio in [0.000001, 1]", ratio),
			func() { circuit.NewBreaker(circuit.WithFailureRate(ratio, 5, time.Minute)) })
	}
	for _, percent := range []int{0, -1, 101} {
		require.PanicsWithValue(t, fmt.Sprintf("circuit: WithFailurePercent(%d, 5, 1m0s): want a number of percent in [1, 100]", percent),
			func() { circuit.NewBreaker(circuit.WithFailurePercent(percent, 5, time.Minute)) })
	}
}

func TestF11_AFailureIsForgottenAfterNineToTenTenthsOfThePeriod(t *testing.T) {
	for _, c := range []struct {
		failed, forgotten time.Duration // since the breaker was made
	}{
		{0, 10 * time.Second},
		{500 * time.Millisecond, 10 * time.Second},
		{time.Second - time.Nanosecond, 10 * time.Second},
		{time.Second, 11 * time.Second},
		{12*time.Second + 345*time.Millisecond, 22 * time.Second},
	} {
		t.Run(c.failed.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithFailureRate(1, 3, 10*time.Second))
				forgets := circuit.NewBreaker(circuit.WithFailureRate(1, 3, 10*time.Second))
				time.Sleep(c.failed)
				makeCalls(t, b, "FF")
				makeCalls(t, forgets, "FF")
				time.Sleep(c.forgotten - c.failed - time.Nanosecond)
				require.Equal(t, breaker.Window{Length: 10 * time.Second, Failure: 2}, b.Snapshot().Window)
				makeCalls(t, b, "F")
				requireStateOf(t, b, breaker.Open)
				time.Sleep(time.Nanosecond)
				makeCalls(t, forgets, "F")
				requireStateOf(t, forgets, breaker.Closed)
				require.Equal(t, breaker.Window{Length: 10 * time.Second, Failure: 1}, forgets.Snapshot().Window)
			})
		})
	}
}

func TestF12_AnIdleBreakerShowsAnEmptyWindow(t *testing.T) {
	for name, rule := range map[string]circuit.Option{
		"rate":     circuit.WithFailureRate(0.5, 10, time.Minute),
		"failures": circuit.WithFailuresInPeriod(10, time.Minute),
		"function": circuit.WithOpenWhen(time.Minute, func(circuit.Counts) bool { return false }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(rule)
				makeCalls(t, b, "SSSFF")
				require.Equal(t, breaker.Window{Length: time.Minute, Success: 3, Failure: 2}, b.Snapshot().Window)
				time.Sleep(time.Minute)
				require.Equal(t, breaker.Window{Length: time.Minute}, b.Snapshot().Window)
			})
		})
	}
}

func TestF13_ACallAllocatesNothingHoweverLargeTheThreshold(t *testing.T) {
	// How long it takes is BenchmarkFailed's matter.
	for name, rule := range map[string]func(n int) circuit.Option{
		"in a row": circuit.WithConsecutiveFailures,
		"of last":  func(n int) circuit.Option { return circuit.WithFailureCount(n, n) },
		"rate":     func(n int) circuit.Option { return circuit.WithFailureRate(1, n, time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{10, 100_000} {
				b := circuit.NewBreaker(rule(n))
				calls := func() {
					for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure} {
						p, err := b.Acquire()
						if err != nil {
							t.Fatal(err)
						}
						p.Done(o)
					}
				}
				for range n { // until it has seen as many as it looks at
					calls()
				}
				require.Zero(t, testing.AllocsPerRun(1000, calls))
			}
		})
	}
}

func TestF14_AnOpenBreakerRejectsWithoutRunning(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithFailureCount(2, 3))
	makeCalls(t, b, "FF")
	_, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) {
		t.Error("the function was called")
		return 1, nil
	})
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	require.EqualError(t, err, "circuit breaker rejected the call: open")
	require.Equal(t, breaker.Totals{Offered: 3, Allowed: 2, Rejected: 1, Failure: 2}, b.Snapshot().Totals)
}

func TestF40_ImpossibleOptionsAreMistakesAndRulesAddUp(t *testing.T) {
	for want, opts := range map[string][]circuit.Option{
		"circuit: WithFailureCount(0, 5): want a number of failures m in [1, 5]":                         {circuit.WithFailureCount(0, 5)},
		"circuit: WithFailureCount(6, 5): want a number of failures m in [1, 5]":                         {circuit.WithFailureCount(6, 5)},
		"circuit: WithConsecutiveFailures(0): want a number of calls in [1, 1000000]":                    {circuit.WithConsecutiveFailures(0)},
		"circuit: WithProbes(0, 2): want a number of successes in [1, 2]":                                {circuit.WithProbes(0, 2)},
		"circuit: WithProbes(3, 2): want a number of successes in [1, 2]":                                {circuit.WithProbes(3, 2)},
		"circuit: WithFailuresInPeriod(3, 9ns): want a period in [10ms, 24h]":                            {circuit.WithFailuresInPeriod(3, 9)},
		"circuit: WithFailuresInPeriod(0, 1m0s): want a number of failures in [1, 1000000]":              {circuit.WithFailuresInPeriod(0, time.Minute)},
		"circuit: WithFailureRate(0.5, 5, 9ns): want a period in [10ms, 24h]":                            {circuit.WithFailureRate(0.5, 5, 9)},
		"circuit: WithFailureRate(0.5, 0, 1m0s): want a number of calls in [1, 1000000000]":              {circuit.WithFailureRate(0.5, 0, time.Minute)},
		"circuit: WithProbesAsInClosed and WithProbes contradict each other":                             {circuit.WithProbesAsInClosed(), circuit.WithProbes(1, 2)},
		"circuit: WithProbesAsInClosed: want exactly one opening rule, and no WithOpenWhen":              {circuit.WithProbesAsInClosed(), circuit.WithConsecutiveFailures(1), circuit.WithFailureCount(1, 2)},
		"circuit: WithProbeLimit(3): want at most 2, all probes of WithProbes(1, 2)":                     {circuit.WithProbes(1, 2), circuit.WithProbeLimit(3)},
		"circuit: WithProbeFailures(2): want at most 1, with which WithProbes(2, 2) can no longer close": {circuit.WithProbes(2, 2), circuit.WithProbeFailures(2)},
	} {
		require.PanicsWithValue(t, want, func() { circuit.NewBreaker(opts...) })
	}
	// A later rule replaces no earlier one: each of them opens the breaker.
	both := []circuit.Option{circuit.WithFailuresInPeriod(3, time.Minute), circuit.WithConsecutiveFailures(2)}
	requireOpensAtEnd(t, "FSFSF", both...)
	requireOpensAtEnd(t, "FF", both...)
}
