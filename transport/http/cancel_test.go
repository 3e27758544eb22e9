package http_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// hanging is a base that does not answer before its request is given up.
func hanging(req *http.Request) (*http.Response, error) {
	select {
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	case <-req.Cancel: //nolint:staticcheck // others still use it
		return nil, errors.New("net/http: request canceled")
	}
}

func TestCancel_ARequestThatItsCallerCancelsByItsChannelIsIgnored(t *testing.T) {
	for name, ctx := range map[string]context.Context{"no deadline": t.Context(), "a deadline that is far": withDeadline(t, time.Hour)} {
		t.Run(name, func(t *testing.T) {
			b := &permits{}
			cancel := make(chan struct{})
			req := request(ctx, t, http.MethodGet, "http://backend:8000", nil)
			req.Cancel = cancel                               //nolint:staticcheck // others still use it
			base := tripper(during(func() { close(cancel) })) //nolint:bodyclose // there is none
			_, err := roundTrip(breakerhttp.NewTransport(base, with(b)), req)
			require.Error(t, err)
			b.requireOnly(t, ignored)
			require.False(t, b.results()[0].NotSent, "how long it took is evidence")
		})
	}
}

// during returns a base that hangs, and does something once the call has begun.
func during(do func()) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		do()
		return hanging(req)
	}
}

func withDeadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// http.Client tells a wrapped transport of its Timeout by the channel of the request, maybe
// before the context has noticed.
func TestRegression_ATimeoutOfTheClientIsNoCancellation(t *testing.T) {
	b := &permits{}
	begun := 0                                  // a call may time out before it asks its breaker
	base := tripper(during(func() { begun++ })) //nolint:bodyclose // there is none
	client := &http.Client{Transport: breakerhttp.NewTransport(base, with(b)), Timeout: time.Millisecond}
	for range 300 {
		_, err := client.Get("http://backend:8000") //nolint:bodyclose // there is none
		var u *url.Error
		require.ErrorAs(t, err, &u)
		require.True(t, u.Timeout())
	}
	for _, o := range b.outcomes() {
		require.Equal(t, failure, o)
	}
	require.NotZero(t, begun)
	require.Len(t, b.outcomes(), begun)
}

// A cancellation in the words of another: a group cancels with the error of the one that
// failed, which may be an answer of another backend.
func TestCancel_WhateverTheCauseIs(t *testing.T) {
	for _, cause := range []error{nil, errBackend, io.EOF, context.DeadlineExceeded} {
		ctx, cancel := context.WithCancelCause(t.Context())
		b := &permits{}
		base := tripper(during(func() { cancel(cause) })) //nolint:bodyclose // there is none
		_, err := roundTrip(breakerhttp.NewTransport(base, with(b)), request(ctx, t, http.MethodGet, "http://backend:8000", nil))
		require.Error(t, err)
		want := breaker.Ignored
		if errors.Is(cause, context.DeadlineExceeded) {
			want = breaker.Failure
		}
		b.requireOnly(t, want)
	}
}

// net/http fails with the cause of a deadline, too, and that may look like an answer.
func TestRegression_TheCauseOfADeadlineWasTakenForAnAnswer(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			base, url := w.start(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/body" {
					rw.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			}))
			defer base.CloseIdleConnections()
			for _, cause := range []error{
				kratoserrors.New(408, "", ""), kratoserrors.New(501, "", ""), cberrors.FromHTTPStatus(404), status.Error(codes.NotFound, ""),
				cberrors.NotAllowed(rejection()),
			} {
				for _, path := range []string{"/header", "/body"} {
					ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
					defer cancel()
					b := &permits{}
					resp, err := breakerhttp.NewTransport(base, with(b), breakerhttp.WithBody()).RoundTrip(request(ctx, t, http.MethodGet, url+path, nil))
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						_ = resp.Body.Close()
					}
					require.Error(t, err)
					if b.asked() == 0 {
						continue // it passed before the call
					}
					require.Equal(t, []breaker.Outcome{failure}, b.outcomes(), "%s: %v", path, cause)
					require.False(t, b.results()[0].NotSent)
				}
			}
		})
	}
}

// A Read of net/http returns the cause as it is, so one that is io.EOF, as of a sibling
// in an errgroup, looks like the end of the body.
func TestRegression_ACauseThatIsEOFWasTakenForTheEndOfTheBody(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			base, url := w.start(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				rw.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
			defer base.CloseIdleConnections()
			for _, want := range []breaker.Outcome{failure, ignored} {
				ctx, giveUp := context.WithCancelCause(t.Context())
				defer giveUp(nil)
				if want == failure {
					deadline, cancel := context.WithTimeoutCause(ctx, 500*time.Millisecond, io.EOF)
					defer cancel()
					ctx = deadline
				}
				b := &permits{}
				resp, err := breakerhttp.NewTransport(base, with(b), breakerhttp.WithBody()).RoundTrip(request(ctx, t, http.MethodGet, url, nil))
				require.NoError(t, err)
				if want == ignored {
					time.AfterFunc(20*time.Millisecond, func() { giveUp(io.EOF) })
				}
				_, _ = io.ReadAll(resp.Body)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, []breaker.Outcome{want}, b.outcomes())
			}
		})
	}
}
