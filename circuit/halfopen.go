package circuit

import (
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
)

// halfOpen is the half-open state: its probes, and how they ended. It is plain
// data, and stays as it is while the breaker is in another state.
type halfOpen struct {
	running           []probe
	success, failure  int
	successes, faults uint64        // in a row
	ifLost            time.Duration // how long the breaker opens if a lost probe reopens it

	// Probes in flight whose results are no longer wanted: of earlier half-open
	// states, or slow ones.
	strays []probe
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

// never is a time that does not come.
const never = rule.Never

// begin begins the state anew. Whatever is in flight is a stray from then on.
func (h *halfOpen) begin(ifLost time.Duration) {
	*h = halfOpen{strays: append(h.strays, h.running...), ifLost: ifLost}
}

// clone returns a copy that can be moved on.
func (h halfOpen) clone() halfOpen {
	h.running, h.strays = slices.Clone(h.running), slices.Clone(h.strays)
	return h
}

func (h *halfOpen) admits(p rule.Probes) bool {
	return p.Admits(len(h.running), h.success, h.failure)
}

func (h *halfOpen) verdict(p rule.Probes) breaker.State { return p.Verdict(h.success, h.failure) }

// run lets a probe through.
func (h *halfOpen) run(p probe, now int64, o *options) {
	p.began = now
	p.retime(now, o)
	h.running = append(h.running, p)
}

// retime gives all probes in flight the times of new options.
func (h *halfOpen) retime(now int64, o *options) {
	for i := range h.running {
		h.running[i].retime(now, o)
	}
	for i := range h.strays {
		h.strays[i].leaseEnds = max(now, h.strays[i].began+int64(o.lease))
	}
}

func (p *probe) retime(now int64, o *options) {
	p.leaseEnds, p.slowAt = max(now, p.began+int64(o.lease)), never
	if o.threshold > 0 && !p.anonymous && !p.paused {
		p.slowAt = max(now, p.began+int64(o.threshold))
	}
}

// record takes in the result of a probe.
func (h *halfOpen) record(success bool) {
	if success {
		h.success++
		h.successes, h.faults = h.successes+1, 0
	} else {
		h.failure++
		h.successes, h.faults = 0, h.faults+1
	}
}

// end takes out the probe of a ticket, and reports whether its result is wanted.
func (h *halfOpen) end(t breaker.Ticket) bool {
	is := func(p probe) bool { return !p.anonymous && p.ticket == t }
	if _, wanted := remove(&h.running, is); wanted {
		return true
	}
	remove(&h.strays, is)
	return false
}

// endAnonymous takes out the oldest probe that was asked for with Allow.
func (h *halfOpen) endAnonymous() bool {
	_, ok := remove(&h.running, func(p probe) bool { return p.anonymous })
	return ok
}

// pause stops the clock of a probe in flight, and reports whether it is one.
func (h *halfOpen) pause(t breaker.Ticket) bool {
	p := h.find(t)
	if p != nil {
		p.paused, p.slowAt = true, never
	}
	return p != nil
}

// resume starts it anew.
func (h *halfOpen) resume(t breaker.Ticket, now int64, threshold time.Duration) {
	if p := h.find(t); p != nil && p.paused {
		p.paused, p.slowAt = false, now+int64(threshold)
	}
}

func (h *halfOpen) find(t breaker.Ticket) *probe {
	for i := range h.running {
		if h.running[i].ticket == t {
			return &h.running[i]
		}
	}
	return nil
}

// takeFailed takes out the probe that was the first to fail by now without a word,
// and reports whether it is lost, since its lease has ended. One that is slow is in
// flight, and its result is no longer wanted.
func (h *halfOpen) takeFailed(now int64) (failed probe, at int64, lost, ok bool) {
	first := -1
	for i, r := range h.running {
		if t := min(r.slowAt, r.leaseEnds); t <= now && (first < 0 || t < at) {
			first, at = i, t
		}
	}
	if first < 0 {
		return failed, 0, false, false
	}
	failed = h.running[first]
	h.running = slices.Delete(h.running, first, first+1)
	lost = at == failed.leaseEnds
	if !lost {
		h.strays = append(h.strays, failed)
	}
	return failed, at, lost, true
}

// takeStray takes out a probe whose result is no longer wanted, and whose lease has
// ended.
func (h *halfOpen) takeStray(now int64) (p probe, ok bool) {
	return remove(&h.strays, func(p probe) bool { return p.leaseEnds <= now })
}

// window returns what the state has counted.
func (h *halfOpen) window() breaker.Window {
	return breaker.Window{Success: uint64(h.success), Failure: uint64(h.failure)}
}

// remove takes a probe out of some.
func remove(some *[]probe, wanted func(probe) bool) (p probe, ok bool) {
	i := slices.IndexFunc(*some, wanted)
	if i < 0 {
		return p, false
	}
	p = (*some)[i]
	*some = slices.Delete(*some, i, i+1)
	return p, true
}
