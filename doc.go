// Package breaker holds the words that every circuit breaker of this module
// shares, and nothing that decides.
//
// A breaker stands in front of calls to a backend. Before a call it is asked
// whether the call may go out; it allows or rejects it. After the call it is
// told the [Outcome]: success, failure, or ignored. From the outcomes it
// derives its [State].
//
//	permit, err := b.Acquire()
//	if err != nil {
//		return err // a *RejectedError: the backend was not called
//	}
//	err = call()
//	permit.Done(classify(err))
//
// [Do] and [Run] do this around a function and also survive its panic.
//
// The breakers live in their own packages: sre is the adaptive one of the
// Google SRE book. Package middleware/circuitbreaker puts them in front of the
// calls of a Kratos client. [Adapt] brings any breaker with the three methods
// of go-kratos/aegis under the same interface.
package breaker
