package main

import (
	"math"
	"sync"
	"time"
)

// result is how a call ended for the caller.
type result int

const (
	served result = iota
	failed
	rejected
	results // how many there are
)

// counts are the calls of one client that began in one phase.
type counts struct {
	offered uint64
	ended   [results]uint64
	late    uint64 // of those that ended: as late as the timeout or later
	took    histogram
}

func (c counts) allowed() uint64  { return c.ended[served] + c.ended[failed] }
func (c counts) inFlight() uint64 { return c.offered - c.allowed() - c.ended[rejected] }

func (c counts) plus(d counts) counts {
	c.offered += d.offered
	for i := range c.ended {
		c.ended[i] += d.ended[i]
	}
	c.late += d.late
	for i := range c.took {
		c.took[i] += d.took[i]
	}
	return c
}

// tally counts the calls of one client.
type tally struct {
	mu     sync.Mutex // guards what follows
	counts [phases]counts
	healed recovery
}

func (t *tally) offer(p phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[p].offered++
}

// end counts a call that was offered in phase p, when the given part of the
// phase, in [0, 1), had passed.
func (t *tally) end(p phase, part float64, took time.Duration, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[p].ended[r]++
	t.counts[p].took.add(took)
	if took >= timeout {
		t.counts[p].late++
	}
	if p == healed {
		t.healed.add(part, r == served)
	}
}

func everyPhase(phase) bool { return true }

// in returns the counts of all phases that which selects.
func (t *tally) in(which func(phase) bool) (sum counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range phases {
		if which(p) {
			sum = sum.plus(t.counts[p])
		}
	}
	return sum
}

// of returns the counts of one phase.
func (t *tally) of(p phase) counts { return t.in(func(q phase) bool { return q == p }) }

// recovered returns after which part of the healed phase 99 % of the calls were
// served, or false if they never were.
func (t *tally) recovered() (part float64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.healed.at(99)
}

// recovery holds the calls of the healed phase by when they began.
type recovery [slices]struct{ offered, served uint64 }

const (
	slices  = 390 // of 50 ms each when the healed phase takes 19.4 s
	stretch = 20  // so many slices in a row are judged together
)

func (r *recovery) add(part float64, ok bool) {
	s := &r[max(0, min(int(part*slices), slices-1))]
	s.offered++
	if ok {
		s.served++
	}
}

// at returns where the first stretch begins in which so many percent of the
// calls were served.
func (r *recovery) at(percent uint64) (part float64, ok bool) {
	for i := range slices - stretch + 1 {
		var offered, served uint64
		for _, s := range r[i : i+stretch] {
			offered, served = offered+s.offered, served+s.served
		}
		if offered > 0 && served*100 >= offered*percent {
			return float64(i) / slices, true
		}
	}
	return 0, false
}

// histogram counts durations from 1 µs up in steps of 2 %.
type histogram [1024]uint64

const step = 0.02

func (h *histogram) add(d time.Duration) {
	i := math.Log(float64(max(d, time.Microsecond))/float64(time.Microsecond)) / step
	h[min(int(i), len(h)-1)]++
}

// quantile returns, to 1 %, the duration that the share q of all durations does
// not exceed, and 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	var total, seen uint64
	for _, n := range h {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(total)))
	i := 0
	for ; i < len(h)-1; i++ {
		if seen += h[i]; seen >= rank {
			break
		}
	}
	return time.Duration(math.Exp((float64(i)+0.5)*step) * float64(time.Microsecond))
}
