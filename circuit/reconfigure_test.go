package circuit_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// many are calls with one end.
type many struct {
	n int
	o breaker.Outcome
}

func (m many) call(t *testing.T, b *circuit.Breaker) {
	t.Helper()
	callTimes(t, b, m.n, m.o)
}

func TestReconfigure_PanicsAsNewBreakerDoesAndThenNothingHasChanged(t *testing.T) {
	type bad struct {
		make func() []circuit.Option
		want string
	}
	all := []bad{
		{one(circuit.WithName, "orders"), "Reconfigure: WithName and WithListener cannot change"},
		{one(circuit.WithName, ""), "Reconfigure: WithName and WithListener cannot change"},
		{one(circuit.WithListener, func(breaker.Event) {}), "Reconfigure: WithName and WithListener cannot change"},
	}
	for _, c := range badOptions {
		all = append(all, bad{func() []circuit.Option {
			return append([]circuit.Option{circuit.WithFailurePercent(99, 1, time.Hour)}, c.make()...)
		}, strings.Replace(c.want, "NewBreaker", "Reconfigure", 1)})
	}
	for _, c := range contradictions {
		all = append(all, bad{func() []circuit.Option { return c.opts }, c.want})
	}
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithName("users"), circuit.WithFailureCount(2, 9), circuit.WithDelay(time.Hour))
		callTimes(t, b, 1, breaker.Failure)
		callTimes(t, b, 3, breaker.Success)
		before := b.Snapshot()
		for _, c := range all {
			require.PanicsWithValue(t, "circuit: "+c.want, func() { b.Reconfigure(c.make()...) })
			require.Equal(t, before, b.Snapshot(), c.want)
		}
		callTimes(t, b, 1, breaker.Failure)
		s := b.Snapshot()
		require.Equal(t, "2 of the last 9 calls failed", s.Cause)
		require.Equal(t, time.Hour, s.RetryAfter)
	})
}

