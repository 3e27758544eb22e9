package circuit_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The traps about timers, clocks and settings.

func TestT20_AnEndOfTheDelayDoesNotUndoAChangeByHand(t *testing.T) {
	for range 1000 {
		b := circuit.NewBreaker(circuit.WithDelay(time.Nanosecond))
		b.Open()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = b.Acquire() }) // the delay is over: half-open
		wg.Go(b.Close)
		wg.Wait()
		requireState(t, breaker.Closed, b)
	}
}

func TestT20_ABreakerLeavesNoGoroutineAndNoTimerBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			b := circuit.NewBreaker(circuit.WithFailureRate(0.5, 2, time.Second), circuit.WithSlowCallRate(time.Second, 0.5, 2, time.Second))
			callTimes(t, b, 2, breaker.Failure)
			b.SetModeFor(breaker.ForceOpen, time.Minute)
		}
		// In a bubble, a goroutine that is left fails the test.
	})
	eachCallInSource(t, func(at, call string) {
		switch call {
		case "go", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.After", "time.Tick", "time.Sleep":
			require.Fail(t, call, at)
		}
	})
}

// A clock that jumps changes nothing: times have a monotonic reading, and are
// compared by it.
func TestT21_TimesAreMonotonic(t *testing.T) {
	var events []breaker.Event
	b := circuit.NewBreaker(circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
	b.SetModeFor(breaker.DryRun, time.Hour)
	b.Open()
	s := b.Snapshot()
	for name, at := range map[string]time.Time{
		"Since": s.Since, "ModeUntil": s.ModeUntil, "At": events[0].At, "Since of an event": events[0].Snapshot.Since,
	} {
		require.Contains(t, at.String(), " m=", name)
	}
	eachCallInSource(t, func(at, call string) {
		if name := call[strings.LastIndex(call, ".")+1:]; strings.HasPrefix(name, "Unix") || name == "Round" || name == "Truncate" {
			require.Fail(t, call, at)
		}
	})
}

// eachCallInSource yields the function calls and go statements of the package, and of
// those that only it and its like are made of.
func eachCallInSource(t *testing.T, yield func(at, call string)) {
	t.Helper()
	var files []string
	for _, dir := range []string{".", "internal/rule", "../internal/mode", "../internal/option"} {
		some, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		require.NotEmpty(t, some)
		files = append(files, some...)
	}
	calls := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			at := func() string { return fset.Position(n.Pos()).String() }
			switch n := n.(type) {
			case *ast.GoStmt:
				yield(at(), "go")
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok {
					calls++
					text := s.Sel.Name
					if x, ok := s.X.(*ast.Ident); ok {
						text = x.Name + "." + text
					}
					yield(at(), text)
				}
			}
			return true
		})
	}
	require.Greater(t, calls, 100, "there is no source to look at")
}

func TestT22_ReadingChangesNothingAndTellsTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		b := circuit.NewBreaker(circuit.WithDelay(time.Minute), circuit.WithProbeLease(time.Second),
			circuit.WithFailureRate(1, 100, time.Second), circuit.WithListener(func(breaker.Event) { events++ }))
		read := func() breaker.Snapshot {
			first := b.Snapshot()
			for range 3 {
				b.Idle()
				require.Equal(t, first, b.Snapshot())
			}
			return first
		}
		callTimes(t, b, 3, breaker.Failure)
		require.EqualValues(t, 3, read().Window.Failure)
		time.Sleep(time.Second)
		require.Zero(t, read().Window.Failure, "an idle window empties")

		b.Open()
		opened := time.Now()
		require.Equal(t, breaker.Open, read().State)
		time.Sleep(time.Hour)
		s := read()
		require.Equal(t, breaker.HalfOpen, s.State)
		require.Equal(t, opened.Add(time.Minute), s.Since, "when a call could first have found it so")
		require.Equal(t, 1, events)

		mustAcquire(t, b) // and forgotten; it is the first probe: reading has taken none
		require.Equal(t, 2, events)
		probed := time.Now()
		time.Sleep(2 * time.Second)
		s = read()
		require.Equal(t, breaker.Open, s.State)
		require.Equal(t, probed.Add(time.Second), s.Since)
		require.Equal(t, 59*time.Second, s.RetryAfter)
		time.Sleep(time.Minute)
		require.Equal(t, breaker.HalfOpen, read().State)
		require.Equal(t, 2, events)
		callTimes(t, b, 1, breaker.Success)
		require.Equal(t, breaker.Closed, read().State)
		require.Equal(t, 5, events, "open, half-open and closed")
	})
}

func TestT24_CallsThatTakeLongerThanTheDelayDoNotHitTheNextState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(2), circuit.WithDelay(10*time.Millisecond))
		var slow []breaker.Permit
		for range 9 {
			slow = append(slow, mustAcquire(t, b))
		}
		fail := func(n int) {
			for _, p := range slow[:n] {
				p.Done(breaker.Failure)
			}
			slow = slow[n:]
		}
		fail(2)
		requireState(t, breaker.Open, b)
		fail(1)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State, "a late failure does not begin the delay anew")
		fail(2)
		requireState(t, breaker.HalfOpen, b)
		probe := mustAcquire(t, b)
		fail(2)
		requireState(t, breaker.HalfOpen, b)
		probe.Done(breaker.Success)
		fail(2)
		requireState(t, breaker.Closed, b)
		require.Zero(t, b.Snapshot().ConsecutiveFailures)
	})
}

