package http_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kratos/kratos/v2/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

func TestMain(m *testing.M) {
	log.SetLogger(log.NewStdLogger(io.Discard))
	goleak.VerifyTestMain(m)
}

const (
	ignored = breaker.Ignored
	success = breaker.Success
	failure = breaker.Failure

	// patience is how long a test waits for what must not hang.
	patience = 10 * time.Second
)

var errBackend = errors.New("the backend is down")

// permits is a breaker that hands out permits and writes down how they were
// settled. Its aegis methods panic: who has permits does not need them.
type permits struct {
	mu        sync.Mutex
	rejection error
	issued    int
	settled   []breaker.Result
}

func (b *permits) Acquire() (breaker.Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rejection != nil {
		return breaker.Permit{}, b.rejection
	}
	b.issued++
	return breaker.NewPermit(b, breaker.Ticket{}), nil
}

func (b *permits) Settle(_ breaker.Ticket, o breaker.Outcome) {
	b.SettleResult(breaker.Ticket{}, breaker.Result{Outcome: o})
}

func (b *permits) SettleResult(_ breaker.Ticket, r breaker.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = append(b.settled, r)
}

func (*permits) Allow() error { panic("Allow was called") }
func (*permits) MarkSuccess() { panic("MarkSuccess was called") }
func (*permits) MarkFailed()  { panic("MarkFailed was called") }

func (b *permits) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.issued
}

func (b *permits) results() []breaker.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]breaker.Result(nil), b.settled...)
}

func (b *permits) outcomes() (os []breaker.Outcome) {
	for _, r := range b.results() {
		os = append(os, r.Outcome)
	}
	return os
}

// requireOnly requires that there was one call, and that it ended so.
func (b *permits) requireOnly(t require.TestingT, o breaker.Outcome) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	require.Equal(t, 1, b.asked(), "calls that were allowed")
	require.Equal(t, []breaker.Outcome{o}, b.outcomes())
}

// with is the option of one breaker for every key.
func with[B breaker.CircuitBreaker](b B) breakerhttp.Option {
	return breakerhttp.WithGroup(group.NewGroup(func() B { return b }))
}

func rejection() *breaker.RejectedError {
	return breaker.NewRejectedError("gate 17", breaker.Open, breaker.ReasonOpen, time.Now().Add(time.Hour), nil)
}

// tripper is a base transport.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answers returns a base that answers with the status and no body.
func answers(status int, header ...string) tripper {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: http.NoBody, Request: req}, nil
	}
}

func fails(err error) tripper {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func mustNotBeCalled(*http.Request) (*http.Response, error) { panic("the base was called") }

// source is a body that knows whether it was closed.
type source struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func newSource(text string) *source { return &source{Reader: strings.NewReader(text)} }

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *source) timesClosed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func request(ctx context.Context, t require.TestingT, method, url string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	return req
}

func get(t testing.TB) *http.Request {
	return request(t.Context(), t, http.MethodGet, "http://backend:8000/hello", nil)
}

// roundTrip makes a call, closes the body of what comes back and returns its
// status, or 0.
func roundTrip(rt http.RoundTripper, req *http.Request) (status int, err error) {
	resp, err := rt.RoundTrip(req)
	if resp == nil {
		return 0, err
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	return resp.StatusCode, err
}

// cancelled returns a context that the caller has cancelled.
func cancelled(t testing.TB, cause error) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	return ctx
}
