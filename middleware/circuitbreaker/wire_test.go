package circuitbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
)

// witness is a stack of middlewares around one call: ours before a breaker with
// permits and before two aegis breakers, ours with the table of Kratos, and the
// one of Kratos itself.
type witness struct {
	permits        permits
	plain          breakertest.Trio
	ignoring       breakertest.IgnoringTrio
	strict, kratos breakertest.Trio
	next           middleware.Middleware // between them and the client, or nil
}

func (w *witness) middleware() []middleware.Middleware {
	ms := []middleware.Middleware{
		circuitbreaker.Client(circuitbreaker.WithGroup(single(&w.permits))),
		circuitbreaker.Client(circuitbreaker.WithGroup(single(&w.plain))),
		circuitbreaker.Client(circuitbreaker.WithGroup(single(&w.ignoring))),
		circuitbreaker.Client(circuitbreaker.WithGroup(single(&w.strict)),
			circuitbreaker.WithClassifier(cberrors.ClassifyKratos)),
		kratoscb.Client(kratoscb.WithCircuitBreaker(func() aegis.CircuitBreaker { return &w.kratos })),
	}
	if w.next != nil {
		ms = append(ms, w.next)
	}
	return ms
}

// scene is what a row of the table below plays in: a backend that does what its
// input says, and a client in front of it.
type scene struct {
	t        *testing.T
	wire     *wire
	endpoint string
	arrived  chan struct{} // a call that waits has come
	witness  *witness
}

func (s *scene) client(timeout time.Duration) caller {
	return s.wire.dial(s.t, s.endpoint, timeout, s.witness.middleware()...)
}

// What the backend may be asked to do.
const wait = "wait" // until the call is over

// verdict is what the end of a call looks like: the code that Kratos sees in
// the error, what ours makes of it, and how Kratos' own middleware marks it.
type verdict struct {
	code    int
	outcome breaker.Outcome
	kratos  string // the mark of Kratos' own middleware
	strict  string // and of ours with ClassifyKratos
}

// What the caller gave up is ignored whatever the classifier says, and a breaker that
// cannot ignore gets a MarkSuccess.
func (v *verdict) gone() *verdict { return v.strictly(marksSuccess) }

func (v *verdict) strictly(mark string) *verdict {
	v.strict = mark
	return v
}

const (
	success = breaker.Success
	failure = breaker.Failure
	ignored = breaker.Ignored

	marksSuccess = "MarkSuccess"
	marksFailed  = "MarkFailed"

	never = time.Minute // a timeout that is not reached
	soon  = 50 * time.Millisecond
)

// notThere is for what cannot happen over a wire.
var notThere *verdict

func is(code int, o breaker.Outcome, kratos string) *verdict {
	return &verdict{code, o, kratos, kratos}
}

// answers plays a backend that answers with an error.
func answers(err error) func(s *scene) error {
	return func(s *scene) error {
		endpoint := s.wire.serve(s.t, func(context.Context, string) (string, error) { return "", err })
		_, err := s.wire.dial(s.t, endpoint, never, s.witness.middleware()...)(s.t.Context(), "")
		return err
	}
}

// answersKratos plays a backend that answers with a Kratos error.
func answersKratos(code int) func(s *scene) error {
	return answers(kratoserrors.New(code, "NO_SUCH_LUCK", "no such luck"))
}

// answersCode plays a backend that answers with a bare gRPC status.
func answersCode(c codes.Code) func(s *scene) error { return answers(status.Error(c, "no such luck")) }

// replies plays a backend that answers with a reply.
func replies(out string) func(s *scene) error {
	return func(s *scene) error {
		endpoint := s.wire.serve(s.t, func(context.Context, string) (string, error) { return out, nil })
		_, err := s.wire.dial(s.t, endpoint, never, s.witness.middleware()...)(s.t.Context(), "")
		return err
	}
}

// waits plays a backend that does not answer.
func waits(ctx func(t *testing.T) context.Context, timeout time.Duration) func(s *scene) error {
	return func(s *scene) error {
		_, err := s.client(timeout)(ctx(s.t), wait)
		return err
	}
}

func withTimeout(d time.Duration) func(t *testing.T) context.Context {
	return func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
}

// gaveUp is a caller who gave up before the call.
func gaveUp(*testing.T) context.Context { return breakertest.Canceled() }

func patient(t *testing.T) context.Context { return t.Context() }

