// Package scoreboard measures what breakers decide. A simulator of one process,
// or of a fleet of them, asks real breakers about calls to a backend that fails
// in some way; its time is that of a testing/synctest bubble. The tests of this
// package run a short version; make scoreboard writes docs/scoreboard.
//
// They also print what policies do in the field, and in worlds that are drawn by
// chance, of which the worst can be made smaller and looked at alone:
//
//	go test -count 1 ./internal/scoreboard -run TestField -v -policy sre,aegis -only L1,L8 -seeds 5
//	go test -count 1 ./internal/scoreboard -run TestFuzz -v -policy sre -seeds 100 -first 1000 -shrink 3
//	go test -count 1 ./internal/scoreboard -run TestFuzz -v -policy sre -seeds 1 -first 1040 -timeline
//
// What -held-out measures is for the last look only.
package scoreboard

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kratos-breaker/breaker"
)

// simulation is one run. Each arrival draws its fate from streams of its own,
// whatever the breaker says, so that all policies meet the same calls.
type simulation struct {
	trace
	agenda  agenda
	now     time.Duration
	length  time.Duration
	backend backend
	gaps    *rand.Rand
	fates   *rand.Rand
	ids     *rand.PCG
	// The batch that the workers are at, and the calls that are left of it.
	batch, left int
}

// simulate runs a load against a backend for the given time, and on until the
// last call has ended. It must be called in a bubble.
func simulate(p policy, l load, b backend, length time.Duration, seed uint64) *trace {
	s := &simulation{
		length:  length,
		backend: b,
		gaps:    rand.New(rand.NewPCG(seed, 1)),
		fates:   rand.New(rand.NewPCG(seed, 2)),
		ids:     rand.NewPCG(seed, 1<<40),
		left:    l.batch.calls,
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
	for len(s.agenda.events) > 0 {
		e := s.agenda.pop()
		if at := s.load.awake(e.at); at > s.now {
			time.Sleep(at - s.now)
			s.now = at
		}
		switch {
		case e.ends:
			s.end(e)
		case s.now < s.length:
			s.arrive(e)
		}
	}
	if slept := time.Since(start); slept != s.now {
		panic("scoreboard: a breaker slept " + (slept - s.now).String())
	}
	return &s.trace
}

func (s *simulation) begin() {
	for w := range s.load.workers {
		s.agenda.push(event{at: time.Duration(w) * time.Millisecond, worker: w + 1, client: w % len(s.breakers)})
	}
	if s.load.rate > 0 {
		s.agenda.push(event{at: s.gap()})
	}
}

func (s *simulation) gap() time.Duration {
	mean := float64(time.Second) / (s.load.rate * s.load.wave.peak())
	if s.load.regular {
		return time.Duration(mean)
	}
	return time.Duration(mean * s.gaps.ExpFloat64())
}

func (s *simulation) arrive(e event) {
	f := e.fate
	if e.attempt == 0 {
		if e.worker == 0 {
			s.agenda.push(event{at: e.at + s.gap()})
			// Poisson processes of equal clients are one whose calls belong to
			// anyone.
			e.client = s.gaps.IntN(len(s.breakers))
		}
		f = fate{luck: s.fates.Float64(), delay: 0.5 + 0.5*s.fates.ExpFloat64(), id: s.ids.Uint64()}
		if e.worker == 0 && !s.load.wanted(e.at, f) {
			return
		}
		if e.worker > 0 && s.waits(e) {
			return
		}
	}
	c := s.at(s.now)
	c.offered++
	if s.backend.blind != nil && s.backend.blind(s.now, f).outcome == breaker.Success {
		c.willing++
	}
	e.fate = f
	permit, err := s.breakers[e.client].Acquire()
	if err != nil {
		if s.load.remembers {
			s.remember(err)
		}
		s.retry(e)
		return
	}
	c.allowed++
	a := s.backend.answer(s.now, f)
	if e.worker > 0 && a.outcome == breaker.Success {
		a.took += s.load.hold.draw(f, askPoll)
	}
	a = s.load.end(s.now, a)
	if a.outcome == breaker.Success {
		c.useful++
	}
	s.calls = append(s.calls, call{s.now, a.took})
	e.at, e.ends, e.outcome, e.permit = s.now+a.took, true, a.outcome, permit
	s.agenda.push(e)
}

// waits takes a call from the batch, or lets the worker wait for the next one.
func (s *simulation) waits(e event) bool {
	b := s.load.batch
	if b.calls == 0 {
		return false
	}
	if n := int(s.now / b.every); n > s.batch {
		s.batch, s.left = n, b.calls
	}
	if s.left == 0 {
		e.at = time.Duration(s.batch+1) * b.every
		s.agenda.push(e)
		return true
	}
	s.left--
	return false
}

func (s *simulation) remember(err error) {
	r := rejection{at: s.now}
	var rejected *breaker.RejectedError
	if errors.As(err, &rejected) {
		r.after = rejected.RetryAfter()
	}
	s.rejections = append(s.rejections, r)
}

func (s *simulation) end(e event) {
	c := s.at(s.now)
	e.permit.Done(e.outcome)
	switch e.outcome {
	case breaker.Success:
		c.served++
	case breaker.Failure:
		c.failed++
		s.retry(e)
		return
	default:
		c.ignored++
	}
	s.again(e)
}

// retry lets a caller try again whose call failed or was rejected.
func (s *simulation) retry(e event) {
	if e.attempt >= s.load.retries {
		s.again(e)
		return
	}
	s.agenda.push(event{
		at: s.now + s.load.delay.draw(e.fate, askDelay), client: e.client, worker: e.worker,
		attempt: e.attempt + 1, fate: e.fate.again(),
	})
}

// again lets a worker of a closed loop make its next call.
func (s *simulation) again(e event) {
	if e.worker > 0 {
		s.agenda.push(event{at: s.now + s.load.think, client: e.client, worker: e.worker})
	}
}
