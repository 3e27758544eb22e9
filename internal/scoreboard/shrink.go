package scoreboard

import (
	"math"
	"time"
)

// shrunk makes the world of a bad verdict smaller for as long as it stays bad.
// It must be called in a bubble.
func shrunk(v verdict, p policy) verdict {
	for {
		smaller := false
		for _, w := range simpler(v.world) {
			if s := judge(w, can(w, v.seed), p, v.seed); s.isBad() {
				v, smaller = s, true
				break
			}
		}
		if !smaller {
			return v
		}
	}
}

// simpler are worlds that are a step simpler, the boldest steps first.
func simpler(w *world) (ws []*world) {
	change := func(f func(w *world)) {
		c := *w
		c.faults = append([]fault(nil), w.faults...)
		f(&c)
		if c.String() != w.String() && len(c.faults) > 0 {
			ws = append(ws, &c)
		}
	}
	for i := 1; i < len(w.faults)-1; i++ { // the first phase and the last one are well
		change(func(w *world) { w.faults = append(w.faults[:i:i], w.faults[i+1:]...) })
	}
	change(func(w *world) { w.wave = wave{} })
	change(func(w *world) { w.clients = 0 })
	change(func(w *world) { w.retries = 0 })
	change(func(w *world) { w.patience = 0 })
	change(func(w *world) { w.idles = true })
	change(func(w *world) { w.good = always(round(w.good.typical())) })
	change(func(w *world) { w.bad = always(round(w.failure().typical())) })
	if w.good.kind == constantly { // else there would be a way back
		change(func(w *world) { w.bad = w.good })
	}
	change(func(w *world) { w.regular = false })
	change(func(w *world) { w.timeout = 2 * second })
	change(func(w *world) { w.rate = roundTo(w.rate, 1) })
	change(func(w *world) { w.think = round(w.think) })
	change(func(w *world) { w.delay = always(round(w.delay.typical())) })
	for i := range w.faults {
		change(func(w *world) { w.faults[i].simplify() })
		if w.faults[i].length > 10*second && i < len(w.faults)-1 {
			change(func(w *world) { w.faults[i].length = (w.faults[i].length / 2).Round(second) })
		}
	}
	return ws
}

// simplify rounds the parameters.
func (f *fault) simplify() {
	f.share = roundTo(f.share, 1)
	f.capacity, f.burst = roundTo(f.capacity, 1), roundTo(f.burst, 1)
	f.up, f.down = round(f.up), round(f.down)
	f.factor = roundTo(f.factor, 1)
	if f.nodes > 2 && f.dead*2 == f.nodes {
		f.nodes, f.dead = 2, 1
	}
	f.servers = min(f.servers, 1)
}

func round(d time.Duration) time.Duration { return time.Duration(roundTo(float64(d), 1)) }

// roundTo keeps so many digits.
func roundTo(x float64, digits int) float64 {
	if x == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(x)))-float64(digits-1))
	return math.Round(x/unit) * unit
}
