// Package scoreboard measures what breakers decide. A simulator of one process,
// or of a fleet of them, asks real breakers about calls to a backend that fails
// in some way; its time is that of a testing/synctest bubble. The tests of this
// package run a short version; make scoreboard writes docs/scoreboard.
package scoreboard

import (
	"math/rand/v2"
	"time"

	"github.com/kratos-breaker/breaker"
)

// load is how calls arrive.
type load struct {
	rate    float64 // calls per second, of all clients together
	clients int     // each with a breaker of its own; 0 means 1
	regular bool    // evenly spaced; otherwise a Poisson process
	// asks, if not nil, says when there are calls at all.
	asks func(at time.Duration) bool

	// With workers, rate is not used: each worker calls again when it has
	// thought after the end of its last call, or its rejection.
	workers int
	think   time.Duration
}

// count counts the calls of a stretch of time. Calls are offered, allowed and
// willing when they begin; they have failed or are served when they end.
type count struct {
	offered, allowed, failed, served float64
	// willing are the calls that the backend served, or would have served. It
	// is counted only if the backend does not depend on what it gets.
	willing float64
}

func (c *count) add(d count) {
	c.offered += d.offered
	c.allowed += d.allowed
	c.failed += d.failed
	c.served += d.served
	c.willing += d.willing
}

func (c count) rejected() float64 { return c.offered - c.allowed }

// call is a call that was allowed.
type call struct {
	at, took time.Duration
}

// bin is the resolution of a trace.
const bin = 100 * time.Millisecond

// trace is what happened in a run.
type trace struct {
	load  load
	bins  []count
	calls []call
	// breakers are those of the clients, after the run.
	breakers []breaker.Acquirer
}

func (tr *trace) at(at time.Duration) *count {
	return &tr.bins[min(int(at/bin), len(tr.bins)-1)]
}

// between sums up the bins from one time to another.
func (tr *trace) between(from, to time.Duration) (c count) {
	for _, b := range tr.bins[int(from/bin):int(to/bin)] {
		c.add(b)
	}
	return c
}

// seconds returns in how many seconds so many calls are offered.
func (tr *trace) seconds(calls float64) float64 { return calls / tr.load.rate }

// event is the arrival of a call (its permit is not used), or the end of one.
type event struct {
	at     time.Duration
	order  uint64 // of two events at one time, the one that was made first comes first
	client int
	worker int // 1 or more in a closed loop, else 0
	ends   bool
	ok     bool
	permit breaker.Permit
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.order < f.order
}

// agenda is a heap of events. Unlike container/heap it allocates nothing per
// event.
type agenda struct {
	events []event
	order  uint64
}

func (a *agenda) push(e event) {
	a.order++
	e.order = a.order
	a.events = append(a.events, e)
	es := a.events
	for i := len(es) - 1; i > 0; {
		up := (i - 1) / 2
		if !es[i].before(&es[up]) {
			break
		}
		es[i], es[up] = es[up], es[i]
		i = up
	}
}

func (a *agenda) pop() event {
	es := a.events
	first := es[0]
	last := len(es) - 1
	es[0] = es[last]
	es[last] = event{}
	es = es[:last]
	a.events = es
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if right := down + 1; right < last && es[right].before(&es[down]) {
			down = right
		}
		if !es[down].before(&es[i]) {
			break
		}
		es[i], es[down] = es[down], es[i]
		i = down
	}
	return first
}

// simulation is one run. Each arrival draws its fate from streams of its own,
// whatever the breaker says, so that all policies meet the same calls.
type simulation struct {
	trace
	agenda  agenda
	length  time.Duration
	backend backend
	gaps    *rand.Rand
	fates   *rand.Rand
}

// simulate runs a load against a backend for the given time, and on until the
// last call has ended. It must be called in a bubble.
func simulate(p policy, l load, b backend, length time.Duration, seed uint64) *trace {
	s := &simulation{
		length:  length,
		backend: b,
		gaps:    rand.New(rand.NewPCG(seed, 1)),
		fates:   rand.New(rand.NewPCG(seed, 2)),
	}
	s.load = l
	s.bins = make([]count, length/bin+1) // the last one is of calls that ended later
	births := rand.New(rand.NewPCG(seed, 3))
	for c := range max(l.clients, 1) {
		// Processes do not start at once, so their windows are not aligned;
		// and aegis seeds its chance with the clock.
		time.Sleep(1 + time.Duration(births.Int64N(int64(60*time.Millisecond))))
		s.breakers = append(s.breakers, p.make(rand.New(rand.NewPCG(seed, 4+uint64(c)))))
	}
	s.begin()
	start := time.Now()
	now := time.Duration(0)
	for len(s.agenda.events) > 0 {
		e := s.agenda.pop()
		if e.at > now {
			time.Sleep(e.at - now)
			now = e.at
		}
		switch {
		case e.ends:
			s.end(e)
		case e.at < s.length:
			s.arrive(e)
		}
	}
	if slept := time.Since(start); slept != now {
		panic("scoreboard: a breaker slept " + (slept - now).String())
	}
	return &s.trace
}

func (s *simulation) begin() {
	for w := range s.load.workers {
		s.agenda.push(event{at: time.Duration(w) * time.Millisecond, worker: w + 1})
	}
	if s.load.workers == 0 {
		s.agenda.push(event{at: s.gap()})
	}
}

func (s *simulation) gap() time.Duration {
	mean := float64(time.Second) / s.load.rate
	if s.load.regular {
		return time.Duration(mean)
	}
	return time.Duration(mean * s.gaps.ExpFloat64())
}

func (s *simulation) arrive(e event) {
	if e.worker == 0 {
		s.agenda.push(event{at: e.at + s.gap()})
		// Poisson processes of equal clients are one whose calls belong to
		// anyone.
		e.client = s.gaps.IntN(len(s.breakers))
	}
	f := fate{luck: s.fates.Float64(), delay: 0.5 + 0.5*s.fates.ExpFloat64()}
	if s.load.asks != nil && !s.load.asks(e.at) {
		return
	}
	c := s.at(e.at)
	c.offered++
	if s.backend.blind != nil && s.backend.blind(e.at, f).ok {
		c.willing++
	}
	permit, err := s.breakers[e.client].Acquire()
	if err != nil {
		s.again(e)
		return
	}
	c.allowed++
	a := s.backend.answer(e.at, f)
	s.calls = append(s.calls, call{e.at, a.took})
	s.agenda.push(event{at: e.at + a.took, client: e.client, worker: e.worker, ends: true, ok: a.ok, permit: permit})
}

func (s *simulation) end(e event) {
	c := s.at(e.at)
	if e.ok {
		c.served++
		e.permit.Done(breaker.Success)
	} else {
		c.failed++
		e.permit.Done(breaker.Failure)
	}
	s.again(e)
}

// again lets a worker of a closed loop make its next call.
func (s *simulation) again(e event) {
	if e.worker > 0 {
		s.agenda.push(event{at: e.at + s.load.think, client: e.client, worker: e.worker})
	}
}
