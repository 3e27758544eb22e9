package breaker_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
)

// issued is a permit and what a model knows about it.
type issued struct {
	permit  breaker.Permit
	breaker int
	settled bool
}

// Two breakers, of which each permit belongs to one. Whatever order permits are
// taken and settled in, once or more often, the totals are those of a model
// that remembers each permit.
func TestPermit_TotalsFollowTheModel(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				breakers := [2]breaker.Breaker{kind.make(), kind.make()}
				var want [2]breaker.Totals
				var permits []*issued
				rt.Repeat(map[string]func(*rapid.T){
					"acquire": func(rt *rapid.T) {
						n := rapid.IntRange(0, 1).Draw(rt, "breaker")
						for range rapid.IntRange(1, breakertest.Slots+2).Draw(rt, "permits") {
							p, err := breakers[n].Acquire()
							require.NoError(rt, err)
							permits = append(permits, &issued{permit: p, breaker: n})
							want[n].InFlight++
						}
					},
					"done": func(rt *rapid.T) {
						if len(permits) == 0 {
							rt.Skip("none was issued")
						}
						p := rapid.SampledFrom(permits).Draw(rt, "permit")
						o := rapid.SampledFrom(breakertest.Outcomes).Draw(rt, "outcome")
						p.permit.Done(o)
						if !p.settled {
							p.settled = true
							want[p.breaker] = breakertest.Add(want[p.breaker], o)
							want[p.breaker].InFlight--
						}
					},
					"mark": func(rt *rapid.T) {
						n := rapid.IntRange(0, 1).Draw(rt, "breaker")
						require.NoError(rt, breakers[n].Allow())
						if rapid.Bool().Draw(rt, "success") {
							breakers[n].MarkSuccess()
							want[n].Success++
						} else {
							breakers[n].MarkFailed()
							want[n].Failure++
						}
					},
					"": func(rt *rapid.T) {
						for n, b := range breakers {
							w := want[n]
							w.Allowed = w.Success + w.Failure + w.Ignored + w.InFlight
							w.Offered = w.Allowed
							require.Equal(rt, w, b.Snapshot().Totals)
						}
					},
				})
			})
		})
	}
}
