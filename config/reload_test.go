package config_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/config"
	configkratos "github.com/kratos-breaker/breaker/config/kratos"
)

const threeFailures = `{default: {algorithm: circuit, circuit: {consecutive_failures: 3, delay: 10s}}}`

func TestRules_AChangedNumberAppliesInPlaceAndKeepsWhatWasCounted(t *testing.T) {
	r := config.New(parsed(t, `{default: {algorithm: circuit, circuit: {consecutive_failures: 100}}}`))
	b := r.Breaker("http", "/x")
	require.Zero(t, fail(b, 99))
	r.Apply(parsed(t, `{default: {algorithm: circuit, circuit: {consecutive_failures: 101}}}`))
	require.Zero(t, fail(b, 1))
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	require.Zero(t, fail(b, 1))
	require.Equal(t, breaker.Open, b.Snapshot().State)
	require.EqualValues(t, 101, b.Snapshot().Totals.Failure)
}

func TestRules_TheWindowStaysIfItsShapeDoes(t *testing.T) {
	r := config.New(parsed(t, `{default: {sre: {success: 0.6}}}`))
	b := r.Breaker("grpc", "/x")
	require.Zero(t, succeed(b, 50))
	r.Apply(parsed(t, `{default: {sre: {success: 0.9, request: 30}}}`))
	require.EqualValues(t, 50, b.Snapshot().Window.Success)
	r.Apply(parsed(t, `{default: {sre: {success: 0.9, window: 5s}}}`))
	require.Equal(t, 5*time.Second, b.Snapshot().Window.Length)
	require.Zero(t, b.Snapshot().Window.Total(), "a window of another length begins empty")
	require.EqualValues(t, 50, b.Snapshot().Totals.Success)
}

func TestRules_NoReloadClosesAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := config.New(parsed(t, threeFailures))
		b := r.Breaker("http", "/x")
		fail(b, 3)
		for _, text := range []string{
			`{default: {algorithm: circuit, circuit: {consecutive_failures: 1000, delay: 1m}}}`,
			`{default: {algorithm: circuit, circuit: {failure_rate: [{ratio: 1, min_calls: 1000, period: 1m}]}}}`,
			`{rules: [{match: /x, algorithm: circuit, circuit: {probes: {successes: 1, of: 1}}}]}`,
			`{default: {algorithm: circuit}, rules: [{match: "*", mode: dry-run}]}`,
			threeFailures,
		} {
			r.Apply(parsed(t, text))
			require.Equal(t, breaker.Open, b.Snapshot().State, text)
		}
		require.Equal(t, 1, succeed(b, 1))
		time.Sleep(10 * time.Second)
		require.Zero(t, succeed(b, 1), "a probe")
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	})
}

func TestRules_AnotherAlgorithmBeginsClosedAtOnceAndTheTotalsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.Event
		r := config.New(parsed(t, threeFailures), config.WithListener(func(e breaker.Event) { events = append(events, e) }))
		b := r.Breaker("http", "/x")
		fail(b, 3)
		require.Equal(t, 2, succeed(b, 2), "it is open")
		r.Apply(parsed(t, `{default: {algorithm: sre, circuit: {delay: 5m}}}`))
		require.Equal(t, "default (sre)", b.Snapshot().Rule)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		require.Zero(t, succeed(b, 1))
		require.Equal(t, 3*time.Second, b.Snapshot().Window.Length)
		require.EqualValues(t, 1, b.Snapshot().Window.Total(), "what the other one counted is no reason to open")
		require.Equal(t, breaker.Totals{Offered: 6, Allowed: 4, Rejected: 2, Success: 1, Failure: 3}, b.Snapshot().Totals)
		require.EqualValues(t, 1, b.Snapshot().Transitions[breaker.Closed][breaker.Open])

		// And back, while the other one is open: that of before begins anew.
		fail(b, 100)
		require.Equal(t, breaker.Open, b.Snapshot().State)
		r.Apply(parsed(t, threeFailures))
		require.Equal(t, "default (circuit)", b.Snapshot().Rule)
		require.Zero(t, fail(b, 3))
		require.Equal(t, breaker.Open, b.Snapshot().State)
		requireChain(t, events)
		require.Len(t, events, 5, "opened, closed by the rules, opened, closed by the rules, opened")
		require.Equal(t, breaker.Open, events[len(events)-1].To)
		require.Equal(t, "another algorithm, by the rules", events[1].Cause)
		require.Equal(t, "http:/x", events[0].Snapshot.Name)
		require.Equal(t, "default (circuit)", events[0].Snapshot.Rule)
	})
}

