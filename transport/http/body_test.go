package http_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// stream is the body of a response, of which each Read does the next step.
type stream struct {
	steps  []func() (int, error)
	closed int
}

func (s *stream) Read([]byte) (int, error) {
	step := s.steps[0]
	s.steps = s.steps[1:]
	return step()
}

func (s *stream) Close() error {
	s.closed++
	return nil
}

// gives is a step that returns n bytes and err.
func gives(n int, err error) func() (int, error) { return func() (int, error) { return n, err } }

// open makes a call that is answered with the status and the body.
func open(ctx context.Context, t require.TestingT, b *permits, status int, body io.ReadCloser, opts ...breakerhttp.Option) *http.Response {
	rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: body}, nil
	}), append([]breakerhttp.Option{breakerhttp.WithBody(), with(b)}, opts...)...)
	resp, err := rt.RoundTrip(request(ctx, t, http.MethodGet, "http://backend:8000", nil))
	require.NoError(t, err)
	return resp
}

func TestWithBody_TheWayTheBodyEndsIsTheOutcome(t *testing.T) {
	read := func(r *http.Response) { _, _ = r.Body.Read(make([]byte, 8)) }
	closes := func(r *http.Response) { _ = r.Body.Close() }
	for name, row := range map[string]struct {
		steps []func() (int, error)
		do    []func(*http.Response)
		want  breaker.Outcome
	}{
		"end":                      {[]func() (int, error){gives(3, nil), gives(0, io.EOF)}, []func(*http.Response){read, read}, success},
		"end with the last bytes":  {[]func() (int, error){gives(3, io.EOF)}, []func(*http.Response){read}, success},
		"cut short":                {[]func() (int, error){gives(3, io.ErrUnexpectedEOF)}, []func(*http.Response){read}, failure},
		"an error":                 {[]func() (int, error){gives(3, nil), gives(0, errBackend)}, []func(*http.Response){read, read}, failure},
		"an error around io.EOF":   {[]func() (int, error){gives(0, fmt.Errorf("unzipping: %w", io.EOF))}, []func(*http.Response){read}, failure},
		"closed unread":            {nil, []func(*http.Response){closes}, success},
		"closed before the end":    {[]func() (int, error){gives(3, nil)}, []func(*http.Response){read, closes}, success},
		"an empty read is no end":  {[]func() (int, error){gives(0, nil), gives(0, errBackend)}, []func(*http.Response){read, read}, failure},
		"closed after an error":    {[]func() (int, error){gives(0, errBackend)}, []func(*http.Response){read, closes}, failure},
		"read on after the end":    {[]func() (int, error){gives(0, io.EOF), gives(0, errBackend)}, []func(*http.Response){read, read, closes}, success},
		"read after it was closed": {[]func() (int, error){gives(0, errBackend)}, []func(*http.Response){closes, read, closes}, success},
	} {
		t.Run(name, func(t *testing.T) {
			b, body := &permits{}, &stream{steps: row.steps}
			resp := open(t.Context(), t, b, 200, body)
			closings := 0
			for i, do := range row.do {
				if i == 0 {
					require.Empty(t, b.outcomes(), "before the body has ended")
				}
				do(resp)
				closings = body.closed
			}
			b.requireOnly(t, row.want)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, closings+1, body.closed, "every Close reaches the body")
			b.requireOnly(t, row.want)
		})
	}
}

func TestWithBody_PassesTheBytesAndErrorsOn(t *testing.T) {
	body := &stream{steps: []func() (int, error){gives(3, nil), gives(1, errBackend), gives(0, io.EOF)}}
	resp := open(t.Context(), t, &permits{}, 200, body)
	for _, want := range []struct {
		n   int
		err error
	}{{3, nil}, {1, errBackend}, {0, io.EOF}} {
		n, err := resp.Body.Read(make([]byte, 8))
		require.Equal(t, want.n, n)
		require.True(t, err == want.err)
	}
	require.NoError(t, resp.Body.Close())
}

func TestWithBody_ResponseThatIsNoSuccessEndsWithTheHeader(t *testing.T) {
	for status, want := range map[int]breaker.Outcome{500: failure, 503: failure, 501: ignored} {
		b, body := &permits{}, &stream{}
		resp := open(t.Context(), t, b, status, body)
		b.requireOnly(t, want)
		require.Same(t, body, resp.Body)
		require.NoError(t, resp.Body.Close())
		b.requireOnly(t, want)
	}
}