// givesUp plays a caller who gives up while the backend works.
func givesUp(cause error) func(s *scene) error {
	return func(s *scene) error {
		ctx, cancel := context.WithCancelCause(s.t.Context())
		defer cancel(nil)
		go func() {
			<-s.arrived
			cancel(cause)
		}()
		_, err := s.client(never)(ctx, wait)
		require.Error(s.t, ctx.Err(), "the call ended before it was cancelled")
		return err
	}
}

// calls plays a call to nobody in particular.
func calls(endpoint func(t *testing.T) string) func(s *scene) error {
	return func(s *scene) error {
		_, err := s.wire.dial(s.t, endpoint(s.t), never, s.witness.middleware()...)(s.t.Context(), "")
		return err
	}
}

// inner plays another middleware between the breaker and the wire.
func inner(err error, ctx func(t *testing.T) context.Context) func(s *scene) error {
	return func(s *scene) error {
		s.witness.next = func(middleware.Handler) middleware.Handler { return answer(nil, err) }
		_, got := s.client(never)(ctx(s.t), "")
		require.ErrorIs(s.t, got, err)
		return got
	}
}

// The table of what an error says, in the rows of the reference (adaptive.md,
// 3c) and some more: what a call looks like that ends so, over HTTP and gRPC.
// Where the two differ, the wire does not carry what would make them alike.
var events = []struct {
	name       string
	play       func(s *scene) error
	http, grpc *verdict
}{
	{"no error", replies("hello"), is(200, success, marksSuccess), is(200, success, marksSuccess)},
	{"no error for a caller who gave up meanwhile", inner(nil, gaveUp), is(200, success, marksSuccess), is(200, success, marksSuccess)},

	{"dial refused", calls(refusing), is(500, failure, marksFailed), is(503, failure, marksFailed)},
	{"connection closed instead of an answer", calls(hangingUp), is(500, failure, marksFailed), is(503, failure, marksFailed)},
	{"client timeout", waits(patient, soon), is(500, failure, marksFailed), is(504, failure, marksFailed)},
	{"caller deadline", waits(withTimeout(soon), never), is(500, failure, marksFailed), is(504, failure, marksFailed)},
	{"caller deadline already over", waits(withTimeout(-time.Second), never), is(500, ignored, marksFailed).gone(), is(504, ignored, marksFailed).gone()},
	{"caller cancel", givesUp(nil), is(500, ignored, marksFailed).gone(), is(499, ignored, marksSuccess)},
	{"caller cancel with a cause, as in errgroup", givesUp(errBackend), is(500, ignored, marksFailed).gone(), is(499, ignored, marksSuccess)},
	{"caller cancel with a business error as the cause", givesUp(kratoserrors.NotFound("NO_USER", "")), is(404, ignored, marksSuccess), is(499, ignored, marksSuccess)},
	{"caller cancel before the call", waits(gaveUp, never), is(500, ignored, marksFailed).gone(), is(499, ignored, marksSuccess)},
	{"no node", func(s *scene) error {
		// gRPC filters the nodes of a connection that stands.
		_, err := s.wire.dialNowhere(s.t, s.endpoint, s.witness.middleware()...)(s.t.Context(), "")
		return err
	}, is(503, ignored, marksFailed), is(503, ignored, marksFailed)},
	{"no node, says the backend", answers(kratoserrors.ServiceUnavailable("no_available_node", "")), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"no node, says the backend of its own HTTP client", answers(kratoserrors.ServiceUnavailable("NODE_NOT_FOUND", "no nodes")), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"no node, says a gateway, and of whom", answers(kratoserrors.ServiceUnavailable("no_available_node", "users").WithMetadata(map[string]string{"service": "users"})), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"no node, says a backend that wraps it", answers(fmt.Errorf("users: %w", kratoserrors.ServiceUnavailable("NODE_NOT_FOUND", ""))), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"no node, says a backend that waited for one", answers(kratoserrors.GatewayTimeout("NODE_NOT_FOUND", "")), is(504, failure, marksFailed), is(504, failure, marksFailed)},
	{"no node, says a backend with a status of gRPC", answers(kratoserrors.ServiceUnavailable("no_available_node", "").GRPCStatus().Err()), is(503, failure, marksFailed), is(503, failure, marksFailed)},

	{"500", answersKratos(500), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"503", answersKratos(503), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"504", answersKratos(504), is(504, failure, marksFailed), is(504, failure, marksFailed)},
	{"501", answersKratos(501), is(501, ignored, marksSuccess), is(501, ignored, marksSuccess)},
	{"499 from the backend", answersKratos(499), is(499, failure, marksSuccess), is(499, failure, marksSuccess)},
	// gRPC has no code for these. With a reason they are what 422 is, too.
	{"502", answersKratos(502), is(502, failure, marksSuccess), is(500, success, marksFailed)},
	{"505", answersKratos(505), is(505, failure, marksSuccess), is(500, success, marksFailed)},
	{"507", answersKratos(507), is(507, failure, marksSuccess), is(500, success, marksFailed)},
	{"520", answersKratos(520), is(520, failure, marksSuccess), is(500, success, marksFailed)},
	{"502 without a reason", answers(kratoserrors.New(502, "", "bad gateway")), is(502, failure, marksSuccess), is(500, failure, marksFailed)},

	{"429", answersKratos(429), is(429, success, marksSuccess), is(429, success, marksSuccess)},
	{"400", answersKratos(400), is(400, success, marksSuccess), is(400, success, marksSuccess)},
	{"401", answersKratos(401), is(401, success, marksSuccess), is(401, success, marksSuccess)},
	{"403", answersKratos(403), is(403, success, marksSuccess), is(403, success, marksSuccess)},
	{"404", answersKratos(404), is(404, success, marksSuccess), is(404, success, marksSuccess)},
	{"409", answersKratos(409), is(409, success, marksSuccess), is(409, success, marksSuccess)},
	{"402", answersKratos(402), is(402, success, marksSuccess), is(500, success, marksFailed)},
	{"410", answersKratos(410), is(410, success, marksSuccess), is(500, success, marksFailed)},
	{"418", answersKratos(418), is(418, success, marksSuccess), is(500, success, marksFailed)},
	{"422", answersKratos(422), is(422, success, marksSuccess), is(500, success, marksFailed)},
	{"423", answersKratos(423), is(423, success, marksSuccess), is(500, success, marksFailed)},
	{"428", answersKratos(428), is(428, success, marksSuccess), is(500, success, marksFailed)},
	{"business code 10001", answersKratos(10001), notThere, is(500, success, marksFailed)},

	{"plain Go error from the handler", answers(errBackend), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{
		"wrapped Kratos error from the handler", answers(fmt.Errorf("handler: %w", kratoserrors.New(404, "NO_USER", ""))),
		is(404, success, marksSuccess), is(404, success, marksSuccess),
	},
	{"DataLoss", answersCode(codes.DataLoss), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"Internal", answersCode(codes.Internal), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"Unknown", answersCode(codes.Unknown), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"Unavailable", answersCode(codes.Unavailable), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"DeadlineExceeded", answersCode(codes.DeadlineExceeded), is(504, failure, marksFailed), is(504, failure, marksFailed)},
	{"Unimplemented", answersCode(codes.Unimplemented), is(501, ignored, marksSuccess), is(501, ignored, marksSuccess)},
	{"Canceled by the backend", answersCode(codes.Canceled), is(499, failure, marksSuccess), is(499, failure, marksSuccess)},
	{"ResourceExhausted", answersCode(codes.ResourceExhausted), is(429, success, marksSuccess), is(429, success, marksSuccess)},
	{"FailedPrecondition", answersCode(codes.FailedPrecondition), is(400, success, marksSuccess), is(400, success, marksSuccess)},
	{"AlreadyExists", answersCode(codes.AlreadyExists), is(409, success, marksSuccess), is(409, success, marksSuccess)},

	{"undecodable 200 body", replies(garbage), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"200 body cut short", replies(cutShort), is(500, failure, marksFailed), notThere},
	// gRPC says the same of a request that cannot be encoded, see below.
	{"reply that cannot be encoded", replies("\xff"), is(500, failure, marksFailed), is(500, ignored, marksFailed)},
	{"remote CIRCUITBREAKER", answers(circuitbreaker.ErrNotAllowed), is(503, failure, marksFailed), is(503, failure, marksFailed)},
	{"remote rejection by ours", answers(cberrors.NotAllowed(rejection())), is(503, failure, marksFailed), is(503, failure, marksFailed)},

	{"raw context.Canceled from an inner middleware", inner(context.Canceled, gaveUp), is(500, ignored, marksFailed).gone(), is(500, ignored, marksFailed).gone()},
	{"raw context.Canceled that the caller did not cause", inner(context.Canceled, patient), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"raw context.DeadlineExceeded from an inner middleware", inner(context.DeadlineExceeded, patient), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"raw io.EOF from an inner middleware", inner(io.EOF, patient), is(500, failure, marksFailed), is(500, failure, marksFailed)},
	{"rejection by an inner breaker", inner(cberrors.NotAllowed(rejection()), patient), is(503, ignored, marksFailed), is(503, ignored, marksFailed)},
	{"rejection by an inner aegis breaker", inner(aegis.ErrNotAllowed, patient), is(500, ignored, marksFailed), is(500, ignored, marksFailed)},
}

func TestClient_OverTheWiresEveryEndOfACallHasTheOutcomeOfTheTable(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			for _, row := range events {
				want := row.http
				if w == overGRPC {
					want = row.grpc
				}
				if want == notThere {
					continue
				}
				t.Run(row.name, func(t *testing.T) { playOut(t, w, row.play, want) })
			}
		})
	}
}

