package breakertest

import (
	"testing"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

// rejections are the checks of what a rejection says and counts.
func (k Kind) rejections(in in) {
	in("a rejection is one error for everybody", func(t *testing.T) {
		name := ""
		if k.Named {
			name = "/users.v1.Users/Get"
		}
		b := k.New(name)
		k.trip(b)
		require.Equal(t, name, b.Snapshot().Name)
		for _, ask := range []func() error{
			func() error {
				p, err := b.Acquire()
				p.Done(breaker.Failure)
				return err
			},
			func() error {
				err := b.Allow()
				b.MarkFailed()
				return err
			},
		} {
			MustReject(t, func() bool {
				err := ask()
				if err == nil {
					return false
				}
				require.IsType(t, (*breaker.RejectedError)(nil), err)
				require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
				require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
				require.ErrorIs(t, err, errors.ErrNotAllowed)
				require.NotErrorIs(t, err, errBackend)
				rejected, s := err.(*breaker.RejectedError), b.Snapshot() //nolint:errorlint // its type is as required above
				require.Equal(t, name, rejected.Name())
				require.Equal(t, breaker.Open, rejected.State())
				require.Equal(t, breaker.Open, s.State)
				require.NotEqual(t, breaker.ReasonForcedOpen, rejected.Reason())
				require.Equal(t, s.RetryAfter, rejected.RetryAfter())
				return true
			})
		}
	})

	in("RetryAfter is when the first call is allowed, if it is known", func(t *testing.T) {
		b := k.tripped()
		s := b.Snapshot()
		if s.RetryAfter == 0 {
			require.False(t, k.Certain, "a breaker that rejects every call knows for how long")
			return
		}
		time.Sleep(s.RetryAfter - 1)
		require.Equal(t, time.Duration(1), b.Snapshot().RetryAfter)
		k.requireRejects(t, b)
		time.Sleep(time.Nanosecond)
		require.Zero(t, b.Snapshot().RetryAfter)
		require.True(t, call(b, breaker.Success))
	})

	in("a rejection is no failure", func(t *testing.T) {
		b := k.tripped()
		want, window := b.Snapshot().Totals, b.Snapshot().Window
		for n := range 2000 {
			var allowed bool
			if n%2 == 0 {
				allowed = call(b, breaker.Failure)
			} else { // as Kratos' own middleware
				allowed = b.Allow() == nil
				b.MarkFailed()
			}
			if allowed {
				want.Failure++
				window.Failure++
			} else {
				want.Rejected++
			}
			RequireTotals(t, b, want)
		}
		require.Greater(t, want.Rejected, uint64(1500))
		if s := b.Snapshot(); s.Window.Total() > 0 {
			require.Equal(t, window.Failure, s.Window.Failure)
			require.Zero(t, s.Window.Success)
		}
	})
}
