package circuit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// verdict is the state after the probes of a script. None but the last of them
// may end the half-open state.
type verdict struct {
	script string
	want   breaker.State
}

// requireVerdicts checks the verdicts, each with a new breaker that is
// half-open, and that no more than limit probes run at once.
func requireVerdicts(t *testing.T, limit int, verdicts []verdict, opts ...circuit.Option) {
	synctest.Test(t, func(t *testing.T) {
		for _, v := range verdicts {
			b := circuit.NewBreaker(opts...)
			waitForProbes(t, b)
			for i := range v.script {
				requireStateOf(t, b, breaker.HalfOpen, v.script[:i])
				makeCalls(t, b, v.script[i:i+1])
			}
			requireStateOf(t, b, v.want, v.script)
		}
		b := circuit.NewBreaker(opts...)
		waitForProbes(t, b)
		takePermits(t, b, limit)
		requireRejection(t, b, breaker.ReasonProbeLimit)
	})
}

func TestF15_ItIsSeenHalfOpenAfterTheDelayAndTellsSoWithTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.Event
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
			circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
		makeCalls(t, b, "F")
		opened := time.Now()
		time.Sleep(time.Minute)
		for range 3 {
			s := b.Snapshot()
			require.Equal(t, breaker.HalfOpen, s.State)
			require.Equal(t, 30*time.Second, s.Since.Sub(opened))
		}
		require.Len(t, events, 1)
		takePermits(t, b, 1)
		require.Len(t, events, 2)
		require.Equal(t, breaker.HalfOpen, events[1].To)
		require.Equal(t, 30*time.Second, events[1].At.Sub(opened))
	})
}

func TestF16_RetryAfterIsWhatIsLeftOfTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(10*time.Second))
		require.Zero(t, b.Snapshot().RetryAfter)
		makeCalls(t, b, "F")
		rejected := rejectionOf(t, b, breaker.ReasonOpen)
		for left := 10 * time.Second; left > 0; left -= 2 * time.Second {
			require.Equal(t, left, b.Snapshot().RetryAfter)
			require.Equal(t, left, rejected.RetryAfter())
			time.Sleep(2 * time.Second)
		}
		require.Zero(t, b.Snapshot().RetryAfter, "the delay has passed")
		takePermits(t, b, 1)
		require.Zero(t, b.Snapshot().RetryAfter, "half-open")
		b.Close()
		require.Zero(t, b.Snapshot().RetryAfter)
	})
}

func TestF17_TheDelayFunctionSeesWhatOpenedTheBreakerAndSetsThisDelayOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []circuit.Opening
		delays := []time.Duration{5 * time.Second, -1, 0}
		b := circuit.NewBreaker(circuit.WithName("users"), circuit.WithConsecutiveFailures(1),
			circuit.WithDelayFunc(func(o circuit.Opening) time.Duration {
				asked = append(asked, o)
				return delays[len(asked)-1]
			}))
		for i, want := range []time.Duration{5 * time.Second, 30 * time.Second, 0} {
			require.Same(t, errDown, runErr(t.Context(), b, errDown))
			require.Equal(t, circuit.Opening{
				Name: "users", Number: uint64(i + 1), Delay: 30 * time.Second,
				Result: breaker.Result{Outcome: breaker.Failure, Err: errDown},
			}, asked[i])
			require.Equal(t, want, b.Snapshot().RetryAfter)
			time.Sleep(want)
			requireStateOf(t, b, breaker.HalfOpen)
		}
	})
}

func TestF18_TheDelayFunctionServesPermitsAndMayLookAtTheBreakerOrPanic(t *testing.T) {
	openings := map[string]func(breaker.Permit){
		"Done":     func(p breaker.Permit) { p.Done(breaker.Failure) },
		"DoneWith": func(p breaker.Permit) { p.DoneWith(breaker.Result{Outcome: breaker.Failure, Err: errDown}) },
	}
	for name, open := range openings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *circuit.Breaker
				b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
					circuit.WithDelayFunc(func(circuit.Opening) time.Duration {
						requireStateOf(t, b, breaker.Open)
						requireRejection(t, b, breaker.ReasonOpen)
						return 5 * time.Second
					}))
				open(takePermits(t, b, 1)[0])
				require.Equal(t, 5*time.Second, b.Snapshot().RetryAfter)

				b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1),
					circuit.WithDelayFunc(func(circuit.Opening) time.Duration { panic("no delay") }))
				p := takePermits(t, b, 1)[0]
				require.PanicsWithValue(t, "no delay", func() { open(p) })
				requireStateOf(t, b, breaker.Open)
				require.Equal(t, 30*time.Second, b.Snapshot().RetryAfter)
				time.Sleep(30 * time.Second)
				makeCalls(t, b, "S")
				requireStateOf(t, b, breaker.Closed)
			})
		})
	}
}

