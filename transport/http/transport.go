// Package http guards the requests of an HTTP client: it has an [http.RoundTripper]
// that asks a breaker before each request.
//
//	client := &http.Client{Transport: cbhttp.NewTransport(nil)}
//
// Take it for every client that is plain net/http, and for Client.Do of Kratos' HTTP
// client, which runs no middleware. For the other calls of a Kratos client, take
// middleware/circuitbreaker, which knows the operations. Guard a call at one layer only.
//
// The transport keeps one breaker for each host and port. A rejected request is not sent,
// and fails with an error that is [errors.ErrNotAllowed] by errors.Is. After an allowed
// request, the transport tells the breaker what the response or the error says about the
// backend.
package http

import (
	"context"
	stderrors "errors"
	"net/http"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/adapter"
)

var (
	errNilRequest = stderrors.New("transport/http: the request is nil")
	errNilURL     = stderrors.New("transport/http: the URL of the request is nil")
	errNilHeader  = stderrors.New("transport/http: the header of the request is nil")
	errNoAnswer   = stderrors.New("transport/http: the base transport returned neither a response nor an error")
)

// NewTransport returns a RoundTripper that sends requests with base, if a
// breaker allows it. A nil base is [http.DefaultTransport]; NewTransport panics
// if base is a nil pointer. The breakers live in the result: to look at them,
// make the group yourself and pass it to [WithGroup].
//
// Requests go to base, and responses and errors come back, as they are. A
// request without URL or header, and one whose context has ended, fail without
// asking a breaker; whenever base is not called, the body of the request is
// closed. CloseIdleConnections is passed on.
//
// What the end of a call counts as:
//
//   - A response counts by its status, as in [errors.Classify]: 429 is a success,
//     501 is ignored, and 5xx is a failure. See [WithClassifier] and
//     [WithResponseClassifier]. A 200 that has a Grpc-Status in its header counts as the
//     error of gRPC, and with [WithBody] so does one that has it in its trailer; what
//     sits in the body, as the end of a stream of Connect or of gRPC-Web, is not seen.
//   - An error counts as [errors.Classify] says: a deadline or a broken connection
//     is a failure. So is an error of the request's own body, unless the classifier
//     knows it. What the caller cancels, by the context or by Request.Cancel, is
//     ignored, and so is an error of net/http from before anything was sent, as that
//     it does not take the scheme, the method or a header.
//   - A panic of base or of a classifier is a failure, and goes on. Where there is no
//     caller, since the context of a request ended while nobody read its body, the
//     panic of a listener or classifier is kept for the next request, or the next
//     Read or Close of a body, and goes on there.
//
// By default a call ends with the header of the response: see [WithBody].
// Retry-After of a 429, of a 503 and of any failure is passed to breakers that
// use it, in seconds or as a date, at most 24 h; what cannot be read is left
// out. A date counts from the Date of the response if it has one, so the clocks
// may differ.
//
// The result is safe for concurrent use. A healthy call costs no allocation
// besides those of base. But an [http.Client] with a Timeout starts a goroutine
// for each request that it sends with a transport which is not net/http's own,
// as with any wrapper; a deadline in the context of the request needs none.
func NewTransport(base http.RoundTripper, opts ...Option) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	if isNilPointer(base) {
		panic("transport/http: NewTransport: the base transport is a nil pointer")
	}
	t := &transport{base: base}
	for _, opt := range opts {
		if opt == nil {
			panic("transport/http: NewTransport: nil Option")
		}
		opt(&t.options)
	}
	if t.admit == nil {
		t.admit = adapter.Default()
	}
	if t.key == nil {
		t.key = newAddresses().of
	}
	return t
}

type transport struct {
	base http.RoundTripper
	options
	panics adapter.Panics
}

// kind is what a breaker.Rules is told.
const kind = "http"

// CloseIdleConnections is for http.Client, which looks for it.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip is that of http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req == nil {
		return nil, errNilRequest
	}
	unsent := true
	defer func() {
		if unsent { // a panic too
			closeBody(req)
		}
	}()
	t.panics.Throw()
	if err := check(req); err != nil {
		return nil, err
	}
	key := t.key(req)
	permit, rule, err := t.admit(kind, key)
	if err != nil {
		return t.reject(req, breaker.AsRejected(key, err))
	}
	unsent = false // base closes the body from now on
	return t.send(call{t, req, permit, rule})
}

