package docs_test

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	aegis "github.com/go-kratos/aegis/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// migrateFromFailsafe are the rows of failsafe-go.
var migrateFromFailsafe = map[string]func(*testing.T){
	"F-01": migrateDefaults,
	"F-09": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithFailureRate(0.5, 200, time.Minute))
		for range 101 {
			migrateEnd(t, b, breaker.Success)
		}
		migrateFail(t, b, 99)
		require.Equal(t, breaker.Window{Length: time.Minute, Success: 101, Failure: 99}, b.Snapshot().Window)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
		migrateFail(t, b, 2)
		require.Equal(t, breaker.Open, b.Snapshot().State)
	},
	"F-11": func(t *testing.T) {
		for apart, want := range map[time.Duration]breaker.State{time.Minute - 1: breaker.Open, time.Minute: breaker.Closed} {
			b := circuit.NewBreaker(circuit.WithFailuresInPeriod(3, time.Minute))
			time.Sleep(1234 * time.Millisecond)
			migrateFail(t, b, 1)
			time.Sleep(apart)
			migrateFail(t, b, 2)
			require.Equal(t, want, b.Snapshot().State, "%v", apart)
		}
		// Nine tenths and a bit later, the bucket that began with the breaker
		// is over.
		for apart, want := range map[time.Duration]breaker.State{9*time.Second + 1: breaker.Open, 9*time.Second + 2: breaker.Closed} {
			b := circuit.NewBreaker(circuit.WithFailureRate(1, 2, 10*time.Second))
			time.Sleep(time.Second - 2)
			migrateFail(t, b, 1)
			time.Sleep(apart)
			migrateFail(t, b, 1)
			require.Equal(t, want, b.Snapshot().State, "%v", apart)
		}
	},
	"F-12": func(t *testing.T) {
		for _, rule := range []circuit.Option{
			circuit.WithFailureRate(1, 10, time.Minute), circuit.WithOpenWhen(time.Minute, func(circuit.Counts) bool { return false }),
		} {
			b := circuit.NewBreaker(rule)
			migrateFail(t, b, 2)
			require.EqualValues(t, 2, b.Snapshot().Window.Failure)
			time.Sleep(time.Minute)
			require.Zero(t, b.Snapshot().Window.Failure)
		}
	},
	"F-15": func(t *testing.T) {
		var events []breaker.Event
		b := circuit.NewBreaker(circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
		began := time.Now()
		b.Open()
		time.Sleep(40 * time.Second)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		require.Len(t, events, 1)
		migrateTake(t, b, 1)
		require.Len(t, events, 2)
		require.Equal(t, 30*time.Second, events[1].At.Sub(began))
	},
	"F-17": func(t *testing.T) {
		for delay, want := range map[time.Duration]time.Duration{
			-1: 30 * time.Second, -time.Hour: 30 * time.Second, time.Hour: time.Hour, 25 * time.Hour: 24 * time.Hour, 1 << 62: 24 * time.Hour,
		} {
			b := circuit.NewBreaker(circuit.WithDelayFunc(func(circuit.Opening) time.Duration { return delay }))
			migrateFail(t, b, 5)
			require.Equal(t, want, b.Snapshot().RetryAfter, "%v", delay)
		}
	},
	"F-18": func(t *testing.T) {
		var b *circuit.Breaker
		asked := 0
		b = circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelayFunc(func(o circuit.Opening) time.Duration {
			asked++
			require.Equal(t, breaker.Open, b.Snapshot().State)
			require.Equal(t, breaker.Failure, o.Result.Outcome)
			return -1
		}))
		migrateFail(t, b, 1)
		b.Close()
		b.MarkFailed()
		require.Equal(t, 2, asked)
	},
	"F-22": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(5))
		b.HalfOpen()
		migrateTake(t, b, 1)
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
		b = circuit.NewBreaker(circuit.WithConsecutiveFailures(5), circuit.WithProbesAsInClosed())
		b.HalfOpen()
		migrateTake(t, b, 5)
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
	},
	"F-25": func(t *testing.T) {
		b := circuit.NewBreaker()
		old := migrateTake(t, b, 3)
		b.HalfOpen()
		migrateTake(t, b, 1)
		for _, p := range old {
			p.Done(breaker.Success)
		}
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
	},
	"F-26": func(t *testing.T) {
		var told []string
		tell := func(name string) circuit.Option {
			return circuit.WithListener(func(breaker.Event) { told = append(told, name) })
		}
		b := circuit.NewBreaker(tell("first"), tell("second"))
		b.Open()
		b.Open()
		require.Equal(t, []string{"first", "second"}, told)
	},
	"F-27": func(t *testing.T) {
		var events []breaker.Event
		b := circuit.NewBreaker(circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
		late := migrateTake(t, b, 2)
		migrateFail(t, b, 5)
		for _, p := range late {
			p.Done(breaker.Failure)
		}
		require.Equal(t, breaker.Window{Failure: 5}, events[0].Snapshot.Window)
		require.Equal(t, breaker.Totals{Offered: 7, Allowed: 7, Failure: 5, InFlight: 2}, events[0].Snapshot.Totals)
	},
	"F-28": func(t *testing.T) {
		for _, field := range reflect.VisibleFields(reflect.TypeFor[breaker.Event]()) {
			require.False(t, field.Type.Implements(reflect.TypeFor[context.Context]()), field.Name)
		}
	},
	"F-29": func(t *testing.T) {
		var states []breaker.State
		b := circuit.NewBreaker(circuit.WithListener(func(e breaker.Event) {
			if states = append(states, e.To); len(states) == 1 {
				panic("boom")
			}
		}))
		require.PanicsWithValue(t, "boom", b.Open)
		require.Equal(t, breaker.Open, b.Snapshot().State)
		b.Close()
		require.Equal(t, []breaker.State{breaker.Open, breaker.Closed}, states)
	},
	"F-30": func(t *testing.T) {
		var events []breaker.Event // of listeners that run one at a time
		b := circuit.NewBreaker(circuit.WithConsecutiveFailures(1), circuit.WithDelay(0),
			circuit.WithListener(func(e breaker.Event) { events = append(events, e) }))
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 200 {
					if p, err := b.Acquire(); err == nil {
						p.Done(breaker.Success + breaker.Outcome((i+g)%2))
					}
				}
			})
		}
		wg.Wait()
		require.Greater(t, len(events), 100)
		state := breaker.Closed
		for _, e := range events {
			require.Equal(t, state, e.From)
			state = e.To
		}
	},
	"F-32": func(t *testing.T) {
		b := circuit.NewBreaker()
		late := migrateTake(t, b, 1)[0]
		migrateFail(t, b, 5)
		before := b.Snapshot()
		late.Done(breaker.Success)
		after := b.Snapshot()
		require.Equal(t, before.Totals.Success+1, after.Totals.Success)
		before.Totals, after.Totals = breaker.Totals{}, breaker.Totals{}
		require.Equal(t, before, after)
	},
	"F-33": func(t *testing.T) {
		b := circuit.NewBreaker()
		for want := range breaker.Failure + 1 {
			_ = breaker.Run(t.Context(), b, func(context.Context) error { return errMigrate },
				breaker.WithClassifier(func(err error) breaker.Outcome {
					require.ErrorIs(t, err, errMigrate)
					return want
				}))
		}
		require.Equal(t, breaker.Totals{Offered: 3, Allowed: 3, Success: 1, Failure: 1, Ignored: 1}, b.Snapshot().Totals)
	},
	"F-36": func(t *testing.T) {
		b := circuit.NewBreaker()
		b.HalfOpen()
		migrateTake(t, b, 1)[0].Done(breaker.Ignored)
		migrateTake(t, b, 1)
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
		time.Sleep(time.Minute)
		migrateEnd(t, b, breaker.Success)
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	},
	"F-39": func(t *testing.T) {
		inner, outer := circuit.NewBreaker(), circuit.NewBreaker()
		inner.Open()
		err := breaker.Run(t.Context(), outer, func(ctx context.Context) error {
			return breaker.Run(ctx, inner, func(context.Context) error { return nil })
		})
		require.ErrorIs(t, err, aegis.ErrNotAllowed)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Ignored: 1}, outer.Snapshot().Totals)
	},
	"F-40": func(t *testing.T) {
		for _, opts := range [][]circuit.Option{
			{circuit.WithFailureCount(0, 5)},
			{circuit.WithFailureCount(6, 5)},
			{circuit.WithProbes(6, 5)},
			{circuit.WithFailuresInPeriod(3, time.Nanosecond)},
		} {
			require.Panics(t, func() { circuit.NewBreaker(opts...) })
		}
		b := circuit.NewBreaker(circuit.WithFailuresInPeriod(3, time.Minute), circuit.WithFailuresInPeriod(4, time.Hour))
		for want := range 4 {
			require.Equal(t, breaker.Closed, b.Snapshot().State, "%d failures", want)
			b.MarkFailed()
		}
		require.Equal(t, "4 failures within 1h0m0s", b.Snapshot().Cause)
	},
}
