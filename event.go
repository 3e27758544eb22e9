package breaker

import "time"

// Event is one change of a breaker's state.
type Event struct {
	// From and To are the states before and after the change.
	From, To State
	// Cause says in a few words why the state changed.
	Cause string
	// At is when it changed.
	At time.Time
	// Snapshot is what the breaker knew right after the change. It is a copy.
	Snapshot Snapshot
}
