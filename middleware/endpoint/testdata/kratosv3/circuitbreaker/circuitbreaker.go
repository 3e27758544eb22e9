// Package circuitbreaker stands for that of Kratos v3, of which it has what a sample
// needs.
package circuitbreaker

import (
	"context"

	"github.com/kratos-breaker/breaker/middleware/endpoint/testdata/kratosv3/middleware"
)

// CircuitBreaker is the interface of Kratos v3.
type CircuitBreaker interface {
	Allow() error
	MarkSuccess()
	MarkFailed()
}

// Option configures Client.
type Option func(*CircuitBreaker)

// WithBreakerFactory takes breakers from f.
func WithBreakerFactory(f func() CircuitBreaker) Option {
	return func(b *CircuitBreaker) { *b = f() }
}

// Client asks a breaker before each call.
func Client(opts ...Option) middleware.Middleware {
	var b CircuitBreaker
	for _, opt := range opts {
		opt(&b)
	}
	return func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (any, error) {
			if err := b.Allow(); err != nil {
				b.MarkFailed()
				return nil, err
			}
			reply, err := next(ctx, req)
			if err != nil {
				b.MarkFailed()
			} else {
				b.MarkSuccess()
			}
			return reply, err
		}
	}
}
