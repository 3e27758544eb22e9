package errors_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

// samples are errors of every row.
func samples() []error {
	all := []error{
		nil, io.EOF, errPlain, context.Canceled, context.DeadlineExceeded, rejection(), errors.NotAllowed(rejection()),
		kratosError(503, "NODE_NOT_FOUND"), kratosError(503, "CIRCUITBREAKER"), kratosError(10001, "BUSINESS"),
		grpcError(codes.Unknown, "", reason("BUSINESS")), grpcError(codes.Unavailable, "", reason("no_available_node")),
	}
	for code := -1; code <= 600; code++ {
		all = append(all, kratosError(code, ""), kratosError(code, "REASON"))
	}
	for code := codes.Code(1); code <= 18; code++ {
		all = append(all, status.Error(code, ""), grpcError(code, "a message", reason("REASON")))
	}
	return all
}

// differs requires that c differs from Classify in those errors, and only there.
func differs(t *testing.T, c breaker.Classifier, where func(err error) (want breaker.Outcome, different bool)) {
	t.Helper()
	n := 0
	for _, err := range samples() {
		want, different := where(err)
		if different {
			n++
		} else {
			want = errors.Classify(err)
		}
		require.Equal(t, want, c(err), "%v", err)
	}
	require.NotZero(t, n, "no sample of what was to differ")
}

func TestNewClassifier_WithoutOptionsItIsClassify(t *testing.T) {
	c := errors.NewClassifier()
	for _, err := range samples() {
		require.Equal(t, errors.Classify(err), c(err), "%v", err)
	}
}

func TestWithHTTPStatus_ChangesThoseStatusesOnly(t *testing.T) {
	c := errors.NewClassifier(errors.WithHTTPStatus(failure, 404, 100, 599), errors.WithHTTPStatus(ignored, 502))
	differs(t, c, func(err error) (breaker.Outcome, bool) {
		switch codeOf(err) {
		case 404, 100, 599:
			return failure, true
		case 502:
			return ignored, true
		}
		return 0, false
	})
}

// codeOf returns the code of a Kratos error, or a number that none has.
func codeOf(err error) int32 {
	if e, ok := err.(interface{ GetCode() int32 }); ok {
		return e.GetCode()
	}
	return math.MinInt32
}

func TestWithGRPCCode_ChangesThoseCodesOnly(t *testing.T) {
	c := errors.NewClassifier(errors.WithGRPCCode(success, codes.DataLoss, codes.Internal), errors.WithGRPCCode(failure, codes.Unauthenticated, codes.NotFound))
	differs(t, c, func(err error) (breaker.Outcome, bool) {
		if err == nil || codeOf(err) != math.MinInt32 || errors.IsRejected(err) {
			return 0, false
		}
		switch status.Code(err) {
		case codes.DataLoss, codes.Internal:
			return success, true
		case codes.Unauthenticated, codes.NotFound:
			return failure, true
		}
		return 0, false
	})
}

func TestWithOverload_MakesAQuotaThatIsUsedUpAFailure(t *testing.T) {
	differs(t, errors.NewClassifier(errors.WithOverload()), func(err error) (breaker.Outcome, bool) {
		return failure, codeOf(err) == 429 || err != nil && status.Code(err) == codes.ResourceExhausted
	})
}

func TestWithOther_ChangesTheErrorsOfNoOtherRow(t *testing.T) {
	differs(t, errors.NewClassifier(errors.WithOther(success)), func(err error) (breaker.Outcome, bool) {
		if err == errPlain {
			return success, true
		}
		s, ok := err.(interface{ GRPCStatus() *status.Status })
		return success, ok && codeOf(err) == math.MinInt32 && s.GRPCStatus().Code() > codes.Unauthenticated
	})
}