func check(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errNilURL
	case req.Header == nil:
		return errNilHeader
	}
	// A caller who has given up must not use up a probe.
	if ctx := req.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// call is a request that was allowed.
type call struct {
	t      *transport
	req    *http.Request
	permit breaker.Permit
	rule   breaker.Classifier // nil if there is none
}

func (t *transport) send(c call) (resp *http.Response, err error) {
	settled, returned := false, false
	defer func() {
		if returned {
			return
		}
		// A panic or Goexit, of base or of a classifier.
		if !settled {
			c.permit.DoneWith(breaker.Result{Outcome: breaker.Failure, Err: err})
		}
		if resp != nil && resp.Body != nil { // nobody else will get it
			_ = resp.Body.Close()
		}
	}()
	resp, err = t.base.RoundTrip(c.req)
	var result breaker.Result
	switch {
	case err != nil:
		result = c.resultOfError(err)
	case resp == nil:
		closeBody(c.req)
		err = errNoAnswer
		result = breaker.Result{Outcome: breaker.Failure, Err: err}
	default:
		result = c.resultOf(resp)
	}
	if t.body && err == nil && result == (breaker.Result{Outcome: breaker.Success}) && streams(resp) {
		resp.Body = c.watch(resp)
	} else {
		settled = true
		if result.Outcome == breaker.Success && result.RetryAfter == 0 { // nearly every call
			c.permit.Done(breaker.Success)
		} else {
			c.permit.DoneWith(result)
		}
	}
	returned = true
	return resp, err
}

// resultOf returns what the header of resp says.
func (c *call) resultOf(resp *http.Response) (r breaker.Result) {
	if resp.StatusCode == http.StatusOK && (c.rule != nil || c.t.response == nil) && resp.Header["Grpc-Status"] != nil {
		if isGRPC, err := errors.FromGRPCHeader(resp.Header); isGRPC && err != nil {
			return c.resultOfStatus(resp.Header, err)
		}
	}
	switch classify := c.classifier(); {
	case c.rule == nil && c.t.response != nil:
		r.Outcome = c.t.response(resp)
	case classify != nil:
		r.Outcome = classify(errors.FromHTTPStatus(resp.StatusCode))
	default:
		r.Outcome = errors.ClassifyHTTPStatus(resp.StatusCode)
	}
	if r.Outcome != breaker.Success && c.blamed() {
		r.Outcome = breaker.Ignored
	}
	failed := r.Outcome != breaker.Success && r.Outcome != breaker.Ignored
	if failed {
		r.Err = errors.FromHTTPStatus(resp.StatusCode)
	}
	if failed || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		r.RetryAfter = retryAfter(resp.Header)
	}
	return r
}

func (c *call) classifier() breaker.Classifier {
	if c.rule != nil {
		return c.rule
	}
	return c.t.classify
}

// resultOfError returns what an error says, of base or of the body of a response.
func (c *call) resultOfError(err error) breaker.Result {
	classify := c.classifier()
	if classify == nil {
		classify = errors.Classify
	}
	return adapter.ResultBy(c.req.Context(), c.blamed(), false, err, classify)
}

// resultOfStatus returns what the gRPC status of a response says, which is err and in
// h. It is an answer, and so none of grpc-go's own errors from before anything was sent,
// which are told by their texts: one in such words counts by its code alone.
func (c *call) resultOfStatus(h http.Header, err error) breaker.Result {
	r := c.resultOfError(err)
	if r.NotSent {
		_, withoutText := errors.FromGRPCHeader(http.Header{"Grpc-Status": h["Grpc-Status"]})
		r = c.resultOfError(withoutText)
	}
	r.Err, r.NotSent = err, false
	if r.Outcome != breaker.Success && r.Outcome != breaker.Ignored {
		r.RetryAfter, _ = errors.RetryAfter(err)
	}
	return r
}

// blamed reports whether the caller has given the request up: by its context, or by
// Request.Cancel. http.Client closes the latter when its Timeout has passed, maybe
// before the context says so, and that is not giving up.
func (c *call) blamed() bool {
	if adapter.Gone(c.req.Context()) {
		return true
	}
	select {
	case <-c.req.Cancel: //nolint:staticcheck // others still use it
	default:
		return false
	}
	deadline, ok := c.req.Context().Deadline()
	return !ok || time.Now().Before(deadline)
}
