package scoreboard

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// measure is a number that a scenario is about.
type measure struct {
	name   string
	format string // of package fmt
	// reach is what a breaker should reach; nil if nothing is said.
	reach *reach
	// pooled measures take the smallest value of all seeds, others the median.
	pooled bool
	// worst measures take the one that is farthest from the reach, if they have one.
	worst bool
	of    func(tr *trace) float64
}

// reach is the range that a measure should be in.
type reach struct {
	from, to float64
	// slow replaces to below 50 calls/s: NaN if nothing is said there.
	slow float64
	text string
}

func atMost(x float64) *reach {
	return &reach{math.Inf(-1), x, x, fmt.Sprintf("≤ %v", x)}
}

func atLeast(x float64) *reach {
	return &reach{x, math.Inf(1), math.Inf(1), fmt.Sprintf("≥ %v", x)}
}

func within(from, to float64) *reach {
	return &reach{from, to, to, fmt.Sprintf("%v to %v", from, to)}
}

// slowly sets what holds below 50 calls/s.
func (r *reach) slowly(to float64, text string) *reach {
	r.slow, r.text = to, r.text+text
	return r
}

// met reports whether a value is within reach, and whether anything is said
// about it.
func (r *reach) met(value, rate float64) (met, said bool) {
	if r == nil {
		return false, false
	}
	to := r.to
	if rate < 50 {
		to = r.slow
	}
	if math.IsNaN(to) {
		return false, false
	}
	return r.from <= value && value <= to, true
}

// combine makes one value of those of several seeds.
func (m measure) combine(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	if len(values) == 0 {
		return math.NaN()
	}
	switch {
	case m.pooled, m.worst && m.reach != nil && math.IsInf(m.reach.to, 1):
		return values[0]
	case m.worst && m.reach != nil:
		return values[len(values)-1]
	}
	return values[len(values)/2]
}

func (m measure) text(value float64) string {
	switch {
	case math.IsInf(value, 0):
		return "never"
	case math.IsNaN(value):
		return "–"
	}
	return fmt.Sprintf(m.format, value)
}

// rejectedShare is the share of the calls from one time to another that are
// rejected, in percent.
func rejectedShare(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		c := tr.between(from, to)
		return 100 * c.rejected() / c.offered
	}
}

// timeToReject returns the time from the given one to the middle of the first
// bin of which half of the calls are rejected. Bins are of 100 ms, and of 500
// ms below 50 calls/s.
func timeToReject(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		width := bin
		if tr.load.rate < 50 {
			width = 5 * bin
		}
		for at := from; at+width <= to; at += width {
			if c := tr.between(at, at+width); c.offered > 0 && c.rejected() >= c.offered/2 {
				return (at + width/2 - from).Seconds()
			}
		}
		return math.Inf(1)
	}
}

// leak returns in how many seconds so many calls are offered as are allowed
// from one time to another.
func leak(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 { return tr.seconds(tr.between(from, to).allowed) }
}

// lost is leak of the rejected calls.
func lost(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 { return tr.seconds(tr.between(from, to).rejected()) }
}

// probes returns how many calls per second are allowed.
func probes(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 { return tr.between(from, to).allowed / (to - from).Seconds() }
}

// smallestGap returns the shortest time between two allowed calls, in ms.
func smallestGap(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		gap, last := math.Inf(1), time.Duration(-1)
		for _, c := range tr.calls {
			if c.at < from || c.at >= to {
				continue
			}
			if last >= 0 {
				gap = min(gap, float64(c.at-last)/float64(time.Millisecond))
			}
			last = c.at
		}
		return gap
	}
}

// recovery returns the time from which on fewer than 1 % of the calls are
// rejected, in bins of 500 ms.
func recovery(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		const width = 5 * bin
		for at := to; at > from; at -= width {
			if c := tr.between(at-width, at); c.offered > 0 && c.rejected() >= c.offered/100 {
				if at == to {
					return math.Inf(1)
				}
				return (at - from).Seconds()
			}
		}
		return 0
	}
}

// goodput returns the served calls as a share of those that the backend would
// have served without a breaker.
func goodput(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		c := tr.between(from, to)
		return c.served / c.willing
	}
}

// ofCapacity returns what is taken of the counts as a share of what the backend
// can serve in the spans: a share of the offered load.
func ofCapacity(share float64, what func(count) float64, spans ...span) func(*trace) float64 {
	return func(tr *trace) float64 {
		var sum, seconds float64
		for _, s := range spans {
			sum += what(tr.between(s.from, s.to))
			seconds += (s.to - s.from).Seconds()
		}
		return sum / (share * tr.load.rate * seconds)
	}
}

func allowed(c count) float64 { return c.allowed }
func served(c count) float64  { return c.served }

// allowedShare returns the share of the offered calls that are allowed in the
// spans.
func allowedShare(spans ...span) func(*trace) float64 {
	return func(tr *trace) float64 {
		var c count
		for _, s := range spans {
			c.add(tr.between(s.from, s.to))
		}
		return c.allowed / c.offered
	}
}

// span is a stretch of a run.
type span struct{ from, to time.Duration }

// every returns n spans of the given length, one per period.
func every(n int, first, length, period time.Duration) (spans []span) {
	for i := range n {
		from := first + time.Duration(i)*period
		spans = append(spans, span{from, from + length})
	}
	return spans
}

// nothing is a bound that is none.
var nothing = math.NaN()
