package circuit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// The uses of failsafe-go's circuit breaker, in the order of its documentation.

// stateAfter makes a call for each letter, S for one that succeeds and F for one
// that fails, and returns the state that they lead to.
func stateAfter(b *circuit.Breaker, calls string) breaker.State {
	for _, call := range calls {
		run := callUp
		if call == 'F' {
			run = callDown
		}
		_ = breaker.Run(context.Background(), b, run)
	}
	return b.Snapshot().State
}

// Opens after 5 failures, half-opens after 1 minute, closes after 2 successes.
func Example_failsafeUsage() {
	b := circuit.NewBreaker(
		circuit.WithConsecutiveFailures(5),
		circuit.WithDelay(time.Minute),
		circuit.WithProbes(2, 2),
	)
	fmt.Println(stateAfter(b, "FFFFF"))
	b.HalfOpen() // or wait for a minute
	fmt.Println(stateAfter(b, "S"), stateAfter(b, "S"))
	// Output:
	// open
	// half-open closed
}

// What failsafe-go's breaker does when nothing is configured. The defaults here
// are 5 failures in a row and 30 seconds.
func Example_failsafeDefaults() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Minute))
	fmt.Println(stateAfter(b, "F"), b.Snapshot().RetryAfter.Round(time.Second))
	// Output: open 1m0s
}

// WithFailureThreshold(3) of failsafe-go.
func ExampleWithConsecutiveFailures() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3))
	fmt.Println(stateAfter(b, "FSFF"), stateAfter(b, "F"))
	// Output: closed open
}

// WithFailureThresholdRatio(3, 5) of failsafe-go.
func ExampleWithFailureCount() {
	b := circuit.NewBreaker(circuit.WithFailureCount(3, 5))
	fmt.Println(stateAfter(b, "FFSSS"), stateAfter(b, "FF"), stateAfter(b, "F"))
	fmt.Println(b.Snapshot().Cause)
	// Output:
	// closed closed open
	// 3 of the last 5 calls failed
}

// WithFailureThresholdPeriod(3, time.Minute) of failsafe-go.
func ExampleWithFailuresInPeriod() {
	b := circuit.NewBreaker(circuit.WithFailuresInPeriod(3, time.Minute))
	fmt.Println(stateAfter(b, "FSSSFSSS"), stateAfter(b, "F"))
	fmt.Println(b.Snapshot().Cause)
	// Output:
	// closed open
	// 3 failures within 1m0s
}

// WithFailureRateThreshold(0.2, 5, time.Minute) of failsafe-go, and, in its older
// versions, WithFailureRateThreshold(20, 5, time.Minute).
func ExampleWithFailureRate() {
	for _, b := range []*circuit.Breaker{
		circuit.NewBreaker(circuit.WithFailureRate(0.2, 5, time.Minute)),
		circuit.NewBreaker(circuit.WithFailurePercent(20, 5, time.Minute)),
	} {
		fmt.Println(stateAfter(b, "FFSS"), stateAfter(b, "S"))
		fmt.Println(b.Snapshot().Cause)
	}
	// Output:
	// closed open
	// 2 of 5 calls within 1m0s failed
	// closed open
	// 2 of 5 calls within 1m0s failed
}

// WithDelay and RemainingDelay of failsafe-go. The remaining delay is also in
// the error of a rejected call.
func ExampleWithDelay() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(10*time.Minute))
	fmt.Println(stateAfter(b, "F"), b.Snapshot().RetryAfter.Round(time.Minute))

	var rejected *breaker.RejectedError
	if err := breaker.Run(context.Background(), b, callUp); errors.As(err, &rejected) {
		fmt.Println("retry after", rejected.RetryAfter().Round(time.Minute))
	}
	// Output:
	// open 10m0s
	// retry after 10m0s
}

// WithDelayFunc of failsafe-go: a delay computed from the result.
func ExampleWithDelayFunc() {
	overloaded := errors.New("overloaded")
	newBreaker := func() *circuit.Breaker {
		return circuit.NewBreaker(
			circuit.WithConsecutiveFailures(1),
			circuit.WithDelayFunc(func(o circuit.Opening) time.Duration {
				if errors.Is(o.Result.Err, overloaded) {
					return time.Hour
				}
				return -1 // the delay that it would be otherwise
			}),
		)
	}
	for _, err := range []error{overloaded, errBackendDown} {
		b := newBreaker()
		_ = breaker.Run(context.Background(), b, func(context.Context) error { return err })
		fmt.Println(err, b.Snapshot().RetryAfter.Round(time.Second))
	}
	// Output:
	// overloaded 1h0m0s
	// the backend is down 30s
}

// The backend itself says for how long it is down.
func ExampleWithRetryAfter() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithRetryAfter(time.Hour, nil))
	p, err := b.Acquire()
	if err != nil {
		panic(err)
	}
	// The response was a 503 with Retry-After: 600.
	p.DoneWith(breaker.Result{Outcome: breaker.Failure, RetryAfter: 600 * time.Second})
	fmt.Println(b.Snapshot().State, b.Snapshot().RetryAfter.Round(time.Second))
	// Output: open 10m0s
}

// WithSuccessThreshold(2) and WithSuccessThresholdRatio(3, 5) of failsafe-go.
func ExampleWithProbes() {
	b := circuit.NewBreaker(circuit.WithProbes(2, 2))
	b.HalfOpen()
	fmt.Println(stateAfter(b, "S"), stateAfter(b, "S"))
	b.HalfOpen()
	fmt.Println(stateAfter(b, "S"), stateAfter(b, "F"))

	b = circuit.NewBreaker(circuit.WithProbes(3, 5))
	b.HalfOpen()
	fmt.Println(stateAfter(b, "SFSF"), stateAfter(b, "S"))
	b.HalfOpen()
	fmt.Println(stateAfter(b, "FSF"), stateAfter(b, "F"))
	// Output:
	// half-open closed
	// half-open open
	// half-open closed
	// half-open open
}

