package circuit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

const (
	justBelow10ms = 10*time.Millisecond - time.Nanosecond
	aDay          = 24 * time.Hour
	justAboveADay = aDay + time.Nanosecond
)

func never(circuit.Counts) bool { return false }

// badOptions are options with impossible values, and what NewBreaker or the
// option itself panics with.
var badOptions = []struct {
	make func() []circuit.Option
	want string
}{
	{one(circuit.WithConsecutiveFailures, 0), "WithConsecutiveFailures(0): want a number of calls in [1, 1000000]"},
	{one(circuit.WithConsecutiveFailures, -1), "WithConsecutiveFailures(-1): want a number of calls in [1, 1000000]"},
	{one(circuit.WithConsecutiveFailures, 1_000_001), "WithConsecutiveFailures(1000001): want a number of calls in [1, 1000000]"},

	{two(circuit.WithFailureCount, 1, 0), "WithFailureCount(1, 0): want a number of calls n in [1, 1000000]"},
	{two(circuit.WithFailureCount, 1, -1), "WithFailureCount(1, -1): want a number of calls n in [1, 1000000]"},
	{two(circuit.WithFailureCount, 1, 1_000_001), "WithFailureCount(1, 1000001): want a number of calls n in [1, 1000000]"},
	{two(circuit.WithFailureCount, 0, 5), "WithFailureCount(0, 5): want a number of failures m in [1, 5]"},
	{two(circuit.WithFailureCount, -1, 5), "WithFailureCount(-1, 5): want a number of failures m in [1, 5]"},
	{two(circuit.WithFailureCount, 6, 5), "WithFailureCount(6, 5): want a number of failures m in [1, 5]"},

	{two(circuit.WithFailuresInPeriod, 0, time.Second), "WithFailuresInPeriod(0, 1s): want a number of failures in [1, 1000000]"},
	{two(circuit.WithFailuresInPeriod, -1, time.Second), "WithFailuresInPeriod(-1, 1s): want a number of failures in [1, 1000000]"},
	{two(circuit.WithFailuresInPeriod, 1_000_001, time.Second), "WithFailuresInPeriod(1000001, 1s): want a number of failures in [1, 1000000]"},
	{two(circuit.WithFailuresInPeriod, 1, time.Duration(0)), "WithFailuresInPeriod(1, 0s): want a period in [10ms, 24h]"},
	{two(circuit.WithFailuresInPeriod, 1, -time.Second), "WithFailuresInPeriod(1, -1s): want a period in [10ms, 24h]"},
	{two(circuit.WithFailuresInPeriod, 1, justBelow10ms), "WithFailuresInPeriod(1, 9.999999ms): want a period in [10ms, 24h]"},
	{two(circuit.WithFailuresInPeriod, 1, justAboveADay), "WithFailuresInPeriod(1, 24h0m0.000000001s): want a period in [10ms, 24h]"},

	{rate(math.NaN(), 1, time.Second), "WithFailureRate(NaN, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(math.Inf(1), 1, time.Second), "WithFailureRate(+Inf, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(math.Inf(-1), 1, time.Second), "WithFailureRate(-Inf, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(0, 1, time.Second), "WithFailureRate(0, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(-0.5, 1, time.Second), "WithFailureRate(-0.5, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(9e-7, 1, time.Second), "WithFailureRate(9e-07, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(math.Nextafter(1, 2), 1, time.Second), "WithFailureRate(1.0000000000000002, 1, 1s): want a ratio in [0.000001, 1]"},
	{rate(20, 5, time.Minute), "WithFailureRate(20, 5, 1m0s): want a ratio in [0.000001, 1]"},
	{rate(0.5, 0, time.Second), "WithFailureRate(0.5, 0, 1s): want a number of calls in [1, 1000000000]"},
	{rate(0.5, -1, time.Second), "WithFailureRate(0.5, -1, 1s): want a number of calls in [1, 1000000000]"},
	{rate(0.5, 1_000_000_001, time.Second), "WithFailureRate(0.5, 1000000001, 1s): want a number of calls in [1, 1000000000]"},
	{rate(0.5, 1, 0), "WithFailureRate(0.5, 1, 0s): want a period in [10ms, 24h]"},
	{rate(0.5, 1, -time.Second), "WithFailureRate(0.5, 1, -1s): want a period in [10ms, 24h]"},
	{rate(0.5, 1, justBelow10ms), "WithFailureRate(0.5, 1, 9.999999ms): want a period in [10ms, 24h]"},
	{rate(0.5, 1, justAboveADay), "WithFailureRate(0.5, 1, 24h0m0.000000001s): want a period in [10ms, 24h]"},

	{percent(0, 1, time.Second), "WithFailurePercent(0, 1, 1s): want a number of percent in [1, 100]"},
	{percent(-1, 1, time.Second), "WithFailurePercent(-1, 1, 1s): want a number of percent in [1, 100]"},
	{percent(101, 1, time.Second), "WithFailurePercent(101, 1, 1s): want a number of percent in [1, 100]"},
	{percent(50, 0, time.Second), "WithFailurePercent(50, 0, 1s): want a number of calls in [1, 1000000000]"},
	{percent(50, 1_000_000_001, time.Second), "WithFailurePercent(50, 1000000001, 1s): want a number of calls in [1, 1000000000]"},
	{percent(50, 1, justBelow10ms), "WithFailurePercent(50, 1, 9.999999ms): want a period in [10ms, 24h]"},
	{percent(50, 1, justAboveADay), "WithFailurePercent(50, 1, 24h0m0.000000001s): want a period in [10ms, 24h]"},

	{slow(0, 0.5, 1, time.Second), "WithSlowCallRate(0s, 0.5, 1, 1s): want a threshold in (0, 24h]"},
	{slow(-1, 0.5, 1, time.Second), "WithSlowCallRate(-1ns, 0.5, 1, 1s): want a threshold in (0, 24h]"},
	{slow(justAboveADay, 0.5, 1, time.Second), "WithSlowCallRate(24h0m0.000000001s, 0.5, 1, 1s): want a threshold in (0, 24h]"},
	{slow(time.Second, math.NaN(), 1, time.Second), "WithSlowCallRate(1s, NaN, 1, 1s): want a ratio in [0.000001, 1]"},
	{slow(time.Second, 0, 1, time.Second), "WithSlowCallRate(1s, 0, 1, 1s): want a ratio in [0.000001, 1]"},
	{slow(time.Second, 1.5, 1, time.Second), "WithSlowCallRate(1s, 1.5, 1, 1s): want a ratio in [0.000001, 1]"},
	{slow(time.Second, 0.5, 0, time.Second), "WithSlowCallRate(1s, 0.5, 0, 1s): want a number of calls in [1, 1000000000]"},
	{slow(time.Second, 0.5, 1, justBelow10ms), "WithSlowCallRate(1s, 0.5, 1, 9.999999ms): want a period in [10ms, 24h]"},
	{slow(time.Second, 0.5, 1, justAboveADay), "WithSlowCallRate(1s, 0.5, 1, 24h0m0.000000001s): want a period in [10ms, 24h]"},

	{two(circuit.WithOpenWhen, time.Second, (func(circuit.Counts) bool)(nil)), "WithOpenWhen: the function is nil"},
	{two(circuit.WithOpenWhen, -time.Second, never), "WithOpenWhen(-1s, func): want a period in [10ms, 24h]"},
	{two(circuit.WithOpenWhen, time.Nanosecond, never), "WithOpenWhen(1ns, func): want a period in [10ms, 24h]"},
	{two(circuit.WithOpenWhen, justBelow10ms, never), "WithOpenWhen(9.999999ms, func): want a period in [10ms, 24h]"},
	{two(circuit.WithOpenWhen, justAboveADay, never), "WithOpenWhen(24h0m0.000000001s, func): want a period in [10ms, 24h]"},

	{two(circuit.WithProbes, 1, 0), "WithProbes(1, 0): want a number of probes in [1, 1000000]"},
	{two(circuit.WithProbes, 1, -1), "WithProbes(1, -1): want a number of probes in [1, 1000000]"},
	{two(circuit.WithProbes, 1, 1_000_001), "WithProbes(1, 1000001): want a number of probes in [1, 1000000]"},
	{two(circuit.WithProbes, 0, 5), "WithProbes(0, 5): want a number of successes in [1, 5]"},
	{two(circuit.WithProbes, -1, 5), "WithProbes(-1, 5): want a number of successes in [1, 5]"},
	{two(circuit.WithProbes, 6, 5), "WithProbes(6, 5): want a number of successes in [1, 5]"},

	{one(circuit.WithProbeLimit, 0), "WithProbeLimit(0): want a number of probes of at least 1"},
	{one(circuit.WithProbeLimit, -1), "WithProbeLimit(-1): want a number of probes of at least 1"},
	{one(circuit.WithProbeLimit, 2), "WithProbeLimit(2): want at most 1, all probes of WithProbes(1, 1)"},
	{one(circuit.WithProbeFailures, 0), "WithProbeFailures(0): want a number of probes of at least 1"},
	{one(circuit.WithProbeFailures, -1), "WithProbeFailures(-1): want a number of probes of at least 1"},
	{one(circuit.WithProbeFailures, 2), "WithProbeFailures(2): want at most 1, with which WithProbes(1, 1) can no longer close"},

	{one(circuit.WithProbeLease, time.Duration(0)), "WithProbeLease(0s): want a duration in [1ms, 24h]"},
	{one(circuit.WithProbeLease, -time.Second), "WithProbeLease(-1s): want a duration in [1ms, 24h]"},
	{one(circuit.WithProbeLease, time.Millisecond-1), "WithProbeLease(999.999µs): want a duration in [1ms, 24h]"},
	{one(circuit.WithProbeLease, justAboveADay), "WithProbeLease(24h0m0.000000001s): want a duration in [1ms, 24h]"},

	{one(circuit.WithDelay, -time.Nanosecond), "WithDelay(-1ns): want a duration in [0, 24h]"},
	{one(circuit.WithDelay, justAboveADay), "WithDelay(24h0m0.000000001s): want a duration in [0, 24h]"},

	{two(circuit.WithBackoff, math.NaN(), time.Minute), "WithBackoff(NaN, 1m0s): want a factor in [1, 100]"},
	{two(circuit.WithBackoff, math.Inf(1), time.Minute), "WithBackoff(+Inf, 1m0s): want a factor in [1, 100]"},
	{two(circuit.WithBackoff, 0.99, time.Minute), "WithBackoff(0.99, 1m0s): want a factor in [1, 100]"},
	{two(circuit.WithBackoff, -2.0, time.Minute), "WithBackoff(-2, 1m0s): want a factor in [1, 100]"},
	{two(circuit.WithBackoff, 100.5, time.Minute), "WithBackoff(100.5, 1m0s): want a factor in [1, 100]"},
	{two(circuit.WithBackoff, 2.0, time.Duration(0)), "WithBackoff(2, 0s): want a longest delay in (0, 24h]"},
	{two(circuit.WithBackoff, 2.0, -time.Second), "WithBackoff(2, -1s): want a longest delay in (0, 24h]"},
	{two(circuit.WithBackoff, 2.0, justAboveADay), "WithBackoff(2, 24h0m0.000000001s): want a longest delay in (0, 24h]"},

	{one(circuit.WithJitter, math.NaN()), "WithJitter(NaN): want a ratio in [0, 1]"},
	{one(circuit.WithJitter, math.Inf(1)), "WithJitter(+Inf): want a ratio in [0, 1]"},
	{one(circuit.WithJitter, math.Inf(-1)), "WithJitter(-Inf): want a ratio in [0, 1]"},
	{one(circuit.WithJitter, -0.1), "WithJitter(-0.1): want a ratio in [0, 1]"},
	{one(circuit.WithJitter, 1.1), "WithJitter(1.1): want a ratio in [0, 1]"},

	{one(circuit.WithDelayFunc, (func(circuit.Opening) time.Duration)(nil)), "WithDelayFunc: the function is nil"},
	{retryAfter(0), "WithRetryAfter(0s, func): want a duration in (0, 24h]"},
	{retryAfter(-time.Second), "WithRetryAfter(-1s, func): want a duration in (0, 24h]"},
	{retryAfter(justAboveADay), "WithRetryAfter(24h0m0.000000001s, func): want a duration in (0, 24h]"},

	{one(circuit.WithListener, breaker.Listener(nil)), "WithListener: the listener is nil"},
	{func() []circuit.Option { return []circuit.Option{nil} }, "NewBreaker: nil Option"},
	{func() []circuit.Option { return []circuit.Option{circuit.WithDelay(0), nil} }, "NewBreaker: nil Option"},
}

// contradictions are options that are possible alone.
var contradictions = []struct {
	opts []circuit.Option
	want string
}{
	{
		[]circuit.Option{circuit.WithProbeLimit(4), circuit.WithProbes(2, 3)},
		"WithProbeLimit(4): want at most 3, all probes of WithProbes(2, 3)",
	},
	{
		[]circuit.Option{circuit.WithProbes(2, 3), circuit.WithProbeFailures(3)},
		"WithProbeFailures(3): want at most 2, with which WithProbes(2, 3) can no longer close",
	},
	{
		[]circuit.Option{circuit.WithBackoff(2, 29*time.Second)},
		"WithBackoff(2, 29s): want a delay above 0 and not above the longest: WithDelay(30s)",
	},
	{
		[]circuit.Option{circuit.WithDelay(0), circuit.WithBackoff(2, time.Minute)},
		"WithBackoff(2, 1m0s): want a delay above 0 and not above the longest: WithDelay(0s)",
	},
	{
		[]circuit.Option{circuit.WithBackoff(1.5, time.Minute), circuit.WithDelay(time.Hour)},
		"WithBackoff(1.5, 1m0s): want a delay above 0 and not above the longest: WithDelay(1h0m0s)",
	},
	{
		[]circuit.Option{circuit.WithProbesAsInClosed(), circuit.WithProbes(1, 1)},
		"WithProbesAsInClosed and WithProbes contradict each other",
	},
	{
		[]circuit.Option{circuit.WithProbesAsInClosed(), circuit.WithConsecutiveFailures(3), circuit.WithFailureCount(1, 2)},
		"WithProbesAsInClosed: want exactly one opening rule, and no WithOpenWhen",
	},
	{
		[]circuit.Option{circuit.WithProbesAsInClosed(), circuit.WithOpenWhen(0, never)},
		"WithProbesAsInClosed: want exactly one opening rule, and no WithOpenWhen",
	},
	{
		[]circuit.Option{circuit.WithConsecutiveFailures(3), circuit.WithOpenWhen(0, never), circuit.WithProbesAsInClosed()},
		"WithProbesAsInClosed: want exactly one opening rule, and no WithOpenWhen",
	},
	{
		[]circuit.Option{circuit.WithFailureRate(0.5, 9, time.Second), circuit.WithFailureRate(0.5, 9, time.Hour), circuit.WithProbesAsInClosed()},
		"WithProbesAsInClosed: want exactly one opening rule, and no WithOpenWhen",
	},
	{
		[]circuit.Option{circuit.WithFailureRate(0.5, 1_000_001, time.Second), circuit.WithProbesAsInClosed()},
		"WithProbesAsInClosed: want at most 1000000 calls to decide from",
	},
	{
		[]circuit.Option{circuit.WithFailureRate(0.5, 9, time.Second), circuit.WithProbesAsInClosed(), circuit.WithProbeFailures(1)},
		"WithProbesAsInClosed of a rate and WithProbeFailures contradict each other",
	},
}

// givenOnce are the options of which a second one would make the first one
// void.
var givenOnce = map[string]circuit.Option{
	"WithName":                circuit.WithName("users"),
	"WithConsecutiveFailures": circuit.WithConsecutiveFailures(1),
	"WithFailureCount":        circuit.WithFailureCount(1, 2),
	"WithFailuresInPeriod":    circuit.WithFailuresInPeriod(1, time.Second),
	"WithSlowCallRate":        circuit.WithSlowCallRate(time.Second, 0.5, 1, time.Second),
	"WithProbes":              circuit.WithProbes(1, 1),
	"WithProbeLimit":          circuit.WithProbeLimit(1),
	"WithProbeFailures":       circuit.WithProbeFailures(1),
	"WithProbeLease":          circuit.WithProbeLease(time.Second),
	"WithDelay":               circuit.WithDelay(time.Second),
	"WithBackoff":             circuit.WithBackoff(2, time.Hour),
	"WithJitter":              circuit.WithJitter(0.5),
	"WithDelayFunc":           circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return 0 }),
	"WithRetryAfter":          circuit.WithRetryAfter(time.Second, nil),
}

// repeatable are options of which several add up, or say the same.
var repeatable = map[string]circuit.Option{
	"WithListener":           circuit.WithListener(func(breaker.Event) {}),
	"WithUnmarkedRejections": circuit.WithUnmarkedRejections(),
	"WithFailureRate":        circuit.WithFailureRate(0.5, 5, time.Second),
	"WithFailurePercent":     circuit.WithFailurePercent(50, 5, time.Second),
	"WithOpenWhen":           circuit.WithOpenWhen(0, never),
	"WithProbesAsInClosed":   circuit.WithProbesAsInClosed(),
	"WithSlowCallsOnly":      circuit.WithSlowCallsOnly(),
}

// A closure of each, since some options panic before NewBreaker gets them.
func one[A any](option func(A) circuit.Option, a A) func() []circuit.Option {
	return func() []circuit.Option { return []circuit.Option{option(a)} }
}

func two[A, B any](option func(A, B) circuit.Option, a A, b B) func() []circuit.Option {
	return func() []circuit.Option { return []circuit.Option{option(a, b)} }
}

func rate(ratio float64, minCalls int, period time.Duration) func() []circuit.Option {
	return func() []circuit.Option { return []circuit.Option{circuit.WithFailureRate(ratio, minCalls, period)} }
}

func percent(percent, minCalls int, period time.Duration) func() []circuit.Option {
	return func() []circuit.Option {
		return []circuit.Option{circuit.WithFailurePercent(percent, minCalls, period)}
	}
}

func slow(threshold time.Duration, ratio float64, minCalls int, period time.Duration) func() []circuit.Option {
	return func() []circuit.Option {
		return []circuit.Option{circuit.WithSlowCallRate(threshold, ratio, minCalls, period)}
	}
}

func retryAfter(longest time.Duration) func() []circuit.Option {
	return func() []circuit.Option { return []circuit.Option{circuit.WithRetryAfter(longest, nil)} }
}

func TestNewBreaker_PanicsForAnImpossibleValueWithPackageOptionValueAndRange(t *testing.T) {
	for _, c := range badOptions {
		t.Run(c.want, func(t *testing.T) {
			require.PanicsWithValue(t, "circuit: "+c.want, func() { circuit.NewBreaker(c.make()...) })
		})
	}
}

func TestNewBreaker_PanicsForOptionsThatContradictEachOther(t *testing.T) {
	for _, c := range contradictions {
		t.Run(c.want, func(t *testing.T) {
			require.PanicsWithValue(t, "circuit: "+c.want, func() { circuit.NewBreaker(c.opts...) })
		})
	}
}

func TestNewBreaker_AnOptionMayBeGivenTwiceAndServeManyBreakers(t *testing.T) {
	for name, o := range givenOnce {
		t.Run(name, func(t *testing.T) {
			require.NotPanics(t, func() { circuit.NewBreaker(o) })
			require.NotPanics(t, func() { circuit.NewBreaker(o) }, "an option may serve many breakers")
			require.NotPanics(t, func() { circuit.NewBreaker(o, circuit.WithUnmarkedRejections(), o) })
		})
	}
	for name, o := range repeatable {
		t.Run(name, func(t *testing.T) {
			opts := []circuit.Option{o, o}
			if name == "WithFailureRate" || name == "WithFailurePercent" {
				opts = append(opts, circuit.WithFailureRate(0.1, 100, time.Hour))
			}
			require.NotPanics(t, func() { circuit.NewBreaker(opts...) })
		})
	}
}

// TestNewBreaker_ChecksEveryOption fails when an option is added that the tests
// above do not know.
func TestNewBreaker_ChecksEveryOption(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "option.go", nil, 0)
	require.NoError(t, err)
	var texts strings.Builder
	for _, c := range badOptions {
		texts.WriteString(c.want + "\n")
	}
	options := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "With") {
			continue
		}
		options++
		name := f.Name.Name
		_, once := givenOnce[name]
		_, more := repeatable[name]
		require.NotEqual(t, once, more, name)
		if len(f.Type.Params.List) > 0 && name != "WithName" {
			require.Regexp(t, "(?m)^"+name+"[(:]", texts.String(), "it takes values, and no bad one is tried")
		}
	}
	require.Equal(t, len(givenOnce)+len(repeatable), options)
}

