package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/tracing"
)

var errDown = errors.New("down")

// newBreaker opens at the second failure in a row, for five seconds.
func newBreaker(r *tracing.Recorder, name string) *circuit.Breaker {
	return circuit.NewBreaker(circuit.WithName(name), circuit.WithListener(r.Listen),
		circuit.WithConsecutiveFailures(2), circuit.WithDelay(5*time.Second), circuit.WithJitter(0))
}

// call calls f behind b, under the eyes of r.
func call(ctx context.Context, r *tracing.Recorder, b breaker.Acquirer, f func(context.Context) error) (err error) {
	c := r.Begin()
	defer func() { c.End(ctx, err) }()
	return breaker.Run(ctx, b, f)
}

func fail(context.Context) error    { return errDown }
func succeed(context.Context) error { return nil }

func changed(name, from, to, cause string) event {
	return event{name: "circuitbreaker.state_changed", attributes: map[string]any{
		"circuitbreaker.name": name, "from": from, "to": to, "cause": cause,
	}}
}

func TestRecorder_EachEventIsOnTheSpanOfItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r tracing.Recorder
		b := newBreaker(&r, "a")
		step := func(f func(context.Context) error, want ...event) {
			t.Helper()
			var s span
			_ = call(s.in(t.Context()), &r, b, f)
			require.Equal(t, want, s.told())
		}
		step(succeed)
		step(fail)
		step(fail, changed("a", "closed", "open", "2 failures in a row"))
		time.Sleep(1500 * time.Millisecond)
		step(succeed, event{name: "circuitbreaker.rejected", attributes: map[string]any{
			"circuitbreaker.name": "a", "circuitbreaker.state": "open", "circuitbreaker.reason": "open",
			"circuitbreaker.retry_after_ms": int64(3500),
		}})
		time.Sleep(3500 * time.Millisecond)
		step(succeed,
			changed("a", "open", "half-open", "the delay has passed"),
			changed("a", "half-open", "closed", "the results of the probes"))
		step(succeed)
	})
}

func TestRecorder_AChangeHasTheTimeWhenTheBreakerToldOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r tracing.Recorder
		var s span
		b := newBreaker(&r, "a")
		var openedAt time.Time
		_ = call(s.in(t.Context()), &r, b, func(ctx context.Context) error {
			for range 2 {
				_ = breaker.Run(ctx, b, fail)
			}
			openedAt = time.Now()
			time.Sleep(time.Second)
			return errDown
		})
		require.Len(t, s.events, 1)
		require.Equal(t, openedAt, s.events[0].at)
	})
}

func TestRecorder_SaysTheModeOfABreakerThatDoesNotDecide(t *testing.T) {
	var r tracing.Recorder
	var s span
	b := newBreaker(&r, "a")
	b.SetMode(breaker.DryRun)
	for range 2 {
		require.ErrorIs(t, call(s.in(t.Context()), &r, b, fail), errDown)
	}
	want := changed("a", "closed", "open", "2 failures in a row")
	want.attributes["circuitbreaker.mode"] = "dry-run"
	require.Equal(t, []event{want}, s.told())
}

func TestRecorder_AChangeOfACallWithoutASpanGoesToAnotherThatWasUnderWay(t *testing.T) {
	var r tracing.Recorder
	b := newBreaker(&r, "a")
	var early, late, last span
	silent := span{silent: true}
	_ = call(early.in(t.Context()), &r, newBreaker(&r, "b"), func(ctx context.Context) error {
		_ = call(silent.in(ctx), &r, b, fail)
		_ = call(t.Context(), &r, b, fail) // opens it, without a span
		_ = call(late.in(ctx), &r, newBreaker(&r, "c"), succeed)
		return nil
	})
	_ = call(last.in(t.Context()), &r, newBreaker(&r, "d"), succeed)
	require.Equal(t, []event{changed("a", "closed", "open", "2 failures in a row")}, early.told())
	require.Empty(t, silent.told(), "it is not recording")
	require.Empty(t, late.told(), "it began later")
	require.Empty(t, last.told())
}

func TestRecorder_EachChangeOfRecordedCallsIsOnExactlyOneSpan(t *testing.T) {
	var r tracing.Recorder
	breakers := []*circuit.Breaker{newBreaker(&r, "a"), newBreaker(&r, "b")}
	var wg sync.WaitGroup
	spans := make([]span, 16)
	for i := range spans {
		wg.Go(func() {
			for n := range 500 {
				b := breakers[(i+n)%2]
				c := r.Begin()
				if i == 0 && n%21 == 0 { // 50 changes in all, and 64 can wait
					b.Reset() // so that it opens again
				}
				err := breaker.Run(t.Context(), b, fail)
				c.End(spans[i].in(t.Context()), err)
			}
		})
	}
	wg.Wait()
	want, got := map[string]uint64{}, map[string]uint64{}
	for _, b := range breakers {
		s := b.Snapshot()
		want[s.Name+" open"] = s.Transitions[breaker.Closed][breaker.Open]
		want[s.Name+" closed"] = s.Transitions[breaker.Open][breaker.Closed]
		got[s.Name+" open"], got[s.Name+" closed"] = 0, 0 // all resets may have come before
	}
	for i := range spans {
		for _, e := range spans[i].told() {
			if e.name == "circuitbreaker.state_changed" {
				got[fmt.Sprint(e.attributes["circuitbreaker.name"], " ", e.attributes["to"])]++
			}
		}
	}
	require.Positive(t, want["a open"])
	require.Equal(t, want, got)
}

