package breaker

import (
	"context"
	"errors"
	"fmt"

	"github.com/kratos-breaker/breaker/internal/fault"
)

var (
	errNilContext  = errors.New("breaker: the context is nil")
	errNilAcquirer = errors.New("breaker: the breaker is nil")
	errNilFunction = errors.New("breaker: the function is nil")
)

// Option configures one [Do] or [Run].
type Option struct {
	classify Classifier
	result   any
	fallback any
}

// WithClassifier sets what the error of the function says about the backend. By
// default nil is a success; ignored are a rejection by another breaker, and what
// says that nothing was sent, as [NotSent] does; every other error is a failure.
// What a cancellation means is not asked of c: see [OutcomeOf]. WithClassifier
// panics if c is nil.
//
// Errors that are answers have to be told apart by a classifier, or a cache that
// misses looks like one that is down:
//
//	breaker.WithClassifier(func(err error) breaker.Outcome {
//		if errors.Is(err, redis.Nil) || errors.Is(err, sql.ErrNoRows) {
//			return breaker.Success
//		}
//		return cberrors.Classify(err)
//	})
//
// If the caller is gone, such an error is ignored: without a code of Kratos or gRPC,
// nothing tells it from the cause of the cancellation.
func WithClassifier(c Classifier) Option {
	if c == nil {
		panic("breaker: WithClassifier: the classifier is nil")
	}
	return Option{classify: c}
}

// WithResultClassifier sets what the value and the error of the function say
// together, for outcomes that are in the value. It comes before [WithClassifier].
// As there, what a cancellation means is not asked of c. For [Run], T is struct{}.
// Do panics if its T is another one. WithResultClassifier panics if c is nil.
func WithResultClassifier[T any](c func(v T, err error) Outcome) Option {
	if c == nil {
		panic("breaker: WithResultClassifier: the classifier is nil")
	}
	return Option{result: c}
}

// WithFallback sets what answers for a rejected call, and only for that: a
// function that ran keeps its result. The fallback gets the rejection. For
// [Run], T is struct{}, and [WithRunFallback] is easier to write. Do panics if
// its T is another one. WithFallback panics if f is nil.
func WithFallback[T any](f func(ctx context.Context, rejected error) (T, error)) Option {
	if f == nil {
		panic("breaker: WithFallback: the function is nil")
	}
	return Option{fallback: f}
}

// WithRunFallback is [WithFallback] for [Run].
func WithRunFallback(f func(ctx context.Context, rejected error) error) Option {
	if f == nil {
		panic("breaker: WithRunFallback: the function is nil")
	}
	return WithFallback(func(ctx context.Context, rejected error) (struct{}, error) {
		return struct{}{}, f(ctx, rejected)
	})
}

// Do calls fn if a allows it, and settles the permit when fn returns, panics or
// ends its goroutine. It returns what fn returned, unchanged. A panic is a
// failure and goes on. Whose fault the end of the call is, [OutcomeOf] says; if ctx
// had ended before, it is the caller's.
//
// If the call is rejected, fn is not called, and Do returns a *[RejectedError]
// or what the fallback returns. A handler of a Kratos or gRPC server that passes
// the rejection on should wrap it with NotAllowed of package errors, for the
// status. A nil context, interface or function is an error.
func Do[T any](ctx context.Context, a Acquirer, fn func(context.Context) (T, error), opts ...Option) (T, error) {
	var zero T
	switch {
	case ctx == nil:
		return zero, errNilContext
	case a == nil:
		return zero, errNilAcquirer
	case fn == nil:
		return zero, errNilFunction
	}
	var o Option
	for _, opt := range opts {
		if opt.classify != nil {
			o.classify = opt.classify
		}
		if opt.result != nil {
			o.result = opt.result
		}
		if opt.fallback != nil {
			o.fallback = opt.fallback
		}
	}
	fallback := of[func(context.Context, error) (T, error)]("WithFallback", o.fallback)
	ofResult := of[func(T, error) Outcome]("WithResultClassifier", o.result)
	permit, err := a.Acquire()
	if err != nil {
		if fallback != nil {
			return fallback(ctx, err)
		}
		return zero, err
	}
	result := Result{Outcome: Failure} // for a panic or Goexit, of the classifier too
	defer func() {
		if result.Outcome == Success {
			permit.Done(Success)
			return
		}
		permit.DoneWith(result)
	}()
	late := ctx.Err() != nil
	v, err := fn(ctx)
	if err == nil && o.classify == nil && ofResult == nil { // nearly every call
		result.Outcome = Success
		return v, nil
	}
	result.Err = err
	blamed := late || fault.Gone(ctx)
	if ofResult != nil {
		result.Outcome = fault.Decide(ctx, blamed, err, Success, Ignored, func(err error) Outcome { return ofResult(v, err) })
	} else {
		result.Outcome = outcomeOf(ctx, blamed, err, o.classify)
	}
	result.NotSent = result.Outcome == Ignored && (late || fault.NotSent(err) && !fault.IsCause(ctx, err))
	return v, err
}

// Run is [Do] for a function without a value.
func Run(ctx context.Context, a Acquirer, fn func(context.Context) error, opts ...Option) error {
	if fn == nil {
		return errNilFunction
	}
	_, err := Do(ctx, a, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, opts...)
	return err
}

// of returns the function that an option holds, or nil.
func of[F any](option string, f any) (typed F) {
	if f == nil {
		return typed
	}
	typed, ok := f.(F)
	if !ok {
		panic(fmt.Sprintf("breaker: %s: the function is a %T, want a %T", option, f, typed))
	}
	return typed
}
