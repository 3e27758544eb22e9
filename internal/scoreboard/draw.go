package scoreboard

import (
	"math"
	"math/rand/v2"
	"time"
)

// healthAtEnd is how long each world drawn by chance is well at its end.
const healthAtEnd = 35 * second

// dice draw worlds.
type dice struct{ *rand.Rand }

// drawWorld returns the world of a seed.
func drawWorld(seed uint64) *world {
	d := dice{rand.New(rand.NewPCG(seed, 0x77))}
	w := &world{}
	rate := d.callers(w)
	d.latencies(w)
	if w.workers > 0 {
		rate = float64(w.workers) / (w.think + w.good.typical()).Seconds()
	}
	if d.chance(0.2) {
		w.retries, w.delay = 1+d.IntN(3), around(d.time(10*ms, time.Second))
	}
	if d.chance(0.05) && w.good.typical() < 200*ms {
		w.patience = time.Second
	}
	// A phase is long enough for each breaker to see anything.
	least := time.Duration(60 / rate * float64(max(w.clients, 1)) * float64(second))
	w.faults = append(w.faults, d.phase(fault{kind: well}, 15*second, least))
	for n := 1 + d.IntN(3); n > 0; n-- {
		d.trouble(w, rate, least)
		w.faults = append(w.faults, d.phase(fault{kind: well}, 10*second, least))
	}
	w.faults[len(w.faults)-1].length = healthAtEnd
	w.idles = d.chance(0.5)
	return w
}

func (d dice) chance(p float64) bool { return d.Float64() < p }

// between is log-uniform.
func (d dice) between(from, to float64) float64 {
	return from * math.Pow(to/from, d.Float64())
}

// time is log-uniform, in steps that are fine enough.
func (d dice) time(from, to time.Duration) time.Duration {
	t := time.Duration(d.between(float64(from), float64(to)))
	step := time.Duration(math.Pow(10, math.Floor(math.Log10(float64(t)))-1))
	return t.Round(step)
}

// callers draws who calls, and returns the rate.
func (d dice) callers(w *world) float64 {
	switch p := d.Float64(); {
	case p < 0.15:
		w.workers, w.think = int(d.between(2, 100)), d.time(ms, time.Second)
		return 0 // it depends on the latency
	case p < 0.25:
		w.clients = int(d.between(2, 50))
		w.rate = float64(w.clients) * d.between(0.5, 30)
	default:
		w.rate = d.between(2, 3000)
	}
	switch p := d.Float64(); {
	case p < 0.15:
		w.regular = true
	case p < 0.3:
		w.wave.on, w.wave.off = d.time(100*ms, 2*second), d.time(100*ms, 2*second)
	case p < 0.4:
		w.wave.swing, w.wave.period = 0.2+0.8*d.Float64(), d.time(2*second, 30*second)
	}
	return w.rate
}

func (d dice) latencies(w *world) {
	w.good = d.distribution(ms, time.Second)
	w.bad = w.good
	if !d.chance(0.25) {
		w.bad = d.distribution(ms, 500*ms)
	}
	w.timeout = max(2*second, (8 * w.good.typical()).Round(second))
	if d.chance(0.3) {
		w.timeout = max(time.Second, (5 * w.good.typical()).Round(100*ms))
	}
}

func (d dice) distribution(from, to time.Duration) distribution {
	scale := d.time(from, to)
	switch p := d.Float64(); {
	case p < 0.3:
		return always(scale)
	case p < 0.6:
		return around(scale)
	case p < 0.85:
		return lognormally(scale, 0.1+0.9*d.Float64())
	default:
		return paretoFrom(scale, 1.5+1.5*d.Float64())
	}
}

// phase gives a fault its length: up to three times the shortest, in whole bins.
func (d dice) phase(f fault, shortest, least time.Duration) fault {
	f.length = max(least, d.time(shortest, 3*shortest)).Round(second)
	return f
}

// trouble adds a fault, and after an outage perhaps the way back.
func (d dice) trouble(w *world, rate float64, least time.Duration) {
	switch p := d.Float64(); {
	case p < 0.28:
		kind := refusing
		shortest := 10 * second
		if d.chance(0.35) {
			kind, shortest = hanging, max(10*second, 5*w.load().timeout)
		}
		w.faults = append(w.faults, d.phase(fault{kind: kind}, shortest, least))
		if d.chance(0.4) {
			w.faults = append(w.faults, d.phase(d.partial(rate), 10*second, least))
		}
	case p < 0.34:
		w.faults = append(w.faults, fault{kind: pausing, length: d.time(300*ms, 4*second).Round(bin)})
	case p < 0.40:
		w.faults = append(w.faults, d.phase(fault{kind: cutting}, 10*second, least))
	case p < 0.50:
		up := d.time(200*ms, 10*second)
		down := up
		if d.chance(0.5) {
			down = d.time(200*ms, 10*second)
		}
		w.faults = append(w.faults, d.phase(fault{kind: flapping, up: up, down: down}, max(15*second, 2*(up+down)), least))
	case p < 0.55:
		w.faults = append(w.faults, d.phase(fault{kind: slowing, factor: d.between(1.5, 8)}, 10*second, least))
	default:
		w.faults = append(w.faults, d.phase(d.partial(rate), 15*second, least))
	}
}

// partial is a fault of which something is left.
func (d dice) partial(rate float64) fault {
	capacity := rate * (0.05 + 0.75*d.Float64())
	switch p := d.Float64(); {
	case p < 0.25:
		return fault{kind: failing, share: 0.1 + 0.75*d.Float64()}
	case p < 0.5:
		f := fault{kind: losing, nodes: 2 + d.IntN(5)}
		f.dead = 1 + d.IntN(f.nodes-1)
		if d.chance(0.25) {
			f.kind = losingSlowly
		}
		return f
	case p < 0.75:
		return fault{kind: limiting, capacity: capacity, burst: d.between(1, max(1, capacity/2))}
	case p < 0.9:
		return fault{kind: queueing, capacity: capacity, servers: int(d.between(1, 17))}
	default:
		return fault{kind: warming, capacity: capacity + rate*0.5, share: 0.05 + 0.5*d.Float64(), burst: max(1, capacity/4)}
	}
}
