package http_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"syscall"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

func TestTransport_StatusCountsAsTheSameKratosErrorDoes(t *testing.T) {
	overload := cberrors.NewClassifier(cberrors.WithOverload(), cberrors.WithHTTPStatus(failure, 404), cberrors.WithHTTPStatus(ignored, 302))
	for name, row := range map[string]struct {
		opts     []breakerhttp.Option
		classify breaker.Classifier
	}{
		"default":    {nil, cberrors.Classify},
		"classifier": {[]breakerhttp.Option{breakerhttp.WithClassifier(overload)}, overload},
	} {
		t.Run(name, func(t *testing.T) {
			b := &permits{}
			var want []breaker.Outcome
			for status := 100; status < 1000; status++ {
				_, err := roundTrip(breakerhttp.NewTransport(answers(status), append(row.opts, with(b))...), get(t))
				require.NoError(t, err)
				want = append(want, row.classify(cberrors.FromHTTPStatus(status)))
			}
			require.Equal(t, want, b.outcomes())
		})
	}
	require.Equal(t, failure, overload(kratoserrors.New(429, "", "")))
}

func TestTransport_FailureKnowsTheStatus(t *testing.T) {
	b := &permits{}
	_, err := roundTrip(breakerhttp.NewTransport(answers(502), with(b)), get(t))
	require.NoError(t, err)
	require.Equal(t, 502, kratoserrors.Code(b.results()[0].Err))
}

func TestTransport_ErrorsCountAsTheTableSays(t *testing.T) {
	cause := errors.New("somebody else was faster")
	for name, row := range map[string]struct {
		end  error
		ctx  func(context.Context) (context.Context, context.CancelFunc) // ends while the call runs
		want breaker.Outcome
	}{
		"refused":                         {end: syscall.ECONNREFUSED, want: failure},
		"reset":                           {end: &url.Error{Op: "Get", Err: syscall.ECONNRESET}, want: failure},
		"any other":                       {end: errBackend, want: failure},
		"hung up instead of an answer":    {end: io.EOF, want: failure},
		"hung up, wrapped":                {end: fmt.Errorf("reading: %w", io.EOF), want: failure},
		"hung up in the header":           {end: io.ErrUnexpectedEOF, want: failure},
		"cancelled by the caller":         {end: context.Canceled, ctx: context.WithCancel, want: ignored},
		"cancelled by somebody else":      {end: context.Canceled, want: failure},
		"deadline":                        {end: context.DeadlineExceeded, want: failure},
		"rejected by another breaker":     {end: cberrors.NotAllowed(rejection()), want: ignored},
		"scheme":                          {end: errors.New(`unsupported protocol scheme "htp"`), want: ignored},
		"closed while idle":               {end: errors.New("http: server closed idle connection"), want: failure},
		"a text that only contains these": {end: errors.New("no: net/http: invalid header field"), want: failure},
		"cancelled by the caller, with a cause": {end: cause, want: ignored, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(cause) }
		}},
		"cancelled by the caller, with io.EOF for a cause": {end: io.EOF, want: ignored, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(io.EOF) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, opts := range [][]breakerhttp.Option{nil, {breakerhttp.WithClassifier(cberrors.NewClassifier())}} {
				if name == "cancelled by somebody else" && opts != nil {
					continue // a classifier cannot tell
				}
				b, ctx, end := &permits{}, t.Context(), func() {}
				if row.ctx != nil {
					ctx, end = row.ctx(ctx)
				}
				rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) {
					end()
					return nil, row.end
				}), append(opts, with(b))...)
				_, err := roundTrip(rt, get(t).WithContext(ctx))
				require.True(t, err == row.end, "%v", err)
				b.requireOnly(t, row.want)
				require.True(t, b.results()[0].Err == row.end)
			}
		})
	}
}