func TestF19_TwoSuccessesCloseAndOneFailureReopens(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"explicit":  {circuit.WithProbes(2, 2)},
		"as closed": {circuit.WithFailureCount(1, 2), circuit.WithProbesAsInClosed()},
	} {
		t.Run(name, func(t *testing.T) {
			requireVerdicts(t, 2, []verdict{
				{"S", breaker.HalfOpen}, {"SS", breaker.Closed}, {"SF", breaker.Open}, {"F", breaker.Open},
			}, opts...)
		})
	}
}

func TestF20_ThreeSuccessesOfFiveCloseAsSoonAsTheyAreThere(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"explicit":  {circuit.WithProbes(3, 5), circuit.WithFailureCount(1, 10)}, // the latter is for the closed state
		"as closed": {circuit.WithFailureCount(3, 5), circuit.WithProbesAsInClosed()},
	} {
		t.Run(name, func(t *testing.T) {
			requireVerdicts(t, 5, []verdict{
				{"SSS", breaker.Closed},
				{"FF", breaker.HalfOpen},
				{"FFF", breaker.Open},
				{"SFSFS", breaker.Closed},
				{"SFSFF", breaker.Open},
				{"SSFF", breaker.HalfOpen},
			}, opts...)
		})
	}
}

func TestF21_TwoFailuresOfThreeReopenAndTwoSuccessesClose(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"explicit":  {circuit.WithProbes(2, 3)},
		"as closed": {circuit.WithFailureCount(2, 3), circuit.WithProbesAsInClosed()},
	} {
		t.Run(name, func(t *testing.T) {
			requireVerdicts(t, 3, []verdict{
				{"FF", breaker.Open},
				{"FSS", breaker.Closed},
				{"FSF", breaker.Open},
				{"SS", breaker.Closed},
				{"SF", breaker.HalfOpen},
			}, opts...)
		})
	}
}

func TestF22_FiveProbesOfWhichOneSuccessClosesAndFiveFailuresReopen(t *testing.T) {
	for name, opts := range map[string][]circuit.Option{
		"explicit":            {circuit.WithProbes(1, 5)},
		"as closed, in a row": {circuit.WithConsecutiveFailures(5), circuit.WithProbesAsInClosed()},
		"as closed, period":   {circuit.WithFailuresInPeriod(5, time.Minute), circuit.WithProbesAsInClosed()},
	} {
		t.Run(name, func(t *testing.T) {
			requireVerdicts(t, 5, []verdict{
				{"S", breaker.Closed}, {"FFFF", breaker.HalfOpen}, {"FFFFS", breaker.Closed}, {"FFFFF", breaker.Open},
			}, opts...)
		})
	}
}

func TestF23_ARateJudgesFiveProbesTogether(t *testing.T) {
	for name, rule := range map[string]circuit.Option{
		"percent": circuit.WithFailurePercent(20, 5, time.Minute),
		"ratio":   circuit.WithFailureRate(0.2, 5, time.Minute),
	} {
		t.Run("as closed, "+name, func(t *testing.T) {
			requireVerdicts(t, 5, []verdict{
				{"FFFF", breaker.HalfOpen},
				{"SSSS", breaker.HalfOpen},
				{"FSSSS", breaker.Open},
				{"SSSSF", breaker.Open},
				{"FFFFF", breaker.Open},
				{"SSSSS", breaker.Closed},
			}, rule, circuit.WithProbesAsInClosed())
		})
	}
	t.Run("as closed, half of four", func(t *testing.T) {
		requireVerdicts(t, 4, []verdict{
			{"FFSS", breaker.Open}, {"FSSS", breaker.Closed}, {"SSS", breaker.HalfOpen}, {"FFF", breaker.HalfOpen},
		}, circuit.WithFailureRate(0.5, 4, time.Minute), circuit.WithProbesAsInClosed())
	})
	t.Run("explicit", func(t *testing.T) {
		// The same verdict, given as soon as it is certain.
		requireVerdicts(t, 5, []verdict{
			{"F", breaker.Open}, {"SSSSF", breaker.Open}, {"SSSS", breaker.HalfOpen}, {"SSSSS", breaker.Closed},
		}, circuit.WithProbes(5, 5))
	})
}

