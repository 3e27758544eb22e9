package circuitbreaker_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/breakertest"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/sre"
)

// exits are the ways out of a function that are no return.
var exits = []struct {
	name  string
	leave func()
	want  any // what a recover sees
}{
	{"panic", func() { panic(errBackend) }, errBackend},
	{"Goexit", runtime.Goexit, nil},
}

// leaver is the option with a function that leaves on its first call.
type leaver struct {
	name string
	make func(leave func()) (circuitbreaker.Option, func(context.Context, any) (any, error))
	want breaker.Totals // after the call that left, of an allowed call
}

// once returns a function that calls leave on its first call.
func once(leave func()) func() {
	left := false
	return func() {
		if !left {
			left = true
			leave()
		}
	}
}

var leavers = []leaver{
	{"handler", func(leave func()) (circuitbreaker.Option, func(context.Context, any) (any, error)) {
		return circuitbreaker.WithClassifier(func(error) breaker.Outcome { return success }),
			func(context.Context, any) (any, error) { leave(); return "hello", nil }
	}, breaker.Totals{Failure: 1}},
	{"classifier", func(leave func()) (circuitbreaker.Option, func(context.Context, any) (any, error)) {
		return circuitbreaker.WithClassifier(func(error) breaker.Outcome { leave(); return success }), answer("hello", nil)
	}, breaker.Totals{Failure: 1}},
	{"key", func(leave func()) (circuitbreaker.Option, func(context.Context, any) (any, error)) {
		return circuitbreaker.WithKey(func(context.Context, any) string { leave(); return operation }), answer("hello", nil)
	}, breaker.Totals{}},
}

func TestPanic_BreakerWithPermitsSettlesWhatWasAllowedAndTheNextCallWorks(t *testing.T) {
	for _, exit := range exits {
		for _, leaver := range leavers {
			t.Run(exit.name+" in the "+leaver.name, func(t *testing.T) {
				b := sre.NewBreaker()
				opt, handler := leaver.make(once(exit.leave))
				call := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)), opt)(handler)
				ctx := clientContext(t.Context(), operation)
				panicked, returned := breakertest.EndOf(func() { _, _ = call(ctx, nil) })
				require.False(t, returned)
				require.True(t, panicked == exit.want, "%v", panicked)
				breakertest.RequireTotals(t, b, leaver.want)

				reply, err := call(ctx, nil)
				require.NoError(t, err)
				require.Equal(t, "hello", reply)
				want := leaver.want
				want.Success++
				breakertest.RequireTotals(t, b, want)
			})
		}
	}
}

func TestPanic_AegisBreakerGetsOneMarkForWhatItAllowedAndTheNextCallWorks(t *testing.T) {
	for _, exit := range exits {
		for _, leaver := range leavers {
			t.Run(exit.name+" in the "+leaver.name, func(t *testing.T) {
				b := &breakertest.IgnoringTrio{}
				opt, handler := leaver.make(once(exit.leave))
				call := circuitbreaker.Client(circuitbreaker.WithGroup(single(b)), opt)(handler)
				ctx := clientContext(t.Context(), operation)
				panicked, returned := breakertest.EndOf(func() { _, _ = call(ctx, nil) })
				require.False(t, returned)
				require.True(t, panicked == exit.want, "%v", panicked)
				var want []string
				if leaver.want.Failure > 0 {
					want = []string{"Allow", "MarkFailed"}
				}
				require.Equal(t, want, b.Heard())

				_, err := call(ctx, nil)
				require.NoError(t, err)
				require.Equal(t, []string{"Allow", "MarkSuccess"}, b.Heard())
			})
		}
	}
}

func TestPanic_OfTheFactoryLeavesTheOperationToTheNextCall(t *testing.T) {
	for _, exit := range exits {
		t.Run(exit.name, func(t *testing.T) {
			leave := once(exit.leave)
			b := sre.NewBreaker()
			factory := func() *sre.Breaker { leave(); return b }
			for name, opt := range map[string]circuitbreaker.Option{
				"WithCircuitBreaker": circuitbreaker.WithCircuitBreaker(factory),
				"WithGroup":          circuitbreaker.WithGroup(group.NewGroup(factory)),
			} {
				leave = func() {}
				call := circuitbreaker.Client(opt)(answer("hello", nil))
				_, err := call(clientContext(t.Context(), "/first"), nil) // its breaker was made with the client
				require.NoError(t, err)
				leave = once(exit.leave)
				b = sre.NewBreaker()
				ctx := clientContext(t.Context(), operation)
				panicked, returned := breakertest.EndOf(func() { _, _ = call(ctx, nil) })
				require.False(t, returned, name)
				require.True(t, panicked == exit.want, "%s: %v", name, panicked)
				breakertest.RequireTotals(t, b, breaker.Totals{})
				reply, err := call(ctx, nil)
				require.NoError(t, err)
				require.Equal(t, "hello", reply)
				breakertest.RequireTotals(t, b, breaker.Totals{Success: 1})
			}
		})
	}
}

func TestPanic_OfTheFallbackIsARejectionLikeAnyOther(t *testing.T) {
	for _, exit := range exits {
		t.Run(exit.name, func(t *testing.T) {
			fallback := circuitbreaker.WithFallback(func(context.Context, any, error) (any, error) { exit.leave(); return nil, nil })
			ctx := clientContext(t.Context(), operation)

			ours := broken("")
			failures := ours.Snapshot().Totals.Failure
			call := circuitbreaker.Client(circuitbreaker.WithGroup(single(ours)), fallback)(answer("hello", nil))
			var allowed uint64
			breakertest.MustReject(t, func() bool {
				panicked, returned := breakertest.EndOf(func() { _, _ = call(ctx, nil) })
				if returned {
					allowed++
					return false
				}
				require.True(t, panicked == exit.want, "%v", panicked)
				return true
			})
			breakertest.RequireTotals(t, ours, breaker.Totals{Failure: failures, Rejected: 1, Success: allowed})

			theirs := &breakertest.Trio{Rejection: errBackend}
			call = circuitbreaker.Client(circuitbreaker.WithGroup(single(theirs)), fallback)(answer("hello", nil))
			panicked, returned := breakertest.EndOf(func() { _, _ = call(ctx, nil) })
			require.False(t, returned)
			require.True(t, panicked == exit.want, "%v", panicked)
			require.Equal(t, []string{"Allow", "MarkFailed"}, theirs.Heard())
			theirs.Rejection = nil
			reply, err := call(ctx, nil)
			require.NoError(t, err)
			require.Equal(t, "hello", reply)
		})
	}
}

// With the breakers of Client() itself there is nothing to look into; but a
// hundred panics open them as a hundred failures do.
func TestPanic_IsAFailureForTheDefaultBreakersToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := circuitbreaker.Client()(func(context.Context, any) (any, error) { panic(errBackend) })
		panics := 0
		breakertest.MustReject(t, func() bool {
			var err error
			panicked, returned := breakertest.EndOf(func() { _, err = call(clientContext(t.Context(), operation), nil) })
			if !returned {
				require.Same(t, errBackend, panicked)
				panics++
				return false
			}
			require.ErrorIs(t, err, circuitbreaker.ErrNotAllowed)
			return true
		})
		require.Greater(t, panics, 12, "with fewer failures nothing opens it")
	})
}
