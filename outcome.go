package breaker

import "fmt"

// Outcome is what the end of a call says about the backend.
type Outcome uint8

const (
	// Ignored says nothing about the backend: the caller gave up, or the call
	// never reached the wire. It is the zero value.
	Ignored Outcome = iota
	// Success says that the backend did its work, even if the answer was "no".
	Success
	// Failure says that the backend did not do its work.
	Failure
)

// String returns "ignored", "success" or "failure".
func (o Outcome) String() string {
	switch o {
	case Ignored:
		return "ignored"
	case Success:
		return "success"
	case Failure:
		return "failure"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// MarshalText returns the text of String.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Classifier turns the error of a call into an outcome; a nil error is the end
// of a call that returned. It is called from many goroutines at once. A
// classifier that panics makes the call a failure, and the panic goes on.
type Classifier func(err error) Outcome
