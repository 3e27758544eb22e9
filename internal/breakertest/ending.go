package breakertest

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// endings are the checks of what the ends of calls lead to.
func (k Kind) endings(in in) {
	for _, exit := range []struct {
		name  string
		leave func()
		want  any
	}{
		{"panic", func() { panic(errBackend) }, errBackend},
		{"Goexit", runtime.Goexit, nil},
	} {
		in("a "+exit.name+" in Do settles the permit as a failure, and opens as one", func(t *testing.T) {
			b := k.New("")
			calls := uint64(0)
			for range k.Outage {
				panicked, returned := EndOf(func() {
					_ = breaker.Run(t.Context(), b, func(context.Context) error {
						calls++
						exit.leave()
						return nil
					})
				})
				if !returned { // neither was it rejected
					require.Equal(t, exit.want, panicked)
				}
				want := b.Snapshot().Totals
				require.Equal(t, calls, want.Failure)
				RequireTotals(t, b, breaker.Totals{Failure: calls, Rejected: want.Rejected})
			}
			require.NotZero(t, calls)
			k.requireRejects(t, b)
		})
	}

	in("any number of ignored calls says nothing", func(t *testing.T) {
		b := k.New("")
		n := 10 * k.Outage
		for range n {
			require.True(t, call(b, breaker.Ignored))
		}
		RequireTotals(t, b, breaker.Totals{Ignored: uint64(n)})
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Zero(t, s.Window.Total())
		require.Zero(t, s.RejectRatio)
		requireAllows(t, b)
	})
}
