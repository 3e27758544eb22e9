package scoreboard

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// For the last look only: nothing may be chosen by what this prints. Whoever
// changes the law because of it draws a new set, by another heldOutFirst.
var heldOut = flag.Bool("held-out", false, "measure what nothing is chosen by: the last look")

const (
	heldOutFirst  = 770_000
	heldOutWorlds = 100
)

func TestHeldOut_IsMeasuredOnRequest(t *testing.T) {
	if !*heldOut {
		t.Skip("see -held-out")
	}
	b := newBoard(nil, bubbles(t))
	for _, p := range chosen(t, "sre") {
		b.policies = []policy{p}
		t.Log("\n" + b.fuzz(heldOutWorlds, heldOutFirst)[0].report(p.name, 5))
		var jobs []job
		for _, s := range elsewhereInField() {
			for _, c := range s.columns {
				jobs = append(jobs, job{scenario: s, policy: p, column: c})
			}
		}
		t.Log("\n" + fieldTable(p, jobs, b.bubbles.run(jobs)))
	}
}

// elsewhereInField are the scenarios of the field at other rates, latencies and
// seeds.
func elsewhereInField() (ss []scenario) {
	for _, s := range field {
		var cs []column
		for _, by := range []struct{ rate, latency float64 }{{0.6, 1.4}, {1.7, 0.6}} {
			for _, c := range s.columns {
				c.world = c.world.times(by.rate, by.latency)
				c.capacity *= by.rate
				c.rate = c.world.rate
				c.first, c.seeds = heldOutFirst, 3
				c.label += fmt.Sprintf(" ×%g, ×%g", by.rate, by.latency)
				cs = append(cs, c)
			}
		}
		s.columns = cs
		if s.name != "L15" && s.name != "L18b" { // their measures know the capacity, and their callers the latency
			ss = append(ss, s)
		}
	}
	return ss
}

// times is the world with other rates and latencies. Bursts of a call stay so.
func (w *world) times(rate, latency float64) *world {
	c := *w
	c.rate *= rate
	c.good.scale = time.Duration(latency * float64(w.good.scale))
	c.bad.scale = time.Duration(latency * float64(w.bad.scale))
	c.faults = slices.Clone(w.faults)
	for i := range c.faults {
		f := &c.faults[i]
		f.capacity *= rate
		if f.burst > 1 {
			f.burst = max(1, f.burst*rate)
		}
	}
	return &c
}

func TestHeldOut_IsTheSameFieldAtOtherRatesAndLatencies(t *testing.T) {
	at := func(name string) world {
		for _, s := range elsewhereInField() {
			if s.name == name {
				return *s.columns[0].world
			}
		}
		require.Fail(t, name)
		return world{}
	}
	require.InDelta(t, 180, at("L1a").rate, 1e-9)
	require.Equal(t, around(280*ms), at("L1a").good)
	l8 := at("L8a")
	require.InDelta(t, 6, l8.faults[1].capacity, 1e-9)
	require.InDelta(t, 1, l8.faults[1].burst, 1e-9)
}
