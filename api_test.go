package breaker_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"testing"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker"
	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	kratosconfig "github.com/go-kratos/kratos/v2/config"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/config"
	configkratos "github.com/kratos-breaker/breaker/config/kratos"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	cbmiddleware "github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/middleware/endpoint"
	"github.com/kratos-breaker/breaker/sre"
	breakergrpc "github.com/kratos-breaker/breaker/transport/grpc"
)

// What users have in their code has these types; a change of one breaks them.
// This file is a program of a user: it sees what is exported and no more.

// The root: the words.
var (
	_ circuitbreaker.CircuitBreaker = breaker.CircuitBreaker(nil) // the same type, not only the same methods
	_ breaker.CircuitBreaker        = circuitbreaker.CircuitBreaker(nil)
	_ breaker.CircuitBreaker        = breaker.Breaker(nil)
	_ breaker.Acquirer              = breaker.Breaker(nil)
	_ breaker.Breaker               = (*sre.Breaker)(nil)

	_ func(breaker.CircuitBreaker) breaker.Breaker                   = breaker.Adapt
	_ func(breaker.Permit, breaker.Outcome)                          = breaker.Permit.Done
	_ func(breaker.Settler, breaker.Ticket) breaker.Permit           = breaker.NewPermit
	_ func(breaker.Acquirer) (breaker.Permit, error)                 = breaker.Acquirer.Acquire
	_ func(breaker.Breaker) breaker.Snapshot                         = breaker.Breaker.Snapshot
	_ func(breaker.Classifier) breaker.Option                        = breaker.WithClassifier
	_ func(func(context.Context, error) error) breaker.Option        = breaker.WithRunFallback
	_ func(func(context.Context, error) (int, error)) breaker.Option = breaker.WithFallback[int]
	_ func(error) breaker.Outcome                                    = breaker.Classifier(nil)

	_ func(context.Context, breaker.Acquirer, func(context.Context) (string, error), ...breaker.Option) (string, error) = breaker.Do[string]
	_ func(context.Context, breaker.Acquirer, func(context.Context) error, ...breaker.Option) error                     = breaker.Run

	_ = [...]breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open}
	_ = [...]breaker.Mode{breaker.Auto, breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun}
	_ = [...]breaker.Outcome{breaker.Ignored, breaker.Success, breaker.Failure}
	_ = [...]breaker.Reason{
		breaker.ReasonUnknown, breaker.ReasonThrottled, breaker.ReasonOpen,
		breaker.ReasonProbeLimit, breaker.ReasonForcedOpen,
	}

	_ error                                                                                = (*breaker.RejectedError)(nil)
	_ func(string, breaker.State, breaker.Reason, time.Time, error) *breaker.RejectedError = breaker.NewRejectedError
	_ func(string, error) *breaker.RejectedError                                           = breaker.AsRejected
	_ func(*breaker.RejectedError) string                                                  = (*breaker.RejectedError).Name
	_ func(*breaker.RejectedError) breaker.State                                           = (*breaker.RejectedError).State
	_ func(*breaker.RejectedError) breaker.Reason                                          = (*breaker.RejectedError).Reason
	_ func(*breaker.RejectedError) time.Duration                                           = (*breaker.RejectedError).RetryAfter

	_ = breaker.Snapshot{
		Name: "", Mode: breaker.Auto, State: breaker.Closed, Since: time.Time{},
		Window:      breaker.Window{Length: time.Second, Success: 1, Failure: 1, Rejected: 1},
		Totals:      breaker.Totals{Offered: 1, Allowed: 1, Rejected: 1, Success: 1, Failure: 1, Ignored: 1, InFlight: 1},
		RejectRatio: 0, RetryAfter: time.Second,
	}
	_ = breaker.Event{From: breaker.Closed, To: breaker.Open, Cause: "", At: time.Time{}, Snapshot: breaker.Snapshot{}}
)

// sre: aegis' names, with a concrete pointer in return.
var (
	_ func(...sre.Option) *sre.Breaker = sre.NewBreaker
	_ func(float64) sre.Option         = sre.WithSuccess
	_ func(int64) sre.Option           = sre.WithRequest
	_ func(time.Duration) sre.Option   = sre.WithWindow
	_ func(int) sre.Option             = sre.WithBucket
	_ func(string) sre.Option          = sre.WithName
	_ func(*sre.Breaker)               = (*sre.Breaker).MarkIgnored
)

// group: knows nothing about breakers.
var (
	_ func(func() int, ...group.Option) *group.Group[int]       = group.NewGroup[int]
	_ func(func(string) int, ...group.Option) *group.Group[int] = group.NewKeyed[int]
	_ func(int) group.Option                                    = group.WithLimit
	_ func(time.Duration) group.Option                          = group.WithIdle
	_ func(*group.Group[int], string) int                       = (*group.Group[int]).Get
	_ func(*group.Group[int], func() int)                       = (*group.Group[int]).Reset
	_ func(*group.Group[int])                                   = (*group.Group[int]).Clear
	_ func(*group.Group[int]) int                               = (*group.Group[int]).Len
	_ func(*group.Group[int]) iter.Seq2[string, int]            = (*group.Group[int]).All
	_ func(*group.Group[int]) (int, bool)                       = (*group.Group[int]).Overflow
	_ func(*group.Group[int]) uint64                            = (*group.Group[int]).Overflows
)

// Whose fault the end of a call is.
var (
	_ func(context.Context, error, breaker.Classifier) breaker.Outcome = breaker.OutcomeOf
	_ func(error) error                                                = breaker.NotSent
	_ error                                                            = breaker.ErrNotAllowed
	_ func(func(int, error) breaker.Outcome) breaker.Option            = breaker.WithResultClassifier[int]
	_ bool                                                             = breaker.Result{}.NotSent
	_ func(breaker.Permit) bool                                        = breaker.Permit.Pause
	_ func(breaker.Permit)                                             = breaker.Permit.Resume
	_ func(http.Header) (bool, error)                                  = cberrors.FromGRPCHeader
	_ func() circuit.Option                                            = circuit.WithSlowCallsOnly
	_ func(kratosconfig.Config) config.Source                          = configkratos.Source
)

// middleware/endpoint: the same for any function of the shape.
type (
	keyOf = func(ctx context.Context, req any) (transport, key string, ok bool)
	reply = func(ctx context.Context, req, reply any, err error) breaker.Outcome
)

var (
	_ func(keyOf, ...endpoint.Option) func(middleware.Handler) middleware.Handler = endpoint.New[middleware.Handler]
	_ func(func(*breaker.RejectedError) error) endpoint.Option                    = endpoint.WithRejection
	_ func(reply) endpoint.Option                                                 = endpoint.WithReplyClassifier
	_ func(reply) cbmiddleware.Option                                             = cbmiddleware.WithReplyClassifier
	_ func(reply) breakergrpc.Option                                              = breakergrpc.WithReplyClassifier
	_ func(func(context.Context, error) bool) endpoint.Option                     = endpoint.WithNotSent
)

// errors: what an error says.
var (
	_ error                                                = cberrors.ErrNotAllowed
	_ breaker.Classifier                                   = cberrors.Classify
	_ breaker.Classifier                                   = cberrors.ClassifyKratos
	_ func(error) bool                                     = cberrors.IsNotSent
	_ func(int) error                                      = cberrors.FromHTTPStatus
	_ func(int) breaker.Outcome                            = cberrors.ClassifyHTTPStatus
	_ func(...cberrors.Option) breaker.Classifier          = cberrors.NewClassifier
	_ func(breaker.Outcome, ...int) cberrors.Option        = cberrors.WithHTTPStatus
	_ func(breaker.Outcome, ...codes.Code) cberrors.Option = cberrors.WithGRPCCode
	_ func(breaker.Outcome, ...string) cberrors.Option     = cberrors.WithReason
	_ func() cberrors.Option                               = cberrors.WithOverload
	_ func(error) error                                    = cberrors.NotAllowed
	_ func(error) error                                    = cberrors.NotAllowedWithDetails
	_ func(error) bool                                     = cberrors.IsRejected
	_ func(error) (time.Duration, bool)                    = cberrors.RetryAfter
)

