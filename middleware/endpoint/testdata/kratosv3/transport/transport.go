// Package transport stands for that of Kratos v3, of which it has what a sample needs.
package transport

import "context"

// Kind is "http" or "grpc".
type Kind string

// Transporter is what a client knows of a call.
type Transporter interface {
	Kind() Kind
	Operation() string
}

type key struct{}

// NewClientContext puts a Transporter into a context.
func NewClientContext(ctx context.Context, tr Transporter) context.Context {
	return context.WithValue(ctx, key{}, tr)
}

// FromClientContext returns the Transporter of a context.
func FromClientContext(ctx context.Context) (Transporter, bool) {
	tr, ok := ctx.Value(key{}).(Transporter)
	return tr, ok
}