func playOut(t *testing.T, w *wire, play func(s *scene) error, want *verdict) {
	s := &scene{t: t, wire: w, arrived: make(chan struct{}, 1), witness: &witness{}}
	s.endpoint = w.serve(t, func(ctx context.Context, in string) (string, error) {
		if in == wait {
			s.arrived <- struct{}{}
			<-ctx.Done()
			return "", ctx.Err()
		}
		return in, nil
	})
	err := play(s)
	require.Equal(t, want.code, kratoserrors.Code(err), "%v", err)

	marks := func(mark string) []string { return []string{"Allow", mark} }
	require.Equal(t, []breaker.Outcome{want.outcome}, s.witness.permits.outcomes(), "%#v", err)
	switch want.outcome {
	case success:
		require.Equal(t, marks("MarkSuccess"), s.witness.plain.Heard())
		require.Equal(t, marks("MarkSuccess"), s.witness.ignoring.Heard())
	case failure:
		require.Equal(t, marks("MarkFailed"), s.witness.plain.Heard())
		require.Equal(t, marks("MarkFailed"), s.witness.ignoring.Heard())
	case ignored:
		require.Equal(t, marks("MarkSuccess"), s.witness.plain.Heard())
		require.Equal(t, marks("MarkIgnored"), s.witness.ignoring.Heard())
	}
	require.Equal(t, marks(want.kratos), s.witness.kratos.Heard())
	require.Equal(t, marks(want.strict), s.witness.strict.Heard(), "ClassifyKratos is the table of Kratos")
}

