package breaker

import "fmt"

// State is how a breaker treats calls. The numbers are not those of other
// libraries: compare the names, never the integers.
type State uint8

const (
	// Closed lets every call through. It is the zero value.
	Closed State = iota
	// HalfOpen lets a few probes through to learn whether the backend is back.
	HalfOpen
	// Open rejects calls: all of them, or for an adaptive breaker a share.
	Open
)

// String returns "closed", "half-open" or "open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText returns the text of String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Mode is who decides: the breaker, or a person. In every mode the breaker goes
// on counting and coming to its own state, so that it is up to date when the
// mode ends.
type Mode uint8

const (
	// Auto leaves the decision to the breaker. It is the zero value.
	Auto Mode = iota
	// ForceOpen rejects every call.
	ForceOpen
	// ForceClosed lets every call through.
	ForceClosed
	// DryRun lets every call through and counts what would have been rejected.
	DryRun
)

// String returns "auto", "force-open", "force-closed" or "dry-run".
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case ForceOpen:
		return "force-open"
	case ForceClosed:
		return "force-closed"
	case DryRun:
		return "dry-run"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// MarshalText returns the text of String.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }
