package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/go-kratos/kratos/v2/selector"
	"github.com/go-kratos/kratos/v2/transport"
	kratoshttp "github.com/go-kratos/kratos/v2/transport/http"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// The statements V-01 to V-08 of the reference (three-state.md, 2.5) about the
// documentation of Kratos' middleware, with the bugs fixed that it names.

func TestV01_ClientGuardsEachOperationOfAKratosClientByItself(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			var reached atomic.Int64
			endpoint := w.serve(t, func(_ context.Context, in string) (string, error) {
				if in == "down" {
					reached.Add(1)
					return "", kratoserrors.InternalServer("DOWN", "down")
				}
				return in, nil
			})
			call := w.dial(t, endpoint, never, circuitbreaker.Client())
			breakertest.MustReject(t, func() bool {
				_, err := call(t.Context(), "down")
				require.Error(t, err)
				return errors.Is(err, circuitbreaker.ErrNotAllowed)
			})
			require.GreaterOrEqual(t, reached.Load(), int64(10), "a few failures do not open it")
			for range 200 {
				out, err := call(callOther(t.Context()), "hello")
				require.NoError(t, err)
				require.Equal(t, "hello", out)
			}
		})
	}
}

func TestV02_RejectionIsTheErrorOfTheDocumentation(t *testing.T) {
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&permits{rejection: rejection()})))
	_, err := m(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	documented := kratoserrors.New(503, "CIRCUITBREAKER", "request failed due to circuit breaker triggered")
	require.ErrorIs(t, err, documented)
	got := kratoserrors.FromError(err)
	require.Equal(t, documented.Code, got.Code)
	require.Equal(t, documented.Reason, got.Reason)
	require.Equal(t, documented.Message, got.Message)
	require.Empty(t, got.Metadata, "it would reach end users")
	// Kratos discards the error of the breaker.
	var r *breaker.RejectedError
	require.ErrorAs(t, err, &r)
	require.ErrorAs(t, got, &r)
	require.Equal(t, "gate 17", r.Name())
	require.Positive(t, r.RetryAfter())
}

func TestV03_WithGroupCanBeCalled(t *testing.T) {
	breakers := group.NewGroup(func() aegis.CircuitBreaker { return aegissre.NewBreaker() })
	ours := group.NewGroup(func() *sre.Breaker { return sre.NewBreaker() })
	for _, opt := range []circuitbreaker.Option{circuitbreaker.WithGroup(breakers), circuitbreaker.WithGroup(ours)} {
		reply, err := circuitbreaker.Client(opt)(answer("hello", nil))(clientContext(t.Context(), operation), nil)
		require.NoError(t, err)
		require.Equal(t, "hello", reply)
	}
	require.Equal(t, 1, breakers.Len())
	breakertest.RequireTotals(t, ours.Get(operation), breaker.Totals{Success: 1})
}

func TestV04_ErrorsAreClassifiedByTheirMeaningAndNotByThreeCodes(t *testing.T) {
	unknown := func(reason string) error {
		s, err := status.New(codes.Unknown, "").WithDetails(&errdetails.ErrorInfo{Reason: reason})
		require.NoError(t, err)
		return s.Err()
	}
	for _, row := range []struct {
		err  error
		want breaker.Outcome
	}{
		{nil, success},
		{errBackend, failure},
		{context.Canceled, failure}, // the caller is still there
		{context.DeadlineExceeded, failure},
		{kratoserrors.New(500, "X", ""), failure},
		{kratoserrors.New(502, "X", ""), failure}, // a success for Kratos
		{kratoserrors.New(503, "X", ""), failure},
		{kratoserrors.New(504, "X", ""), failure},
		{kratoserrors.New(501, "X", ""), ignored},
		{kratoserrors.New(404, "X", ""), success},
		{kratoserrors.New(422, "X", ""), success},
		{kratoserrors.New(429, "X", ""), success},
		{kratoserrors.New(10001, "X", ""), success},
		{status.Error(codes.ResourceExhausted, ""), success},
		{status.Error(codes.Unimplemented, ""), ignored},
		{status.Error(codes.NotFound, ""), success},
		{status.Error(codes.DeadlineExceeded, ""), failure},
		{status.Error(codes.Unavailable, ""), failure},
		{status.Error(codes.Internal, ""), failure},
		{status.Error(codes.DataLoss, ""), failure},
		{unknown(""), failure},
		{unknown("USER_BLOCKED"), success}, // a failure for Kratos
	} {
		var seen permits
		m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&seen)))
		_, err := m(answer(nil, row.err))(clientContext(t.Context(), operation), nil)
		require.Equal(t, row.err, err)
		require.Equal(t, []breaker.Outcome{row.want}, seen.outcomes(), "%v", row.err)
	}
}

// halfOpen is a three-state breaker that waits for its one probe.
type halfOpen struct {
	permits
	probing bool
	state   breaker.State
}

func (b *halfOpen) Acquire() (breaker.Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == breaker.Open || b.state == breaker.HalfOpen && b.probing {
		return breaker.Permit{}, rejection()
	}
	b.probing = true
	return breaker.NewPermit(b, breaker.Ticket{}), nil
}

func (b *halfOpen) Settle(_ breaker.Ticket, o breaker.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = breaker.Open
	if o == breaker.Success {
		b.state = breaker.Closed
	}
}

func TestV05_RejectedCallersDoNotReopenABreakerWhoseProbeIsRunning(t *testing.T) {
	b := &halfOpen{state: breaker.HalfOpen}
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)))
	ctx := clientContext(t.Context(), operation)
	_, err := m(func(context.Context, any) (any, error) {
		for range 10 {
			_, err := m(mustNotBeCalled)(ctx, nil)
			require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
			require.Equal(t, breaker.HalfOpen, b.state)
		}
		return nil, nil
	})(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, breaker.Closed, b.state)
	reply, err := m(answer("hello", nil))(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "hello", reply)
}

func TestV05_RejectionsAreNotCountedAsFailures(t *testing.T) {
	b := broken("")
	before := b.Snapshot().Totals.Failure
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)))
	ctx := clientContext(t.Context(), operation)
	var rejected uint64
	for range 1000 {
		if _, err := m(answer(nil, nil))(ctx, nil); err != nil {
			rejected++
		}
	}
	require.Greater(t, rejected, uint64(900))
	breakertest.RequireTotals(t, b, breaker.Totals{Failure: before, Rejected: rejected, Success: 1000 - rejected})
}

func TestV06_CallWithoutAClientTransportPassesThrough(t *testing.T) {
	var seen permits
	seen.reject(rejection())
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&seen)))
	info, _ := transport.FromClientContext(clientContext(t.Context(), operation))
	server := transport.NewServerContext(t.Context(), info)
	for name, ctx := range map[string]context.Context{"no transport": t.Context(), "a server's transport": server} {
		t.Run(name, func(t *testing.T) {
			type request struct{}
			req := new(request)
			reply, err := m(func(c context.Context, r any) (any, error) {
				require.Equal(t, ctx, c)
				require.Same(t, req, r)
				return "hello", errBackend
			})(ctx, req)
			require.Same(t, errBackend, err)
			require.Equal(t, "hello", reply)
			panicked, _ := breakertest.EndOf(func() { _, _ = m(func(context.Context, any) (any, error) { panic(errBackend) })(ctx, nil) })
			require.Same(t, errBackend, panicked)
			require.Zero(t, seen.rejected)
			require.Empty(t, seen.outcomes())
		})
	}
}

func TestV06_WithKeyGuardsCallsWithoutATransportToo(t *testing.T) {
	breakers := group.NewGroup(func() *permits { return new(permits) })
	type ctxKey struct{}
	m := circuitbreaker.Client(circuitbreaker.WithGroup(breakers),
		circuitbreaker.WithKey(func(ctx context.Context, req any) string {
			return fmt.Sprint(ctx.Value(ctxKey{}), "/", req)
		}))
	for _, ctx := range []context.Context{t.Context(), clientContext(t.Context(), operation)} {
		_, err := m(answer(nil, errBackend))(context.WithValue(ctx, ctxKey{}, "eu"), 7)
		require.Same(t, errBackend, err)
	}
	require.Equal(t, 1, breakers.Len(), "with a key, the operation says nothing")
	require.Equal(t, []breaker.Outcome{failure, failure}, breakers.Get("eu/7").outcomes())
}

func TestV07_PanickingHandlerIsAFailureAndGoesOnWithTheSameValue(t *testing.T) {
	value := &struct{ what string }{"boom"}
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			b := sre.NewBreaker()
			endpoint := w.serve(t, func(context.Context, string) (string, error) { return "hello", nil })
			panics := true
			call := w.dial(t, endpoint, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(b))),
				func(next middleware.Handler) middleware.Handler {
					return func(ctx context.Context, req any) (any, error) {
						if panics {
							panic(value)
						}
						return next(ctx, req)
					}
				})
			panicked, _ := breakertest.EndOf(func() { _, _ = call(t.Context(), "") })
			require.Same(t, value, panicked)
			breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1})
			panics = false
			out, err := call(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, "hello", out)
			breakertest.RequireTotals(t, b, breaker.Totals{Failure: 1, Success: 1})
		})
	}
}

func TestV08_ErrorClassifierCanBeSet(t *testing.T) {
	var seen permits
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&seen)),
		circuitbreaker.WithClassifier(cberrors.NewClassifier(cberrors.WithOverload())))
	_, err := m(answer(nil, kratoserrors.New(429, "QUOTA", "")))(clientContext(t.Context(), operation), nil)
	require.Error(t, err)
	require.Equal(t, []breaker.Outcome{failure}, seen.outcomes())
}

func TestV08_BreakersOfUnboundedOperationsAreBounded(t *testing.T) {
	var made atomic.Int64
	m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *permits {
		made.Add(1)
		return new(permits)
	}))
	for n := range 5000 {
		_, err := m(answer(nil, nil))(clientContext(t.Context(), fmt.Sprint("/users/", n)), nil)
		require.NoError(t, err)
	}
	require.EqualValues(t, 256+1, made.Load(), "256 keys and one that all others share")
}

// Which node a call goes to is known after the selection only, but its endpoint
// before.
func TestV08_KeyMayBeTheEndpoint(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			breakers := group.NewGroup(func() *permits { return new(permits) })
			m := circuitbreaker.Client(circuitbreaker.WithGroup(breakers),
				circuitbreaker.WithKey(func(ctx context.Context, _ any) string {
					tr, ok := transport.FromClientContext(ctx)
					require.True(t, ok)
					_, ok = selector.FromPeerContext(ctx)
					require.True(t, ok)
					return tr.Endpoint()
				}))
			for range 2 {
				endpoint := w.serve(t, func(context.Context, string) (string, error) { return "hello", nil })
				call := w.dial(t, endpoint, never, m)
				for range 3 {
					_, err := call(t.Context(), "")
					require.NoError(t, err)
				}
				require.Equal(t, []breaker.Outcome{success, success, success}, breakers.Get(endpoint).outcomes())
			}
			require.Equal(t, 2, breakers.Len())
		})
	}
}

// The statements 1 to 14 of the reference (adaptive.md, 3b) about what Kratos'
// middleware does, with the bugs fixed that 14 names.

func TestKratos01_ErrNotAllowedIsThatOfKratos(t *testing.T) {
	require.ErrorIs(t, circuitbreaker.ErrNotAllowed, kratoscb.ErrNotAllowed)
	require.Equal(t, kratoscb.ErrNotAllowed.Error(), circuitbreaker.ErrNotAllowed.Error())
	require.EqualValues(t, 503, circuitbreaker.ErrNotAllowed.Code)
	require.Equal(t, "CIRCUITBREAKER", circuitbreaker.ErrNotAllowed.Reason)
	require.Equal(t, "request failed due to circuit breaker triggered", circuitbreaker.ErrNotAllowed.Message)
	require.Nil(t, circuitbreaker.ErrNotAllowed.Metadata)
	require.NoError(t, circuitbreaker.ErrNotAllowed.Unwrap())
	require.ErrorIs(t, circuitbreaker.ErrNotAllowed, cberrors.ErrNotAllowed)
}

func TestKratos02_RejectionIsUnavailableForGRPC(t *testing.T) {
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&permits{rejection: rejection()})))
	_, err := m(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
	for _, err := range []error{err, kratoscb.ErrNotAllowed} {
		s := status.Convert(err)
		require.Equal(t, codes.Unavailable, s.Code())
		require.Equal(t, "request failed due to circuit breaker triggered", s.Message())
		require.Len(t, s.Details(), 1)
		info, ok := s.Details()[0].(*errdetails.ErrorInfo)
		require.True(t, ok)
		require.Equal(t, "CIRCUITBREAKER", info.GetReason())
		require.Empty(t, info.GetMetadata())
		require.Empty(t, info.GetDomain())
	}
}

func TestKratos04_RejectedCallHasNoReplyAndAMarkFailedAndNothingElse(t *testing.T) {
	for name, opt := range map[string]func(b *breakertest.Trio) circuitbreaker.Option{
		"WithCircuitBreaker": func(b *breakertest.Trio) circuitbreaker.Option {
			return circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker { return b })
		},
		"WithGroup": func(b *breakertest.Trio) circuitbreaker.Option { return circuitbreaker.WithGroup(single(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := &breakertest.Trio{Rejection: errors.New("no")}
			reply, err := circuitbreaker.Client(opt(b))(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
			require.Nil(t, reply)
			require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
			require.Equal(t, []string{"Allow", "MarkFailed"}, b.Heard())
		})
	}
}

func TestKratos05_AllowedCallReturnsReplyAndErrorUnchanged(t *testing.T) {
	type key struct{}
	reply, req := new(int), new(string)
	for _, end := range []error{nil, errBackend, kratoserrors.NotFound("X", ""), context.Canceled} {
		b := &breakertest.Trio{}
		m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)))
		ctx := context.WithValue(clientContext(t.Context(), operation), key{}, "mine")
		gotReply, err := m(func(c context.Context, r any) (any, error) {
			require.Equal(t, ctx, c)
			require.Same(t, req, r)
			return reply, end
		})(ctx, req)
		require.Same(t, reply, gotReply)
		require.True(t, err == end, "the error is the same value")
		require.Len(t, b.Heard(), 2)
	}
}

func TestKratos06_ClassifyKratosFailsForTheThreeCodesOfKratosAndNoOther(t *testing.T) {
	ends := []error{nil, errBackend, context.Canceled, context.DeadlineExceeded, aegis.ErrNotAllowed}
	for code := 100; code < 600; code++ {
		ends = append(ends, kratoserrors.New(code, "X", ""))
	}
	for code := range codes.Code(17) {
		ends = append(ends, status.Error(code, ""))
	}
	failed := 0
	for _, end := range ends {
		ours, kratos := &breakertest.IgnoringTrio{}, &breakertest.Trio{}
		for _, m := range []middleware.Middleware{
			circuitbreaker.Client(circuitbreaker.WithGroup(single(ours)), circuitbreaker.WithClassifier(cberrors.ClassifyKratos)),
			kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return kratos })),
		} {
			_, err := m(answer(nil, end))(clientContext(t.Context(), operation), nil)
			require.Equal(t, end, err)
		}
		told := ours.Heard()
		require.Equal(t, kratos.Heard(), told, "%v", end)
		if told[1] == "MarkFailed" {
			failed++
		}
	}
	// 500, 503, 504, the four errors above, and five codes of gRPC.
	require.Equal(t, 3+4+5, failed)
}

func TestKratos07_ClientsShareBreakersIfTheyShareTheMiddleware(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			endpoint := w.serve(t, func(context.Context, string) (string, error) { return "", kratoserrors.InternalServer("DOWN", "") })
			var made []*breakertest.Trio
			factory := circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
				made = append(made, &breakertest.Trio{})
				return made[len(made)-1]
			})
			shared := circuitbreaker.Client(factory)
			one := w.dial(t, endpoint, never, shared)
			two := w.dial(t, endpoint, never, shared)
			alone := w.dial(t, endpoint, never, circuitbreaker.Client(factory)) // the same Option, once more
			for _, call := range []caller{one, two, alone, one} {
				_, err := call(t.Context(), "")
				require.Error(t, err)
			}
			require.Len(t, made, 2)
			failed := []string{"Allow", "MarkFailed"}
			require.Equal(t, append(append(failed, failed...), failed...), made[0].Heard())
			require.Equal(t, failed, made[1].Heard())

			_, err := two(callOther(t.Context()), "")
			require.Error(t, err)
			require.Len(t, made, 3, "another operation has a breaker of its own")
		})
	}
}