// middleware/circuitbreaker: a drop-in for the one of Kratos.
var (
	_ *kratoserrors.Error                                                      = cbmiddleware.ErrNotAllowed
	_ func(...cbmiddleware.Option) middleware.Middleware                       = cbmiddleware.Client
	_ func(breaker.Classifier) cbmiddleware.Option                             = cbmiddleware.WithClassifier
	_ func(func(context.Context, any) string) cbmiddleware.Option              = cbmiddleware.WithKey
	_ func(func(context.Context, any, error) (any, error)) cbmiddleware.Option = cbmiddleware.WithFallback

	_ func(func() circuitbreaker.CircuitBreaker) cbmiddleware.Option        = cbmiddleware.WithCircuitBreaker[circuitbreaker.CircuitBreaker]
	_ func(func() *sre.Breaker) cbmiddleware.Option                         = cbmiddleware.WithCircuitBreaker[*sre.Breaker]
	_ func(*group.Group[circuitbreaker.CircuitBreaker]) cbmiddleware.Option = cbmiddleware.WithGroup[circuitbreaker.CircuitBreaker]
	_ func(*group.Group[*sre.Breaker]) cbmiddleware.Option                  = cbmiddleware.WithGroup[*sre.Breaker]
)

// A closure that was written for Kratos' own middleware.
var kratosClosure = func() circuitbreaker.CircuitBreaker { return aegissre.NewBreaker() }

func TestAPI_EveryOptionTogetherInOneProgram(t *testing.T) {
	breakers := group.NewGroup(func() *sre.Breaker {
		return sre.NewBreaker(sre.WithSuccess(0.5), sre.WithRequest(1), sre.WithWindow(longWindow),
			sre.WithBucket(60), sre.WithName("users"))
	}, group.WithLimit(10), group.WithIdle(time.Hour))
	m := cbmiddleware.Client(
		cbmiddleware.WithCircuitBreaker(kratosClosure),
		cbmiddleware.WithGroup(breakers),
		cbmiddleware.WithKey(func(_ context.Context, req any) string { return req.(string) }),
		cbmiddleware.WithClassifier(cberrors.NewClassifier(
			cberrors.WithHTTPStatus(breaker.Success, 599), cberrors.WithGRPCCode(breaker.Failure, codes.NotFound),
			cberrors.WithReason(breaker.Ignored, "MAINTENANCE"), cberrors.WithOverload(),
		)),
		cbmiddleware.WithFallback(func(_ context.Context, req any, rejected error) (any, error) {
			return "stale " + req.(string), nil
		}),
	)
	var end error
	call := m(func(context.Context, any) (any, error) { return "fresh", end })
	for _, step := range []struct {
		end  error
		want breaker.Outcome
	}{
		{nil, breaker.Success},
		{kratoserrors.New(599, "X", ""), breaker.Success},
		{kratoserrors.New(503, "MAINTENANCE", ""), breaker.Ignored},
		{kratoserrors.New(429, "X", ""), breaker.Failure},
	} {
		before := breakers.Get("users").Snapshot().Totals
		end = step.end
		reply, err := call(t.Context(), "users")
		require.Equal(t, step.end, err)
		require.Equal(t, "fresh", reply)
		want := breakertest.Add(before, step.want)
		want.Offered++
		want.Allowed++
		require.Equal(t, want, breakers.Get("users").Snapshot().Totals)
	}
	failOften(breakers.Get("users"))
	breakertest.MustReject(t, func() bool {
		reply, _ := call(t.Context(), "users")
		return reply == "stale users"
	})
}

// The one line that changes in a program is the import of the middleware.
func TestAPI_ProgramWrittenForKratosRunsUnchanged(t *testing.T) {
	type options struct {
		ErrNotAllowed error
		Client        func() middleware.Middleware
	}
	for name, circuitbreaker := range map[string]options{
		"kratos": {kratoscb.ErrNotAllowed, func() middleware.Middleware {
			return kratoscb.Client(kratoscb.WithCircuitBreaker(kratosClosure))
		}},
		"ours": {cbmiddleware.ErrNotAllowed, func() middleware.Middleware {
			return cbmiddleware.Client(cbmiddleware.WithCircuitBreaker(kratosClosure))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := breakertest.ClientContext(t.Context(), "/helloworld.v1.Greeter/SayHello")
			m := circuitbreaker.Client()
			calls := 0
			call := m(func(context.Context, any) (any, error) {
				calls++
				return nil, kratoserrors.ServiceUnavailable("DOWN", "down")
			})
			breakertest.MustReject(t, func() bool {
				_, err := call(ctx, nil)
				return errors.Is(err, circuitbreaker.ErrNotAllowed)
			})
			require.GreaterOrEqual(t, calls, 100)
		})
	}
}