// What is counted the same before and after, goes on. The rest begins empty.
func TestReconfigure_KeepsWhatTheNewOptionsCountTheSame(t *testing.T) {
	const ms, long, short = time.Millisecond, 10 * time.Second, time.Second
	lasts := breaker.Window{Success: 4, Failure: 3}
	within := breaker.Window{Length: long, Success: 4, Failure: 3}
	slow := breaker.Window{Length: long, Success: 4, Failure: 3, Slow: 2}
	none, noneShort := breaker.Window{}, breaker.Window{Length: short}
	fails := func(n int) many { return many{n, breaker.Failure} }
	succeeds := func(n int) many { return many{n, breaker.Success} }
	four := func(c circuit.Counts) bool { return c.Failure == 4 && c.Success == 4 }
	const fourOf8 = "4 of 8 calls within 10s failed"
	for _, c := range []struct {
		name       string
		from, to   circuit.Option
		kept       breaker.Window // of 3 failures, 2 of which took 200 ms, and 4 successes after them
		then       many
		causeAfter string
	}{
		{"another ratio", circuit.WithFailureRate(0.9, 8, long), circuit.WithFailureRate(0.5, 3, long), within, fails(1), fourOf8},
		{"fewer calls at least", circuit.WithFailureRate(0.3, 50, long), circuit.WithFailureRate(0.3, 8, long), within, succeeds(1), "3 of 8 calls within 10s failed"},
		{"in percent", circuit.WithFailureRate(0.3, 50, long), circuit.WithFailurePercent(50, 2, long), within, fails(1), fourOf8},
		{"another period", circuit.WithFailureRate(0.9, 8, long), circuit.WithFailureRate(0.5, 3, short), noneShort, fails(3), "3 of 3 calls within 1s failed"},
		{"fewer of the last", circuit.WithFailureCount(5, 9), circuit.WithFailureCount(4, 9), lasts, fails(1), "4 of the last 9 calls failed"},
		{"more of the last", circuit.WithFailureCount(4, 9), circuit.WithFailureCount(5, 9), lasts, fails(2), "5 of the last 9 calls failed"},
		{"of more last calls", circuit.WithFailureCount(4, 9), circuit.WithFailureCount(4, 90), none, fails(4), "4 of the last 90 calls failed"},
		{"of fewer last calls", circuit.WithFailureCount(4, 9), circuit.WithFailureCount(4, 8), none, fails(4), "4 of the last 8 calls failed"},
		{"fewer within", circuit.WithFailuresInPeriod(9, long), circuit.WithFailuresInPeriod(4, long), within, fails(1), "4 failures within 10s"},
		{"more within", circuit.WithFailuresInPeriod(4, long), circuit.WithFailuresInPeriod(5, long), within, fails(2), "5 failures within 10s"},
		{"within another period", circuit.WithFailuresInPeriod(4, long), circuit.WithFailuresInPeriod(4, short), noneShort, fails(4), "4 failures within 1s"},
		{"a period of another rule", circuit.WithFailuresInPeriod(9, long), circuit.WithFailureRate(0.5, 1, long), within, fails(1), fourOf8},
		{"last calls after a period", circuit.WithFailuresInPeriod(9, long), circuit.WithFailureCount(2, 2), none, fails(2), "2 of the last 2 calls failed"},
		{"another share of slow ones", circuit.WithSlowCallRate(100*ms, 0.9, 3, long), circuit.WithSlowCallRate(100*ms, 0.2, 8, long), slow, succeeds(1), "2 of 8 calls within 10s were slow"},
		{"another threshold", circuit.WithSlowCallRate(100*ms, 0.9, 3, long), circuit.WithSlowCallRate(ms, 0.1, 1, long), within, succeeds(20), ""},
		{"another period of slow ones", circuit.WithSlowCallRate(100*ms, 0.9, 3, long), circuit.WithSlowCallRate(100*ms, 0.1, 1, short), noneShort, succeeds(20), ""},
		{"slow ones no longer", circuit.WithSlowCallRate(100*ms, 0.9, 3, long), circuit.WithFailureRate(0.5, 8, long), within, fails(1), fourOf8},
		{"fewer in a row", circuit.WithConsecutiveFailures(9), circuit.WithConsecutiveFailures(3), lasts, fails(3), "3 failures in a row"},
		{"since it closed", circuit.WithConsecutiveFailures(9), circuit.WithOpenWhen(0, four), lasts, fails(1), "the function of WithOpenWhen"},
		{"a period for a function", circuit.WithFailureRate(0.9, 8, long), circuit.WithOpenWhen(long, four), within, fails(1), "the function of WithOpenWhen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(c.from)
				slowCalls(t, b, 2, 200*time.Millisecond, breaker.Failure)
				callTimes(t, b, 1, breaker.Failure)
				callTimes(t, b, 4, breaker.Success)
				before := b.Snapshot()
				requireState(t, breaker.Closed, b)

				b.Reconfigure(c.to)
				s := b.Snapshot()
				require.Equal(t, c.kept, s.Window)
				s.Window = before.Window
				require.Equal(t, before, s, "all else stays")

				c.then.call(t, b)
				require.Equal(t, c.causeAfter, b.Snapshot().Cause)
				require.Equal(t, c.causeAfter != "", b.Snapshot().State == breaker.Open)
			})
		})
	}
}

func TestReconfigure_KeepsTheRowOfFailures(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(9))
	callTimes(t, b, 4, breaker.Failure)
	b.Reconfigure(circuit.WithFailureRate(1, 100, time.Hour))
	callTimes(t, b, 2, breaker.Failure)
	require.EqualValues(t, 6, b.Snapshot().ConsecutiveFailures)
	b.Reconfigure(circuit.WithConsecutiveFailures(7))
	callTimes(t, b, 1, breaker.Failure)
	require.Equal(t, "7 failures in a row", b.Snapshot().Cause)
}

func TestReconfigure_OptionsThatAreNotGivenHaveTheirDefaults(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Hour), circuit.WithProbes(3, 3))
	b.Reconfigure()
	callTimes(t, b, 4, breaker.Failure)
	requireState(t, breaker.Closed, b)
	callTimes(t, b, 1, breaker.Failure)
	s := b.Snapshot()
	require.Equal(t, "5 failures in a row", s.Cause)
	require.LessOrEqual(t, s.RetryAfter, 30*time.Second)
	b.HalfOpen()
	callTimes(t, b, 1, breaker.Success)
	requireState(t, breaker.Closed, b)
}