func TestWithBody_ClassifierSaysWhatAnErrorOfTheBodyMeans(t *testing.T) {
	b := &permits{}
	var seen []error
	resp := open(t.Context(), t, b, 200, &stream{steps: []func() (int, error){gives(0, errBackend)}},
		breakerhttp.WithClassifier(func(err error) breaker.Outcome {
			if seen = append(seen, err); err == nil {
				return success
			}
			return ignored
		}))
	_, err := io.ReadAll(resp.Body)
	require.Same(t, errBackend, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []error{nil, errBackend}, seen)
	b.requireOnly(t, ignored)
	require.Same(t, errBackend, b.results()[0].Err)
}

func TestWithBody_ClassifierThatDoesNotReturnIsAFailure(t *testing.T) {
	for _, exit := range exits {
		t.Run(exit.name, func(t *testing.T) {
			b := &permits{}
			resp := open(t.Context(), t, b, 200, &stream{steps: []func() (int, error){gives(0, errBackend)}},
				breakerhttp.WithClassifier(func(err error) breaker.Outcome {
					if err != nil {
						exit.leave()
					}
					return success
				}))
			panicked, returned := breakertest.EndOf(func() { _, _ = resp.Body.Read(make([]byte, 1)) })
			require.False(t, returned)
			require.True(t, panicked == exit.want, "%v", panicked)
			require.NoError(t, resp.Body.Close())
			b.requireOnly(t, failure)
		})
	}
}

// ends are the ways in which a context ends.
var ends = []struct {
	name    string
	begin   func(context.Context) (context.Context, context.CancelFunc)
	waiting breaker.Outcome // of a call that was waiting for the backend
}{
	{"cancel", context.WithCancel, ignored},
	{"cancel with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		return ctx, func() { cancel(errBackend) }
	}, ignored},
	{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Second)
	}, failure},
	{"deadline with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, time.Second, errors.New("too late"))
	}, failure},
}

// end ends the context as its name says.
func end(ctx context.Context, cancel context.CancelFunc) {
	if _, timed := ctx.Deadline(); timed {
		time.Sleep(time.Second)
	} else {
		cancel()
	}
	synctest.Wait()
}

// It may be the caller that is slow, or has forgotten the body.
func TestWithBody_ContextThatEndsWhileNobodyReadsIsIgnored(t *testing.T) {
	for _, way := range ends {
		for _, after := range []struct {
			name string
			do   func(io.Closer) error
		}{
			{"and the body is forgotten", func(io.Closer) error { return nil }},
			{"and the body is closed", io.Closer.Close},
		} {
			t.Run(way.name+" "+after.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, body := &permits{}, &stream{steps: []func() (int, error){gives(1, nil)}}
					ctx, cancel := way.begin(t.Context())
					defer cancel()
					resp := open(ctx, t, b, 200, body) //nolint:bodyclose // to forget it is the point
					_, _ = resp.Body.Read(make([]byte, 1))
					require.Empty(t, b.outcomes())
					end(ctx, cancel)
					b.requireOnly(t, ignored)
					require.NoError(t, after.do(resp.Body))
					b.requireOnly(t, ignored)
				})
			})
		}
	}
}

func TestWithBody_ContextThatEndsWhileSomebodyReadsIsWhatTheReadSays(t *testing.T) {
	for _, way := range ends {
		for name, answer := range map[string]func(context.Context) (int, error){
			"with the error of the context":   func(ctx context.Context) (int, error) { return 0, ctx.Err() },
			"with its cause":                  func(ctx context.Context) (int, error) { return 0, context.Cause(ctx) },
			"with a few bytes, at the moment": func(context.Context) (int, error) { return 1, nil },
		} {
			t.Run(way.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := way.begin(t.Context())
					defer cancel()
					b := &permits{}
					resp := open(ctx, t, b, 200, &stream{steps: []func() (int, error){func() (int, error) { //nolint:bodyclose // it is, below
						<-ctx.Done()
						synctest.Wait() // for what the end of the context starts
						require.Empty(t, b.outcomes(), "the Read knows better")
						return answer(ctx)
					}}})
					done := make(chan struct{})
					go func() {
						defer close(done)
						_, _ = resp.Body.Read(make([]byte, 1))
					}()
					if _, timed := ctx.Deadline(); !timed {
						synctest.Wait()
						cancel()
					}
					<-done
					b.requireOnly(t, way.waiting)
					require.NoError(t, resp.Body.Close())
					b.requireOnly(t, way.waiting)
				})
			})
		}
	}
}

