package circuit

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// never is a time that does not come.
const never = math.MaxInt64

// machine is the state of a breaker. It is plain data: the breaker locks it. A
// copy of it can be moved on to see what the state is by now.
//
// Times are in nanoseconds since the breaker was made.
type machine struct {
	state      breaker.State
	generation uint64 // of the state; a permit of another one moves nothing
	since      int64
	cause      string

	transitions breaker.Transitions

	// Closed.
	base ledger.Counts // what was counted before

	// Open.
	until    int64  // when it becomes half-open
	openings uint64 // since it was last closed

	// Half-open.
	running           []probe
	success, failure  int
	successes, faults uint64 // in a row
	ifLost            time.Duration

	// Open: what the state before had counted.
	ended breaker.Window

	// Probes in flight whose results are no longer wanted: of earlier half-open
	// states, or slow ones.
	strays []probe
}

// streak counts consecutive outcomes. A success leaves no trace in it: at a
// failure, the successes counted so far tell whether there was one since the
// last.
//
// Its word holds the number of failures, up to streakMask, and above it how many
// successes there were at the last one, modulo 2^40.
type streak struct{ word atomic.Uint64 }

const (
	streakBits = 24
	streakMask = 1<<streakBits - 1

	streakAhead = 1 << 32 // successes, of which fewer come while a failure is counted
)

// begin makes it that of a breaker with so many successes.
func (s *streak) begin(success uint64) { s.word.Store(success << streakBits) }

// fail takes in a failure that was counted, after which so many successes were
// found, and returns how many failures there are now in a row. Another failure may
// have found more of them meanwhile: then this one comes right after it.
func (s *streak) fail(success uint64) uint64 {
	for {
		was := s.word.Load()
		next := success<<streakBits | 1
		if more := was>>streakBits - success; more<<streakBits < streakAhead<<streakBits {
			next = was&^streakMask | min(was&streakMask+1, streakMask)
		}
		if s.word.CompareAndSwap(was, next) {
			return next & streakMask
		}
	}
}

// at returns how many successes or failures there are in a row, when there were
// success successes.
func (s *streak) at(success uint64) (successes, failures uint64) {
	word := s.word.Load()
	if since := success - word>>streakBits; since<<streakBits != 0 {
		return since << streakBits >> streakBits, 0
	}
	return 0, word & streakMask
}

// probe is a call of a half-open breaker that is in flight.
type probe struct {
	ticket    breaker.Ticket
	began     int64
	leaseEnds int64
	anonymous bool  // asked for with Allow
	slowAt    int64 // when it is slow, and has failed; never if it is not timed
	paused    bool  // its caller does not wait for the backend
}

// probing is how probes are judged.
type probing struct {
	successes, of int // so many of so many close the breaker
	failures      int // so many reopen it
	limit         int // of probes that run at once
	all           bool
	lease         time.Duration
}

// admits reports whether another probe may run: no more than the limit do, and
// none whose result could not be needed.
func (p probing) admits(m *machine) bool {
	return len(m.running) < p.limit && len(m.running)+m.success+m.failure < p.of
}

// verdict returns the state that the results of the probes lead to: HalfOpen
// if there is none yet.
func (p probing) verdict(m *machine) breaker.State {
	switch {
	case p.all && m.success+m.failure < p.of:
		return breaker.HalfOpen
	case m.failure >= p.failures:
		return breaker.Open
	case m.success >= p.successes:
		return breaker.Closed
	}
	return breaker.HalfOpen
}

// result takes in the result of a probe.
func (m *machine) result(success bool) {
	if success {
		m.success++
		m.successes, m.faults = m.successes+1, 0
	} else {
		m.failure++
		m.successes, m.faults = 0, m.faults+1
	}
}

// takeFailed takes out the probe that was the first to fail by now without a word. It
// is lost if its lease has ended; one that is slow is in flight, and its result is no
// longer wanted.
func (m *machine) takeFailed(now int64) (failed probe, at int64, ok bool) {
	if m.state != breaker.HalfOpen {
		return failed, 0, false
	}
	first := -1
	for i, r := range m.running {
		if t := min(r.slowAt, r.leaseEnds); t <= now && (first < 0 || t < at) {
			first, at = i, t
		}
	}
	if first < 0 {
		return failed, 0, false
	}
	failed = m.running[first]
	m.running = slices.Delete(m.running, first, first+1)
	if at < failed.leaseEnds {
		m.strays = append(m.strays, failed)
	}
	return failed, at, true
}

// takeStray takes out a probe whose result is no longer wanted, and whose lease has
// ended.
func (m *machine) takeStray(now int64) (p probe, ok bool) {
	return find(&m.strays, func(p probe) bool { return p.leaseEnds <= now })
}

// derive moves a copy on to the state of now, as calls would find it, and
// returns how many probes that calls have not met yet are lost by then. The
// successes so far are needed if the state becomes closed.
func (m *machine) derive(now int64, p probing, counts ledger.Counts) (lost uint64) {
	count := func(p probe) {
		if !p.anonymous {
			lost++
		}
	}
	for l, at, ok := m.takeFailed(now); ok; l, at, ok = m.takeFailed(now) {
		if at == l.leaseEnds {
			count(l)
		}
		m.result(false)
		to := p.verdict(m)
		if to == breaker.HalfOpen {
			continue
		}
		m.ended = m.window()
		m.transitions[m.state][to]++
		m.state, m.since, m.cause = to, at, causeProbes
		m.strays, m.running = append(m.strays, m.running...), nil
		if to == breaker.Closed {
			m.openings, m.base = 0, counts
			continue
		}
		m.until = at + int64(m.ifLost)
		m.openings++
	}
	for l, ok := m.takeStray(now); ok; l, ok = m.takeStray(now) {
		count(l)
	}
	if m.state == breaker.Open && now >= m.until {
		m.transitions[breaker.Open][breaker.HalfOpen]++
		m.state, m.since, m.cause = breaker.HalfOpen, m.until, causeDelay
		m.success, m.failure, m.successes, m.faults, m.running = 0, 0, 0, 0, nil
	}
	return lost
}

// window returns what a half-open state has counted.
func (m *machine) window() breaker.Window {
	return breaker.Window{Success: uint64(m.success), Failure: uint64(m.failure)}
}

// delayOf returns the delay of an opening by its number, from 1.
func (o *options) delayOf(opening uint64) time.Duration {
	d := float64(o.delay) * math.Pow(o.factor, float64(opening-1))
	d = min(d, float64(o.maxDelay))
	if o.jitter > 0 {
		d -= d * o.jitter * rand.Float64()
	}
	return time.Duration(d)
}
