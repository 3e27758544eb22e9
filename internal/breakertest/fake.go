package breakertest

import (
	"context"
	"sync"

	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/go-kratos/kratos/v2/transport"
)

// Trio is a breaker with aegis' three methods and no more. It answers Allow as
// the real breaker in it, or with its rejection, and writes down what it is
// told.
type Trio struct {
	Real      circuitbreaker.CircuitBreaker // may be nil
	Rejection error

	mu   sync.Mutex
	told []string
}

func (b *Trio) tell(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, what)
}

// Allow answers.
func (b *Trio) Allow() error {
	b.tell("Allow")
	if b.Real != nil {
		return b.Real.Allow()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Rejection
}

// MarkSuccess is written down.
func (b *Trio) MarkSuccess() {
	b.tell("MarkSuccess")
	if b.Real != nil {
		b.Real.MarkSuccess()
	}
}

// MarkFailed is written down.
func (b *Trio) MarkFailed() {
	b.tell("MarkFailed")
	if b.Real != nil {
		b.Real.MarkFailed()
	}
}

// Reject sets the rejection; nil for none.
func (b *Trio) Reject(with error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Rejection = with
}

// Heard returns what the breaker was told and forgets it.
func (b *Trio) Heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := b.told
	b.told = nil
	return told
}

// IgnoringTrio is a Trio that takes ignored outcomes too.
type IgnoringTrio struct{ Trio }

// MarkIgnored is written down.
func (b *IgnoringTrio) MarkIgnored() { b.tell("MarkIgnored") }

// Recorder is a breaker with aegis' three methods and MarkIgnored. It writes down
// its marks as outcomes.
type Recorder struct {
	Rejects bool
	Marks   []string // to be read when all calls have ended

	mu sync.Mutex
}

// Allow rejects always or never.
func (r *Recorder) Allow() error {
	if r.Rejects {
		return circuitbreaker.ErrNotAllowed
	}
	return nil
}

func (r *Recorder) mark(outcome string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Marks = append(r.Marks, outcome)
}

// MarkSuccess is written down.
func (r *Recorder) MarkSuccess() { r.mark("success") }

// MarkFailed is written down.
func (r *Recorder) MarkFailed() { r.mark("failure") }

// MarkIgnored is written down.
func (r *Recorder) MarkIgnored() { r.mark("ignored") }

// ClientContext returns the context in which a Kratos client calls operation,
// for tests without a wire.
func ClientContext(ctx context.Context, operation string) context.Context {
	return transport.NewClientContext(ctx, &clientTransport{operation: operation})
}

type clientTransport struct {
	transport.Transporter
	operation string
}

func (t *clientTransport) Operation() string { return t.operation }
