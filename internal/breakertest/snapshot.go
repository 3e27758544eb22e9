package breakertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// snapshots are the checks of what reading shows and does. That snapshots are
// consistent while calls run is checked with the totals.
func (k Kind) snapshots(in in) {
	in("a new breaker is closed and has counted nothing", func(t *testing.T) {
		made := time.Now()
		s := k.New("").Snapshot()
		require.WithinDuration(t, made, s.Since, 0)
		require.Equal(t, breaker.Snapshot{Since: s.Since, Window: breaker.Window{Length: s.Window.Length}}, s)
	})

	in("reading changes nothing", func(t *testing.T) {
		var events [2]int
		var twins [2]breaker.Breaker
		for i := range twins {
			var listeners []breaker.Listener
			if k.Listens {
				listeners = append(listeners, func(breaker.Event) { events[i]++ })
			}
			twins[i] = k.New("", listeners...)
		}
		read, unread := twins[0], twins[1]
		look := func() {
			require.Equal(t, read.Snapshot(), read.Snapshot())
			if b, ok := read.(idler); ok {
				require.Equal(t, b.Idle(), b.Idle())
			}
		}
		requireTwins := func() {
			require.Equal(t, events[1], events[0], "events")
			require.Equal(t, unread.Snapshot(), read.Snapshot())
		}
		// Marks alone, which leave nothing to chance.
		for range k.Outage {
			for _, b := range twins {
				b.MarkFailed()
			}
			look()
		}
		requireTwins()
		before := events
		for range k.Recovery / pace { // through each state that time alone leads to
			time.Sleep(pace)
			look()
		}
		require.Equal(t, before, events)
		requireTwins()
		for range 3 * k.Outage {
			for _, b := range twins {
				b.MarkSuccess()
			}
			look()
		}
		requireTwins()
		time.Sleep(k.Recovery)
		for _, b := range twins {
			require.True(t, call(b, breaker.Success))
		}
		requireTwins()
	})

	in("snapshots are consistent all through an outage", func(t *testing.T) {
		b := k.New("")
		seen := map[breaker.State]bool{}
		look := func() {
			s := b.Snapshot()
			require.Equal(t, s, b.Snapshot())
			requireConsistent(t, s)
			seen[s.State] = true
		}
		step := func(o breaker.Outcome) bool {
			look()
			p, err := b.Acquire()
			look()
			p.Done(o)
			look()
			time.Sleep(pace)
			return err == nil
		}
		for range 5 * time.Second / pace {
			step(breaker.Failure)
		}
		k.recover(t, b, func() bool { return step(breaker.Success) })
		require.True(t, seen[breaker.Closed])
		require.True(t, seen[breaker.Open])
		require.Equal(t, k.Certain, seen[breaker.HalfOpen])
	})
}