// requireChain requires that each event begins with the state that the one
// before ended in.
func requireChain(t *testing.T, events []breaker.Event) {
	t.Helper()
	state := breaker.Closed
	for i, e := range events {
		require.Equal(t, state, e.From, "event %d", i)
		state = e.To
	}
}

func TestRules_ABreakerThatTimeHasClosedIsReplacedWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.Event
		r := config.New(parsed(t, `{}`), config.WithListener(func(e breaker.Event) { events = append(events, e) }))
		b := r.Breaker("http", "/x")
		fail(b, 100)
		require.Equal(t, breaker.Open, b.Snapshot().State)
		time.Sleep(time.Hour) // nobody has told the listener that it forgot
		r.Apply(parsed(t, threeFailures))
		require.Equal(t, "default (circuit)", b.Snapshot().Rule)
		fail(b, 3)
		requireChain(t, events)
		require.Len(t, events, 3)
	})
}

func TestRules_OffPassesAllCallsAtOnceAndGoesOnCounting(t *testing.T) {
	for _, algorithm := range []string{"sre", "circuit"} {
		var events []breaker.Event
		r := config.New(parsed(t, "{default: {algorithm: "+algorithm+"}}"), config.WithListener(func(e breaker.Event) { events = append(events, e) }))
		b := r.Breaker("http", "/x")
		fail(b, 100)
		before := b.Snapshot()
		require.Equal(t, breaker.Open, before.State)
		r.Apply(parsed(t, "{default: {algorithm: off}}"))
		require.Zero(t, fail(b, 1000))
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Equal(t, "default (off)", s.Rule)
		require.Equal(t, before.Totals.Failure+1000, s.Totals.Failure)
		require.Equal(t, before.Totals.Rejected, s.Totals.Rejected)
		r.Apply(parsed(t, "{default: {algorithm: "+algorithm+"}}"))
		require.Zero(t, succeed(b, 1), "what is switched on begins anew")
		requireChain(t, events)
		require.Len(t, events, 2, "opened, and closed when it was switched off")
	}
}

func TestRules_OffCanStillBeForcedOpenByHand(t *testing.T) {
	b := config.New(parsed(t, "{default: {algorithm: off}}")).Breaker("http", "/x")
	b.SetMode(breaker.ForceOpen)
	require.Equal(t, 3, succeed(b, 3))
	b.SetMode(breaker.Auto)
	require.Zero(t, succeed(b, 3))
}

func TestRules_PermitsOutliveAReload(t *testing.T) {
	for _, next := range []string{threeFailures, `{default: {algorithm: sre, sre: {window: 1m}}}`, `{default: {algorithm: off}}`} {
		r := config.New(parsed(t, `{}`))
		b := r.Breaker("http", "/x")
		p, err := b.Acquire()
		require.NoError(t, err)
		r.Apply(parsed(t, next))
		require.EqualValues(t, 1, b.Snapshot().Totals.InFlight)
		p.Done(breaker.Failure)
		p.Done(breaker.Failure)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)
	}
}

func TestRules_LateFailuresOfTheAlgorithmBeforeOpenNothing(t *testing.T) {
	var events []breaker.Event
	r := config.New(parsed(t, threeFailures), config.WithListener(func(e breaker.Event) { events = append(events, e) }))
	b := r.Breaker("http", "/x")
	var permits []breaker.Permit
	for range 10 {
		p, err := b.Acquire()
		require.NoError(t, err)
		permits = append(permits, p)
	}
	r.Apply(parsed(t, `{}`))
	for _, p := range permits {
		p.Done(breaker.Failure)
	}
	require.Equal(t, breaker.Closed, b.Snapshot().State)
	r.Apply(parsed(t, threeFailures))
	require.Zero(t, succeed(b, 1))
	require.Empty(t, events)
}

