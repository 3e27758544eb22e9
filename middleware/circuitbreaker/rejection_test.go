package circuitbreaker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/go-kratos/kratos/v2/middleware"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/kratos-breaker/breaker"
	cberrors "github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// requireNotAllowed checks that err is a rejection for everybody who may ask.
func requireNotAllowed(t *testing.T, err error) {
	t.Helper()
	for _, err := range []error{err, fmt.Errorf("calling: %w", err), errors.Join(errBackend, err)} {
		require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
		require.ErrorIs(t, err, cberrors.ErrNotAllowed)
		require.ErrorIs(t, err, kratoscb.ErrNotAllowed)
		require.ErrorIs(t, err, aegis.ErrNotAllowed)
		require.NotErrorIs(t, err, kratoserrors.New(503, "ANOTHER", ""))
		require.NotErrorIs(t, err, kratoserrors.New(500, "CIRCUITBREAKER", ""))
		require.True(t, kratoserrors.IsServiceUnavailable(err))
		require.Equal(t, 503, kratoserrors.Code(err))
		require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
		require.True(t, cberrors.IsRejected(err))
		var k *kratoserrors.Error
		require.ErrorAs(t, err, &k)
		require.ErrorIs(t, k, aegis.ErrNotAllowed, "also after a trip through Kratos' own type")
	}
	require.Equal(t, codes.Unavailable, status.Code(err))
}

// rejectionOf returns the details of a rejection.
func rejectionOf(t *testing.T, err error) *breaker.RejectedError {
	t.Helper()
	requireNotAllowed(t, err)
	var r *breaker.RejectedError
	require.ErrorAs(t, err, &r)
	return r
}

func TestRejection_IsTheSameErrorForEverybody(t *testing.T) {
	for name, opts := range map[string][]circuitbreaker.Option{
		"permits":         {circuitbreaker.WithGroup(single(&permits{rejection: rejection()}))},
		"aegis":           {circuitbreaker.WithGroup(single(&breakertest.Trio{Rejection: aegis.ErrNotAllowed}))},
		"an error of any": {circuitbreaker.WithGroup(single(&breakertest.Trio{Rejection: errBackend}))},
		"adapted":         {circuitbreaker.WithGroup(single(breaker.Adapt(&breakertest.Trio{Rejection: aegis.ErrNotAllowed})))},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := circuitbreaker.Client(opts...)(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
			require.Nil(t, reply)
			requireNotAllowed(t, err)
		})
	}
}

// opens makes the breaker of an operation reject, and returns the rejection.
func opens(t *testing.T, m middleware.Middleware, operation string) error {
	t.Helper()
	var err error
	breakertest.MustReject(t, func() bool {
		_, err = m(answer(nil, errBackend))(clientContext(t.Context(), operation), nil)
		return errors.Is(err, circuitbreaker.ErrNotAllowed)
	})
	return err
}

func TestRejection_CarriesTheOperationAsItsName(t *testing.T) {
	for name, opts := range map[string][]circuitbreaker.Option{
		"default":              nil,
		"aegis":                {circuitbreaker.WithCircuitBreaker(aegisFactory)},
		"aegis in a group":     {circuitbreaker.WithGroup(group.NewGroup(aegisFactory))},
		"ours without a name":  {circuitbreaker.WithCircuitBreaker(func() *sre.Breaker { return sre.NewBreaker() })},
		"adapted, no name too": {circuitbreaker.WithCircuitBreaker(func() breaker.Breaker { return breaker.Adapt(aegisFactory()) })},
	} {
		t.Run(name, func(t *testing.T) {
			m := circuitbreaker.Client(opts...)
			for _, op := range []string{operation, other} {
				r := rejectionOf(t, opens(t, m, op))
				require.Equal(t, op, r.Name())
				require.Equal(t, breaker.Open, r.State())
				require.Contains(t, r.Error(), op)
			}
		})
	}
}

func TestRejection_KeepsTheNameThatABreakerHas(t *testing.T) {
	m := circuitbreaker.Client(circuitbreaker.WithCircuitBreaker(func() *sre.Breaker { return sre.NewBreaker(sre.WithName("users")) }))
	require.Equal(t, "users", rejectionOf(t, opens(t, m, operation)).Name())
}