// TestT25_NoSettingsMakeABreakerThatPanicsOrStaysHalfOpen tries settings at
// random. NewBreaker panics with a message, or the breaker works: it never runs
// more probes than it may, and once the backend is back, it closes.
func TestT25_NoSettingsMakeABreakerThatPanicsOrStaysHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) {
			opts, limit := drawSettings(t)
			b := tryNewBreaker(t, opts)
			if b == nil {
				return
			}
			var permits []breaker.Permit
			for range rapid.IntRange(0, 60).Draw(t, "calls") {
				if p, err := b.Acquire(); err == nil {
					permits = append(permits, p)
				}
				if b.Snapshot().State == breaker.Open || len(permits) > 20 {
					permits = nil // forgotten
				}
				if len(permits) > 0 && rapid.Bool().Draw(t, "settle") {
					permits[0].Done(rapid.SampledFrom([]breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored}).Draw(t, "outcome"))
					permits = permits[1:]
				}
				time.Sleep(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "pause")))
			}
			probesOf(t, b, limit)
			// The backend is back.
			for i := 0; b.Snapshot().State != breaker.Closed; i++ {
				require.Less(t, i, 1000, "it never closes: %+v", b.Snapshot())
				_ = callOnce(b, breaker.Success)
				time.Sleep(time.Second)
			}
			require.NoError(t, callOnce(b, breaker.Success))
		})
	})
}

// drawSettings draws options, most of which are possible, and returns how many
// probes may run at once.
func drawSettings(t *rapid.T) (opts []circuit.Option, limit int) {
	n := func(name string) int { return rapid.IntRange(0, 6).Draw(t, name) }
	d := func(name string) time.Duration {
		return time.Duration(rapid.SampledFrom([]int64{-1, 0, 1, int64(10 * time.Millisecond), int64(10*time.Millisecond) + 7, int64(time.Second), int64(aDay), int64(aDay) + 1}).Draw(t, name))
	}
	ratio := func(name string) float64 {
		return rapid.SampledFrom([]float64{-1, 0, 1e-7, 1e-6, 1.0 / 3, 0.5, 1, 1.5, 100}).Draw(t, name)
	}
	limit = 1
	for _, option := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 4, rapid.ID).Draw(t, "options") {
		switch option {
		case 0:
			opts = append(opts, circuit.WithConsecutiveFailures(n("in a row")))
		case 1:
			opts = append(opts, circuit.WithFailureCount(n("m"), n("n")))
		case 2:
			opts = append(opts, circuit.WithFailuresInPeriod(n("m"), d("period")))
		case 3:
			opts = append(opts, circuit.WithFailureRate(ratio("rate"), n("min"), d("period")))
		case 4:
			opts = append(opts, circuit.WithSlowCallRate(d("threshold"), ratio("slow"), n("min"), d("period")))
		case 5:
			of := n("of")
			limit = of
			opts = append(opts, circuit.WithProbes(n("successes"), of))
		case 6:
			opts = append(opts, circuit.WithProbeFailures(n("failures")))
		case 7:
			opts = append(opts, circuit.WithDelay(min(d("delay"), 20*time.Second)), circuit.WithBackoff(ratio("factor"), min(d("longest"), 20*time.Second)))
		case 8:
			opts = append(opts, circuit.WithJitter(ratio("jitter")))
		case 9:
			limit = 6
			opts = append(opts, circuit.WithProbesAsInClosed(), circuit.WithProbeLease(min(d("lease"), 20*time.Second)))
		}
	}
	return opts, limit
}

// tryNewBreaker returns nil if NewBreaker panics with one of its messages.
func tryNewBreaker(t *rapid.T, opts []circuit.Option) (b *circuit.Breaker) {
	defer func() {
		if r := recover(); r != nil {
			require.Regexp(t, `^circuit: With[A-Za-z]+`, fmt.Sprint(r))
		}
	}()
	return circuit.NewBreaker(opts...)
}

// probesOf requires that no more probes than limit run at once, and lets some of
// them succeed. The others are forgotten.
func probesOf(t *rapid.T, b *circuit.Breaker, limit int) {
	b.Reset()
	b.HalfOpen()
	before := b.Snapshot().Totals.InFlight
	var running []breaker.Permit
	for range 10 {
		if p, err := b.Acquire(); err == nil {
			running = append(running, p)
		}
	}
	require.NotEmpty(t, running)
	require.LessOrEqual(t, len(running), limit)
	require.EqualValues(t, len(running), b.Snapshot().Totals.InFlight-before)
	for _, p := range running[:rapid.IntRange(0, len(running)).Draw(t, "succeed")] {
		p.Done(breaker.Success)
	}
}
