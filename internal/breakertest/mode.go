package breakertest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// controller returns b, and b as a Controller.
func controller(b breaker.Breaker) (breaker.Breaker, breaker.Controller) {
	return b, b.(breaker.Controller)
}

// requireMode requires what a snapshot says of a mode and of its end.
func requireMode(t *testing.T, b breaker.Breaker, m breaker.Mode, until time.Time) breaker.Snapshot {
	t.Helper()
	s := b.Snapshot()
	require.Equal(t, m, s.Mode)
	if until.IsZero() {
		require.Zero(t, s.ModeUntil)
	} else {
		require.WithinDuration(t, until, s.ModeUntil, 0)
	}
	switch m {
	case breaker.ForceOpen:
		require.EqualValues(t, 1, s.RejectRatio)
	case breaker.ForceClosed, breaker.DryRun:
		require.Zero(t, s.RejectRatio)
		require.Zero(t, s.RetryAfter)
	}
	requireConsistent(t, s)
	return s
}

// requireForcedOpen requires that each call is rejected, because of the mode.
func requireForcedOpen(t *testing.T, b breaker.Breaker, retryAfter time.Duration) {
	t.Helper()
	for range 200 {
		p, err := b.Acquire()
		require.Equal(t, breaker.Permit{}, p)
		for _, err := range []error{err, b.Allow()} {
			var rejected *breaker.RejectedError
			require.ErrorAs(t, err, &rejected)
			require.Equal(t, breaker.ReasonForcedOpen, rejected.Reason())
			require.Equal(t, breaker.Open, rejected.State())
			require.Equal(t, retryAfter, rejected.RetryAfter())
			require.Equal(t, b.Snapshot().Name, rejected.Name())
		}
		b.MarkFailed() // the one that Kratos' own middleware owes for Allow
	}
	require.Equal(t, retryAfter, b.Snapshot().RetryAfter)
}

// short is a time in which no breaker recovers.
const short = 50 * time.Millisecond

