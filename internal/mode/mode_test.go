package mode_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/mode"
)

var users = mode.Breaker{Package: "sre", Name: "users", Made: time.Unix(1000, 0)}

func TestSetting_PanicsAsSetModeDoes(t *testing.T) {
	for want, f := range map[string]func(){
		"sre: SetMode(Mode(4)): want Auto, ForceOpen, ForceClosed or DryRun":    func() { users.Always(0, 4) },
		"sre: SetModeFor(Mode(4)): want Auto, ForceOpen, ForceClosed or DryRun": func() { users.For(0, 4, 1) },
		"sre: SetModeFor(auto, 0s): want a duration above 0":                    func() { users.For(0, breaker.Auto, 0) },
	} {
		require.PanicsWithValue(t, want, f)
	}
}

func TestSwitch_ASettingEndsAtItsTimeAndOnlyExpireForgetsIt(t *testing.T) {
	var w mode.Switch
	require.Nil(t, w.At(0))
	require.False(t, w.Expire(0))
	s := users.For(5, breaker.DryRun, 10)
	w.Set(s)
	require.Same(t, s, w.At(14))
	require.False(t, w.Expire(14))
	require.Nil(t, w.At(15))
	require.Same(t, s, w.Last())
	require.True(t, w.Expire(15))
	require.False(t, w.Expire(15))
	require.Nil(t, w.Last())
	require.Nil(t, users.Always(0, breaker.Auto))
	require.Nil(t, users.For(0, breaker.Auto, 1))

	w.Set(users.For(5, breaker.DryRun, math.MaxInt64))
	require.NotNil(t, w.At(mode.Never-1), "longer than time is for ever")
}

func TestSetting_DecidesAboutCallsAndIsShown(t *testing.T) {
	for m, want := range map[breaker.Mode]struct {
		lenient  bool
		rejected bool
		would    uint64
		ratio    float64
		after    time.Duration
	}{
		breaker.Auto:        {ratio: 0.3, after: time.Hour},
		breaker.ForceOpen:   {rejected: true, ratio: 1, after: time.Minute},
		breaker.ForceClosed: {lenient: true},
		breaker.DryRun:      {lenient: true, would: 1},
	} {
		t.Run(m.String(), func(t *testing.T) {
			var w mode.Switch
			s := users.For(int64(time.Second), m, time.Minute)
			w.Set(s)
			require.Equal(t, want.lenient, w.LetsThrough(w.At(1)))
			require.Equal(t, want.lenient, s.Lenient())
			require.Equal(t, want.would, w.Totals(ledger.Totals{}).WouldReject)
			r, until := s.Rejection()
			require.Equal(t, want.rejected, r != nil)
			if r != nil {
				require.Equal(t, breaker.ReasonForcedOpen, r.Reason())
				require.Equal(t, "users", r.Name())
				require.EqualValues(t, 61*time.Second, until)
			}
			shown := breaker.Snapshot{RejectRatio: 0.3, RetryAfter: time.Hour}
			s.Show(&shown, int64(time.Second))
			require.Equal(t, m, shown.Mode)
			require.Equal(t, want.ratio, shown.RejectRatio)
			require.Equal(t, want.after, shown.RetryAfter)
			if m != breaker.Auto {
				require.Equal(t, users.Made.Add(61*time.Second), shown.ModeUntil)
			}
			over := breaker.Snapshot{RejectRatio: 0.3, RetryAfter: time.Hour}
			s.Show(&over, int64(61*time.Second))
			require.Equal(t, breaker.Snapshot{RejectRatio: 0.3, RetryAfter: time.Hour}, over)
		})
	}
}

func TestSwitch_ForeverHasNoEndToShow(t *testing.T) {
	shown := breaker.Snapshot{RetryAfter: time.Hour}
	users.Always(0, breaker.ForceOpen).Show(&shown, 0)
	require.Equal(t, breaker.Snapshot{Mode: breaker.ForceOpen, RejectRatio: 1}, shown)
}

func TestSwitch_TotalsHaveWhatNoStateDecidesFrom(t *testing.T) {
	var w mode.Switch
	for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored, 7} {
		p := w.Permit()
		p.Done(o)
		p.Done(o)
		w.Count(o)
	}
	w.Permit()
	require.Equal(t, breaker.Totals{Offered: 11, Allowed: 10, Rejected: 1, Success: 2, Failure: 4, Ignored: 2, InFlight: 2},
		w.Totals(ledger.Totals{Offered: 2, Allowed: 1, Rejected: 1, InFlight: 1}))
}
