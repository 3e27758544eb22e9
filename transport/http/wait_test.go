package http_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// trickle is a body that takes its time for each part.
type trickle struct {
	every time.Duration
	parts int
}

func (b *trickle) Read(p []byte) (int, error) {
	if b.parts == 0 {
		return 0, io.EOF
	}
	time.Sleep(b.every)
	b.parts--
	return copy(p, "part"), nil
}

func (*trickle) Close() error { return nil }

func TestWait_OfAStreamAndOfACallerWhoDawdlesIsNotSlow(t *testing.T) {
	for name, row := range map[string]struct {
		header, every, pause time.Duration
		contentType          string
		slow                 bool
	}{
		"fast":                              {},
		"slow header":                       {header: time.Second, slow: true},
		"slow body":                         {every: time.Second, slow: true},
		"parts that are fast, many of them": {every: 90 * time.Millisecond},
		"a caller who dawdles":              {pause: time.Minute},
		"server-sent events":                {every: time.Minute, contentType: "text/event-stream; charset=utf-8"},
		"a stream of gRPC":                  {every: time.Minute, contentType: "application/grpc+proto"},
		"a stream of Connect":               {every: time.Minute, contentType: "application/connect+json"},
		"server-sent events, slow to begin": {header: time.Second, contentType: "text/event-stream", slow: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := circuit.NewBreaker(circuit.WithSlowCallRate(100*time.Millisecond, 1, 1000, time.Hour))
				rt := breakerhttp.NewTransport(tripper(func(req *http.Request) (*http.Response, error) {
					time.Sleep(row.header)
					h := http.Header{"Content-Type": {row.contentType}}
					return &http.Response{StatusCode: 200, Header: h, Body: &trickle{row.every, 5}, Request: req}, nil
				}), with(b), breakerhttp.WithBody())
				for range 4 {
					resp, err := rt.RoundTrip(get(t)) //nolint:bodyclose // it is read to its end
					require.NoError(t, err)
					for err == nil {
						time.Sleep(row.pause)
						_, err = resp.Body.Read(make([]byte, 4))
					}
					require.Equal(t, io.EOF, err)
				}
				want := uint64(0)
				if row.slow {
					want = 4
				}
				require.Equal(t, want, b.Snapshot().Window.Slow)
				require.EqualValues(t, 4, b.Snapshot().Totals.Success)
			})
		})
	}
}

// A listener that panics where there is no caller, since the context of a request ended
// while nobody read its body, must not end the process.
func TestPanic_OfAListenerWithoutACallerIsMetByTheNext(t *testing.T) {
	values := map[string]any{
		"an error": errors.New("the listener is broken"), "a text": "broken", "a number": 5,
		"http.ErrAbortHandler": http.ErrAbortHandler, "an error of the runtime": errOfTheRuntime(),
	}
	for name, next := range map[string]func(rt http.RoundTripper, other, own *http.Response){
		"request":       func(rt http.RoundTripper, _, _ *http.Response) { _, _ = roundTrip(rt, get(t)) },
		"read":          func(_ http.RoundTripper, other, _ *http.Response) { _, _ = other.Body.Read(make([]byte, 1)) },
		"close":         func(_ http.RoundTripper, other, _ *http.Response) { _ = other.Body.Close() },
		"its own close": func(_ http.RoundTripper, _, own *http.Response) { _ = own.Body.Close() },
	} {
		for kind, value := range values {
			t.Run(name+"/"+kind, func(t *testing.T) { requirePanicIsMet(t, value, next) })
		}
	}
}

// errOfTheRuntime returns what a mistake of a listener's panics with.
func errOfTheRuntime() (value any) {
	defer func() { value = recover() }()
	return strings.Split("open", ",")[len(os.Args)]
}

// requirePanicIsMet requires that next panics with value, since a listener did where there
// was no caller.
func requirePanicIsMet(t *testing.T, value any, next func(rt http.RoundTripper, other, own *http.Response)) {
	b := &listened{permits: &permits{}, panics: value, settled: make(chan struct{}, 1)}
	rt := breakerhttp.NewTransport(tripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &trickle{0, 100}, Request: req}, nil
	}), with(b), breakerhttp.WithBody())
	other, err := rt.RoundTrip(get(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := rt.RoundTrip(request(ctx, t, http.MethodGet, "http://backend:8000", nil))
	require.NoError(t, err)
	cancel()
	<-b.settled
	require.Eventually(t, func() (met bool) {
		defer func() {
			if v := recover(); v != nil {
				require.Equal(t, value, v)
				met = true
			}
		}()
		next(rt, other, resp)
		return false
	}, patience, time.Millisecond)
	require.NotPanics(t, func() { _, _ = roundTrip(rt, get(t)) }, "once")
}

// listened panics when a call was ignored.
type listened struct {
	*permits
	panics  any
	settled chan struct{}
}

func (b *listened) Acquire() (breaker.Permit, error) {
	return breaker.NewPermit(b, breaker.Ticket{}), nil
}

func (b *listened) Settle(t breaker.Ticket, o breaker.Outcome) {
	b.SettleResult(t, breaker.Result{Outcome: o})
}

func (b *listened) SettleResult(t breaker.Ticket, r breaker.Result) {
	b.permits.SettleResult(t, r)
	if r.Outcome == ignored {
		select {
		case b.settled <- struct{}{}:
		default: // the test is over
		}
		panic(b.panics)
	}
}
