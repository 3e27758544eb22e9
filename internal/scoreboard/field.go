package scoreboard

import (
	"fmt"
	"strings"
	"time"
)

// The field are the troubles of reference L1 to L18 that are none of the
// scenarios: failures that are quicker than successes, pauses of our own
// process, backends that take no bursts, and so on. Each column is a world.

const ms = time.Millisecond

const nameRejectedTraffic = "seconds of traffic rejected"

// fieldScenario is a scenario whose columns are worlds. Many of them go well or
// badly by chance, so a value is the worst of all seeds.
func fieldScenario(name, title string, columns []column, measures ...measure) scenario {
	s := scenario{name: name, title: title, columns: columns, measures: measures}
	for i := range s.columns {
		s.columns[i].seeds = 3
		s.columns[i].first = 3000
		s.columns[i].rate = s.columns[i].world.rate
	}
	for i := range s.measures {
		s.measures[i].worst = true
	}
	return s
}

// drawn gives the scenario a plot of one of its columns.
func (s scenario) drawn(label string) scenario {
	for i, c := range s.columns {
		if c.label != label {
			continue
		}
		s.shown, s.length = i, c.world.length()
		s.plot = strings.ToLower(strings.TrimRight(s.name, "ab"))
		for k, span := range c.world.spans() {
			if f := c.world.faults[k]; f.kind != well && f.kind != cutting {
				s.bad = append(s.bad, span)
			}
		}
		return s
	}
	panic("scoreboard: " + s.name + " has no column " + label)
}

// in10s begins after 10 s of health.
func in10s(faults ...fault) []fault {
	return append([]fault{{kind: well, length: 10 * second}}, faults...)
}

// perSec labels a column with its rate.
func perSec(rate float64, rest string) string { return fmt.Sprintf("%g/s%s", rate, rest) }

// besideNone is the goodput as a share of that of no breaker, of calls that
// began from one time to another.
func besideNone(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		return tr.between(from, to).useful / tr.none.between(from, to).useful
	}
}

// ofColumnsCapacity is the goodput as a share of what the backend of the column
// can serve.
func ofColumnsCapacity(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		return tr.between(from, to).useful / (tr.column.capacity * (to - from).Seconds())
	}
}

// allowedOfCapacity is the same of the allowed calls.
func allowedOfCapacity(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		return tr.between(from, to).allowed / (tr.column.capacity * (to - from).Seconds())
	}
}

// sent is the share of the calls of a world that go to a backend that is dead,
// of those that go there without a breaker.
func sent(spans ...span) func(*trace) float64 {
	return func(tr *trace) float64 {
		var with, without float64
		for _, s := range spans {
			with += tr.between(s.from, s.to).allowed
			without += tr.none.between(s.from, s.to).allowed
		}
		return with / without
	}
}

// columnsSent is sent, in the spans in which the backend of the column is down.
func columnsSent(tr *trace) float64 { return sent(tr.column.down...)(tr) }

// columnsUpTime is the share of what no breaker gets served in the spans in
// which the backend of the column is up.
func columnsUpTime(tr *trace) float64 {
	var with, without float64
	for _, s := range tr.column.up {
		with += tr.between(s.from, s.to).useful
		without += tr.none.between(s.from, s.to).useful
	}
	return with / without
}

// peak is the highest load in half a second.
func peak(capacity float64, from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) (most float64) {
		const width = 5 * bin
		for at := from; at+width <= to; at += width {
			most = max(most, tr.between(at, at+width).allowed)
		}
		return most / width.Seconds() / capacity
	}
}

// honest is the share of the rejections that say when the next call is
// allowed: within 50 ms, or the time of three calls if that is more.
func honest(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		slack := max(50*ms, time.Duration(3/tr.load.rate*float64(second)))
		var right, all float64
		next := 0
		for _, r := range tr.rejections {
			if r.at < from || r.at >= to {
				continue
			}
			for next < len(tr.calls) && tr.calls[next].at < r.at {
				next++
			}
			if next == len(tr.calls) {
				break
			}
			all++
			wait := tr.calls[next].at - r.at
			if r.after > 0 && r.after <= wait+ms && wait-r.after <= slack {
				right++
			}
		}
		return right / all
	}
}

// rejectedCalls counts them.
func rejectedCalls(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 { return tr.between(from, to).rejected() }
}

func goodputBesideNone(r *reach, from, to time.Duration) measure {
	return measure{name: nameGoodput, format: "%.2f", reach: r, of: besideNone(from, to)}
}
