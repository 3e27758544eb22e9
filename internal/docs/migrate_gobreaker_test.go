package docs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// migrateFromGobreaker are the rows of gobreaker.
var migrateFromGobreaker = map[string]func(*testing.T){
	"G-02": migrateDefaults,
	"G-04": func(t *testing.T) {
		events := 0
		b := circuit.NewBreaker(circuit.WithListener(func(breaker.Event) { events++ }))
		b.Open()
		time.Sleep(30 * time.Second)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		require.Equal(t, 1, events)
		migrateTake(t, b, 1)
		require.Equal(t, 2, events)
	},
	"G-07": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithProbes(3, 3))
		b.Open()
		require.Equal(t, breaker.ReasonOpen, migrateRejection(t, b).Reason())
		b.HalfOpen()
		probes := migrateTake(t, b, 3)
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
		probes[0].Done(breaker.Success)
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason(), "three in all")

		b = circuit.NewBreaker(circuit.WithProbes(3, 3), circuit.WithProbeLimit(1))
		b.HalfOpen()
		migrateTake(t, b, 1)
		require.Equal(t, breaker.ReasonProbeLimit, migrateRejection(t, b).Reason())
	},
	"G-08": func(t *testing.T) {
		var counts circuit.Counts
		b := circuit.NewBreaker(circuit.WithOpenWhen(0, func(c circuit.Counts) bool { counts = c; return false }))
		migrateTake(t, b, 1)
		migrateEnd(t, b, breaker.Success, breaker.Failure)
		require.Equal(t, circuit.Counts{Success: 1, Failure: 1, InFlight: 1, ConsecutiveFailures: 1}, counts)
	},
	"G-10": func(t *testing.T) {
		b := circuit.NewBreaker()
		migrateFail(t, b, 5)
		require.Equal(t, breaker.Window{Failure: 5}, b.Snapshot().Window)
		b.Close()
		require.Zero(t, b.Snapshot().Window)
		require.Zero(t, b.Snapshot().ConsecutiveFailures)
		require.EqualValues(t, 5, b.Snapshot().Totals.Failure)
	},
	"G-11": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithOpenWhen(time.Second, func(c circuit.Counts) bool { return c.ConsecutiveFailures >= 20 }))
		for range 20 {
			require.Equal(t, breaker.Closed, b.Snapshot().State)
			p := migrateTake(t, b, 1)[0]
			time.Sleep(2 * time.Second)
			p.Done(breaker.Failure)
		}
		require.Equal(t, breaker.Open, b.Snapshot().State)
	},
	"G-12": func(t *testing.T) {
		b := circuit.NewBreaker(circuit.WithFailureRate(1, 10, 10*time.Second))
		p := migrateTake(t, b, 1)[0]
		time.Sleep(20 * time.Second)
		p.Done(breaker.Failure)
		require.Equal(t, breaker.Window{Length: 10 * time.Second, Failure: 1}, b.Snapshot().Window)
	},
	"G-13": func(t *testing.T) {
		b := circuit.NewBreaker()
		asked := breaker.WithClassifier(func(error) breaker.Outcome { require.Fail(t, "asked"); return breaker.Ignored })
		require.PanicsWithValue(t, "boom", func() {
			_ = breaker.Run(t.Context(), b, func(context.Context) error { panic("boom") }, asked)
		})
		require.EqualValues(t, 1, b.Snapshot().ConsecutiveFailures)
	},
	"G-16": func(t *testing.T) {
		b := circuit.NewBreaker()
		p := migrateTake(t, b, 1)[0]
		b.Open()
		b.Close()
		p.Done(breaker.Failure)
		require.Zero(t, b.Snapshot().Window)
		require.Zero(t, b.Snapshot().ConsecutiveFailures)
		require.Equal(t, breaker.Totals{Offered: 1, Allowed: 1, Failure: 1}, b.Snapshot().Totals)
	},
	"G-17": func(t *testing.T) {
		b := circuit.NewBreaker()
		p := migrateTake(t, b, 1)[0]
		for range 10 {
			p.Done(breaker.Failure)
		}
		require.EqualValues(t, 1, b.Snapshot().ConsecutiveFailures)
		b.HalfOpen()
		migrateTake(t, b, 1)
		time.Sleep(30*time.Second - 1)
		require.Equal(t, breaker.HalfOpen, b.Snapshot().State)
		time.Sleep(time.Nanosecond)
		require.Equal(t, breaker.Open, b.Snapshot().State)
	},
	"G-18": func(t *testing.T) {
		var b *circuit.Breaker
		asked := 0
		ask := func() bool { asked++; return b.Snapshot().State == breaker.Closed }
		b = circuit.NewBreaker(
			circuit.WithOpenWhen(0, func(circuit.Counts) bool { return ask() }),
			circuit.WithListener(func(breaker.Event) { ask(); b.Close() }),
		)
		_ = breaker.Run(t.Context(), b, func(context.Context) error { return errMigrate },
			breaker.WithClassifier(func(error) breaker.Outcome { ask(); return breaker.Failure }))
		require.Equal(t, 4, asked, "by the classifier, the function, and the listener twice")
		require.Equal(t, breaker.Closed, b.Snapshot().State)
	},
}
