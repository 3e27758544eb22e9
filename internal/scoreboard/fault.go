package scoreboard

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

// faultKind is what happens to a backend, to the way to it, or to the caller.
type faultKind uint8

const (
	well         faultKind = iota // serves all
	refusing                      // fails all, after the time that failures take
	hanging                       // answers nothing: calls time out
	failing                       // fails a share at random
	losing                        // dead of nodes refuse, by round robin
	losingSlowly                  // dead of nodes hang
	limiting                      // a token bucket
	queueing                      // servers that work at a capacity, first come first served; the work is done even if its caller is gone
	flapping                      // up and down in turns, as refusing
	warming                       // capacity and latency start at share of what they become
	slowing                       // latencies are a multiple
	pausing                       // our own process does nothing
	cutting                       // all calls in flight fail at its beginning
)

// fault is what happens for a time.
type fault struct {
	kind        faultKind
	length      time.Duration
	share       float64 // failing, warming: see there
	nodes, dead int     // losing
	capacity    float64 // calls/s of limiting, queueing, and of warming at its end
	burst       float64 // of limiting: at least 1
	servers     int     // of queueing: at least 1
	up, down    time.Duration
	factor      float64 // of slowing
}

// behaviour is that of the backend in a span.
func (f fault) behaviour(w *world, s span) behaviour {
	serve := func(_ time.Duration, c fate) answer { return answer{breaker.Success, w.good.draw(c, askSuccess)} }
	bad := w.failure()
	refuse := func(_ time.Duration, c fate) answer { return answer{breaker.Failure, bad.draw(c, askFailure)} }
	switch f.kind {
	case refusing:
		return refuse
	case hanging:
		return hang
	case failing:
		return func(at time.Duration, c fate) answer {
			if c.luck < f.share {
				return refuse(at, c)
			}
			return serve(at, c)
		}
	case losing:
		return roundRobin(f.nodes, f.dead, refuse, serve)
	case losingSlowly:
		return roundRobin(f.nodes, f.dead, hang, serve)
	case limiting:
		return bucket(func(time.Duration) float64 { return f.capacity }, f.burst, refuse, serve)
	case queueing:
		due := longest
		if w.ideal {
			due = w.load().timeout
		}
		return queue(f.capacity, f.servers, due, serve)
	case flapping:
		return func(at time.Duration, c fate) answer {
			if (at-s.from)%(f.up+f.down) < f.up {
				return serve(at, c)
			}
			return refuse(at, c)
		}
	case warming:
		warm := func(at time.Duration) float64 {
			return f.share + (1-f.share)*(at-s.from).Seconds()/f.length.Seconds()
		}
		return bucket(func(at time.Duration) float64 { return f.capacity * warm(at) }, f.burst, refuse, func(at time.Duration, c fate) answer {
			a := serve(at, c)
			a.took = time.Duration(float64(a.took) / warm(at))
			return a
		})
	case slowing:
		return func(at time.Duration, c fate) answer {
			a := serve(at, c)
			a.took = time.Duration(f.factor * float64(a.took))
			return a
		}
	case well, pausing, cutting:
	}
	return serve
}

// hang answers nothing.
func hang(time.Duration, fate) answer { return answer{breaker.Failure, longest} }

// roundRobin sends calls to nodes in turn, of which some are dead.
func roundRobin(nodes, dead int, fails, serves behaviour) behaviour {
	next := 0
	return func(at time.Duration, c fate) answer {
		node := next
		next = (next + 1) % nodes
		// The dead ones stand evenly among the others.
		if node*dead/nodes != (node+1)*dead/nodes {
			return fails(at, c)
		}
		return serves(at, c)
	}
}

// bucket serves what it has a token for, and refuses the rest.
func bucket(capacity func(at time.Duration) float64, burst float64, refuse, serve behaviour) behaviour {
	burst = max(burst, 1)
	tokens, last := burst, time.Duration(-1)
	return func(at time.Duration, c fate) answer {
		if last >= 0 {
			tokens = min(burst, tokens+(at-last).Seconds()*capacity(at))
		}
		last = at
		if tokens < 1 {
			return refuse(at, c)
		}
		tokens--
		return serve(at, c)
	}
}

// queue works off all calls with some servers, each of which takes
// servers ÷ capacity for a call; but not those that would be over due.
func queue(capacity float64, servers int, due time.Duration, serve behaviour) behaviour {
	free := make([]time.Duration, max(servers, 1))
	work := time.Duration(float64(time.Second) * float64(len(free)) / capacity)
	return func(at time.Duration, c fate) answer {
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		done := max(free[first], at) + work
		a := serve(at, c)
		a.took += done - at
		if a.took > due {
			return answer{breaker.Failure, refusal}
		}
		free[first] = done
		return a
	}
}

// isDead reports whether nothing succeeds while it lasts.
func (f fault) isDead() bool { return f.kind == refusing || f.kind == hanging }