func TestWithBody_CloseInterruptsAReadThatWaits(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			b, release := &permits{}, make(chan struct{})
			resp := open(ctx, t, b, 200, &stream{steps: []func() (int, error){func() (int, error) { //nolint:bodyclose // it is, below
				<-release
				return 0, errBackend
			}}})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = resp.Body.Read(make([]byte, 1))
			}()
			synctest.Wait()
			want := success
			if late { // the backend had its time
				time.Sleep(time.Second)
				synctest.Wait()
				want = failure
			}
			require.NoError(t, resp.Body.Close())
			b.requireOnly(t, want)
			close(release)
			<-done
			b.requireOnly(t, want)
		})
	}
}

// watched is a context that knows who waits for its end.
type watched struct {
	context.Context
	waiting int
}

// Value hides the context within, which package context would ask in place of
// this one.
func (w *watched) Value(any) any { return nil }

func (w *watched) AfterFunc(f func()) func() bool {
	w.waiting++
	stop := context.AfterFunc(w.Context, f)
	return func() bool {
		w.waiting--
		return stop()
	}
}

func TestWithBody_LeavesNothingBehindInALongLivedContext(t *testing.T) {
	for name, finish := range map[string]func(io.ReadCloser){
		"closed":       func(r io.ReadCloser) { _ = r.Close() },
		"read":         func(r io.ReadCloser) { _, _ = io.ReadAll(r) },
		"failed":       func(r io.ReadCloser) { _, _ = r.Read(nil); _, _ = r.Read(nil) },
		"ended at all": func(r io.ReadCloser) { _, _ = io.ReadAll(r); _ = r.Close(); _ = r.Close() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		w := &watched{Context: ctx}
		steps := []func() (int, error){gives(1, nil), gives(0, io.EOF)}
		if name == "failed" {
			steps[1] = gives(0, errBackend)
		}
		resp := open(w, t, &permits{}, 200, &stream{steps: steps})
		require.Equal(t, 1, w.waiting)
		finish(resp.Body)
		require.Zero(t, w.waiting, name)
		require.NoError(t, resp.Body.Close())
		cancel()
	}
}

func TestWithBody_OpenBodyIsInFlightAndNoGoroutine(t *testing.T) {
	b := sre.NewBreaker()
	rt := breakerhttp.NewTransport(tripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: newSource("hello")}, nil
	}), breakerhttp.WithBody(), with(b))
	ctx, cancel := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	const calls = 100
	for range calls {
		_, err := rt.RoundTrip(get(t).WithContext(ctx)) //nolint:bodyclose // forgotten on purpose
		require.NoError(t, err)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
	breakertest.RequireTotals(t, b, breaker.Totals{InFlight: calls})
	cancel()
	require.Eventually(t, func() bool { return b.Snapshot().Totals.Ignored == calls }, patience, time.Millisecond)
	breakertest.RequireTotals(t, b, breaker.Totals{Ignored: calls})
}

// The body is only looked at: any order of reads, closings and an end of the
// context, by however careless a caller, settles the call exactly once, and as a
// caller would say it in one sentence.
func TestWithBody_SettlesOnceWhateverTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) { // hides Deadline, which a bubble has none of
			way := rapid.SampledFrom(ends).Draw(t, "context")
			ctx, cancel := way.begin(context.Background())
			defer cancel()
			body := &stream{}
			b := &permits{}
			resp := open(ctx, t, b, 200, body)
			want, ended := []breaker.Outcome(nil), false
			says := func(o breaker.Outcome) {
				if want == nil {
					want = []breaker.Outcome{o}
				}
			}
			for range rapid.IntRange(0, 8).Draw(t, "steps") {
				switch step := rapid.SampledFrom([]string{"bytes", "end", "error", "close", "context"}).Draw(t, "step"); step {
				case "close":
					says(success)
					_ = resp.Body.Close()
				case "context":
					if !ended {
						ended = true
						end(ctx, cancel)
						says(ignored)
					}
				default:
					err := map[string]error{"end": io.EOF, "error": errBackend}[step]
					if way.name == "cancel with a cause" && ended && err == errBackend {
						continue // it is the caller's own then; and it is settled anyway
					}
					body.steps = []func() (int, error){gives(1, err)}
					switch _, _ = resp.Body.Read(make([]byte, 1)); step {
					case "end":
						says(success)
					case "error":
						says(failure)
					}
				}
				require.Equal(t, want, b.outcomes())
			}
			if want == nil {
				_ = resp.Body.Close()
				says(success)
			}
			cancel()
			synctest.Wait()
			require.Equal(t, want, b.outcomes())
		})
	})
}
