package http_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// modes are the two ends of a call.
var modes = []struct {
	name string
	opts []breakerhttp.Option
}{
	{"header", nil},
	{"body", []breakerhttp.Option{breakerhttp.WithBody()}},
}

func TestTransport_PassesTheRequestAndTheResponseOnAsTheyAre(t *testing.T) {
	req := request(t.Context(), t, http.MethodPost, "http://Backend/hello?a=b#c", newSource("a body"))
	req.Header["odd-key"] = []string{"1", "2"}
	before := *req
	header, location := req.Header.Clone(), *req.URL
	answer := &http.Response{StatusCode: 200, Header: http.Header{"A": {"b"}}, Body: newSource("an answer")}
	body := answer.Body

	rt := breakerhttp.NewTransport(tripper(func(got *http.Request) (*http.Response, error) {
		require.Same(t, req, got, "not even a copy")
		require.NoError(t, got.Body.Close())
		return answer, nil
	}))
	resp, err := rt.RoundTrip(req)
	require.NoError(t, err)
	require.Same(t, answer, resp)
	require.Same(t, body, resp.Body)
	require.Equal(t, before, *req)
	require.Equal(t, header, req.Header)
	require.Equal(t, location, *req.URL)
	require.Equal(t, 1, req.Body.(*source).timesClosed(), "by the base alone")
	require.NoError(t, resp.Body.Close())
}

func TestTransport_DoesNotChangeARequestThatItRejects(t *testing.T) {
	for _, opts := range [][]breakerhttp.Option{nil, {breakerhttp.WithResponse()}} {
		req := request(t.Context(), t, http.MethodPost, "http://Backend", newSource("a body"))
		before, header, location := *req, req.Header.Clone(), *req.URL
		rt := breakerhttp.NewTransport(tripper(mustNotBeCalled), append(opts, with(&permits{rejection: rejection()}))...)
		_, _ = roundTrip(rt, req)
		require.Equal(t, before, *req)
		require.Equal(t, header, req.Header)
		require.Equal(t, location, *req.URL)
	}
}

func TestTransport_PassesErrorsOnAsTheyAre(t *testing.T) {
	for _, mode := range modes {
		for _, end := range []error{errBackend, io.EOF, context.Canceled} {
			rt := breakerhttp.NewTransport(fails(end), mode.opts...)
			status, err := roundTrip(rt, get(t))
			require.Zero(t, status)
			require.True(t, err == end, "%v", err)
		}
	}
}

// A RoundTripper must close the body whenever it returns, and whatever it returns.
func TestTransport_ClosesTheBodyOfARequestThatItDoesNotSend(t *testing.T) {
	panics := breakerhttp.WithKey(func(*http.Request) string { panic("no key") })
	for name, row := range map[string]struct {
		opts []breakerhttp.Option
		req  func(*http.Request) *http.Request
	}{
		"rejected":                 {opts: []breakerhttp.Option{with(&permits{rejection: rejection()})}},
		"rejected with a response": {opts: []breakerhttp.Option{with(&permits{rejection: rejection()}), breakerhttp.WithResponse()}},
		"no URL":                   {req: func(r *http.Request) *http.Request { r.URL = nil; return r }},
		"no header":                {req: func(r *http.Request) *http.Request { r.Header = nil; return r }},
		"context ended":            {req: func(r *http.Request) *http.Request { return r.WithContext(cancelled(t, nil)) }},
		"the key panics":           {opts: []breakerhttp.Option{panics}},
	} {
		t.Run(name, func(t *testing.T) {
			body := newSource("a body")
			req := request(t.Context(), t, http.MethodPost, "http://backend", body)
			if row.req != nil {
				req = row.req(req)
			}
			func() {
				defer func() { _ = recover() }()
				_, _ = roundTrip(breakerhttp.NewTransport(tripper(mustNotBeCalled), row.opts...), req)
			}()
			require.Equal(t, 1, body.timesClosed())
		})
	}
}

