package http

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

// streams reports whether resp has a body that can be waited for. What follows
// a 101 is none, and can also be written to.
func streams(resp *http.Response) bool {
	return resp.Body != nil && resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols
}

// isStream reports whether the header is that of a response whose parts come when
// they come, so that waiting for the next one says nothing about the backend.
func isStream(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch kind = strings.ToLower(strings.TrimSpace(kind)); kind {
	case "text/event-stream", "application/x-ndjson", "application/stream+json", "multipart/x-mixed-replace":
		return true
	}
	return strings.HasPrefix(kind, "application/grpc") || strings.HasPrefix(kind, "application/connect+")
}

// body settles the call when it ends.
type body struct {
	io.ReadCloser
	call  call
	ctx   context.Context
	state atomic.Uint32
	stop  func() bool // makes the end of ctx nobody's business

	resp  *http.Response // for its trailer, once it has been read
	waits bool           // whether a Read is time that the breaker looks at
}

const (
	idle uint32 = iota
	reading
	settled
)

// watch returns the body of resp, which from now on settles the call.
func (c *call) watch(resp *http.Response) io.ReadCloser {
	b := &body{ReadCloser: resp.Body, call: *c, ctx: c.req.Context(), resp: resp}
	b.waits = c.permit.Pause() && !isStream(resp.Header)
	c.permit.Answered()
	if b.ctx.Done() != nil {
		b.stop = context.AfterFunc(b.ctx, b.expire)
	}
	return b
}

// Read reads from the response, and settles the call at its end.
func (b *body) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(idle, reading) {
		return b.ReadCloser.Read(p)
	}
	b.call.t.panics.Throw()
	ended := false
	defer func() {
		if !ended { // a panic or Goexit
			b.settle(breaker.Failure, nil)
		}
	}()
	n, err := b.read(p)
	ended = true
	switch {
	case err == io.EOF && !adapter.IsCause(b.ctx, err): //nolint:errorlint // and none that wraps it: that is not how a Read ends
		b.end()
	case err != nil:
		b.fail(err)
	case b.state.CompareAndSwap(reading, idle) && b.ctx.Err() != nil:
		// It ended while this waited for the backend; expire left it to us.
		b.fail(context.Cause(b.ctx))
	}
	return n, err
}

// read waits for the backend.
func (b *body) read(p []byte) (int, error) {
	if b.waits {
		b.call.permit.Resume()
		defer b.call.permit.Pause()
	}
	return b.ReadCloser.Read(p)
}

// end settles the call at the end of the body, which may have the status of gRPC
// behind it.
func (b *body) end() {
	if isGRPC, err := errors.FromGRPCHeader(b.resp.Trailer); isGRPC && err != nil {
		b.settleAs(breaker.Result{Outcome: breaker.Failure, Err: err}, func() breaker.Result { return b.call.resultOfStatus(b.resp.Trailer, err) })
		return
	}
	b.settle(breaker.Success, nil)
}

// Close closes the body. What was not read by then says nothing more.
func (b *body) Close() error {
	defer b.call.t.panics.Throw()
	switch {
	case b.ctx.Err() == nil:
		b.settle(breaker.Success, nil)
	case b.state.Load() == reading:
		b.fail(context.Cause(b.ctx))
	default:
		b.settle(breaker.Ignored, nil)
	}
	return b.ReadCloser.Close()
}

// expire is called when the context ends. If nobody reads, nobody waits for the
// backend, and there may never be a Read or Close again.
func (b *body) expire() {
	defer b.call.t.panics.Catch() // there is no caller
	if b.state.CompareAndSwap(idle, settled) {
		b.call.permit.Done(breaker.Ignored)
	}
}

// fail settles the call with an error.
func (b *body) fail(err error) {
	b.settleAs(breaker.Result{Outcome: breaker.Failure, Err: err}, func() breaker.Result { return b.call.resultOfError(err) })
}

// settleAs settles the call with the result that f returns, or as otherwise if a
// classifier panics in it.
func (b *body) settleAs(otherwise breaker.Result, f func() breaker.Result) {
	if b.claim() {
		result := otherwise
		defer func() { adapter.Settle(b.call.permit, result) }()
		result = f()
	}
}

func (b *body) settle(o breaker.Outcome, err error) {
	if b.claim() {
		adapter.Settle(b.call.permit, breaker.Result{Outcome: o, Err: err})
	}
}

// claim reports whether the call is to be settled now, which it is once.
func (b *body) claim() bool {
	if b.state.Swap(settled) == settled {
		return false
	}
	if b.stop != nil {
		b.stop()
	}
	return true
}