// A rule that holds already opens as it would have, had it been there.
func TestReconfigure_ARuleThatHoldsAlreadyOpensWhenTheNextCallEnds(t *testing.T) {
	fails := func(n int) many { return many{n, breaker.Failure} }
	succeeds := func(n int) many { return many{n, breaker.Success} }
	ignored := many{3, breaker.Ignored}
	for _, c := range []struct {
		name         string
		from, to     circuit.Option
		first, quiet many
		opens        many
		cause        string
		window       breaker.Window
	}{
		{
			"a rate, after a success", circuit.WithFailureRate(0.9, 2, time.Hour), circuit.WithFailureRate(0.1, 2, time.Hour),
			fails(1), ignored, succeeds(1), "1 of 2 calls within 1h0m0s failed",
			breaker.Window{Length: time.Hour, Success: 1, Failure: 1},
		},
		{
			"a rate, after a failure", circuit.WithFailureRate(0.9, 9, time.Hour), circuit.WithFailureRate(0.1, 2, time.Hour),
			fails(4), ignored, fails(1), "5 of 5 calls within 1h0m0s failed",
			breaker.Window{Length: time.Hour, Failure: 5},
		},
		{
			"of the last", circuit.WithFailureCount(5, 9), circuit.WithFailureCount(2, 9),
			fails(4), succeeds(3), fails(1), "2 of the last 9 calls failed",
			breaker.Window{Success: 3, Failure: 5},
		},
		{
			"within", circuit.WithFailuresInPeriod(5, time.Hour), circuit.WithFailuresInPeriod(2, time.Hour),
			fails(4), succeeds(3), fails(1), "2 failures within 1h0m0s",
			breaker.Window{Length: time.Hour, Success: 3, Failure: 5},
		},
		{
			"in a row", circuit.WithConsecutiveFailures(5), circuit.WithConsecutiveFailures(2),
			fails(4), ignored, fails(1), "2 failures in a row",
			breaker.Window{Failure: 5},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(c.from)
				c.first.call(t, b)
				b.Reconfigure(c.to)
				requireState(t, breaker.Closed, b)
				c.quiet.call(t, b)
				requireState(t, breaker.Closed, b)
				c.opens.call(t, b)
				s := b.Snapshot()
				require.Equal(t, c.cause, s.Cause)
				require.Equal(t, c.window, s.Window)
			})
		})
	}
}

// The ring of the failures that a rule keeps was cut to the new number, so that
// those it had cut off were missing when the number grew again.
func TestReconfigure_ForgetsNoFailureWhenTheNumberIsLowerForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, rule := range map[string]func(m int) circuit.Option{
			"of the last": func(m int) circuit.Option { return circuit.WithFailureCount(m, 100) },
			"within":      func(m int) circuit.Option { return circuit.WithFailuresInPeriod(m, time.Hour) },
		} {
			b := circuit.NewBreaker(rule(9))
			callTimes(t, b, 7, breaker.Failure)
			b.Reconfigure(rule(1))
			b.Reconfigure(rule(8))
			require.EqualValues(t, 7, b.Snapshot().Window.Failure, name)
			callTimes(t, b, 1, breaker.Failure)
			requireState(t, breaker.Open, b)
			require.EqualValues(t, 8, b.Snapshot().Window.Failure, name)
		}
	})
}

func TestReconfigure_KeepsTheFailuresInTheirOrder(t *testing.T) {
	b := circuit.NewBreaker(circuit.WithFailureCount(3, 10))
	for _, calls := range []many{
		{2, breaker.Failure},
		{12, breaker.Success},
		{2, breaker.Failure}, // the 15th and the 16th call
	} {
		calls.call(t, b)
	}
	b.Reconfigure(circuit.WithFailureCount(4, 10))
	callTimes(t, b, 7, breaker.Success)
	callTimes(t, b, 2, breaker.Failure) // the 15th is the eleventh before
	requireState(t, breaker.Closed, b)
	require.Equal(t, breaker.Window{Success: 7, Failure: 3}, b.Snapshot().Window)
	callTimes(t, b, 1, breaker.Failure)
	requireState(t, breaker.Closed, b)
	callTimes(t, b, 1, breaker.Failure)
	require.Equal(t, "4 of the last 10 calls failed", b.Snapshot().Cause)
}

func TestReconfigure_ALowerNumberIsTheOneThatOpensLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithFailuresInPeriod(9, time.Hour))
		callTimes(t, b, 4, breaker.Failure)
		b.Reconfigure(circuit.WithFailuresInPeriod(2, time.Hour))
		time.Sleep(time.Hour) // these four are gone
		callTimes(t, b, 1, breaker.Failure)
		requireState(t, breaker.Closed, b)
		callTimes(t, b, 1, breaker.Failure)
		require.Equal(t, "2 failures within 1h0m0s", b.Snapshot().Cause)
	})
}
