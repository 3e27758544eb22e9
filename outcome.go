package breaker

import (
	"context"
	"fmt"

	"github.com/kratos-breaker/breaker/internal/fault"
)

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
// of a call that returned. It is asked about calls whose caller is not to blame,
// and about answers of the backend, that is errors with a code of Kratos or gRPC:
// see [OutcomeOf]. It is called from many goroutines at once. A classifier that
// panics makes the call a failure, and the panic goes on.
type Classifier func(err error) Outcome

// OutcomeOf returns what the end of a call says about the backend, for whoever
// settles permits by hand. ctx is the context that the caller made the call with,
// err how the call ended, and c says what an error means; a nil c is the default
// of [Do].
//
// It says first whose fault it is. If the caller has cancelled ctx by now, all but
// a success is ignored, and c is only asked about a nil error and about answers.
// The passing of a deadline is the backend's fault, also as the cause of a
// cancellation. A call whose ctx had ended before it began, and that did not
// succeed, says nothing: ask ctx before, and settle such a call as ignored.
//
// An answer is an error with a code. Without one, as redis.Nil, it is ignored if the
// caller is gone, whatever c says.
//
// What ctx ended with, which net/http returns as the error, is no answer, whatever it
// is. After a deadline, c is asked about context.DeadlineExceeded in its place. An
// answer is told from the cause by its pointer; without one, by not being equal.
//
// Nothing that err does makes it panic, unless c does. It costs a look at ctx, and
// allocates nothing if err is nil. To find a gRPC status in err, which this package does
// not link, it uses reflection, which allocates: if c is nil, the caller is to blame, or
// ctx has ended with a cause.
func OutcomeOf(ctx context.Context, err error, c Classifier) Outcome {
	return outcomeOf(ctx, fault.Gone(ctx), err, c)
}

func outcomeOf(ctx context.Context, blamed bool, err error, c Classifier) Outcome {
	if c == nil {
		c = byDefault
	}
	return fault.Decide(ctx, blamed, err, Success, Ignored, c)
}

// byDefault is what an error says to Do: a failure, unless that nothing was sent.
func byDefault(err error) Outcome {
	switch {
	case err == nil:
		return Success
	case fault.NotSent(err):
		return Ignored
	}
	return Failure
}

// NotSent marks err as one from before anything was sent, say that of a middleware
// that found no token: such a call is ignored, and if it was a probe, the next call
// is one in its place. By errors.Is and errors.As it is what err is. NotSent of nil
// is nil.
func NotSent(err error) error {
	if err == nil {
		return nil
	}
	return notSent{err}
}

type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// NotSent is what package fault looks for.
func (notSent) NotSent() bool { return true }
