package breaker

import "time"

// Event is one change of a breaker's state. The events of a breaker reach each
// of its listeners in order and exactly once: From is the To of the event
// before.
type Event struct {
	// From and To are the states before and after the change.
	From, To State
	// Cause says in a few words why the state changed.
	Cause string
	// At is when it changed.
	At time.Time
	// Snapshot is what the breaker knew right after the change, but its Window
	// is the one that the change was decided from: that of the state that
	// ended. It is a copy.
	Snapshot Snapshot
}

// Listener is told every change of a breaker's state, after the change, by a
// goroutine that made or met it. No lock is held: a listener may call back into
// the breaker. While it blocks, so does that goroutine; the others go on, and
// their events wait. If it panics, the goroutine's call panics, and the events
// that wait are still delivered.
type Listener func(Event)
