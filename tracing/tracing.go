// Package tracing puts events on the span of a call: that a breaker rejected it,
// and that a breaker's state changed meanwhile. It makes no spans of its own.
//
//	var spans tracing.Recorder
//	breakers := group.NewKeyed(func(operation string) *sre.Breaker {
//		return sre.NewBreaker(sre.WithName(operation), sre.WithListener(spans.Listen))
//	})
//	chain := khttp.WithMiddleware(
//		ktracing.Client(), // makes the span
//		spans.Client(),
//		circuitbreaker.Client(circuitbreaker.WithGroup(breakers)),
//	)
//
// A call that is rejected never gets as far as what makes spans below the
// breaker, as otelgrpc's stats handler does, or otelhttp's transport if it is the
// inner one. Its events are then on the span around the call, if there is one.
package tracing

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kratos/kratos/v2/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/fault"
)

// The events and their attributes.
const (
	eventRejected     = "circuitbreaker.rejected"
	eventStateChanged = "circuitbreaker.state_changed"

	nameKey       = attribute.Key("circuitbreaker.name")
	stateKey      = attribute.Key("circuitbreaker.state")
	reasonKey     = attribute.Key("circuitbreaker.reason")
	retryAfterKey = attribute.Key("circuitbreaker.retry_after_ms")
	modeKey       = attribute.Key("circuitbreaker.mode")
	fromKey       = attribute.Key("from")
	toKey         = attribute.Key("to")
	causeKey      = attribute.Key("cause")
)

// Recorder brings the changes of breakers' states, which know of no context, to
// the spans of calls. The zero value is ready to use; it must not be copied. All
// methods are safe for concurrent use.
//
// Each change gets to at most one span: that of the first call to end, of those
// with a recording span that were under way when the breaker told of it. That is
// nearly always the call that brought the change about, for it ends right after.
// It is another one if that call's span is not recorded, if several calls end at
// the same moment, or if the breaker was told of the result after the end of the
// call, as with a stream or a response body. If there is no such call, or 64 later
// changes wait for one, the change is on no span; a log or the metrics have all.
type Recorder struct {
	told   atomic.Uint64 // number of changes so far
	mu     sync.Mutex
	latest []change // on no span yet, oldest first
}

type change struct {
	number uint64
	at     time.Time
	attrs  []attribute.KeyValue
}

// kept is how many changes wait for the end of a call.
const kept = 64

// Listen takes note of a change. Give it to the breakers, with WithListener.
func (r *Recorder) Listen(e breaker.Event) {
	c := change{at: time.Now(), attrs: []attribute.KeyValue{
		nameKey.String(e.Snapshot.Name),
		fromKey.String(e.From.String()),
		toKey.String(e.To.String()),
		causeKey.String(e.Cause),
	}}
	if m := e.Snapshot.Mode; m != breaker.Auto {
		c.attrs = append(c.attrs, modeKey.String(m.String()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.number = r.told.Load() + 1
	if len(r.latest) == kept {
		r.latest = slices.Delete(r.latest, 0, 1)
	}
	r.latest = append(r.latest, c)
	r.told.Store(c.number)
}

// claim returns the changes after the given number that are on no span yet.
func (r *Recorder) claim(after uint64) []change {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.latest)
	for i > 0 && r.latest[i-1].number > after {
		i--
	}
	claimed := slices.Clone(r.latest[i:])
	r.latest = slices.Delete(r.latest, i, len(r.latest))
	return claimed
}

// Call is one call whose span gets the events. It is a small value.
type Call struct {
	recorder *Recorder
	told     uint64
}

// Begin is called before a breaker is asked. It costs an atomic load.
func (r *Recorder) Begin() Call { return Call{r, r.told.Load()} }

// End is called after the breaker was told how the call ended, with the call's
// context and error. If the span in ctx is recording, it gets an event
//
//	circuitbreaker.rejected       circuitbreaker.name, .state, .reason, .retry_after_ms
//
// if err is a *[breaker.RejectedError] or wraps one, and for every change of a
// state that there is to tell
//
//	circuitbreaker.state_changed  circuitbreaker.name, .mode, from, to, cause
//
// with the time when the breaker told of it. The mode is only there if it is
// another one than auto, and the time to wait only if it is known. A call
// without an error, while no state changes, costs an atomic load.
func (c Call) End(ctx context.Context, err error) {
	changed := c.recorder != nil && c.recorder.told.Load() != c.told
	if err == nil && !changed {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if changed {
		for _, c := range c.recorder.claim(c.told) {
			span.AddEvent(eventStateChanged, trace.WithTimestamp(c.at), trace.WithAttributes(c.attrs...))
		}
	}
	recordRejection(span, err)
}

// RecordRejection adds the event of a rejection to the span in ctx, as [Call.End]
// does. It is for a fallback, which nobody sees the error after.
func RecordRejection(ctx context.Context, err error) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		recordRejection(span, err)
	}
}

func recordRejection(span trace.Span, err error) {
	var r *breaker.RejectedError
	fault.Find(err, func(err error) bool { // errors.As would panic for some errors
		found, ok := err.(*breaker.RejectedError) //nolint:errorlint // Find unwraps
		if ok && found != nil {
			r = found
		}
		return r != nil
	})
	if r == nil {
		return
	}
	attrs := []attribute.KeyValue{
		nameKey.String(r.Name()),
		stateKey.String(r.State().String()),
		reasonKey.String(r.Reason().String()),
	}
	if d := r.RetryAfter(); d > 0 {
		attrs = append(attrs, retryAfterKey.Int64(d.Milliseconds()))
	}
	span.AddEvent(eventRejected, trace.WithAttributes(attrs...))
}

// Client returns a middleware for Kratos' clients. Its place is inside of the
// middleware that makes the span, and around the one with the breaker.
func (r *Recorder) Client() middleware.Middleware {
	return func(handler middleware.Handler) middleware.Handler {
		return func(ctx context.Context, req any) (_ any, err error) {
			call := r.Begin()
			defer func() { call.End(ctx, err) }()
			return handler(ctx, req)
		}
	}
}
