package errors_test

import (
	"context"
	stderrors "errors"
	"testing"

	kratoserrors "github.com/go-kratos/kratos/v2/errors"
	kratoscb "github.com/go-kratos/kratos/v2/middleware/circuitbreaker"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/errors"
)

// common are the errors that a healthy or an ill backend gives a client.
func common() []struct {
	name string
	err  error
} {
	return []struct {
		name string
		err  error
	}{
		{"nil", nil},
		{"kratos 503", kratosError(503, "DOWN")},
		{"kratos 404", kratosError(404, "NO_SUCH_USER")},
		{"grpc Unavailable", status.Error(codes.Unavailable, "connection refused")},
		{"grpc NotFound", status.Error(codes.NotFound, "no such user")},
	}
}

func skipWithRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}

func TestClassify_DoesNotAllocateForACommonError(t *testing.T) {
	skipWithRace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	own := errors.NewClassifier(errors.WithOverload())
	for _, c := range append(common(), struct {
		name string
		err  error
	}{"a rejection", errors.NotAllowed(rejection())}) {
		require.Zero(t, testing.AllocsPerRun(100, func() { errors.Classify(c.err) }), c.name)
		require.Zero(t, testing.AllocsPerRun(100, func() { own(c.err) }), c.name)
		require.Zero(t, testing.AllocsPerRun(100, func() { outcomeOf(ctx, c.err) }), c.name)
	}
}

func TestNotAllowed_DoesNotAllocateWhereNobodyAsksForDetails(t *testing.T) {
	skipWithRace(t)
	r := rejection()
	require.Zero(t, testing.AllocsPerRun(100, func() { sinkError = errors.NotAllowed(r) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { sinkBool = stderrors.Is(sinkError, kratoscb.ErrNotAllowed) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { sinkBool = errors.IsRejected(sinkError) }))
}

var (
	sinkOutcome breaker.Outcome
	sinkError   error
	sinkBool    bool
)

// BenchmarkClassify compares it with what Kratos' own middleware asks.
func BenchmarkClassify(b *testing.B) {
	for _, c := range common() {
		b.Run(c.name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkOutcome = errors.Classify(c.err)
			}
		})
		b.Run(c.name+"/kratos", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkBool = c.err != nil && (kratoserrors.IsInternalServer(c.err) ||
					kratoserrors.IsServiceUnavailable(c.err) || kratoserrors.IsGatewayTimeout(c.err))
			}
		})
	}
}

func BenchmarkNotAllowed(b *testing.B) {
	r := rejection()
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkError = errors.NotAllowed(r)
		}
	})
	err := errors.NotAllowed(r)
	b.Run("errors.Is", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkBool = stderrors.Is(err, kratoscb.ErrNotAllowed)
		}
	})
	b.Run("Classify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkOutcome = errors.Classify(err)
		}
	})
}