func TestWithReason_CountsBeforeTheCode(t *testing.T) {
	c := errors.NewClassifier(
		errors.WithHTTPStatus(failure, 404),
		errors.WithReason(ignored, "QUOTA", "LATE", "CIRCUITBREAKER"),
		errors.WithReason(failure, "BUSINESS", "NODE_NOT_FOUND", "no_available_node"),
		errors.WithGRPCCode(failure, codes.NotFound),
	)
	for _, w := range wrappings {
		for _, code := range []int{-1, 0, 200, 404, 499, 500, 501, 502, 503, 504, 10001} {
			require.Equal(t, ignored, c(w.wrap(kratosError(code, "QUOTA"))), "%d", code)
			require.Equal(t, ignored, c(w.wrap(kratosError(code, "LATE"))), "%d", code)
			require.Equal(t, failure, c(w.wrap(kratosError(code, "BUSINESS"))), "%d", code)
		}
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			require.Equal(t, ignored, c(w.wrap(grpcError(code, "a message", reason("QUOTA")))), "%v", code)
			require.Equal(t, failure, c(w.wrap(grpcError(code, "", reason("BUSINESS")))), "%v", code)
		}
		require.Equal(t, ignored, c(w.wrap(kratosError(503, "CIRCUITBREAKER"))), "another's breaker, if one wants")
		require.Equal(t, failure, c(w.wrap(kratosError(503, "NODE_NOT_FOUND"))))
		require.Equal(t, failure, c(w.wrap(grpcError(codes.Unavailable, "", reason("no_available_node")))))
		require.Equal(t, failure, c(w.wrap(kratosError(404, "OTHER"))), "another reason leaves it to the code")
		require.Equal(t, failure, c(w.wrap(grpcError(codes.NotFound, "", reason("OTHER")))))
		require.Equal(t, success, c(w.wrap(grpcError(codes.Unknown, "", reason("OTHER")))))
		require.Equal(t, failure, c(w.wrap(status.Error(codes.Unknown, ""))))
		require.Equal(t, success, c(w.wrap(kratosError(400, "quota"))), "reasons are case-sensitive")
	}
}

// A reason is what the backend says. It says nothing of a breaker in this
// process, whose rejection has the same one.
func TestWithReason_DoesNotCountForALocalRejection(t *testing.T) {
	for _, o := range []breaker.Outcome{success, failure} {
		c := errors.NewClassifier(errors.WithReason(o, "CIRCUITBREAKER"))
		for _, w := range wrappings {
			require.Equal(t, o, c(w.wrap(kratosError(503, "CIRCUITBREAKER"))), w.name)
			require.Equal(t, ignored, c(w.wrap(rejection())), w.name)
			require.Equal(t, ignored, c(w.wrap(errors.NotAllowed(rejection()))), w.name)
			require.Equal(t, ignored, c(w.wrap(kratoserrors.FromError(errors.NotAllowed(rejection())))), w.name)
		}
	}
}

// WithReason makes the classifier look into the details of every gRPC error. An
// error that has none must still be in the row that it was in.
func TestWithReason_ChangesNoErrorOfAnotherReason(t *testing.T) {
	c := errors.NewClassifier(errors.WithReason(failure, "NOBODY_HAS_IT"))
	for _, err := range append(samples(), unmarshalableRequest(t)) {
		require.Equal(t, errors.Classify(err), c(err), "%v", err)
	}
}

func TestNewClassifier_TheLastOptionForARowCounts(t *testing.T) {
	c := errors.NewClassifier(errors.WithOverload(), errors.WithHTTPStatus(ignored, 429), errors.WithGRPCCode(success, codes.ResourceExhausted))
	require.Equal(t, ignored, c(kratosError(429, "")))
	require.Equal(t, success, c(status.Error(codes.ResourceExhausted, "")))
	c = errors.NewClassifier(errors.WithHTTPStatus(ignored, 429), errors.WithGRPCCode(success, codes.ResourceExhausted), errors.WithOverload())
	require.Equal(t, failure, c(kratosError(429, "")))
	require.Equal(t, failure, c(status.Error(codes.ResourceExhausted, "")))
	c = errors.NewClassifier(errors.WithReason(ignored, "A", "B"), errors.WithReason(failure, "B", "C"))
	require.Equal(t, []breaker.Outcome{ignored, failure, failure},
		[]breaker.Outcome{c(kratosError(200, "A")), c(kratosError(200, "B")), c(kratosError(200, "C"))})
	c = errors.NewClassifier(errors.WithOther(ignored), errors.WithOther(success))
	require.Equal(t, success, c(errPlain))
}