func TestRules_TheModeIsTheRulesUntilAPersonSetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := config.New(parsed(t, `{default: {mode: force-open}}`))
		b := r.Breaker("http", "/x")
		require.Equal(t, 1, succeed(b, 1))
		b.SetModeFor(breaker.ForceClosed, time.Minute)
		require.Zero(t, succeed(b, 1))

		// Other changes leave it to the person, also one of the algorithm.
		r.Apply(parsed(t, `{default: {mode: force-open, sre: {success: 0.9}}}`))
		require.Equal(t, breaker.ForceClosed, b.Snapshot().Mode)
		until := b.Snapshot().ModeUntil
		r.Apply(parsed(t, `{default: {mode: force-open, algorithm: circuit}}`))
		require.Equal(t, breaker.ForceClosed, b.Snapshot().Mode)
		require.Equal(t, until, b.Snapshot().ModeUntil)

		r.Apply(parsed(t, `{default: {mode: dry-run, algorithm: circuit}}`))
		require.Equal(t, breaker.DryRun, b.Snapshot().Mode)
		require.Zero(t, fail(b, 10))
		require.EqualValues(t, 5, b.Snapshot().Totals.WouldReject)
		r.Apply(parsed(t, `{default: {algorithm: circuit}}`))
		require.Equal(t, breaker.Auto, b.Snapshot().Mode)
		require.Equal(t, 1, succeed(b, 1))
	})
}

func TestRules_AModeThatPassedEndsBeforeAnotherAlgorithmTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := config.New(parsed(t, `{}`))
		b := r.Breaker("http", "/x")
		b.SetModeFor(breaker.ForceOpen, time.Second)
		r.Apply(parsed(t, threeFailures))
		require.Equal(t, 1, succeed(b, 1))
		time.Sleep(time.Second)
		require.Zero(t, succeed(b, 1))
		r.Apply(parsed(t, `{}`))
		require.Equal(t, breaker.Auto, b.Snapshot().Mode)
		require.Zero(t, succeed(b, 1))
	})
}

func TestRules_ASetThatSaysTheSameIsNoChange(t *testing.T) {
	var reports []config.Report
	r := config.New(parsed(t, `{default: {sre: {window: 60s}}, rules: [{match: /a}]}`),
		config.WithReport(func(r config.Report) { reports = append(reports, r) }))
	first := r.Set()
	r.Apply(parsed(t, "# other words\nrules: [{match: \"/a\", sre: null}]\ndefault: {sre: {window: 1m}}"))
	require.Same(t, first, r.Set())
	require.Empty(t, reports)
	require.Equal(t, config.Reloads{Unchanged: 1}, r.Reloads())
}

func TestRules_TheReportNamesTheBreakersThatChange(t *testing.T) {
	r := config.New(parsed(t, `{rules: [{match: /a*}, {match: /b, algorithm: off}]}`))
	for _, key := range []string{"/b", "/a1", "/c"} {
		r.Breaker("http", key).Snapshot()
	}
	r.Breaker("grpc", "/a1").Snapshot()
	report := r.Apply(parsed(t, `{rules: [{match: /a*, sre: {success: 0.9}}, {match: /c}, {match: /b, algorithm: off}], keys: {limit: 7}}`))
	require.Equal(t, config.Report{
		Changes: []config.Change{
			{"grpc", "/a1", config.Match{"rules[0] /a* (sre)", "{}"}, config.Match{"rules[0] /a* (sre)", `{"sre":{"success":0.9}}`}},
			{"http", "/a1", config.Match{"rules[0] /a* (sre)", "{}"}, config.Match{"rules[0] /a* (sre)", `{"sre":{"success":0.9}}`}},
			{"http", "/b", config.Match{"rules[1] /b (off)", `{"algorithm":"off"}`}, config.Match{"rules[2] /b (off)", `{"algorithm":"off"}`}},
			{"http", "/c", config.Match{"default (sre)", "{}"}, config.Match{"rules[1] /c (sre)", "{}"}},
		},
	}, report)
	require.Equal(t, "rules[1] /c (sre)", r.Breaker("http", "/c").Snapshot().Rule)
}