func TestRecorder_KeepsTheLatest64Changes(t *testing.T) {
	var r tracing.Recorder
	var s span
	c := r.Begin()
	for i := range 1000 {
		r.Listen(breaker.Event{Cause: fmt.Sprint(i)})
	}
	c.End(s.in(t.Context()), nil)
	told := s.told()
	require.Len(t, told, 64)
	for i, e := range told {
		require.Equal(t, fmt.Sprint(1000-64+i), e.attributes["cause"])
	}
	c.End(s.in(t.Context()), nil)
	require.Len(t, s.told(), 64, "none is told twice")
}

func TestRecorder_ACallTakesNoChangeFromBeforeItBegan(t *testing.T) {
	var r tracing.Recorder
	var early, late span
	first := r.Begin()
	r.Listen(breaker.Event{Cause: "1"})
	second := r.Begin()
	r.Listen(breaker.Event{Cause: "2"})
	second.End(late.in(t.Context()), nil)
	first.End(early.in(t.Context()), nil)
	require.Len(t, late.told(), 1)
	require.Equal(t, "2", late.told()[0].attributes["cause"])
	require.Len(t, early.told(), 1)
	require.Equal(t, "1", early.told()[0].attributes["cause"])
}

func TestRecorder_ACallThatPanicsHasItsChangeToo(t *testing.T) {
	var r tracing.Recorder
	var s span
	b := newBreaker(&r, "a")
	_ = call(t.Context(), &r, b, fail)
	require.PanicsWithValue(t, "boom", func() {
		_ = call(s.in(t.Context()), &r, b, func(context.Context) error { panic("boom") })
	})
	require.Equal(t, []event{changed("a", "closed", "open", "2 failures in a row")}, s.told())
}

func TestRecordRejection_TellsRejectionsOfThisProcessOnly(t *testing.T) {
	rejection := breaker.NewRejectedError("a", breaker.HalfOpen, breaker.ReasonProbeLimit, time.Time{}, nil)
	want := []event{{name: "circuitbreaker.rejected", attributes: map[string]any{
		"circuitbreaker.name": "a", "circuitbreaker.state": "half-open", "circuitbreaker.reason": "probe limit",
	}}}
	for _, err := range []error{
		rejection, cberrors.NotAllowed(rejection), fmt.Errorf("wrapped: %w", rejection),
		&url.Error{Op: "Get", URL: "http://a", Err: rejection}, kratoserrors.FromError(cberrors.NotAllowed(rejection)),
	} {
		var s span
		tracing.RecordRejection(s.in(t.Context()), err)
		require.Equal(t, want, s.told(), "%T", err)
	}
	for _, err := range []error{
		nil, io.EOF, kratoserrors.New(503, "CIRCUITBREAKER", "of the backend's own breaker"),
	} {
		var s span
		tracing.RecordRejection(s.in(t.Context()), err)
		require.Empty(t, s.told(), "%v", err)
	}
	silent := span{silent: true}
	tracing.RecordRejection(silent.in(t.Context()), rejection)
	require.Empty(t, silent.told())
	require.NotPanics(t, func() { tracing.RecordRejection(t.Context(), rejection) }, "no span")
}

func TestClient_RecordsTheCallsOfKratosMiddleware(t *testing.T) {
	var r tracing.Recorder
	guards := circuitbreaker.Client(
		circuitbreaker.WithKey(func(context.Context, any) string { return "a" }),
		circuitbreaker.WithCircuitBreaker(func() *circuit.Breaker { return newBreaker(&r, "a") }))
	var s span
	var err error
	for range 3 {
		_, err = r.Client()(guards(func(ctx context.Context, _ any) (any, error) { return nil, fail(ctx) }))(s.in(t.Context()), nil)
	}
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	told := s.told()
	require.Len(t, told, 2)
	require.Equal(t, changed("a", "closed", "open", "2 failures in a row"), told[0])
	require.Equal(t, "circuitbreaker.rejected", told[1].name)
	reply, err := r.Client()(func(context.Context, any) (any, error) { return 7, io.EOF })(s.in(t.Context()), nil)
	require.Equal(t, 7, reply)
	require.Equal(t, io.EOF, err)
	require.Len(t, s.told(), 2)
}

func TestCall_CostsNoAllocationWhileNothingHappens(t *testing.T) {
	var r tracing.Recorder
	var s span
	ctx := s.in(t.Context())
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Begin().End(ctx, nil) }))
}

func TestCall_OfNoRecorderTellsRejectionsOnly(t *testing.T) {
	var s span
	tracing.Call{}.End(s.in(t.Context()), breaker.NewRejectedError("a", breaker.Open, breaker.ReasonOpen, time.Time{}, nil))
	require.Len(t, s.told(), 1)
}

func TestRecordRejection_NoErrorMakesItPanic(t *testing.T) {
	var missing *net.OpError
	for _, err := range []error{missing, fmt.Errorf("call: %w", missing), (*breaker.RejectedError)(nil)} {
		var s span
		require.NotPanics(t, func() { tracing.RecordRejection(s.in(t.Context()), err) })
		require.Empty(t, s.told())
	}
}
