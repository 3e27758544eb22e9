package circuit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/group"
)

// The uses of mist-go's breaker, in the order of its documentation.

// fakeTransport counts the calls that reach it.
type fakeTransport struct {
	err   error
	calls int
}

func (t *fakeTransport) send(context.Context, string) error {
	t.calls++
	return t.err
}

// New and Do of mist-go, with its Config.
func Example_mistDo() {
	ctx, transport := context.Background(), &fakeTransport{err: errBackendDown}

	cb := circuit.NewBreaker(
		circuit.WithConsecutiveFailures(5),   // open after 5 consecutive failures
		circuit.WithDelay(30*time.Second),    // try again after 30s
		circuit.WithProbes(1, 1),             // allow 1 probe in half-open state
		circuit.WithProbeLease(time.Minute),  // give a probe up after 1m
		circuit.WithName("inference server"), // what errors and events call it
	)
	send := func(msg string) error {
		err := breaker.Run(ctx, cb, func(ctx context.Context) error {
			return transport.send(ctx, msg)
		})
		if errors.Is(err, aegis.ErrNotAllowed) {
			// Rejected. The function was not called.
			return errors.New("served from the cache")
		}
		return err // of the function. A failure was counted.
	}
	for range 6 {
		fmt.Println(send("hello"))
	}
	fmt.Println(transport.calls, "calls of the transport")
	// Output:
	// the backend is down
	// the backend is down
	// the backend is down
	// the backend is down
	// the backend is down
	// served from the cache
	// 5 calls of the transport
}

// The counterpart of a Config with a HalfOpenMax of 3: that many probes at once,
// of which the first result decides.
func Example_mistHalfOpenMax() {
	cb := circuit.NewBreaker(
		circuit.WithProbes(1, 3), circuit.WithProbeFailures(1),
	)
	cb.HalfOpen() // by hand, for the example
	var probes [3]breaker.Permit
	for i := range probes {
		probes[i], _ = cb.Acquire()
	}
	_, err := cb.Acquire()
	fmt.Println(err)

	probes[1].Done(breaker.Success)
	fmt.Println(cb.Snapshot().State)
	probes[0].Done(breaker.Failure) // of a state that has ended
	probes[2].Done(breaker.Failure)
	fmt.Println(cb.Snapshot().State, cb.Snapshot().ConsecutiveFailures)
	// Output:
	// circuit breaker rejected the call: probe limit
	// closed
	// closed 0
}

// A call that its caller cancelled says nothing about the backend. One that ran
// into its deadline does.
func Example_mistCancellation() {
	cb := circuit.NewBreaker()
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(breaker.Run(ctx, cb, wait))
	fmt.Println(cb.Snapshot().Totals.Ignored, "ignored,", cb.Snapshot().ConsecutiveFailures, "failures in a row")

	ctx, cancel = context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(breaker.Run(ctx, cb, wait))
	fmt.Println(cb.Snapshot().Totals.Ignored, "ignored,", cb.Snapshot().ConsecutiveFailures, "failures in a row")
	// Output:
	// context canceled
	// 1 ignored, 0 failures in a row
	// context deadline exceeded
	// 1 ignored, 1 failures in a row
}

// As mist-go's breaker, without its exception for deadlines.
func Example_mistIgnoreDeadlines() {
	cb := circuit.NewBreaker()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := breaker.Run(ctx, cb, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}, breaker.WithClassifier(func(err error) breaker.Outcome {
		switch {
		case err == nil:
			return breaker.Success
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return breaker.Ignored
		}
		return breaker.Failure
	}))
	fmt.Println(err)
	fmt.Println(cb.Snapshot().Totals.Ignored, "ignored,", cb.Snapshot().ConsecutiveFailures, "failures in a row")
	// Output:
	// context deadline exceeded
	// 1 ignored, 0 failures in a row
}

