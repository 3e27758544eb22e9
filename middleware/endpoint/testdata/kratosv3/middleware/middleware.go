// Package middleware stands for that of Kratos v3, of which it has what a sample needs.
package middleware

import "context"

// Handler makes a call.
type Handler func(ctx context.Context, req any) (any, error)

// Middleware wraps a Handler.
type Middleware func(Handler) Handler