func TestF24_AProbeBeyondThePermittedNumberIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbes(3, 3))
		waitForProbes(t, b)
		release := make(chan error)
		for range 3 {
			go func() {
				_ = breaker.Run(t.Context(), b, func(context.Context) error { return <-release })
			}()
		}
		synctest.Wait()
		require.ErrorIs(t, runErr(t.Context(), b, nil), circuitbreaker.ErrNotAllowed)
		// Two running and one success are three: a fourth could change nothing.
		release <- nil
		synctest.Wait()
		require.ErrorIs(t, runErr(t.Context(), b, nil), circuitbreaker.ErrNotAllowed)
		release <- nil
		release <- nil
		synctest.Wait()
		requireStateOf(t, b, breaker.Closed)
		require.Equal(t, breaker.Totals{Offered: 5, Allowed: 3, Rejected: 2, Success: 3}, b.Snapshot().Totals)
	})
}

func TestF25_NoResultMakesRoomForMoreProbesThanPermitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbes(3, 3))
		late := takePermits(t, b, 3)
		waitForProbes(t, b)
		old := takePermits(t, b, 1)[0]
		old.Done(breaker.Success)
		b.Open()
		time.Sleep(30 * time.Second)
		probes := takePermits(t, b, 3)
		for name, settle := range map[string]func(){
			"results of the closed state": func() {
				late[0].Done(breaker.Success)
				late[1].Done(breaker.Failure)
				late[2].Done(breaker.Ignored)
			},
			"a second result of an earlier probe": func() { old.Done(breaker.Success) },
			"a permit of no breaker":              func() { breaker.Permit{}.Done(breaker.Success) },
			"marks of nothing":                    func() { b.MarkSuccess(); b.MarkFailed(); b.MarkIgnored() },
		} {
			settle()
			requireRejection(t, b, breaker.ReasonProbeLimit)
			require.Zero(t, b.Snapshot().Window, name)
		}
		require.EqualValues(t, 3, b.Snapshot().Totals.InFlight)

		for range 3 {
			probes[0].Done(breaker.Ignored) // makes room once
		}
		probes[0] = takePermits(t, b, 1)[0]
		requireRejection(t, b, breaker.ReasonProbeLimit)
		for range 3 {
			probes[1].Done(breaker.Success)
		}
		require.Equal(t, breaker.Window{Success: 1}, b.Snapshot().Window)
		requireRejection(t, b, breaker.ReasonProbeLimit)
		probes[0].Done(breaker.Success)
		probes[2].Done(breaker.Success)
		requireStateOf(t, b, breaker.Closed)
	})
}

func TestF35_APermitStandsAloneAndEachResultGivesItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbes(3, 3))
		waitForProbes(t, b)
		probes := takePermits(t, b, 3)
		p, err := b.Acquire()
		require.Error(t, err)
		require.Zero(t, p, "a rejected caller has nothing to settle")
		probes[0].Done(breaker.Success)
		require.EqualValues(t, 2, b.Snapshot().Totals.InFlight)
		probes[1].DoneWith(breaker.Result{Outcome: breaker.Success})
		require.EqualValues(t, 1, b.Snapshot().Totals.InFlight)
		probes[2].DoneWith(breaker.Result{Outcome: breaker.Failure, Err: errDown})
		require.Zero(t, b.Snapshot().Totals.InFlight)
		requireStateOf(t, b, breaker.Open)
	})
}

func TestF36_AProbeCanBeCalledOffAndAForgottenOneIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbeLease(10 * time.Second))
		waitForProbes(t, b)
		takePermits(t, b, 1)[0].Done(breaker.Ignored)
		requireStateOf(t, b, breaker.HalfOpen)

		forgotten := takePermits(t, b, 1)[0]
		time.Sleep(10*time.Second - time.Nanosecond)
		requireRejection(t, b, breaker.ReasonProbeLimit)
		time.Sleep(time.Nanosecond)
		require.Equal(t, 30*time.Second, rejectionOf(t, b, breaker.ReasonOpen).RetryAfter())
		time.Sleep(30 * time.Second)
		next := takePermits(t, b, 1)[0]
		forgotten.Done(breaker.Success) // says nothing about the next probe
		requireStateOf(t, b, breaker.HalfOpen)
		requireRejection(t, b, breaker.ReasonProbeLimit)
		next.Done(breaker.Success)
		requireStateOf(t, b, breaker.Closed)
		require.Zero(t, b.Snapshot().Totals.InFlight)
	})
}
