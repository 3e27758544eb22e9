// Package breaker guards calls to a backend with a circuit breaker: while the
// backend is down, calls fail at once and leave it alone. It has the words that
// all breakers of this module share, and the functions [Do] and [Run], which put a
// breaker around a call:
//
//	users := sre.NewBreaker(sre.WithName("users"))
//
//	name, err := breaker.Do(ctx, users, func(ctx context.Context) (string, error) {
//		return fetchName(ctx, 42)
//	})
//	if errors.Is(err, breaker.ErrNotAllowed) {
//		name = "somebody" // the backend was not called
//	}
//
// # What to take
//
// Package sre has the adaptive breaker, package circuit the classic three-state
// one. Take sre unless you need a fixed rule.
//
// A client of Kratos takes package middleware/circuitbreaker, plain net/http and
// grpc-go take transport/http and transport/grpc, and any
// func(ctx, any) (any, error) takes middleware/endpoint. They keep one breaker for each
// operation or host. Take Do or Run for every other call: to a database, a cache, a
// queue. Guard a call at one layer only.
//
// # The words
//
// Before a call, the breaker allows or rejects it. An allowed call has a [Permit]; a
// rejected one ends with a [RejectedError], which is [ErrNotAllowed] by errors.Is.
// After the call, the permit is settled with its [Outcome]: success, failure, or
// ignored, which says nothing about the backend. The outcomes move the breaker
// between its three states: see [State]. Do settles the permit whatever happens; code
// that cannot wrap its call in a function asks and settles by hand:
//
//	permit, err := users.Acquire()
//	if err != nil {
//		return err // a *RejectedError: the backend was not called
//	}
//	err = call(ctx)
//	permit.Done(breaker.OutcomeOf(ctx, err, nil))
//
// A [Classifier] says what an error means; package errors has one for HTTP, gRPC and
// Kratos.
//
// A [Snapshot] shows what a breaker knows, a [Listener] gets every change of its state
// as an [Event], and [SourceOf] shows the breakers of a group to packages metrics and
// dashboard. A [Controller] lets a person decide for the breaker: see [Mode].
//
// # For authors
//
// A program that only uses breakers never writes the names of this section. They
// stand in author.go.
//
// The author of a breaker hands out permits with [NewPermit]. A [Ticket] names a permit
// to its breaker, which is a [Settler], and a [ResultSettler], [PauseSettler] or [AnswerSettler] if it
// looks at more than the outcome. It rejects with [NewRejectedError] and a [Reason],
// and fills in [Window], [Totals] and [Transitions] of its snapshot. A breaker of
// another library, with the three methods of aegis' [CircuitBreaker], needs none of
// that: Adapt gives it permits.
//
// The author of an adapter settles permits with a [Result], and makes a rejection by any
// breaker a RejectedError with [AsRejected]. [Rules] find the breaker of a call,
// and [Reloads] counts their changes.
//
// The author of something that shows breakers reads a [Source], which yields them
// as [Listed] and counts their [Keys]. Any container with the methods of [Keyed] can
// be a source.
package breaker