// The request is encoded before the middlewares of the HTTP client and after
// those of the gRPC client.
func TestClient_RequestThatCannotBeEncodedIsNoFailure(t *testing.T) {
	const notUTF8 = "\xff"
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			s := &witness{}
			endpoint := w.serve(t, func(context.Context, string) (string, error) { panic("called") })
			_, err := w.dial(t, endpoint, never, s.middleware()...)(t.Context(), notUTF8)
			require.Error(t, err)
			if w == overHTTP {
				require.Empty(t, s.permits.outcomes())
				require.Empty(t, s.plain.Heard())
				return
			}
			require.Equal(t, []breaker.Outcome{breaker.Ignored}, s.permits.outcomes())
			require.Equal(t, []string{"Allow", "MarkSuccess"}, s.plain.Heard())
			require.Equal(t, []string{"Allow", "MarkIgnored"}, s.ignoring.Heard())
		})
	}
}

func TestKratos03_RejectionByABackendsBreakerIsItsFailureAndNotOurs(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			rejects := &permits{rejection: rejection()}
			backend := w.serve(t, func(context.Context, string) (string, error) { panic("called") })
			onward := w.dial(t, backend, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(rejects))))
			gateway := w.serve(t, func(ctx context.Context, in string) (string, error) { return onward(ctx, in) })
			var seen permits
			_, err := w.dial(t, gateway, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(&seen))))(t.Context(), "")
			require.False(t, cberrors.IsRejected(err), "no breaker of this process in front of the gateway rejected it")
			require.NotErrorIs(t, err, aegis.ErrNotAllowed)
			var r *breaker.RejectedError
			require.False(t, errors.As(err, &r))
			require.Equal(t, []breaker.Outcome{breaker.Failure}, seen.outcomes())

			// Kratos' errors are the same if code and reason are.
			require.ErrorIs(t, kratoserrors.FromError(err), circuitbreaker.ErrNotAllowed)
			require.Equal(t, w == overHTTP, errors.Is(err, circuitbreaker.ErrNotAllowed))
		})
	}
}