// DoWithFallback of mist-go. The fallback answers for rejected calls only; the
// type of the value is the caller's.
func Example_mistFallback() {
	ctx, cb := context.Background(), circuit.NewBreaker()
	cb.Open() // by hand, for the example

	result, err := breaker.Do(ctx, cb,
		func(context.Context) (string, error) {
			return "primary model", nil
		},
		breaker.WithFallback(func(_ context.Context, rejected error) (string, error) {
			fmt.Println("using the fallback:", rejected)
			return "fallback model", nil
		}),
	)
	fmt.Println(result, err)

	// Without a value.
	err = breaker.Run(ctx, cb, callUp, breaker.WithRunFallback(func(context.Context, error) error { return nil }))
	fmt.Println(err)

	// A function that fails keeps its error.
	cb.Close()
	err = breaker.Run(ctx, cb, callDown, breaker.WithRunFallback(func(context.Context, error) error { return nil }))
	fmt.Println(err)
	// Output:
	// using the fallback: circuit breaker rejected the call: open
	// fallback model <nil>
	// <nil>
	// the backend is down
}

// State and Counts of mist-go are in one snapshot.
func Example_mistCounts() {
	ctx, cb := context.Background(), circuit.NewBreaker(circuit.WithConsecutiveFailures(2))
	for _, call := range []func(context.Context) error{callUp, callDown, callUp, callDown, callDown, callUp} {
		_ = breaker.Run(ctx, cb, call)
	}
	s := cb.Snapshot()
	fmt.Println(s.State)
	fmt.Printf("successes: %d, failures: %d, rejected: %d\n", s.Totals.Success, s.Totals.Failure, s.Totals.Rejected)
	// Output:
	// open
	// successes: 2, failures: 3, rejected: 1
}

// The pool of breakers, one per service, is a group. It makes a breaker when
// its key is first asked for.
func Example_mistPool() {
	ctx := context.Background()
	pool := group.NewKeyed(func(service string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(service), circuit.WithConsecutiveFailures(5))
	})
	send := func(ctx context.Context, service string, call func(context.Context) error) error {
		return breaker.Run(ctx, pool.Get(service), call)
	}
	for range 5 {
		_ = send(ctx, "infermux", callDown)
	}
	fmt.Println(send(ctx, "infermux", callUp))
	fmt.Println(send(ctx, "tokentrace", callUp))
	// Output:
	// circuit breaker "infermux" rejected the call: open
	// <nil>
}

// retryLoop is a loop of the user's. It does not repeat a rejected call.
func retryLoop(ctx context.Context, times int, f func(context.Context) error) error {
	err := f(ctx)
	for i := 1; i < times && err != nil && !errors.Is(err, aegis.ErrNotAllowed); i++ {
		err = f(ctx)
	}
	return err
}

// The breaker around the retry: three attempts that fail are one failure.
func Example_mistRetryInside() {
	ctx, cb, transport := context.Background(), circuit.NewBreaker(circuit.WithConsecutiveFailures(2)), &fakeTransport{err: errBackendDown}
	for range 3 {
		err := breaker.Run(ctx, cb, func(ctx context.Context) error {
			return retryLoop(ctx, 3, func(ctx context.Context) error {
				return transport.send(ctx, "hello")
			})
		})
		fmt.Println(err, "after", transport.calls, "attempts")
	}
	// Output:
	// the backend is down after 3 attempts
	// the backend is down after 6 attempts
	// circuit breaker rejected the call: open after 6 attempts
}

// The retry around the breaker: each attempt that fails is a failure, and the
// breaker ends the retry.
func Example_mistRetryOutside() {
	ctx, cb, transport := context.Background(), circuit.NewBreaker(circuit.WithConsecutiveFailures(2)), &fakeTransport{err: errBackendDown}
	err := retryLoop(ctx, 3, func(ctx context.Context) error {
		return breaker.Run(ctx, cb, func(ctx context.Context) error {
			return transport.send(ctx, "hello")
		})
	})
	fmt.Println(err, "after", transport.calls, "attempts")
	// Output: circuit breaker rejected the call: open after 2 attempts
}