func TestNewBreaker_TakesTheExtremesOfEveryRange(t *testing.T) {
	const million, billion = 1_000_000, 1_000_000_000
	for name, opts := range map[string][]circuit.Option{
		"none":                   {},
		"1 in a row":             {circuit.WithConsecutiveFailures(1)},
		"1e6 in a row":           {circuit.WithConsecutiveFailures(million)},
		"1 of 1":                 {circuit.WithFailureCount(1, 1)},
		"1 of 1e6":               {circuit.WithFailureCount(1, million)},
		"1e6 of 1e6":             {circuit.WithFailureCount(million, million)},
		"1 within 10ms":          {circuit.WithFailuresInPeriod(1, 10*time.Millisecond)},
		"1e6 within a day":       {circuit.WithFailuresInPeriod(million, aDay)},
		"the lowest rate":        {circuit.WithFailureRate(0.000001, billion, aDay)},
		"the highest rate":       {circuit.WithFailureRate(1, 1, 10*time.Millisecond)},
		"1 percent":              {circuit.WithFailurePercent(1, billion, aDay)},
		"100 percent":            {circuit.WithFailurePercent(100, 1, 10*time.Millisecond)},
		"slow from 1ns":          {circuit.WithSlowCallRate(1, 0.000001, billion, 10*time.Millisecond)},
		"slow from a day":        {circuit.WithSlowCallRate(aDay, 1, 1, aDay)},
		"a predicate":            {circuit.WithOpenWhen(0, never), circuit.WithOpenWhen(10*time.Millisecond, never), circuit.WithOpenWhen(aDay, never)},
		"1 of 1e6 probes":        {circuit.WithProbes(1, million), circuit.WithProbeLimit(million), circuit.WithProbeFailures(million)},
		"1e6 of 1e6 probes":      {circuit.WithProbes(million, million), circuit.WithProbeLimit(1), circuit.WithProbeFailures(1)},
		"a lease of 1ms":         {circuit.WithProbeLease(time.Millisecond)},
		"a lease of a day":       {circuit.WithProbeLease(aDay)},
		"no delay":               {circuit.WithDelay(0), circuit.WithJitter(0)},
		"a delay of a day":       {circuit.WithDelay(aDay), circuit.WithJitter(1)},
		"backoff by 1":           {circuit.WithDelay(1), circuit.WithBackoff(1, 1)},
		"backoff by 100":         {circuit.WithDelay(aDay), circuit.WithBackoff(100, aDay)},
		"retry after 1ns":        {circuit.WithRetryAfter(1, nil)},
		"retry after a day":      {circuit.WithRetryAfter(aDay, func(error) (time.Duration, bool) { return 0, false })},
		"probes as in closed":    {circuit.WithFailureRate(0.5, million, aDay), circuit.WithProbesAsInClosed()},
		"1 probe as in closed":   {circuit.WithFailureCount(1, 1), circuit.WithProbesAsInClosed()},
		"1e6 probes as in row":   {circuit.WithConsecutiveFailures(million), circuit.WithProbesAsInClosed()},
		"every rule at its most": {circuit.WithConsecutiveFailures(million), circuit.WithFailureCount(million, million), circuit.WithFailuresInPeriod(million, aDay), circuit.WithFailureRate(1, billion, aDay), circuit.WithFailurePercent(100, billion, aDay), circuit.WithSlowCallRate(aDay, 1, billion, aDay)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(opts...)
				callTimes(t, b, 2, breaker.Success)
				requireState(t, breaker.Closed, b)
				b.Open()
				require.LessOrEqual(t, b.Snapshot().RetryAfter, aDay)
				time.Sleep(aDay) // no delay is longer
				callTimes(t, b, 1, breaker.Ignored)
				requireState(t, breaker.HalfOpen, b)
			})
		})
	}
}

