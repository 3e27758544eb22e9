package circuit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

var errBackendDown = errors.New("the backend is down")

// callDown calls a backend that fails, callUp one that answers.
func callDown(context.Context) error { return errBackendDown }
func callUp(context.Context) error   { return nil }

// A breaker in front of a backend that is down and comes back.
func ExampleNewBreaker() {
	b := circuit.NewBreaker(
		circuit.WithName("users"),
		circuit.WithConsecutiveFailures(3),
		circuit.WithDelay(30*time.Second),
		circuit.WithListener(func(e breaker.Event) {
			fmt.Printf("%v -> %v: %s\n", e.From, e.To, e.Cause)
		}),
	)
	ctx := context.Background()
	for range 3 {
		fmt.Println(breaker.Run(ctx, b, callDown))
	}
	fmt.Println(breaker.Run(ctx, b, callDown)) // the backend is not called

	b.HalfOpen() // or wait for 30 seconds
	fmt.Println(breaker.Run(ctx, b, callUp))
	// Output:
	// the backend is down
	// the backend is down
	// closed -> open: 3 failures in a row
	// the backend is down
	// circuit breaker "users" rejected the call: open
	// open -> half-open: by hand
	// half-open -> closed: the results of the probes
	// <nil>
}

// A backend that hangs opens the breaker before its first answer.
func ExampleWithSlowCallRate() {
	b := circuit.NewBreaker(circuit.WithSlowCallRate(5*time.Millisecond, 0.5, 2, time.Minute))

	first, _ := b.Acquire()
	second, _ := b.Acquire()
	time.Sleep(5 * time.Millisecond) // nothing has come back
	_, err := b.Acquire()
	fmt.Println(err)
	fmt.Println(b.Snapshot().Cause)

	// However they end: they are of an earlier state of the breaker.
	first.Done(breaker.Success)
	second.Done(breaker.Success)
	fmt.Println(b.Snapshot().State)
	// Output:
	// circuit breaker rejected the call: open
	// 2 of 2 calls within 1m0s were slow
	// open
}

// A new breaker can be watched for a while before it is trusted: in DryRun it
// opens and closes as it would, and lets every call through.
func ExampleBreaker_SetMode_dryRun() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	b.SetMode(breaker.DryRun)
	for range 10 {
		_ = breaker.Run(context.Background(), b, callDown)
	}
	s := b.Snapshot()
	fmt.Println(s.Mode, s.State)
	fmt.Println(s.Totals.Allowed, "allowed,", s.Totals.Rejected, "rejected,", s.Totals.WouldReject, "would have been")
	// Output:
	// dry-run open
	// 10 allowed, 0 rejected, 7 would have been
}

// A person takes a backend out of use for some time. The breaker goes on
// counting, and decides again when the time is over.
func ExampleBreaker_SetModeFor() {
	b := circuit.NewBreaker()
	b.SetModeFor(breaker.ForceOpen, time.Hour)
	fmt.Println(breaker.Run(context.Background(), b, callUp))
	fmt.Println(b.Snapshot().State, "for", b.Snapshot().RetryAfter.Round(time.Minute))

	b.SetMode(breaker.Auto)
	fmt.Println(breaker.Run(context.Background(), b, callUp))
	// Output:
	// circuit breaker rejected the call: forced open
	// closed for 1h0m0s
	// <nil>
}