func TestRules_AListenerMayCallBackAndMayPanic(t *testing.T) {
	var r *config.Rules
	var states []breaker.State
	r = config.New(parsed(t, threeFailures), config.WithListener(func(e breaker.Event) {
		b := r.Breaker("http", "/x")
		states = append(states, b.Snapshot().State)
		b.SetMode(breaker.Auto)
		fail(b, 1)
		r.Apply(parsed(t, `{default: {algorithm: off}}`))
		panic("listener")
	}))
	b := r.Breaker("http", "/x")
	fail(b, 2)
	require.PanicsWithValue(t, "listener", func() { fail(b, 1) })
	require.Equal(t, "default (off)", b.Snapshot().Rule)
	require.Zero(t, fail(b, 1))
	require.Equal(t, []breaker.State{breaker.Open, breaker.Closed}, slices.Compact(states))
}

// Apply held a lock while it told the listeners of a breaker that it switched
// off, so that one which called Apply waited for itself.
func TestRules_AListenerMayApplyRulesWhileRulesAreApplied(t *testing.T) {
	var r *config.Rules
	told := 0
	r = config.New(parsed(t, threeFailures), config.WithListener(func(e breaker.Event) {
		if e.To == breaker.Closed {
			told++
			r.Apply(parsed(t, `{}`))
		}
	}))
	b := r.Breaker("http", "/x")
	fail(b, 3)
	applied := make(chan struct{})
	go func() {
		defer close(applied)
		r.Apply(parsed(t, `{default: {algorithm: off}}`))
	}()
	select {
	case <-applied:
	case <-time.After(patience):
		require.FailNow(t, "it hangs")
	}
	require.Equal(t, 1, told)
	require.Equal(t, "default (sre)", b.Snapshot().Rule)
	require.Equal(t, config.Reloads{Applied: 2}, r.Reloads())
}

// Changed limits of keys took effect only when the rules were loaded anew.
func TestRules_ChangedLimitsOfKeysTakeEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := config.New(parsed(t, `{keys: {limit: 1, idle: 1h}}`))
		held := func(want breaker.Keys) { // asks for three keys
			t.Helper()
			for _, key := range []string{"/a", "/b", "/c"} {
				succeed(r.Breaker("http", key), 1)
			}
			require.Equal(t, want, r.Keys())
		}
		held(breaker.Keys{Held: 1, Limit: 1, Overflows: 2})
		require.Empty(t, r.Apply(parsed(t, `{keys: {limit: 2, idle: 1h}}`)).Warnings)
		held(breaker.Keys{Held: 2, Limit: 2, Overflows: 3})
		r.Apply(parsed(t, `{}`))
		held(breaker.Keys{Held: 3, Limit: 256, Overflows: 3})
		r.Apply(parsed(t, `{keys: {limit: 1, idle: 1m}}`))
		held(breaker.Keys{Held: 3, Limit: 1, Overflows: 3})
		for range 3 {
			time.Sleep(time.Minute)
			succeed(r.Breaker("http", "/d"), 1)
		}
		require.Equal(t, 1, r.Keys().Held, "the idle ones made room for one")
	})
}

func TestNew_PanicsForWhatIsNil(t *testing.T) {
	set := parsed(t, "{}")
	for want, f := range map[string]func(){
		"config: New: the set is nil":                                 func() { config.New(nil) },
		"config: New: nil Option":                                     func() { config.New(set, nil) },
		"config: Apply: the set is nil":                               func() { config.New(set).Apply(nil) },
		"config: WithListener: the listener is nil":                   func() { config.WithListener(nil) },
		"config: WithReport: the function is nil":                     func() { config.WithReport(nil) },
		"config: WithInterval(1ms): want a duration in [10ms, 1h]":    func() { config.WithInterval(time.Millisecond) },
		"config: WithInterval(1h0m1s): want a duration in [10ms, 1h]": func() { config.WithInterval(time.Hour + time.Second) },
		"config/kratos: Source: the configuration is nil":             func() { configkratos.Source(nil) },
		"config: Text: the function is nil":                           func() { config.Text("x", nil) },
	} {
		require.PanicsWithValue(t, want, f)
	}
}