func TestKratos07_HTTPAndGRPCShareTheBreakerOfAnOperation(t *testing.T) {
	var seen permits
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&seen)))
	breakers := group.NewGroup(func() *permits { return new(permits) })
	m2 := circuitbreaker.Client(circuitbreaker.WithGroup(breakers))
	for _, w := range wires {
		endpoint := w.serve(t, func(context.Context, string) (string, error) { return "hello", nil })
		_, err := w.dial(t, endpoint, never, m, m2)(t.Context(), "")
		require.NoError(t, err)
	}
	require.Len(t, seen.outcomes(), 2)
	require.Equal(t, 1, breakers.Len())
	require.Len(t, breakers.Get(operation).outcomes(), 2)
}

func TestKratos07_GroupIsSharedByAllClientsThatGetIt(t *testing.T) {
	breakers := group.NewGroup(func() *permits { return new(permits) })
	opt := circuitbreaker.WithGroup(breakers)
	for _, m := range []middleware.Middleware{
		circuitbreaker.Client(opt), circuitbreaker.Client(opt), circuitbreaker.Client(circuitbreaker.WithGroup(breakers)),
	} {
		_, err := m(answer(nil, nil))(clientContext(t.Context(), operation), nil)
		require.NoError(t, err)
	}
	require.Equal(t, 1, breakers.Len())
	require.Len(t, breakers.Get(operation).outcomes(), 3)
}

func TestKratos08_StateOutlivesTheHandlerThatKratosWrapsForEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := circuitbreaker.Client()
		ctx := clientContext(t.Context(), operation)
		called := 0
		breakertest.MustReject(t, func() bool {
			_, err := m(func(context.Context, any) (any, error) {
				called++
				return nil, errBackend
			})(ctx, nil)
			return errors.Is(err, circuitbreaker.ErrNotAllowed)
		})
		require.Greater(t, called, 12, "with fewer failures nothing opens it")
	})
}

func TestKratos09_FactoryIsCalledOncePerOperationWhateverRaces(t *testing.T) {
	var made atomic.Int64
	m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker {
		made.Add(1)
		return &breakertest.Trio{}
	}))
	require.EqualValues(t, 1, made.Load(), "that of the first operation: what is wrong with it is found at once")
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			<-start
			_, _ = m(answer(nil, nil))(clientContext(t.Context(), fmt.Sprint(i%4)), nil)
		})
	}
	close(start)
	wg.Wait()
	require.EqualValues(t, 4, made.Load())
}

func TestKratos09_ClearAndResetOfTheGroupTakeEffectAtTheNextCall(t *testing.T) {
	breakers := group.NewGroup(func() *permits { return &permits{rejection: rejection()} })
	m := circuitbreaker.Client(circuitbreaker.WithGroup(breakers))
	call := func() error {
		_, err := m(answer(nil, nil))(clientContext(t.Context(), operation), nil)
		return err
	}
	require.ErrorIs(t, call(), circuitbreaker.ErrNotAllowed)
	breakers.Get(operation).reject(nil)
	require.NoError(t, call())
	breakers.Clear()
	require.ErrorIs(t, call(), circuitbreaker.ErrNotAllowed)
	breakers.Reset(func() *permits { return new(permits) })
	require.NoError(t, call())
}

func TestKratos10_LastOfGroupAndFactoryCounts(t *testing.T) {
	first, last := &breakertest.Trio{}, &permits{}
	for _, opts := range [][]circuitbreaker.Option{
		{circuitbreaker.WithGroup(single(first)), circuitbreaker.WithGroup(single(last))},
		{circuitbreaker.WithCircuitBreaker(func() *breakertest.Trio { return first }), circuitbreaker.WithGroup(single(last))},
		{circuitbreaker.WithGroup(single(first)), circuitbreaker.WithCircuitBreaker(func() *permits { return last })},
	} {
		last.settled = nil
		_, err := circuitbreaker.Client(opts...)(answer(nil, nil))(clientContext(t.Context(), operation), nil)
		require.NoError(t, err)
		require.Len(t, last.outcomes(), 1)
		require.Empty(t, first.Heard())
	}
}

