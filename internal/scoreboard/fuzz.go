package scoreboard

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// verdict is what a policy does in a world.
type verdict struct {
	world *world
	seed  uint64
	// scores are by fault, in [0, 1]: what is served of what can be served, or
	// the share of the calls that are not sent to a dead backend. NaN if there
	// are too few calls to say.
	scores []float64
	// recovery is when the last rejections were, in seconds after the last fault.
	recovery float64
	// late says that something is rejected when the backend is well for 30 s.
	late bool
}

// poor is a score that nobody wants.
const poor = 0.4

// can returns what can be had of a world, by fault. It must be called in a
// bubble.
func can(w *world, seed uint64) (most []count) {
	best := *w
	best.ideal = true
	tr := best.run(none, seed)
	for _, s := range w.spans() {
		most = append(most, tr.between(s.from, s.to))
	}
	return most
}

// judge runs a world, of which so much can be had, under a policy. It must be
// called in a bubble.
func judge(w *world, most []count, p policy, seed uint64) verdict {
	tr := w.run(p, seed)
	v := verdict{world: w, seed: seed}
	for i, s := range w.spans() {
		x := math.NaN()
		if i > 0 { // the first phase is well, and everybody is good at that
			x = score(w.faults[i], tr.between(s.from, s.to), most[i])
		}
		v.scores = append(v.scores, x)
	}
	end := w.length()
	healed := end - w.faults[len(w.faults)-1].length
	v.recovery = recovery(healed, end)(tr)
	v.late = end-healed > 30*second && tr.between(healed+30*second, end).rejected() > 0
	return v
}

// score compares what happened in a fault with what can be had.
func score(f fault, had, most count) float64 {
	const few = 20
	if most.allowed < few || !f.isDead() && most.useful < few/4 || f.kind == pausing {
		return math.NaN()
	}
	if f.isDead() {
		return 1 - min(1, had.allowed/most.allowed)
	}
	return min(1, had.useful/most.useful)
}

// worst is the lowest score, and 0 if something is rejected late.
func (v verdict) worst() float64 {
	if v.late {
		return 0
	}
	least := 1.0
	for _, s := range v.scores {
		if s < least { // not NaN
			least = s
		}
	}
	return least
}

// isBad says that somebody should look at it.
func (v verdict) isBad() bool { return v.worst() < poor || v.recovery > 20 }

// String is a line that names the case, and what it gets of each phase.
func (v verdict) String() string {
	var scores []string
	for _, s := range v.scores {
		if math.IsNaN(s) {
			scores = append(scores, "–")
		} else {
			scores = append(scores, fmt.Sprintf("%.2f", s))
		}
	}
	late := ""
	if v.late {
		late = ", REJECTS 30 s AFTER HEALING"
	}
	return fmt.Sprintf("seed %d: [%s] recovery %s%s: %v", v.seed, strings.Join(scores, " "), after(v.recovery), late, v.world)
}

// after writes seconds, which may be infinite.
func after(seconds float64) string {
	if math.IsInf(seconds, 1) {
		return "never"
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// tallyOf sums up verdicts.
type tallyOf struct {
	mean           float64 // of all scores
	phases, poor   int
	slowest        float64 // recovery
	late           int
	slow           int // recoveries of more than 8 s
	scenarios      int
	byKind, ofKind map[faultKind]float64
	worst          []verdict // the worst ones first
	lowest         float64   // mean of the lowest score of each world
}

func sumUp(vs []verdict) (t tallyOf) {
	t.byKind, t.ofKind = map[faultKind]float64{}, map[faultKind]float64{}
	for _, v := range vs {
		for i, s := range v.scores {
			if math.IsNaN(s) {
				continue
			}
			kind := v.world.faults[i].kind
			t.byKind[kind] += s
			t.ofKind[kind]++
			t.mean += s
			t.phases++
			if s < poor {
				t.poor++
			}
		}
		t.slowest = max(t.slowest, v.recovery)
		if v.recovery > 8 {
			t.slow++
		}
		if v.late {
			t.late++
		}
		t.lowest += v.worst()
	}
	t.scenarios = len(vs)
	t.mean /= float64(t.phases)
	t.lowest /= float64(len(vs))
	t.worst = slices.SortedStableFunc(slices.Values(vs), func(a, b verdict) int {
		if c := a.worst() - b.worst(); c != 0 {
			return int(math.Copysign(1, c))
		}
		return int(math.Copysign(1, b.recovery-a.recovery))
	})
	return t
}

// String has a line for all, one per kind of fault, and the worst cases.
func (t tallyOf) report(name string, cases int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d scenarios, %d phases: mean %.3f, mean of the lowest %.3f, %d phases below %.1f, slowest recovery %s, %d above 8 s, %d reject 30 s after healing\n",
		name, t.scenarios, t.phases, t.mean, t.lowest, t.poor, poor, after(t.slowest), t.slow, t.late)
	for k := well; k <= cutting; k++ {
		if n := t.ofKind[k]; n > 0 {
			fmt.Fprintf(&b, "  %-14s %4.0f phases, mean %.3f\n", k, n, t.byKind[k]/n)
		}
	}
	for _, v := range t.worst[:min(cases, len(t.worst))] {
		fmt.Fprintf(&b, "  %v\n", v)
	}
	return b.String()
}

// String names the kind.
func (k faultKind) String() string {
	return [...]string{
		"well", "refusing", "hanging", "failing", "losing", "losing slowly", "limiting", "queueing",
		"flapping", "warming", "slowing", "pausing", "cutting",
	}[k]
}
