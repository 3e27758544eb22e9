package breaker

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-kratos/aegis/circuitbreaker"
)

var (
	errNilContext  = errors.New("breaker: the context is nil")
	errNilAcquirer = errors.New("breaker: the breaker is nil")
	errNilFunction = errors.New("breaker: the function is nil")
)

// Option configures one [Do] or [Run].
type Option struct {
	classify Classifier
	fallback any
}

// WithClassifier sets what the error of the function says about the backend.
// By default nil is a success; ignored are a rejection by another breaker, and
// context.Canceled or the cause of the cancellation if the caller's context was
// cancelled; every other error is a failure, context.DeadlineExceeded too. A
// cancellation by the caller reaches c as context.Canceled. WithClassifier
// panics if c is nil.
func WithClassifier(c Classifier) Option {
	if c == nil {
		panic("breaker: WithClassifier: the classifier is nil")
	}
	return Option{classify: c}
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
// failure and goes on.
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
		if opt.fallback != nil {
			o.fallback = opt.fallback
		}
	}
	fallback := fallbackOf[T](o)
	permit, err := a.Acquire()
	if err != nil {
		if fallback != nil {
			return fallback(ctx, err)
		}
		return zero, err
	}
	outcome := Failure // for a panic or Goexit, of the classifier too
	var failed error
	defer func() {
		if outcome == Success {
			permit.Done(Success)
			return
		}
		permit.DoneWith(Result{Outcome: outcome, Err: failed})
	}()
	v, err := fn(ctx)
	failed = err
	switch {
	case o.classify == nil:
		outcome = classify(ctx, err)
	case canceledByCaller(ctx, err):
		outcome = o.classify(context.Canceled)
	default:
		outcome = o.classify(err)
	}
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

func fallbackOf[T any](o Option) func(context.Context, error) (T, error) {
	if o.fallback == nil {
		return nil
	}
	f, ok := o.fallback.(func(context.Context, error) (T, error))
	if !ok {
		panic(fmt.Sprintf("breaker: WithFallback: the function is a %T, want a %T", o.fallback, f))
	}
	return f
}

func classify(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, circuitbreaker.ErrNotAllowed):
		return Ignored
	case canceledByCaller(ctx, err):
		return Ignored
	}
	return Failure
}

// canceledByCaller reports whether err is the cancellation of ctx or its cause.
func canceledByCaller(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == context.Canceled &&
		(errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)))
}