func TestTransport_NilRequestsAndPartsOfThemAreClearErrors(t *testing.T) {
	b := &permits{}
	rt := breakerhttp.NewTransport(tripper(mustNotBeCalled), with(b))
	for want, req := range map[string]*http.Request{
		"transport/http: the request is nil":               nil,
		"transport/http: the URL of the request is nil":    {Header: http.Header{}},
		"transport/http: the header of the request is nil": {URL: &url.URL{Scheme: "http", Host: "backend"}},
	} {
		status, err := roundTrip(rt, req)
		require.EqualError(t, err, want)
		require.Zero(t, status)
	}
	require.Zero(t, b.asked())
}

// A caller that has given up must not use up the one probe of a second.
func TestTransport_DoesNotAskForACallerThatHasGivenUp(t *testing.T) {
	b := &permits{}
	rt := breakerhttp.NewTransport(tripper(mustNotBeCalled), with(b))
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for _, row := range []struct {
		ctx  context.Context
		want error
	}{
		{cancelled(t, nil), context.Canceled},
		{cancelled(t, errBackend), errBackend}, // as net/http has it
		{late, context.DeadlineExceeded},
	} {
		_, err := roundTrip(rt, get(t).WithContext(row.ctx))
		require.Equal(t, row.want, err)
	}
	require.Zero(t, b.asked())
}

func TestTransport_BaseWithoutAnswerAndErrorIsAClearErrorAndAFailure(t *testing.T) {
	for _, mode := range modes {
		b, body := &permits{}, newSource("a body")
		rt := breakerhttp.NewTransport(fails(nil), append(mode.opts, with(b))...)
		status, err := roundTrip(rt, request(t.Context(), t, http.MethodPost, "http://backend", body))
		require.EqualError(t, err, "transport/http: the base transport returned neither a response nor an error")
		require.Zero(t, status)
		b.requireOnly(t, failure)
		require.Equal(t, err, b.results()[0].Err)
		require.Equal(t, 1, body.timesClosed())
	}
}

// http.Client drops the response then, and so the error is what counts.
func TestTransport_BaseWithAResponseAndAnErrorIsAFailure(t *testing.T) {
	for _, mode := range modes {
		b := &permits{}
		answer := &http.Response{StatusCode: 200, Body: newSource("an answer")}
		body := answer.Body
		rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) { return answer, errBackend }),
			append(mode.opts, with(b))...)
		resp, err := rt.RoundTrip(get(t))
		require.Same(t, errBackend, err)
		require.Same(t, answer, resp)
		require.Same(t, body, resp.Body)
		require.NoError(t, resp.Body.Close())
		b.requireOnly(t, failure)
	}
}

func TestTransport_ResponseWithoutABodyEndsWithTheHeader(t *testing.T) {
	for _, mode := range modes {
		for name, body := range map[string]io.ReadCloser{"nil": nil, "http.NoBody": http.NoBody} {
			b := &permits{}
			rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 204, Body: body}, nil
			}), append(mode.opts, with(b))...)
			resp, err := rt.RoundTrip(get(t))
			require.NoError(t, err)
			require.True(t, resp.Body == body, "%s: %T", name, resp.Body)
			b.requireOnly(t, success)
			roundTripped(t, resp)
		}
	}
}

// roundTripped closes what a test has looked at.
func roundTripped(t *testing.T, resp *http.Response) {
	t.Helper()
	if resp.Body != nil {
		require.NoError(t, resp.Body.Close())
	}
}

// What follows a 101 is a connection, for as long as both sides like.
func TestTransport_LeavesTheConnectionOfA101AsItIs(t *testing.T) {
	for _, mode := range modes {
		b := &permits{}
		conn := struct {
			io.Reader
			io.Writer
			io.Closer
		}{strings.NewReader(""), io.Discard, io.NopCloser(nil)}
		rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: conn}, nil
		}), append(mode.opts, with(b))...)
		resp, err := rt.RoundTrip(get(t))
		require.NoError(t, err)
		require.Implements(t, (*io.ReadWriteCloser)(nil), resp.Body)
		b.requireOnly(t, success)
		roundTripped(t, resp)
	}
}

