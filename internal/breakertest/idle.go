package breakertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// idling are the checks of Idle: whether a group may forget the breaker.
func (k Kind) idling(in in) {
	in("it is idle when new, and again long after its last call", func(t *testing.T) {
		b := k.New("")
		idle := b.(idler).Idle
		require.True(t, idle())
		for _, o := range Outcomes {
			p := Acquire(t, b, 1)[0]
			require.False(t, idle(), "a permit is in flight")
			time.Sleep(time.Hour)
			require.False(t, idle(), "it is in flight however old it is")
			p.Done(o)
			time.Sleep(time.Hour)
			require.True(t, idle())
		}
	})

	in("it is not idle while it rejects", func(t *testing.T) {
		b := k.tripped()
		require.False(t, b.(idler).Idle())
	})

	if k.Controlled {
		in("it is not idle while somebody overrules it", func(t *testing.T) {
			b, c := controller(k.New(""))
			idle := b.(idler).Idle
			for _, m := range allModes {
				c.SetModeFor(m, time.Hour)
				require.Equal(t, m == breaker.Auto, idle())
				time.Sleep(time.Hour - 1)
				require.Equal(t, m == breaker.Auto, idle())
				time.Sleep(time.Nanosecond)
				require.True(t, idle())
				c.SetMode(m)
				require.Equal(t, m == breaker.Auto, idle())
				time.Sleep(time.Hour)
				require.Equal(t, m == breaker.Auto, idle())
			}
		})
	}
}
