package breaker

import (
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
)

// ErrNotAllowed is what every rejection is by errors.Is. It is aegis'.
var ErrNotAllowed = circuitbreaker.ErrNotAllowed

// Acquirer hands out permits.
type Acquirer interface {
	// Acquire asks for the right to make one call. The error is nil or a
	// *RejectedError; with a nil error the permit must be settled with
	// [Permit.Done]. It does not block.
	Acquire() (Permit, error)
}

// Breaker is what every breaker of this module is. All methods are safe for
// concurrent use.
type Breaker interface {
	CircuitBreaker
	Acquirer

	// Snapshot returns a copy of the breaker's state and counts. Reading
	// changes nothing.
	Snapshot() Snapshot
}

// Controller is a breaker that a person can overrule: those of sre and circuit
// are.
type Controller interface {
	Breaker

	// SetMode sets who decides, until it is called again.
	SetMode(m Mode)
	// SetModeFor sets who decides for the time d, after which Auto follows.
	SetModeFor(m Mode, d time.Duration)
	// Reset closes the breaker and forgets all that it decided from. Totals and
	// mode stay.
	Reset()
}
