package scoreboard

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// bound is what a measure of a policy must keep to, at all of the rates.
type bound struct {
	policy   policy
	scenario string
	measure  string
	rates    []float64 // of the columns of the scoreboard; nil for those that the scenario has
	from, to float64
}

// bounds are checked with seeds of their own, one or two per rate. They are a
// little wider than the scoreboard, whose numbers are medians.
var bounds = []bound{
	// Closed forms of aegis' decision, which hold for the simulator, too. With K
	// of 5/3 and a window of w = 3 s, half of the calls are rejected w(1-0.5/K)
	// after an outage began, and then one call per w is let through.
	{aegis, "S2", nameHalf, []float64{100, 1000}, 1.7, 2.4},
	{aegis, "S2", nameLeak, []float64{100, 1000}, 1.9, 2.2},
	{aegis, "S2", nameProbes, []float64{100, 1000}, 0.2, 0.5},
	{aegis, "S2", nameRecovery, []float64{100}, 8, 20},
	{aegis, "S2", nameRecovery, []float64{1000}, 15, 28},
	{aegis, "S2", nameHalf, []float64{10}, math.Inf(1), math.Inf(1)},
	{aegis, "S1c", nameRejected, []float64{10, 100, 1000}, 0, 0},
	{aegis, "S4a", nameAllowed, []float64{100, 1000}, 1.6, 1.8}, // K times the capacity

	// The default.
	{ours, "S1c", nameRejected, []float64{10, 100, 1000}, 0, 0.01},
	{ours, "S2", nameHalf, []float64{100, 1000}, 0, 0.5},
	{ours, "S2", nameHalf, []float64{10}, 0, 2.5},
	{ours, "S2", nameLeak, []float64{100, 1000}, 0, 0.35},
	{ours, "S2", nameProbes, []float64{10, 100, 1000}, 0.5, 2},
	{ours, "S2", nameGap, []float64{10, 100, 1000}, 100, math.Inf(1)},
	{ours, "S2", nameRecovery, []float64{10, 100, 1000}, 0, 2},
	{ours, "S2", nameLost, []float64{10, 100, 1000}, 0, 1.2},
	{ours, "S2b", nameRecovery, []float64{100, 1000}, 0, 2},
	{ours, "S3b", nameGoodput, []float64{100, 1000}, 0.9, 1.1},
	{ours, "S3d", nameGoodput, []float64{100, 1000}, 0.7, 1.1},
	{ours, "S4a", nameAllowed, []float64{100, 1000}, 1, 1.75},
	{ours, "S4b", nameAllowed, []float64{100, 1000}, 1, 1.8},
	{ours, "S5", "seconds of traffic lost after the blip", []float64{10, 100, 1000}, 0, 1.2},
	{ours, "S6", "share of the up time served", []float64{10, 100, 1000}, 0.75, 1},
}

func TestReach_EachBoundHolds(t *testing.T) {
	traces := map[string]*trace{} // several bounds look at one run
	for _, b := range bounds {
		s := scenarioNamed(b.scenario)
		for _, c := range b.columns(s) {
			for seed := range c.seeds {
				j := job{scenario: s, policy: b.policy, column: c}
				name := fmt.Sprintf("%s/%d", j.name(), seed)
				t.Run(name+"/"+b.measure, func(t *testing.T) {
					tr := traces[name]
					if tr == nil {
						tr = inBubble(t, j, seed)
						traces[name] = tr
					}
					value := s.measureNamed(t, b.measure).of(tr)
					require.GreaterOrEqual(t, value, b.from)
					require.LessOrEqual(t, value, b.to)
				})
			}
		}
	}
}

// columns are short versions of those of the scoreboard.
func (b bound) columns(s scenario) (cs []column) {
	for _, c := range s.in(rates) {
		for _, rate := range b.rates {
			if s.columns == nil && c.rate == rate {
				cs = append(cs, c)
			}
		}
		if s.columns != nil && b.rates == nil {
			cs = append(cs, c)
		}
	}
	for i := range cs {
		cs[i].first, cs[i].seeds = 500, 1
		if cs[i].rate < 1000 {
			cs[i].seeds = 2
		}
	}
	return cs
}

func (s scenario) measureNamed(t *testing.T, name string) measure {
	for _, m := range s.measures {
		if m.name == name {
			return m
		}
	}
	require.Fail(t, "no such measure", name)
	return measure{}
}