func TestRejection_OfAnAdaptiveBreakerSaysWhenTheNextProbeIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := circuitbreaker.Client()
		err := opens(t, m, operation)
		r := rejectionOf(t, err)
		require.Equal(t, breaker.ReasonThrottled, r.Reason())
		left := r.RetryAfter()
		require.Positive(t, left)
		require.Less(t, left, time.Second)
		for _, err := range []error{err, cberrors.NotAllowedWithDetails(r)} {
			d, ok := cberrors.RetryAfter(err)
			require.True(t, ok)
			require.Equal(t, left, d)
		}
		require.Equal(t, left, retryInfo(t, cberrors.NotAllowedWithDetails(r)))

		call := func() error {
			_, err := m(answer(nil, errBackend))(clientContext(t.Context(), operation), nil)
			return err
		}
		time.Sleep(left - 1)
		require.Equal(t, time.Duration(1), rejectionOf(t, call()).RetryAfter())
		time.Sleep(time.Nanosecond)
		require.Same(t, errBackend, call(), "the probe")
		require.Positive(t, rejectionOf(t, call()).RetryAfter(), "and it is planned when the next one is")
	})
}

// retryInfo returns the delay that the gRPC status of err asks for.
func retryInfo(t *testing.T, err error) time.Duration {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	t.Fatalf("%v has no RetryInfo", err)
	return 0
}

// With Kratos' middleware all callers get one error, and one who changes it
// changes it for all.
func TestRejection_BelongsToTheCallerAlone(t *testing.T) {
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(&permits{rejection: rejection()})))
	reject := func() error {
		_, err := m(mustNotBeCalled)(clientContext(t.Context(), operation), nil)
		return err
	}
	one, two := reject(), reject()
	var k1, k2 *kratoserrors.Error
	require.ErrorAs(t, one, &k1)
	require.ErrorAs(t, two, &k2)
	require.NotSame(t, k1, k2)
	require.NotSame(t, circuitbreaker.ErrNotAllowed, k1)
	for _, k := range []*kratoserrors.Error{k1, k2, kratoserrors.FromError(one)} {
		k.Code, k.Reason, k.Message = 200, "MINE", "changed"
		k.Metadata["caller"] = "me"
	}
	require.Empty(t, circuitbreaker.ErrNotAllowed.Metadata)
	for _, err := range []error{one, two, reject()} {
		requireNotAllowed(t, err)
		require.Equal(t, "request failed due to circuit breaker triggered", kratoserrors.FromError(err).Message)
		require.Empty(t, kratoserrors.FromError(err).Metadata)
	}
}

func TestRejection_ReachesTheCallerOfARealClient(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			endpoint := w.serve(t, func(context.Context, string) (string, error) { panic("called") })
			b := &permits{rejection: rejection()}
			out, err := w.dial(t, endpoint, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(b))))(t.Context(), "")
			require.Equal(t, "gate 17", rejectionOf(t, err).Name())
			require.Equal(t, "untouched", out)
			require.Equal(t, 1, b.rejected)

			theirs := &breakertest.Trio{Rejection: errors.New("no")}
			_, err = w.dial(t, endpoint, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(theirs))))(t.Context(), "")
			require.Equal(t, operation, rejectionOf(t, err).Name())
			require.Equal(t, []string{"Allow", "MarkFailed"}, theirs.Heard())
		})
	}
}

// A handler that hands a rejection on answers as one behind Kratos' middleware
// would; and nothing of the backend's or the breaker's names gets out.
func TestRejection_HandedOnByAKratosServerIsWhatKratosSends(t *testing.T) {
	rejections := map[string]error{
		"kratos": kratoscb.ErrNotAllowed,
		"ours":   cberrors.NotAllowed(breaker.NewRejectedError("secret-gate", breaker.Open, breaker.ReasonOpen, time.Now().Add(time.Hour), errors.New("secret-cause"))),
	}
	t.Run("http", func(t *testing.T) {
		for name, err := range rejections {
			endpoint := overHTTP.serve(t, func(context.Context, string) (string, error) { return "", err })
			code, header, body := post(t, endpoint)
			require.Equal(t, http.StatusServiceUnavailable, code, name)
			require.Equal(t, "application/json", header.Get("Content-Type"), name)
			require.JSONEq(t, `{
				"code": 503, "reason": "CIRCUITBREAKER",
				"message": "request failed due to circuit breaker triggered", "metadata": {}
			}`, body, name)
			require.NotContains(t, body+fmt.Sprint(header), "secret")
		}
	})
	t.Run("grpc", func(t *testing.T) {
		seen := make(map[string]*status.Status)
		for name, err := range rejections {
			endpoint := overGRPC.serve(t, func(context.Context, string) (string, error) { return "", err })
			_, err := overGRPC.dial(t, endpoint, never)(t.Context(), "")
			s, ok := status.FromError(err)
			require.True(t, ok)
			require.Equal(t, codes.Unavailable, s.Code())
			require.Equal(t, 503, kratoserrors.Code(err))
			require.Equal(t, "CIRCUITBREAKER", kratoserrors.Reason(err))
			require.NotContains(t, s.Proto().String(), "secret")
			seen[name] = s
		}
		require.True(t, proto.Equal(seen["kratos"].Proto(), seen["ours"].Proto()), "%v\n%v", seen["kratos"], seen["ours"])
	})
}

