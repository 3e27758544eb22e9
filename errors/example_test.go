package errors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
)

// An answer is a success, even if it is "no".
func ExampleClassify() {
	for _, err := range []error{
		nil,
		kratoserrors.NotFound("NO_USER", "there is no such user"),
		kratoserrors.ServiceUnavailable("DOWN", "the database is down"),
		status.Error(codes.DeadlineExceeded, "too late"),
		status.Error(codes.Unimplemented, "unknown method"),
		fmt.Errorf("reading the answer: %w", io.ErrUnexpectedEOF),
		breaker.ErrNotAllowed,
	} {
		fmt.Println(cberrors.Classify(err))
	}
	// Output:
	// success
	// success
	// failure
	// failure
	// ignored
	// failure
	// ignored
}

// This backend is overloaded when it says so, and maintenance is no outage.
func ExampleNewClassifier() {
	classify := cberrors.NewClassifier(
		cberrors.WithOverload(),
		cberrors.WithReason(breaker.Ignored, "MAINTENANCE"),
	)
	fmt.Println(classify(status.Error(codes.ResourceExhausted, "slow down")))
	fmt.Println(classify(kratoserrors.ServiceUnavailable("MAINTENANCE", "until noon")))
	fmt.Println(classify(kratoserrors.ServiceUnavailable("DOWN", "the database is down")))
	// Output:
	// failure
	// ignored
	// failure
}

// A handler passes on what its call ended with. The callers of the server see a
// rejection as 503 or Unavailable, and other errors as they are.
func ExampleNotAllowed() {
	users := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	handler := func(ctx context.Context) error {
		return cberrors.NotAllowed(breaker.Run(ctx, users, func(context.Context) error {
			return kratoserrors.InternalServer("BUG", "a bug")
		}))
	}
	for range 2 {
		err := handler(context.Background())
		fmt.Println(kratoserrors.Code(err), kratoserrors.Reason(err), status.Code(err))
	}
	// Output:
	// 500 BUG Internal
	// 503 CIRCUITBREAKER Unavailable
}

// A loop that repeats a call has no business with a rejection.
func ExampleIsRejected() {
	users := circuit.NewBreaker(circuit.WithConsecutiveFailures(2))
	down := errors.New("the database is down")
	for {
		err := breaker.Run(context.Background(), users, func(context.Context) error { return down })
		fmt.Println(err)
		if cberrors.IsRejected(err) {
			break
		}
	}
	// Output:
	// the database is down
	// the database is down
	// circuit breaker rejected the call: open
}

func ExampleRetryAfter() {
	users := circuit.NewBreaker()
	users.SetModeFor(breaker.ForceOpen, time.Hour)
	_, err := users.Acquire()
	wait, known := cberrors.RetryAfter(err)
	fmt.Println(wait.Round(time.Minute), known)
	// Output: 1h0m0s true
}