// Their texts are all that tells these errors of net/http from others: this
// fails when Go changes one.
func TestTransport_RequestThatNetHTTPTurnsDownIsIgnoredUnlessTheClassifierKnowsBetter(t *testing.T) {
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	for name, spoil := range map[string]func(*http.Request){
		"scheme":       func(r *http.Request) { r.URL.Scheme = "htp" },
		"no scheme":    func(r *http.Request) { r.URL.Scheme = "" },
		"method":       func(r *http.Request) { r.Method = "GE T" },
		"no host":      func(r *http.Request) { r.URL.Host = "" },
		"header name":  func(r *http.Request) { r.Header["a b"] = []string{"c"} },
		"header value": func(r *http.Request) { r.Header["A"] = []string{"\n"} },
		"trailer":      func(r *http.Request) { r.Trailer = http.Header{"a b": {"c"}} },
	} {
		t.Run(name, func(t *testing.T) {
			for _, row := range []struct {
				opts []breakerhttp.Option
				want breaker.Outcome
			}{
				{nil, ignored},
				{[]breakerhttp.Option{breakerhttp.WithClassifier(cberrors.NewClassifier())}, ignored},
				{[]breakerhttp.Option{breakerhttp.WithClassifier(func(error) breaker.Outcome { return failure })}, failure},
			} {
				b := &permits{}
				req := get(t)
				spoil(req)
				_, err := roundTrip(breakerhttp.NewTransport(base, append(row.opts, with(b))...), req)
				require.Error(t, err)
				b.requireOnly(t, row.want)
			}
		})
	}
}

func TestWithResponseClassifier_SeesTheWholeResponseAndNoError(t *testing.T) {
	degraded := breakerhttp.WithResponseClassifier(func(resp *http.Response) breaker.Outcome {
		if resp.Header.Get("X-Degraded") != "" {
			return failure
		}
		return success
	})
	never := breakerhttp.WithClassifier(func(err error) breaker.Outcome {
		require.Same(t, errBackend, err)
		return ignored
	})
	for name, row := range map[string]struct {
		base tripper
		want breaker.Outcome
	}{
		"as it says, for a 200": {answers(200, "X-Degraded", "yes"), failure},
		"as it says, for a 500": {answers(500), success},
		"an error":              {fails(errBackend), ignored},
	} {
		b := &permits{}
		_, _ = roundTrip(breakerhttp.NewTransport(row.base, with(b), never, degraded), get(t))
		require.Equal(t, []breaker.Outcome{row.want}, b.outcomes(), name)
	}
}

// rules finds one breaker for everything, and remembers what it was asked.
type rules struct {
	breaker  *permits
	classify breaker.Classifier
	asked    []string
}

func (r *rules) Admit(transport, key string) (breaker.Permit, breaker.Classifier, error) {
	r.asked = append(r.asked, transport+" "+key)
	p, err := r.breaker.Acquire()
	return p, r.classify, err
}

func TestWithRules_SaysWhichBreakerAndWhatErrorsMean(t *testing.T) {
	always := func(o breaker.Outcome) breaker.Classifier { return func(error) breaker.Outcome { return o } }
	others := []breakerhttp.Option{
		breakerhttp.WithClassifier(always(ignored)),
		breakerhttp.WithResponseClassifier(func(*http.Response) breaker.Outcome { return ignored }),
	}
	for _, base := range []tripper{answers(200), fails(errBackend)} {
		strict := &rules{breaker: &permits{}, classify: always(failure)}
		_, _ = roundTrip(breakerhttp.NewTransport(base, append(others, breakerhttp.WithRules(strict))...), get(t))
		require.Equal(t, []string{"http backend:8000"}, strict.asked)
		strict.breaker.requireOnly(t, failure)

		silent := &rules{breaker: &permits{}}
		_, _ = roundTrip(breakerhttp.NewTransport(base, append(others, breakerhttp.WithRules(silent))...), get(t))
		silent.breaker.requireOnly(t, ignored)
	}
	rejecting := &rules{breaker: &permits{rejection: rejection()}}
	_, err := roundTrip(breakerhttp.NewTransport(tripper(mustNotBeCalled), breakerhttp.WithRules(rejecting)), get(t))
	require.ErrorIs(t, err, cberrors.ErrNotAllowed)
}