// The same, end to end: a gateway whose client rejects.
func TestRejection_OfAGatewaysClientBecomesItsAnswer(t *testing.T) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			backend := w.serve(t, func(context.Context, string) (string, error) { panic("called") })
			onward := w.dial(t, backend, never, circuitbreaker.Client(circuitbreaker.WithGroup(single(&permits{rejection: rejection()}))))
			gateway := func(ctx context.Context, in string) (string, error) { return onward(ctx, in) }
			code, _, body := post(t, overHTTP.serve(t, gateway))
			require.Equal(t, http.StatusServiceUnavailable, code)
			require.Contains(t, body, "CIRCUITBREAKER")
			require.NotContains(t, body, "gate 17")
			require.NotContains(t, body, operation)

			_, err := overGRPC.dial(t, overGRPC.serve(t, gateway), never)(t.Context(), "")
			require.Equal(t, codes.Unavailable, status.Code(err))
			require.NotContains(t, err.Error(), "gate 17")
			require.NotContains(t, err.Error(), operation)
		})
	}
}

func post(t *testing.T, endpoint string) (code int, header http.Header, body string) {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+endpoint+"/call", bytes.NewReader([]byte(`"x"`)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: tr}).Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(data)
}

func TestFallback_AnswersForARejectionOnly(t *testing.T) {
	errAnswer := errors.New("nothing in the cache either")
	type key struct{}
	ctx := context.WithValue(clientContext(t.Context(), operation), key{}, "mine")
	request, cached := new(string), new(int)
	var asked []error
	var end error
	fallback := circuitbreaker.WithFallback(func(c context.Context, req any, rejected error) (any, error) {
		require.Equal(t, ctx, c)
		require.Same(t, request, req)
		asked = append(asked, rejected)
		return cached, end
	})
	b := &permits{}
	m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)),
		circuitbreaker.WithFallback(func(context.Context, any, error) (any, error) { panic("the last one counts") }), fallback)
	for _, err := range []error{nil, errBackend, cberrors.NotAllowed(rejection()), kratoscb.ErrNotAllowed} {
		reply, got := m(answer("fresh", err))(ctx, request)
		require.Equal(t, err, got, "a call that was made keeps its error")
		require.Equal(t, "fresh", reply)
	}
	require.Empty(t, asked)

	b.reject(rejection())
	reply, err := m(mustNotBeCalled)(ctx, request)
	require.NoError(t, err)
	require.Same(t, cached, reply)
	end = errAnswer
	reply, err = m(mustNotBeCalled)(ctx, request)
	require.Same(t, errAnswer, err)
	require.Same(t, cached, reply)
	require.Len(t, asked, 2)
	for _, err := range asked {
		require.Equal(t, "gate 17", rejectionOf(t, err).Name())
	}
	require.Equal(t, 2, b.rejected)
	require.Len(t, b.outcomes(), 4)
}

func TestFallback_AnswersTheCallerOfARealClient(t *testing.T) {
	errAnswer := errors.New("nothing in the cache either")
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			b := &permits{}
			var end error
			asked := 0
			m := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)),
				circuitbreaker.WithFallback(func(_ context.Context, req any, rejected error) (any, error) {
					asked++
					require.ErrorIs(t, rejected, circuitbreaker.ErrNotAllowed)
					require.NotNil(t, req)
					return nil, end
				}))
			endpoint := w.serve(t, func(_ context.Context, in string) (string, error) {
				if in == "down" {
					return "", kratoserrors.InternalServer("DOWN", "")
				}
				return in, nil
			})
			call := w.dial(t, endpoint, never, m)
			out, err := call(t.Context(), "hello")
			require.NoError(t, err)
			require.Equal(t, "hello", out)
			_, err = call(t.Context(), "down")
			require.Equal(t, "DOWN", kratoserrors.Reason(err))
			require.Zero(t, asked)

			b.reject(rejection())
			out, err = call(t.Context(), "hello")
			require.NoError(t, err)
			require.Equal(t, "untouched", out, "Kratos' clients look only at the error")
			end = errAnswer
			_, err = call(t.Context(), "hello")
			require.Same(t, errAnswer, err)
			require.Equal(t, 2, asked)
		})
	}
}
