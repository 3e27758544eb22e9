package http_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/sre"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

// ways are all the ways in which a call ends, with what it counts as by the
// body and by the header.
var ways = []struct {
	name         string
	base         tripper
	use          func(cancel context.CancelFunc, body io.ReadCloser)
	body, header breaker.Outcome
}{
	{"no content", answers(204), nil, success, success},
	{"not found", answers(404), nil, success, success},
	{"failure", answers(503), nil, failure, failure},
	{"not implemented", answers(501), nil, ignored, ignored},
	{"error", fails(errBackend), nil, failure, failure},
	{"hung up", fails(io.EOF), nil, failure, failure},
	{"nothing", fails(nil), nil, failure, failure},
	{"panic", func(*http.Request) (*http.Response, error) { panic(errBackend) }, nil, failure, failure},
	{"read", flowing(gives(3, nil), gives(0, io.EOF)), func(_ context.CancelFunc, r io.ReadCloser) {
		_, _ = io.ReadAll(r)
		_ = r.Close()
	}, success, success},
	{"closed", flowing(), func(_ context.CancelFunc, r io.ReadCloser) { _ = r.Close() }, success, success},
	{"cut short", flowing(gives(3, nil), gives(0, io.ErrUnexpectedEOF)), func(_ context.CancelFunc, r io.ReadCloser) {
		_, _ = io.ReadAll(r)
		_ = r.Close()
	}, failure, success},
	{"forgotten", flowing(), func(cancel context.CancelFunc, _ io.ReadCloser) { cancel() }, ignored, success},
	{"cancelled and closed", flowing(), func(cancel context.CancelFunc, r io.ReadCloser) {
		cancel()
		_ = r.Close()
	}, ignored, success},
}

// flowing answers with a body that does these steps.
func flowing(steps ...func() (int, error)) tripper {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: &stream{steps: append([]func() (int, error){}, steps...)}}, nil
	}
}

func TestStress_TotalsAreExactUnderAnyMixOfEnds(t *testing.T) {
	const callers, calls = 16, 500
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			b := sre.NewBreaker(sre.Classic(), sre.WithRequest(1e9)) // rejects nothing
			var want [3]atomic.Uint64
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range calls {
						way := ways[rand.IntN(len(ways))]
						rt := breakerhttp.NewTransport(way.base, append(mode.opts, with(b))...)
						use(t, rt, way.use)
						if mode.name == "body" {
							want[way.body].Add(1)
						} else {
							want[way.header].Add(1)
						}
					}
				})
			}
			wg.Wait()
			// A forgotten body is noticed by another goroutine.
			require.Eventually(t, func() bool { return b.Snapshot().Totals.InFlight == 0 }, patience, time.Millisecond)
			breakertest.RequireTotals(t, b, breaker.Totals{
				Success: want[success].Load(), Failure: want[failure].Load(), Ignored: want[ignored].Load(),
			})
		})
	}
}

func use(t *testing.T, rt http.RoundTripper, f func(context.CancelFunc, io.ReadCloser)) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer func() {
		if r := recover(); r != nil && r != errBackend {
			panic(r)
		}
	}()
	resp, err := rt.RoundTrip(get(t).WithContext(ctx)) //nolint:bodyclose // some callers forget it
	if err == nil && f != nil {
		f(cancel, resp.Body)
	}
}

// No way to end a call, and no carelessness, may cost a half-open breaker the
// slot of its probe.
func TestStress_NoEndOfAProbeLosesItsSlot(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Millisecond))
			probe := breakerhttp.NewTransport(way.base, breakerhttp.WithBody(), with(b))
			healed := breakerhttp.NewTransport(answers(200), breakerhttp.WithBody(), with(b))
			for range 3 {
				_, _ = roundTrip(breakerhttp.NewTransport(answers(500), with(b)), get(t))
				allowed := func() bool { return b.Snapshot().State != breaker.Open }
				require.Eventually(t, allowed, patience, time.Millisecond)
				use(t, probe, way.use)
				require.Eventually(t, func() bool {
					_, err := roundTrip(healed, get(t))
					return err == nil && b.Snapshot().State == breaker.Closed
				}, patience, time.Millisecond)
			}
			require.Zero(t, b.Snapshot().Totals.InFlight)
		})
	}
}