type closer struct {
	tripper
	closed int
}

func (c *closer) CloseIdleConnections() { c.closed++ }

func TestTransport_PassesCloseIdleConnectionsOn(t *testing.T) {
	base := &closer{}
	(&http.Client{Transport: breakerhttp.NewTransport(base)}).CloseIdleConnections()
	require.Equal(t, 1, base.closed)
	(&http.Client{Transport: breakerhttp.NewTransport(answers(200))}).CloseIdleConnections() // has none
}

func TestNewTransport_NilBaseIsTheDefaultTransport(t *testing.T) {
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	http.DefaultTransport = answers(418)
	status, err := roundTrip(breakerhttp.NewTransport(nil), get(t))
	require.NoError(t, err)
	require.Equal(t, 418, status)
}

func TestNewTransport_PanicsAtOnceForWhatCouldNeverWork(t *testing.T) {
	for want, make := range map[string]func(){
		"transport/http: NewTransport: the base transport is a nil pointer": func() { breakerhttp.NewTransport((*http.Transport)(nil)) },
		"transport/http: NewTransport: nil Option":                          func() { breakerhttp.NewTransport(nil, nil) },
		"transport/http: WithGroup: the group is nil":                       func() { breakerhttp.WithGroup[breaker.Breaker](nil) },
		"transport/http: WithCircuitBreaker: the factory is nil":            func() { breakerhttp.WithCircuitBreaker[breaker.Breaker](nil) },
		"transport/http: WithRules: the rules are nil":                      func() { breakerhttp.WithRules(nil) },
		"transport/http: WithKey: the function is nil":                      func() { breakerhttp.WithKey(nil) },
		"transport/http: WithClassifier: the classifier is nil":             func() { breakerhttp.WithClassifier(nil) },
		"transport/http: WithResponseClassifier: the function is nil":       func() { breakerhttp.WithResponseClassifier(nil) },
		"transport/http: CheckRetry: the function is nil":                   func() { breakerhttp.CheckRetry(nil) }, //nolint:bodyclose // no response is about
	} {
		require.PanicsWithValue(t, want, make)
	}
}

func TestTransport_FactoryWithoutABreakerIsNamedInThePanic(t *testing.T) {
	for name, opt := range map[string]breakerhttp.Option{
		"factory":        breakerhttp.WithCircuitBreaker(func() breaker.Breaker { return nil }),
		"group":          with((*circuit.Breaker)(nil)),
		"group of aegis": with((*breakertest.Trio)(nil)),
		"interface":      with(breaker.Breaker((*circuit.Breaker)(nil))),
		"nothing":        with[breaker.Breaker](nil),
	} {
		rt := breakerhttp.NewTransport(tripper(mustNotBeCalled), opt)
		require.PanicsWithValue(t, `transport/http: the factory returned no breaker for "backend:8000"`, func() { _, _ = roundTrip(rt, get(t)) }, name)
	}
}

// Through http.Client too, whose own handling of bodies must not double ours.
func TestTransport_WorksUnderAClientThatFollowsRedirects(t *testing.T) {
	for _, mode := range modes {
		b := &permits{}
		rt := breakerhttp.NewTransport(tripper(func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/end"}}, Body: newSource("moved"), Request: req}
			if req.URL.Path == "/end" {
				resp.StatusCode, resp.Body = 200, newSource("the end")
			}
			return resp, nil
		}), append(mode.opts, with(b))...)
		resp, err := (&http.Client{Transport: rt}).Do(get(t))
		require.NoError(t, err)
		var text bytes.Buffer
		_, err = text.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "the end", text.String())
		require.Equal(t, []breaker.Outcome{success, success}, b.outcomes())
	}
}
