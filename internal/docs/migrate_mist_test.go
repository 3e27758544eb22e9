package docs_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// migrateFromMist are the rows of mist-go.
var migrateFromMist = map[string]func(*testing.T){
	"M-01": func(t *testing.T) { require.Equal(t, "State(9)", breaker.State(9).String()) },
	"M-02": func(t *testing.T) {
		migrateDefaults(t)
		require.Panics(t, func() { circuit.NewBreaker(circuit.WithConsecutiveFailures(0)) })
		require.Panics(t, func() { circuit.NewBreaker(circuit.WithProbes(0, 0)) })
		b := circuit.NewBreaker(circuit.WithDelay(0))
		migrateFail(t, b, 5)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
	},
	"M-06": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithName("users"))
		b.Open()
		err := migrateRejection(t, b)
		require.ErrorIs(t, err, aegis.ErrNotAllowed)
		require.False(t, error(err) == aegis.ErrNotAllowed)
		require.Equal(t, "users", err.Name())
		require.Equal(t, 30*time.Second, err.RetryAfter())
	},
	"M-11": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbes(1, 2), circuit.WithProbeFailures(1))
		b.HalfOpen()
		probes := migrateTake(t, b, 2)
		probes[0].Done(breaker.Success)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		probes[1].Done(breaker.Failure)
		require.Zero(t, b.Snapshot().ConsecutiveFailures)
		require.EqualValues(t, 1, b.Snapshot().Totals.Failure)
	},
	"M-15": func(t *testing.T) {
		b := circuit.NewBreaker()
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(2 * time.Second)
		call := func(ctx context.Context, err error) {
			require.ErrorIs(t, breaker.Run(ctx, b, func(context.Context) error { return err }), err)
		}
		call(canceled, context.Canceled)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Ignored: 1}, b.Snapshot().Totals)
		call(canceled, errMigrate)
		call(late, context.DeadlineExceeded) // before the call
		require.EqualValues(t, 3, b.Snapshot().Totals.Ignored)
		for _, end := range []error{context.DeadlineExceeded, errMigrate} {
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, breaker.Run(short, b, func(ctx context.Context) error {
				<-ctx.Done()
				return end
			}), end)
		}
		require.EqualValues(t, 2, b.Snapshot().ConsecutiveFailures)
	},
	"M-18": func(t *testing.T) {
		b := circuit.NewBreaker()
		b.HalfOpen()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, breaker.Run(ctx, b, func(ctx context.Context) error { return ctx.Err() }), context.Canceled)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		migrateTake(t, b, 1)
	},
	"M-19": func(t *testing.T) {
		b := circuit.NewBreaker()
		run := func(f func()) { _ = breaker.Run(t.Context(), b, func(context.Context) error { f(); return nil }) }
		b.HalfOpen()
		require.PanicsWithValue(t, "boom", func() { run(func() { panic("boom") }) })
		require.Equal(t, breaker.Open, b.Snapshot().State)
		b.HalfOpen()
		go run(runtime.Goexit)
		synctest.Wait()
		require.Equal(t, breaker.Open, b.Snapshot().State)
		require.EqualValues(t, 2, b.Snapshot().Totals.Failure)
	},
	"M-20": func(t *testing.T) {
		for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure} {
			b := circuit.NewBreaker()
			late := migrateTake(t, b, 1)[0]
			migrateFail(t, b, 5)
			time.Sleep(30 * time.Second)
			migrateTake(t, b, 1)
			late.Done(o)
			require.Equal(t, breaker.HalfOpen, b.Snapshot().State, "%v", o)
		}
	},
	"M-24": func(t *testing.T) {
		b := circuit.NewBreaker()
		b.Open()
		answer, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 1, nil },
			breaker.WithFallback(func(context.Context, error) (int, error) { return 42, nil }))
		require.NoError(t, err)
		require.Equal(t, 42, answer)
	},
	"M-31": func(t *testing.T) {
		require.Panics(t, func() { circuit.NewBreaker(circuit.WithDelay(-1)) })
	},
	"M-32": func(t *testing.T) {
		b := circuit.NewBreaker()
		var ctx context.Context
		require.Error(t, breaker.Run(ctx, b, func(context.Context) error { return nil }))
		require.Error(t, breaker.Run(t.Context(), b, nil))
		require.Zero(t, b.Snapshot().Totals)
	},
}
