package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/sre"
)

var (
	errDown    = errors.New("the database is down")
	errMissing = errors.New("no such user")
)

// fetchName asks a database that knows one user.
func fetchName(_ context.Context, id int) (string, error) {
	if id != 42 {
		return "", errMissing
	}
	return "Ada", nil
}

// ping fails, as that of a database which is down.
func ping(context.Context) error { return errDown }

// While the database is in maintenance, a person has opened the breaker.
func ExampleDo() {
	ctx := context.Background()
	users := sre.NewBreaker(sre.WithName("users"))

	for _, mode := range []breaker.Mode{breaker.Auto, breaker.ForceOpen} {
		users.SetMode(mode)
		name, err := breaker.Do(ctx, users, func(ctx context.Context) (string, error) {
			return fetchName(ctx, 42)
		})
		if errors.Is(err, breaker.ErrNotAllowed) {
			name = "somebody" // the backend was not called
		}
		fmt.Println(name, err)
	}
	// Output:
	// Ada <nil>
	// somebody circuit breaker "users" rejected the call: forced open
}

func ExampleRun() {
	ctx := context.Background()
	db := circuit.NewBreaker(circuit.WithName("db"), circuit.WithConsecutiveFailures(2))

	for range 3 {
		err := breaker.Run(ctx, db, ping)
		fmt.Println(err, errors.Is(err, breaker.ErrNotAllowed))
	}
	// Output:
	// the database is down false
	// the database is down false
	// circuit breaker "db" rejected the call: open true
}

// An error can be an answer: that there is no such user says that the database
// works.
func ExampleWithClassifier() {
	ctx := context.Background()
	users := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	missing := breaker.WithClassifier(func(err error) breaker.Outcome {
		if errors.Is(err, errMissing) {
			return breaker.Success
		}
		return cberrors.Classify(err)
	})

	_, err := breaker.Do(ctx, users, func(ctx context.Context) (string, error) {
		return fetchName(ctx, 1)
	}, missing)
	fmt.Println(err)
	fmt.Println(users.Snapshot().State)
	// Output:
	// no such user
	// closed
}

// A fallback answers for a call that was rejected, and for no other.
func ExampleWithFallback() {
	ctx := context.Background()
	users := circuit.NewBreaker()
	users.SetMode(breaker.ForceOpen)

	name, err := breaker.Do(ctx, users, func(ctx context.Context) (string, error) {
		return fetchName(ctx, 42)
	}, breaker.WithFallback(func(context.Context, error) (string, error) {
		return "somebody", nil
	}))
	fmt.Println(name, err)
	// Output: somebody <nil>
}

// An outcome can be in the value: this backend answers with a code.
func ExampleWithResultClassifier() {
	ctx := context.Background()
	users := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))

	code, err := breaker.Do(ctx, users, func(context.Context) (int, error) {
		return 5003, nil
	}, breaker.WithResultClassifier(func(code int, err error) breaker.Outcome {
		if code >= 5000 {
			return breaker.Failure
		}
		return cberrors.Classify(err)
	}))
	fmt.Println(code, err)
	fmt.Println(users.Snapshot().State)
	// Output:
	// 5003 <nil>
	// open
}

// A caller who cancels says nothing about the backend; a deadline that passes does.
func ExampleOutcomeOf() {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(breaker.OutcomeOf(cancelled, context.Canceled, nil))

	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	fmt.Println(breaker.OutcomeOf(late, context.DeadlineExceeded, nil))
	// Output:
	// ignored
	// failure
}

// Code that cannot wrap its call in a function settles the permit itself.
func ExamplePermit() {
	ctx := context.Background()
	users := circuit.NewBreaker(circuit.WithConsecutiveFailures(1))

	guarded := func(call func(context.Context) error) error {
		permit, err := users.Acquire()
		if err != nil {
			return err // a *RejectedError: the backend was not called
		}
		err = call(ctx)
		permit.Done(breaker.OutcomeOf(ctx, err, nil))
		return err
	}
	fmt.Println(guarded(ping))
	fmt.Println(guarded(ping))
	// Output:
	// the database is down
	// circuit breaker rejected the call: open
}

// A rejection says which breaker it was, why, and when to come back.
func ExampleRejectedError() {
	users := circuit.NewBreaker(circuit.WithName("users"))
	users.SetModeFor(breaker.ForceOpen, time.Hour)

	err := breaker.Run(context.Background(), users, ping)
	var rejected *breaker.RejectedError
	if errors.As(err, &rejected) {
		fmt.Println(rejected.Name(), "-", rejected.Reason(), "-", rejected.RetryAfter().Round(time.Minute))
	}
	// Output: users - forced open - 1h0m0s
}

// A breaker of aegis gets permits, and what it does can be seen.
func ExampleAdapt() {
	ctx := context.Background()
	users := breaker.Adapt(aegissre.NewBreaker())

	err := breaker.Run(ctx, users, ping)
	totals := users.Snapshot().Totals
	fmt.Println(err, totals.Allowed, totals.Failure)
	// Output: the database is down 1 1
}

// What shows breakers gets them as a source.
func ExampleSourceOf() {
	breakers := group.NewGroup(func() *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithConsecutiveFailures(1))
	})
	_ = breaker.Run(context.Background(), breakers.Get("users"), ping)

	source := breaker.SourceOf(breakers)
	for listed := range source.Breakers() {
		fmt.Println(listed.Key, listed.Breaker.Snapshot().State)
	}
	fmt.Println(source.Keys().Held, "of", source.Keys().Limit)
	// Output:
	// users open
	// 1 of 256
}

// sparing is a breaker of an author's own: one call at a time.
type sparing struct{ busy bool }

func (s *sparing) Acquire() (breaker.Permit, error) {
	if s.busy {
		return breaker.Permit{}, breaker.NewRejectedError("sparing", breaker.Closed, breaker.ReasonThrottled, time.Time{}, nil)
	}
	s.busy = true
	return breaker.NewPermit(s, breaker.Ticket{}), nil
}

// Settle takes the permit back. That of a breaker with many permits has a look at
// the ticket, to count each once.
func (s *sparing) Settle(breaker.Ticket, breaker.Outcome) { s.busy = false }

// An author of a breaker writes Acquire and Settle.
func ExampleNewPermit() {
	ctx := context.Background()
	s := &sparing{}
	err := breaker.Run(ctx, s, func(ctx context.Context) error {
		return breaker.Run(ctx, s, ping) // while the outer call has the permit
	})
	fmt.Println(err)
	fmt.Println(breaker.Run(ctx, s, ping))
	// Output:
	// circuit breaker "sparing" rejected the call: throttled
	// the database is down
}