// modes are the checks of breaker.Controller.
func (k Kind) modes(in in) {
	in("force-open rejects all, and is no evidence against the backend", func(t *testing.T) {
		b, c := controller(k.New(""))
		requireAllows(t, b)
		before := b.Snapshot()
		c.SetMode(breaker.ForceOpen)
		require.Equal(t, breaker.Closed, requireMode(t, b, breaker.ForceOpen, time.Time{}).State)
		requireForcedOpen(t, b, 0)
		want := before.Totals
		want.Rejected += 400
		RequireTotals(t, b, want)
		require.Equal(t, before.Window, b.Snapshot().Window)
		c.SetMode(breaker.Auto)
		requireMode(t, b, breaker.Auto, time.Time{})
		requireAllows(t, b)
	})

	in("force-open for a time says when it ends, and ends at that instant", func(t *testing.T) {
		b, c := controller(k.New(""))
		until := time.Now().Add(time.Minute)
		c.SetModeFor(breaker.ForceOpen, time.Minute)
		requireMode(t, b, breaker.ForceOpen, until)
		requireForcedOpen(t, b, time.Minute)
		time.Sleep(40 * time.Second)
		requireForcedOpen(t, b, 20*time.Second)
		time.Sleep(20*time.Second - 1)
		requireMode(t, b, breaker.ForceOpen, until)
		requireForcedOpen(t, b, 1)
		time.Sleep(time.Nanosecond)
		requireMode(t, b, breaker.Auto, time.Time{})
		requireAllows(t, b)
	})

	in("force-closed lets all through until its end", func(t *testing.T) {
		b, c := controller(k.tripped())
		before, until := b.Snapshot(), time.Now().Add(short)
		c.SetModeFor(breaker.ForceClosed, short)
		require.Equal(t, breaker.Open, requireMode(t, b, breaker.ForceClosed, until).State)
		want := before.Totals
		for range 500 {
			require.True(t, call(b, breaker.Failure))
			require.NoError(t, b.Allow())
			b.MarkFailed()
			want.Failure += 2
		}
		RequireTotals(t, b, want)
		time.Sleep(short - 1)
		requireMode(t, b, breaker.ForceClosed, until)
		require.True(t, call(b, breaker.Failure))
		time.Sleep(time.Nanosecond)
		require.Equal(t, breaker.Open, requireMode(t, b, breaker.Auto, time.Time{}).State)
		k.requireRejects(t, b)
	})

	in("dry-run rejects nothing, and counts what would be rejected", func(t *testing.T) {
		b, c := controller(k.tripped())
		want, until := b.Snapshot().Totals, time.Now().Add(short)
		c.SetModeFor(breaker.DryRun, short)
		require.Equal(t, breaker.Open, requireMode(t, b, breaker.DryRun, until).State)
		for range 500 {
			require.True(t, call(b, breaker.Failure))
			want.Failure++
		}
		s := b.Snapshot()
		require.LessOrEqual(t, s.Totals.WouldReject, uint64(500))
		require.Greater(t, s.Totals.WouldReject, uint64(450))
		if k.Certain {
			require.EqualValues(t, 500, s.Totals.WouldReject)
		}
		want.WouldReject = s.Totals.WouldReject
		RequireTotals(t, b, want)
		time.Sleep(short - 1)
		requireMode(t, b, breaker.DryRun, until)
		time.Sleep(time.Nanosecond)
		require.Equal(t, breaker.Open, requireMode(t, b, breaker.Auto, time.Time{}).State)
		k.requireRejects(t, b)
		require.Equal(t, want.WouldReject, b.Snapshot().Totals.WouldReject)
	})

	for _, m := range []breaker.Mode{breaker.ForceClosed, breaker.DryRun} {
		in("the breaker goes on deciding beneath "+m.String(), func(t *testing.T) {
			b, c := controller(k.New(""))
			c.SetMode(m)
			for range k.Outage {
				require.True(t, call(b, breaker.Failure))
			}
			require.Equal(t, breaker.Open, requireMode(t, b, m, time.Time{}).State)
			c.SetMode(breaker.Auto)
			k.requireRejects(t, b)
			c.SetMode(m)
			for range (k.Recovery + time.Second) / pace {
				require.True(t, call(b, breaker.Success))
				time.Sleep(pace)
			}
			require.Equal(t, breaker.Closed, requireMode(t, b, m, time.Time{}).State)
			c.SetMode(breaker.Auto)
			requireAllows(t, b)
		})
	}

	in("only the last mode that was set counts", func(t *testing.T) {
		b, c := controller(k.New(""))
		c.SetModeFor(breaker.ForceOpen, time.Second)
		c.SetMode(breaker.ForceOpen)
		time.Sleep(time.Hour)
		requireMode(t, b, breaker.ForceOpen, time.Time{})
		requireForcedOpen(t, b, 0)
		c.SetModeFor(breaker.ForceOpen, 2*time.Second)
		c.SetModeFor(breaker.DryRun, time.Second)
		require.True(t, call(b, breaker.Success))
		time.Sleep(time.Second)
		requireMode(t, b, breaker.Auto, time.Time{})
		require.True(t, call(b, breaker.Success))
		c.SetModeFor(breaker.ForceOpen, math.MaxInt64)
		time.Sleep(time.Hour)
		requireMode(t, b, breaker.ForceOpen, time.Time{})
		c.SetModeFor(breaker.Auto, time.Second)
		requireMode(t, b, breaker.Auto, time.Time{})
		require.True(t, call(b, breaker.Success))
		require.Zero(t, b.Snapshot().Totals.WouldReject)
	})

	in("a permit is settled in whatever mode follows", func(t *testing.T) {
		for _, taken := range []breaker.Mode{breaker.Auto, breaker.ForceClosed, breaker.DryRun} {
			for _, followed := range allModes {
				for _, tripped := range []bool{false, true} {
					b, c := controller(k.New(""))
					if tripped {
						if taken == breaker.Auto {
							continue // it would be rejected
						}
						k.trip(b)
					}
					want := b.Snapshot().Totals
					c.SetMode(taken)
					p := Acquire(t, b, 1)[0]
					c.SetMode(followed)
					p.Done(breaker.Success)
					p.Done(breaker.Failure)
					want.Success++
					want.WouldReject = b.Snapshot().Totals.WouldReject
					RequireTotals(t, b, want)
				}
			}
		}
	})

	in("Reset closes, and keeps totals and mode", func(t *testing.T) {
		for _, m := range allModes {
			b, c := controller(k.tripped())
			before, until := b.Snapshot(), time.Now().Add(time.Hour)
			c.SetModeFor(m, time.Hour)
			time.Sleep(time.Second)
			c.Reset()
			if m == breaker.Auto {
				until = time.Time{}
			}
			s := requireMode(t, b, m, until)
			require.Equal(t, breaker.Closed, s.State)
			require.WithinDuration(t, time.Now(), s.Since, 0)
			require.Equal(t, before.Totals, s.Totals)
			require.Equal(t, breaker.Window{Length: s.Window.Length}, s.Window)
			require.Zero(t, s.ConsecutiveFailures+s.ConsecutiveSuccesses+s.Openings)
			c.SetMode(breaker.Auto)
			require.Zero(t, b.Snapshot().RejectRatio)
			for range 200 {
				require.True(t, call(b, breaker.Ignored))
			}
			k.trip(b) // as easily as a new one
			k.requireRejects(t, b)
		}
	})

	in("what is neither a mode nor a time to come is named in a panic", func(t *testing.T) {
		b, c := controller(k.New(""))
		requirePanic := func(named string, f func()) {
			t.Helper()
			panicked, _ := EndOf(f)
			require.Contains(t, fmt.Sprint(panicked), named)
		}
		requirePanic("Mode(4)", func() { c.SetMode(4) })
		requirePanic("Mode(255)", func() { c.SetModeFor(255, time.Second) })
		requirePanic("0s", func() { c.SetModeFor(breaker.ForceOpen, 0) })
		requirePanic("-1ns", func() { c.SetModeFor(breaker.Auto, -1) })
		requireMode(t, b, breaker.Auto, time.Time{})
		requireAllows(t, b)
	})

	if k.Listens {
		in("an event says what the mode was", func(t *testing.T) {
			for _, m := range allModes {
				var told recorder
				b, c := controller(k.New("", told.listen))
				permits := Acquire(t, b, k.Outage)
				c.SetMode(m)
				for _, p := range permits {
					p.Done(breaker.Failure)
					time.Sleep(time.Millisecond) // what fails all at once may have one cause
				}
				told.requireStory(t, b, "", breaker.Open)
				s := told.recorded()[0].Snapshot
				require.Equal(t, m, s.Mode)
				require.Equal(t, m == breaker.Auto || m == breaker.ForceOpen, s.RejectRatio > 0)
				if m != breaker.Auto {
					require.Zero(t, s.RetryAfter, "no end of the mode is known")
				}
			}
		})

		in("listeners are told of a Reset, and of no mode", func(t *testing.T) {
			var told recorder
			b, c := controller(k.New("", told.listen))
			for _, m := range allModes {
				c.SetMode(m)
				call(b, breaker.Success)
				c.SetModeFor(m, time.Second)
				time.Sleep(time.Second)
				call(b, breaker.Success)
			}
			c.Reset()
			require.Empty(t, told.recorded())
			k.trip(b)
			c.Reset()
			c.Reset()
			require.Len(t, told.recorded(), 2)
			told.requireStory(t, b, "", breaker.Closed)
		})
	}
}
