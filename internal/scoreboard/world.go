package scoreboard

import (
	"time"
)

// world is a load and a backend as data: it can be drawn by chance, shrunk and
// written in a line.
type world struct {
	rate    float64
	clients int
	regular bool
	wave    wave

	workers int
	think   time.Duration
	batch   batch
	hold    distribution

	retries int
	delay   distribution

	timeout  time.Duration // 0 means 2 s
	patience time.Duration

	good, bad distribution // latencies of successes and failures; the latter 2 ms if zero
	faults    []fault      // one after the other

	idles     bool
	remembers bool

	// ideal queues do no work for whom it would be too late: without a breaker,
	// what is served then is all that can be.
	ideal bool
}

func (w *world) length() (sum time.Duration) {
	for _, f := range w.faults {
		sum += f.length
	}
	return sum
}

// spans are those of the faults.
func (w *world) spans() (spans []span) {
	from := time.Duration(0)
	for _, f := range w.faults {
		spans = append(spans, span{from, from + f.length})
		from += f.length
	}
	return spans
}

func (w *world) load() load {
	l := load{
		rate: w.rate, clients: w.clients, regular: w.regular, wave: w.wave,
		workers: w.workers, think: max(w.think, time.Millisecond), batch: w.batch, hold: w.hold,
		retries: w.retries, delay: w.delay, timeout: w.timeout, patience: w.patience,
		idles: w.idles, remembers: w.remembers,
	}
	if l.timeout == 0 {
		l.timeout = timeout
	}
	for i, s := range w.spans() {
		switch w.faults[i].kind {
		case pausing:
			l.pauses = append(l.pauses, s)
		case cutting:
			l.cuts = append(l.cuts, s.from)
		default:
		}
	}
	return l
}

func (w *world) backend() backend {
	var ps []phase
	for i, s := range w.spans() {
		ps = append(ps, phase{s.to, w.faults[i].behaviour(w, s)})
	}
	ps[len(ps)-1].until = forever
	return backend{answer: phases(ps...)}
}

func (w *world) failure() distribution {
	if w.bad == (distribution{}) {
		return always(refusal)
	}
	return w.bad
}

// run runs the world under a policy. It must be called in a bubble.
func (w *world) run(p policy, seed uint64) *trace {
	return simulate(p, w.load(), w.backend(), w.length(), seed)
}