func TestKratos11_BreakerIsAnythingWithAegisThreeMethods(t *testing.T) {
	var threeMethods interface {
		Allow() error
		MarkSuccess()
		MarkFailed()
	} = &breakertest.Trio{}
	m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() aegis.CircuitBreaker { return threeMethods }))
	_, err := m(answer(nil, nil))(clientContext(t.Context(), operation), nil)
	require.NoError(t, err)
	require.EqualError(t, aegis.ErrNotAllowed, "circuitbreaker: not allowed for circuit open")
}

func TestKratos12_DoOfTheHTTPClientBypassesTheMiddleware(t *testing.T) {
	endpoint := overHTTP.serve(t, func(_ context.Context, in string) (string, error) { return in, nil })
	rejects := &permits{rejection: rejection()}
	c := dialHTTP(t, endpoint, kratoshttp.WithMiddleware(circuitbreaker.Client(circuitbreaker.WithGroup(single(rejects)))))
	_, err := httpCaller(c)(t.Context(), "")
	require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+endpoint+"/call", nil)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 1, rejects.rejected)
}

func TestKratos13_DefaultsOfClassicAreThoseOfAegis(t *testing.T) {
	for name, opts := range map[string][]circuitbreaker.Option{
		"Classic()": {circuitbreaker.WithCircuitBreaker(func() *sre.Breaker { return sre.NewBreaker(sre.Classic()) })},
		"spelled out": {circuitbreaker.WithCircuitBreaker(func() *sre.Breaker {
			return sre.NewBreaker(sre.Classic(), sre.WithSuccess(0.6), sre.WithRequest(100), sre.WithBucket(10), sre.WithWindow(3*time.Second))
		})},
		"aegis": {circuitbreaker.WithCircuitBreaker(aegisFactory)},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "aegis" && strconv.IntSize == 32 {
				t.Skip("its window overflows an int after 2.1 s of silence, and then it never opens")
			}
			synctest.Test(t, func(t *testing.T) {
				call := circuitbreaker.Client(opts...)
				ctx := clientContext(t.Context(), operation)
				allowed := func(end error) bool {
					called := false
					_, _ = call(func(context.Context, any) (any, error) { called = true; return nil, end })(ctx, nil)
					return called
				}
				// 60 successes and 40 failures are 60 %: nothing is rejected yet.
				for n := range 100 {
					require.True(t, allowed(map[bool]error{true: nil, false: errBackend}[n < 60]))
				}
				for range 10 {
					require.True(t, allowed(nil))
				}
				time.Sleep(3 * time.Second)
				for range 100 {
					require.True(t, allowed(errBackend), "100 calls are let through before the first verdict")
				}
				breakertest.MustReject(t, func() bool { return !allowed(errBackend) })
				time.Sleep(3 * time.Second)
				for range 100 {
					require.True(t, allowed(errBackend), "after 3 s the window is empty")
				}
			})
		})
	}
}

// With the defaults, nobody calls often enough for aegis below 33 calls/s.
func TestKratos13_ClientProtectsAQuietOperationUnlessClassic(t *testing.T) {
	for name, opts := range map[string][]circuitbreaker.Option{
		"Client()":  nil,
		"Classic()": {circuitbreaker.WithCircuitBreaker(func() *sre.Breaker { return sre.NewBreaker(sre.Classic()) })},
		"aegis":     {circuitbreaker.WithCircuitBreaker(aegisFactory)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := circuitbreaker.Client(opts...)(answer(nil, errBackend))
				rejected := 0
				for range 600 {
					if _, err := call(clientContext(t.Context(), operation), nil); errors.Is(err, circuitbreaker.ErrNotAllowed) {
						rejected++
					}
					time.Sleep(100 * time.Millisecond)
				}
				if name == "Client()" {
					require.Greater(t, rejected, 450)
				} else {
					require.Zero(t, rejected)
				}
			})
		})
	}
}

func aegisFactory() aegis.CircuitBreaker { return aegissre.NewBreaker() }

func TestKratos14_NilFactoryPanicsWhereItIsGivenAndNotAtTheFirstCall(t *testing.T) {
	require.PanicsWithValue(t, "circuitbreaker: WithCircuitBreaker: the factory is nil", func() {
		circuitbreaker.WithCircuitBreaker[aegis.CircuitBreaker](nil)
	})
}