func TestNewClassifier_SharesNothingWithOthers(t *testing.T) {
	opts := []errors.Option{
		errors.WithHTTPStatus(success, 500), errors.WithGRPCCode(success, codes.Internal),
		errors.WithReason(failure, "A"), errors.WithOther(ignored),
	}
	first := errors.NewClassifier(opts...)
	second := errors.NewClassifier(append(opts, errors.WithReason(ignored, "A"), errors.WithHTTPStatus(ignored, 500))...)
	require.Equal(t, failure, errors.Classify(kratosError(500, "")))
	require.Equal(t, success, errors.Classify(kratosError(400, "A")))
	require.Equal(t, failure, errors.Classify(status.Error(codes.Internal, "")))
	require.Equal(t, failure, errors.Classify(errPlain))
	require.Equal(t, success, first(kratosError(500, "")))
	require.Equal(t, failure, first(kratosError(400, "A")))
	require.Equal(t, ignored, second(kratosError(500, "")))
	require.Equal(t, ignored, second(kratosError(400, "A")))
	require.Equal(t, failure, errors.NewClassifier()(kratosError(500, "")))
}

func TestOption_OutOfRangePanicsWithItsNameValueAndRange(t *testing.T) {
	for _, c := range []struct {
		opt  errors.Option
		want string
	}{
		{nil, "errors: NewClassifier: nil Option"},
		{errors.WithHTTPStatus(failure, 99), "errors: WithHTTPStatus(99): want a status in [100, 599]"},
		{errors.WithHTTPStatus(failure, 600), "errors: WithHTTPStatus(600): want a status in [100, 599]"},
		{errors.WithHTTPStatus(failure, 500, 0), "errors: WithHTTPStatus(0): want a status in [100, 599]"},
		{errors.WithHTTPStatus(failure, -500), "errors: WithHTTPStatus(-500): want a status in [100, 599]"},
		{errors.WithHTTPStatus(failure, 10001), "errors: WithHTTPStatus(10001): want a status in [100, 599]"},
		{errors.WithGRPCCode(failure, codes.OK), "errors: WithGRPCCode(0): want a code in [1, 16]"},
		{errors.WithGRPCCode(failure, 17), "errors: WithGRPCCode(17): want a code in [1, 16]"},
		{errors.WithGRPCCode(failure, codes.Internal, 404), "errors: WithGRPCCode(404): want a code in [1, 16]"},
		{errors.WithGRPCCode(failure, math.MaxUint32), "errors: WithGRPCCode(4294967295): want a code in [1, 16]"},
	} {
		require.PanicsWithValue(t, c.want, func() { errors.NewClassifier(c.opt) })
	}
	for _, opt := range []errors.Option{
		errors.WithHTTPStatus(failure), errors.WithGRPCCode(failure), errors.WithReason(failure),
		errors.WithHTTPStatus(failure, 100, 599), errors.WithGRPCCode(failure, 1, 16),
	} {
		require.NotPanics(t, func() { errors.NewClassifier(opt) })
	}
}

func TestOption_AnOutcomeThatIsNoneOfTheThreePanics(t *testing.T) {
	const none = breaker.Outcome(3)
	for name, opt := range map[string]errors.Option{
		"WithHTTPStatus": errors.WithHTTPStatus(none, 500),
		"WithGRPCCode":   errors.WithGRPCCode(none, codes.Internal),
		"WithReason":     errors.WithReason(none, "REASON"),
		"WithOther":      errors.WithOther(none),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				require.Contains(t, fmt.Sprint(recover()), "errors: "+name+"(Outcome(3)", "package, option and value")
			}()
			errors.NewClassifier(opt)
		})
	}
}