// Without a success threshold, failsafe-go judges probes by the failure
// threshold. Here that has to be asked for.
func ExampleWithProbesAsInClosed() {
	b := circuit.NewBreaker(circuit.WithFailureCount(2, 3), circuit.WithProbesAsInClosed())
	b.HalfOpen()
	fmt.Println(stateAfter(b, "FS"), stateAfter(b, "S"))
	b.HalfOpen()
	fmt.Println(stateAfter(b, "SF"), stateAfter(b, "F"))
	// Output:
	// half-open closed
	// half-open open
}

// HandleErrors of failsafe-go: which errors are failures. What is a type there,
// or a condition of one's own, is a line of the classifier here.
func Example_failsafeHandleErrors() {
	errConnecting, errNotFound := errors.New("connecting"), errors.New("not found")
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))

	handled := breaker.WithClassifier(func(err error) breaker.Outcome {
		if errors.Is(err, errConnecting) {
			return breaker.Failure
		}
		return breaker.Success
	})
	for _, err := range []error{errNotFound, fmt.Errorf("dial: %w", errConnecting)} {
		err := breaker.Run(context.Background(), b, func(context.Context) error { return err }, handled)
		fmt.Println(err, "->", b.Snapshot().State)
	}
	// Output:
	// not found -> closed
	// dial: connecting -> open
}

// HandleResult of failsafe-go: a result that is a failure. A classifier sees
// errors only, so the result is made one.
func Example_failsafeHandleResult() {
	errEmpty := errors.New("an empty result")
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))

	users, err := breaker.Do(context.Background(), b, func(context.Context) ([]string, error) {
		users := []string{} // what the backend returned
		if len(users) == 0 {
			return users, errEmpty
		}
		return users, nil
	})
	if errors.Is(err, errEmpty) {
		err = nil // it is one to the breaker, and not to us
	}
	fmt.Println(users, err, b.Snapshot().State)
	// Output: [] <nil> open
}

// OnStateChanged, OnOpen, OnClose and OnHalfOpen of failsafe-go. A listener may
// call the breaker.
func ExampleWithListener() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(3), circuit.WithListener(func(e breaker.Event) {
		fmt.Println("state changed: old state", e.From, "new state", e.To, "cause", e.Cause)
		switch e.To {
		case breaker.Open:
			w := e.Snapshot.Window // of the state that ended
			fmt.Println("opened with", w.Failure, "of", w.Total(), "calls failed")
		case breaker.HalfOpen:
			fmt.Println("half-opened")
		case breaker.Closed:
			fmt.Println("closed")
		}
	}))
	stateAfter(b, "SFFF")
	b.HalfOpen()
	b.Close()
	b.Close() // changes nothing
	// Output:
	// state changed: old state closed new state open cause 3 failures in a row
	// opened with 3 of 4 calls failed
	// state changed: old state open new state half-open cause by hand
	// half-opened
	// state changed: old state half-open new state closed cause by hand
	// closed
}

// Metrics of failsafe-go are the window of a snapshot.
func Example_failsafeMetrics() {
	b := circuit.NewBreaker(circuit.WithFailureCount(5, 10))
	stateAfter(b, "SFSFSFS")

	w := b.Snapshot().Window
	fmt.Println("executions", w.Total(), "successes", w.Success, "failures", w.Failure)
	fmt.Printf("success rate %.2f, failure rate %.2f\n",
		float64(w.Success)/float64(w.Total()), float64(w.Failure)/float64(w.Total()))
	// Output:
	// executions 7 successes 4 failures 3
	// success rate 0.57, failure rate 0.43
}

// Open, HalfOpen and Close of failsafe-go.
func Example_failsafeManualControl() {
	b := circuit.NewBreaker()
	b.Open()
	fmt.Println(b.Snapshot().State, stateAfter(b, "S"))
	b.HalfOpen()
	fmt.Println(b.Snapshot().State)
	b.Close()
	fmt.Println(b.Snapshot().State)

	b.SetMode(breaker.ForceOpen) // open until somebody says otherwise
	fmt.Println(b.Snapshot().State, b.Snapshot().RejectRatio)
	// Output:
	// open open
	// half-open
	// closed
	// closed 1
}

// TryAcquirePermit, RecordSuccess and RecordFailure of failsafe-go.
func ExampleBreaker_Acquire() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	ctx := context.Background()

	if permit, err := b.Acquire(); err == nil {
		if err := callDown(ctx); err != nil {
			permit.Done(breaker.Failure)
		} else {
			permit.Done(breaker.Success)
		}
	}
	fmt.Println(b.Snapshot().State)

	b.HalfOpen()
	if permit, err := b.Acquire(); err == nil {
		permit.Done(breaker.Ignored) // no call was made: the next one may probe
	}
	_, err := b.Acquire()
	fmt.Println(err)
	// Output:
	// open
	// <nil>
}

// A breaker that is shared by all that call the same backend.
func Example_failsafeShared() {
	b := circuit.NewBreaker(circuit.WithConsecutiveFailures(2))
	reads := func() error { return breaker.Run(context.Background(), b, callDown) }
	writes := func() (int, error) {
		return breaker.Do(context.Background(), b, func(context.Context) (int, error) { return 0, errBackendDown })
	}
	_ = reads()
	_, err := writes()
	fmt.Println(err)
	fmt.Println(reads())
	// Output:
	// the backend is down
	// circuit breaker rejected the call: open
}
