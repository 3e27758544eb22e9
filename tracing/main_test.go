package tracing_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// span is a span that keeps its events.
type span struct {
	noop.Span
	silent bool // whether it is not recording

	mu     sync.Mutex
	events []event
}

type event struct {
	name       string
	at         time.Time // zero if it was not said
	attributes map[string]any
}

func (s *span) IsRecording() bool { return !s.silent }

func (s *span) AddEvent(name string, opts ...trace.EventOption) {
	before := time.Now()
	c := trace.NewEventConfig(opts...)
	e := event{name: name, attributes: map[string]any{}}
	if c.Timestamp().Before(before) {
		e.at = c.Timestamp()
	}
	for _, kv := range c.Attributes() {
		e.attributes[string(kv.Key)] = kv.Value.AsInterface()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// told returns the events and forgets when they were.
func (s *span) told() []event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []event
	for _, e := range s.events {
		e.at = time.Time{}
		all = append(all, e)
	}
	return all
}

// in returns a context with the span.
func (s *span) in(ctx context.Context) context.Context { return trace.ContextWithSpan(ctx, s) }