func TestSetMode_PanicsForAnUnknownModeOrNoTimeAndChangesNothing(t *testing.T) {
	b := circuit.NewBreaker()
	b.SetMode(breaker.DryRun)
	before := b.Snapshot()
	for want, f := range map[string]func(){
		"circuit: SetMode(Mode(4)): want Auto, ForceOpen, ForceClosed or DryRun":    func() { b.SetMode(4) },
		"circuit: SetMode(Mode(255)): want Auto, ForceOpen, ForceClosed or DryRun":  func() { b.SetMode(255) },
		"circuit: SetModeFor(Mode(4)): want Auto, ForceOpen, ForceClosed or DryRun": func() { b.SetModeFor(4, time.Second) },
		"circuit: SetModeFor(force-open, 0s): want a duration above 0":              func() { b.SetModeFor(breaker.ForceOpen, 0) },
		"circuit: SetModeFor(auto, -1ns): want a duration above 0":                  func() { b.SetModeFor(breaker.Auto, -1) },
		"circuit: SetModeFor(dry-run, -2562047h47m16.854775808s): want a duration above 0": func() {
			b.SetModeFor(breaker.DryRun, math.MinInt64)
		},
	} {
		require.PanicsWithValue(t, want, f)
		requireEnds(t, func() { require.Equal(t, before, b.Snapshot()) })
	}
	require.NotPanics(t, func() { b.SetModeFor(breaker.ForceOpen, 1) })
	require.NotPanics(t, func() { b.SetModeFor(breaker.ForceClosed, math.MaxInt64) })
	require.Equal(t, breaker.ForceClosed, b.Snapshot().Mode)
}
