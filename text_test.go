package breaker_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

func TestText_EveryWordIsTheOneOfTheDesign(t *testing.T) {
	for _, row := range []struct {
		value  any
		number uint8
		want   string
	}{
		{breaker.Closed, uint8(breaker.Closed), "closed"},
		{breaker.HalfOpen, uint8(breaker.HalfOpen), "half-open"},
		{breaker.Open, uint8(breaker.Open), "open"},
		{breaker.State(3), 3, "State(3)"},
		{breaker.State(255), 255, "State(255)"},
		{breaker.Auto, uint8(breaker.Auto), "auto"},
		{breaker.ForceOpen, uint8(breaker.ForceOpen), "force-open"},
		{breaker.ForceClosed, uint8(breaker.ForceClosed), "force-closed"},
		{breaker.DryRun, uint8(breaker.DryRun), "dry-run"},
		{breaker.Mode(4), 4, "Mode(4)"},
		{breaker.Mode(255), 255, "Mode(255)"},
		{breaker.Ignored, uint8(breaker.Ignored), "ignored"},
		{breaker.Success, uint8(breaker.Success), "success"},
		{breaker.Failure, uint8(breaker.Failure), "failure"},
		{breaker.Outcome(3), 3, "Outcome(3)"},
		{breaker.Outcome(255), 255, "Outcome(255)"},
		{breaker.ReasonUnknown, uint8(breaker.ReasonUnknown), "unknown"},
		{breaker.ReasonThrottled, uint8(breaker.ReasonThrottled), "throttled"},
		{breaker.ReasonOpen, uint8(breaker.ReasonOpen), "open"},
		{breaker.ReasonProbeLimit, uint8(breaker.ReasonProbeLimit), "probe limit"},
		{breaker.ReasonForcedOpen, uint8(breaker.ReasonForcedOpen), "forced open"},
		{breaker.Reason(5), 5, "Reason(5)"},
		{breaker.Reason(255), 255, "Reason(255)"},
	} {
		require.Equal(t, row.want, row.value.(fmt.Stringer).String())
		require.Equal(t, row.want, fmt.Sprint(row.value))
		require.Equal(t, fmt.Sprint(row.number), fmt.Sprintf("%d", row.value))
		text, err := row.value.(encoding.TextMarshaler).MarshalText()
		require.NoError(t, err)
		require.Equal(t, row.want, string(text))
		asJSON, err := json.Marshal(map[string]any{"value": row.value})
		require.NoError(t, err)
		require.JSONEq(t, `{"value": "`+row.want+`"}`, string(asJSON))
	}
}

func TestText_ZeroValuesAreTheHarmlessOnes(t *testing.T) {
	var s breaker.Snapshot
	var o breaker.Outcome
	var r breaker.Reason
	require.Equal(t, "closed auto ignored unknown", fmt.Sprint(s.State, s.Mode, o, r))
}

func TestText_EveryNumberHasATextOfItsOwn(t *testing.T) {
	for name, text := range map[string]func(n uint8) string{
		"State":   func(n uint8) string { return breaker.State(n).String() },
		"Mode":    func(n uint8) string { return breaker.Mode(n).String() },
		"Outcome": func(n uint8) string { return breaker.Outcome(n).String() },
		"Reason":  func(n uint8) string { return breaker.Reason(n).String() },
	} {
		seen := make(map[string]bool)
		for n := range 256 {
			s := text(uint8(n))
			require.False(t, seen[s], "%s %d: %q is another one's text", name, n, s)
			seen[s] = true
		}
	}
}

func TestSnapshot_AsJSONSaysTheWords(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	s := breaker.Snapshot{
		Name: "users", Mode: breaker.DryRun, ModeUntil: since, State: breaker.HalfOpen, Since: since, Cause: "why",
		Window:               breaker.Window{Length: 3 * time.Second, Success: 1, Failure: 2, Rejected: 3, Slow: 4},
		Totals:               breaker.Totals{Offered: 10, Allowed: 7, Rejected: 3, Success: 1, Failure: 2, Ignored: 3, InFlight: 1, WouldReject: 5},
		ConsecutiveSuccesses: 6, ConsecutiveFailures: 7, Openings: 8,
		Transitions: breaker.Transitions{breaker.Closed: {breaker.Open: 2}, breaker.Open: {breaker.HalfOpen: 1}},
		RejectRatio: 0.25, RetryAfter: time.Second, Rule: "rules[1]",
	}
	data, err := json.Marshal(breaker.Event{From: breaker.Open, To: breaker.HalfOpen, Cause: "time", At: since, Snapshot: s})
	require.NoError(t, err)
	require.JSONEq(t, `{
		"From": "open", "To": "half-open", "Cause": "time", "At": "2026-01-02T03:04:05.000000006Z",
		"Snapshot": {
			"Name": "users", "Mode": "dry-run", "ModeUntil": "2026-01-02T03:04:05.000000006Z",
			"State": "half-open", "Since": "2026-01-02T03:04:05.000000006Z", "Cause": "why",
			"Window": {"Length": 3000000000, "Success": 1, "Failure": 2, "Rejected": 3, "Slow": 4},
			"Totals": {
				"Offered": 10, "Allowed": 7, "Rejected": 3, "Success": 1, "Failure": 2, "Ignored": 3, "InFlight": 1, "WouldReject": 5
			},
			"ConsecutiveSuccesses": 6, "ConsecutiveFailures": 7, "Openings": 8,
			"Transitions": {"closed": {"open": 2}, "open": {"half-open": 1}},
			"RejectRatio": 0.25, "RetryAfter": 1000000000, "Rule": "rules[1]"
		}}`, string(data))
}

func TestSnapshot_OfEveryBreakerIsJSON(t *testing.T) {
	for _, kind := range append(willing, unwilling...) {
		b := kind.make()
		acquire := func() {
			if p, err := b.Acquire(); err == nil {
				p.Done(breaker.Failure)
			}
		}
		acquire()
		data, err := json.Marshal(b.Snapshot())
		require.NoError(t, err)
		var got struct{ State, Mode string }
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, b.Snapshot().State.String(), got.State)
		require.Equal(t, "auto", got.Mode)
	}
}

func TestWindow_TotalIsTheSumOfItsCounts(t *testing.T) {
	require.EqualValues(t, 1+20+300, breaker.Window{Success: 1, Failure: 20, Rejected: 300}.Total())
}