func TestTransport_OfTheOptionsForBreakersTheLastOneCounts(t *testing.T) {
	first, last := &permits{}, &permits{}
	for _, opt := range []breakerhttp.Option{
		with(last),
		breakerhttp.WithCircuitBreaker(func() breaker.CircuitBreaker { return last }),
		breakerhttp.WithRules(&rules{breaker: last}),
	} {
		_, err := roundTrip(breakerhttp.NewTransport(answers(200), with(first), opt), get(t))
		require.NoError(t, err)
	}
	require.Zero(t, first.asked())
	require.Equal(t, 3, last.asked())
}

// exits are the ways out of a function that are no return.
var exits = []struct {
	name  string
	leave func()
	want  any // what a recover sees
}{
	{"panic", func() { panic(errBackend) }, errBackend},
	{"Goexit", runtime.Goexit, nil},
}

func TestTransport_PanicIsAFailureAndGoesOn(t *testing.T) {
	for _, exit := range exits {
		for _, mode := range modes {
			body := newSource("an answer")
			full := tripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 404, Body: body}, nil
			})
			leaving := func(error) breaker.Outcome { exit.leave(); return success }
			for name, row := range map[string]struct {
				base   tripper
				opts   []breakerhttp.Option
				closed int
			}{
				"base":                  {base: func(*http.Request) (*http.Response, error) { exit.leave(); return nil, nil }},
				"classifier, error":     {base: fails(errBackend), opts: []breakerhttp.Option{breakerhttp.WithClassifier(leaving)}},
				"classifier, response":  {base: full, opts: []breakerhttp.Option{breakerhttp.WithClassifier(leaving)}, closed: 1},
				"classifier of a rule":  {base: full, opts: []breakerhttp.Option{breakerhttp.WithRules(&rules{&permits{}, leaving, nil})}, closed: 1},
				"response classifier":   {base: full, opts: []breakerhttp.Option{breakerhttp.WithResponseClassifier(func(*http.Response) breaker.Outcome { return leaving(nil) })}, closed: 1},
				"the body of the reply": {base: full, closed: 1},
			} {
				t.Run(exit.name+" of "+name+", outcome by the "+mode.name, func(t *testing.T) {
					body.closed = 0
					b := &permits{}
					opts := append([]breakerhttp.Option{with(b)}, append(mode.opts, row.opts...)...)
					if name == "classifier of a rule" {
						opts = append(opts, breakerhttp.WithRules(&rules{b, leaving, nil}))
					}
					if name == "the body of the reply" {
						body.Reader = leavingReader{exit.leave}
					}
					panicked, returned := breakertest.EndOf(func() {
						resp, err := breakerhttp.NewTransport(row.base, opts...).RoundTrip(get(t))
						if err != nil || resp == nil {
							return
						}
						defer func() { _ = resp.Body.Close() }()
						_, _ = resp.Body.Read(make([]byte, 1))
					})
					require.False(t, returned)
					require.True(t, panicked == exit.want, "%v", panicked)
					want := failure
					if name == "the body of the reply" && mode.name == "header" {
						want = success // a 404: it had ended
					}
					b.requireOnly(t, want)
					if name == "classifier, error" {
						require.Equal(t, errBackend, b.results()[0].Err, "it may say when to come back")
					}
					require.Equal(t, row.closed, body.timesClosed(), "closings of the response's body")
				})
			}
		}
	}
}

// explosive is a breaker with a listener that panics.
type explosive struct{ permits }

func (b *explosive) Acquire() (breaker.Permit, error) {
	_, err := b.permits.Acquire()
	return breaker.NewPermit(b, breaker.Ticket{}), err
}

func (b *explosive) Settle(ticket breaker.Ticket, o breaker.Outcome) {
	b.permits.Settle(ticket, o)
	panic(errBackend)
}

