package http

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

// streams reports whether resp has a body that can be waited for. What follows
// a 101 is none, and can also be written to.
func streams(resp *http.Response) bool {
	return resp.Body != nil && resp.Body != http.NoBody && resp.StatusCode != http.StatusSwitchingProtocols
}

// body settles the call when it ends.
type body struct {
	io.ReadCloser
	call  call
	ctx   context.Context
	state atomic.Uint32
	stop  func() bool // makes the end of ctx nobody's business
}

const (
	idle uint32 = iota
	reading
	settled
)

// watch returns the body of resp, which from now on settles the call.
func (c *call) watch(resp *http.Response) io.ReadCloser {
	b := &body{ReadCloser: resp.Body, call: *c, ctx: c.req.Context()}
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
	ended := false
	defer func() {
		if !ended { // a panic or Goexit
			b.settle(breaker.Failure, nil)
		}
	}()
	n, err := b.ReadCloser.Read(p)
	ended = true
	switch {
	case err == io.EOF: // and none that wraps it: that is not how a Read ends
		b.settle(breaker.Success, nil)
	case err != nil:
		b.fail(err)
	case b.state.CompareAndSwap(reading, idle) && b.ctx.Err() != nil:
		// It ended while this waited for the backend; expire left it to us.
		b.fail(context.Cause(b.ctx))
	}
	return n, err
}

// Close closes the body. What was not read by then says nothing more.
func (b *body) Close() error {
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
	if b.state.CompareAndSwap(idle, settled) {
		b.call.permit.Done(breaker.Ignored)
	}
}

// fail settles the call with an error.
func (b *body) fail(err error) {
	if b.claim() {
		result := breaker.Result{Outcome: breaker.Failure, Err: err} // if the classifier panics
		defer func() { adapter.Settle(b.call.permit, result) }()
		result = b.call.resultOfError(err)
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
