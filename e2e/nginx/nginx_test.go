package nginx_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	khttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
	breakerhttp "github.com/kratos-breaker/breaker/transport/http"
)

const (
	success = breaker.Success
	failure = breaker.Failure
)

// counting is a breaker that allows everything and counts how it ends.
type counting struct{ ended [3]atomic.Int64 }

func (c *counting) Acquire() (breaker.Permit, error) {
	return breaker.NewPermit(c, breaker.Ticket{}), nil
}
func (c *counting) Settle(_ breaker.Ticket, o breaker.Outcome) { c.ended[o].Add(1) }
func (*counting) Allow() error                                 { panic("Allow was called") }
func (*counting) MarkSuccess()                                 { panic("MarkSuccess was called") }
func (*counting) MarkFailed()                                  { panic("MarkFailed was called") }

// take returns what was counted since it was last called.
func (c *counting) take() map[breaker.Outcome]int64 {
	all := map[breaker.Outcome]int64{}
	for o := range c.ended {
		if n := c.ended[o].Swap(0); n > 0 {
			all[breaker.Outcome(o)] = n
		}
	}
	return all
}

// client is one way to call the backend through nginx.
type client struct {
	name       string
	call       func(ctx context.Context) error
	busy, down func(ctx context.Context) error // what limit_req turns down, with 429 and 503
	column     int                             // of docs/faults.md
	codeOf     func(error) string
}

func clients[B breaker.CircuitBreaker](t *testing.T, p *proxy, b B) []client {
	g := group.NewGroup(func() B { return b })

	guarded := circuitbreaker.Client(circuitbreaker.WithGroup(g))
	kratos, err := khttp.NewClient(t.Context(), khttp.WithEndpoint("http://"+p.HTTP), khttp.WithMiddleware(middleware.Middleware(guarded)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kratos.Close()) })
	invoke := func(path string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			return kratos.Invoke(ctx, http.MethodGet, path, nil, new(map[string]any))
		}
	}

	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	rt := breakerhttp.NewTransport(base, breakerhttp.WithGroup(g), breakerhttp.WithBody())
	get := func(path string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.HTTP+path, nil)
			require.NoError(t, err)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			return cberrors.FromHTTPStatus(resp.StatusCode)
		}
	}

	cc, err := grpc.NewClient("passthrough:///"+p.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor(breakergrpc.WithGroup(g))))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cc.Close()) })
	service := testgrpc.NewTestServiceClient(cc)

	return []client{
		{"Kratos HTTP client", invoke("/"), invoke("/busy"), invoke("/down"), 0, httpStatus},
		{"RoundTripper", get("/"), get("/busy"), get("/down"), 0, httpStatus},
		{"gRPC", func(ctx context.Context) error {
			_, err := service.EmptyCall(ctx, new(testgrpc.Empty))
			return err
		}, func(ctx context.Context) error {
			_, err := service.UnaryCall(ctx, new(testgrpc.SimpleRequest))
			return err
		}, func(ctx context.Context) error {
			_, err := service.UnimplementedCall(ctx, new(testgrpc.Empty))
			return err
		}, 1, func(err error) string { return status.Code(err).String() }},
	}
}

func httpStatus(err error) string { return strconv.Itoa(kratoserrors.Code(err)) }

// documented returns what a row of docs/faults.md says of HTTP and of gRPC.
func documented(t *testing.T, row string) []string {
	text, err := os.ReadFile("../../docs/faults.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "\n| "+row+" | ")
	require.True(t, ok, row)
	line, _, _ := strings.Cut(rest, " |\n")
	return strings.Split(line, " | ")
}

func TestNginx_WhatItMakesOfTheFaultsOfABackendCountsAsTheTableSays(t *testing.T) {
	p := start(t)
	b := new(counting)
	for _, c := range clients(t, p, b) {
		t.Run(c.name, func(t *testing.T) {
			// ends makes calls that end as a row of docs/faults.md says, or well.
			ends := func(row string, calls int, call func(context.Context) error) {
				t.Helper()
				want := success
				if row != "" {
					outcome, code, _ := strings.Cut(documented(t, row)[c.column], ": ")
					want = map[string]breaker.Outcome{"success": success, "failure": failure}[outcome]
					require.Equal(t, code, c.codeOf(call(t.Context())))
					require.Equal(t, map[breaker.Outcome]int64{want: 1}, b.take())
				}
				for range calls {
					_ = call(t.Context())
				}
				require.Equal(t, map[breaker.Outcome]int64{want: int64(calls)}, b.take())
			}
			ends("", 5, c.call)

			p.kill()
			ends("the backend is killed", 5, c.call)
			p.revive()
			ends("", 5, c.call)

			unhang := p.hangs()
			ends("the backend hangs", 2, c.call)
			unhang()
			ends("", 5, c.call)

			for row, call := range map[string]func(context.Context) error{"`limit_req` with 429": c.busy, "`limit_req` with 503": c.down} {
				_ = call(t.Context()) // one a minute is let through, of all clients
				b.take()
				ends(row, 5, call)
			}
		})
	}
}

func TestNginx_ReloadsUnderLoadAreNoFailures(t *testing.T) {
	p := start(t)
	b := new(counting)
	for _, c := range clients(t, p, b) {
		t.Run(c.name, func(t *testing.T) {
			var stop atomic.Bool
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					for !stop.Load() {
						_ = c.call(t.Context())
					}
				})
			}
			for range 8 {
				time.Sleep(100 * time.Millisecond) // nginx tells nobody when it has reloaded
				p.reload()
			}
			time.Sleep(100 * time.Millisecond)
			stop.Store(true)
			callers.Wait()
			got := b.take()
			require.Zero(t, got[failure], "%v", got)
			require.NotZero(t, got[success])
		})
	}
}

// The breaker asks the backend about once in a probe interval whether it is back.
func TestNginx_TheBackendIsFoundWithinTwoProbeIntervals(t *testing.T) {
	const interval = 500 * time.Millisecond
	for i, name := range []string{"Kratos HTTP client", "RoundTripper", "gRPC"} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			b := sre.NewBreaker(sre.WithProbeInterval(interval))
			c := clients(t, p, b)[i]
			tick := func() error {
				time.Sleep(5 * time.Millisecond) // 200 calls a second, more or less
				return c.call(t.Context())
			}
			for range 100 {
				require.NoError(t, tick())
			}
			p.kill()
			require.Eventually(t, func() bool { return cberrors.IsRejected(tick()) }, patience, time.Millisecond)
			p.revive()
			back := time.Now()
			for tick() != nil {
				require.Less(t, time.Since(back), 2*interval)
			}
			require.Eventually(t, func() bool { _ = tick(); return b.Snapshot().State == breaker.Closed }, patience, time.Millisecond)
		})
	}
}