func (b *explosive) SettleResult(ticket breaker.Ticket, r breaker.Result) {
	b.Settle(ticket, r.Outcome)
}

func TestTransport_ListenerThatPanicsIsToldOnceAndLeavesNoResponseOpen(t *testing.T) {
	for _, status := range []int{200, 500} {
		b, body := &explosive{}, newSource("an answer")
		rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body}, nil
		}), with(b))
		require.PanicsWithValue(t, errBackend, func() { _, _ = roundTrip(rt, get(t)) })
		require.Len(t, b.outcomes(), 1)
		require.Equal(t, 1, body.timesClosed())
	}
}

type leavingReader struct{ leave func() }

func (r leavingReader) Read([]byte) (int, error) { r.leave(); return 0, nil }

// A foreign breaker gets exactly one mark per call.
func TestTransport_ExactlyOneMarkPerCallForAForeignBreaker(t *testing.T) {
	for _, mode := range modes {
		for name, row := range map[string]struct {
			base            tripper
			rejection       error
			plain, ignoring string
		}{
			"success":  {answers(200), nil, "MarkSuccess", "MarkSuccess"},
			"failure":  {answers(500), nil, "MarkFailed", "MarkFailed"},
			"ignored":  {answers(501), nil, "MarkSuccess", "MarkIgnored"},
			"error":    {fails(errBackend), nil, "MarkFailed", "MarkFailed"},
			"rejected": {mustNotBeCalled, errBackend, "MarkFailed", "MarkFailed"},
			"body": {func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: newSource("x")}, nil
			}, nil, "MarkSuccess", "MarkSuccess"},
		} {
			plain, ignoring := &breakertest.Trio{Rejection: row.rejection}, &breakertest.IgnoringTrio{Trio: breakertest.Trio{Rejection: row.rejection}}
			_, _ = roundTrip(breakerhttp.NewTransport(row.base, append(mode.opts, with(plain))...), get(t))
			_, _ = roundTrip(breakerhttp.NewTransport(row.base, append(mode.opts, with(ignoring))...), get(t))
			require.Equal(t, []string{"Allow", row.plain}, plain.Heard(), name)
			require.Equal(t, []string{"Allow", row.ignoring}, ignoring.Heard(), name)
		}
	}
}

// The error of the source of an upload is no failure of the backend, but only
// the caller knows it: net/http returns it as it is.
func TestTransport_ErrorOfTheRequestsOwnBodyReachesTheClassifier(t *testing.T) {
	errSource := errors.New("the client of this proxy hung up")
	address := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	for _, row := range []struct {
		opts []breakerhttp.Option
		want breaker.Outcome
	}{
		{nil, failure},
		{[]breakerhttp.Option{breakerhttp.WithClassifier(func(err error) breaker.Outcome {
			if errors.Is(err, errSource) {
				return ignored
			}
			return cberrors.Classify(err)
		})}, ignored},
	} {
		b := &permits{}
		req := request(t.Context(), t, http.MethodPost, "http://"+address, io.MultiReader(newSource("half"), failing{errSource}))
		_, err := roundTrip(breakerhttp.NewTransport(base, append(row.opts, with(b))...), req)
		require.ErrorIs(t, err, errSource)
		b.requireOnly(t, row.want)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// With the breakers of NewTransport itself there is nothing to look into; but an
// outage opens them.
func TestTransport_DefaultBreakersRejectInAnOutage(t *testing.T) {
	rt := breakerhttp.NewTransport(answers(503))
	failed := 0
	breakertest.MustReject(t, func() bool {
		_, err := roundTrip(rt, get(t))
		failed++
		return errors.Is(err, cberrors.ErrNotAllowed)
	})
	require.Greater(t, failed, 5)
	_, err := roundTrip(rt, request(t.Context(), t, http.MethodGet, "http://other:8000", nil))
	require.NoError(t, err, "another host has another breaker")
}
