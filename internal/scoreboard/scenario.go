package scoreboard

import "time"

// scenario is a load, a backend and what is measured.
type scenario struct {
	name   string
	title  string
	length time.Duration
	// columns are what it is run with, if not with what the others are.
	columns []column
	asks    func(at time.Duration) bool
	// backend returns a new backend for an offered load of rate calls/s.
	backend  func(rate float64, latency time.Duration) backend
	measures []measure

	// plot is the name of the plot, if it has one, bad the spans to shade there.
	plot string
	bad  []span
	// shown is which of the columns of its own the plot shows.
	shown int
}

const second = time.Second

// Names of measures that several scenarios have.
const (
	nameHalf     = "time to reject half, s"
	nameLeak     = "failures let through in the first 10 s, in seconds of traffic"
	nameProbes   = "probes per second while down"
	nameGap      = "smallest gap between two probes, ms"
	nameRecovery = "time until < 1 % rejected, s"
	nameLost     = "seconds of traffic lost after healing"
	nameRejected = "rejected, %"
	nameGoodput  = "goodput ÷ goodput of no breaker"
	nameAllowed  = "allowed ÷ capacity"
	nameServed   = "goodput ÷ capacity"
)

// scenarios are those that the defaults were made for.
var scenarios = []scenario{
	randomErrors("S1a", 0.01, ""),
	randomErrors("S1b", 0.05, ""),
	randomErrors("S1c", 0.20, "s1"),
	outage("S2", "a total outage of 60 s after 30 s, failing in 2 ms", refusal, "s2"),
	outage("S2b", "a total outage of 60 s after 30 s, failing by timeouts of 2 s", timeout, "s2b"),
	deadNode("S3a", 0.45, atLeast(0.9), ""),
	deadNode("S3b", 0.50, atLeast(0.9), "s3"),
	deadNode("S3c", 0.60, atLeast(0.9), ""),
	deadNode("S3d", 0.70, atLeast(0.7), ""),
	overload("S4a", 0.5, "s4-half"),
	overload("S4b", 0.1, "s4-tenth"),
	blip, flaps, cold, fleet,
}

func randomErrors(name string, share float64, plot string) scenario {
	return scenario{
		name:   name,
		title:  percent(share) + " of the calls fail, at random, for 60 s",
		length: 60 * second,
		backend: func(_ float64, latency time.Duration) backend {
			return blind(partly(share, latency))
		},
		measures: []measure{{name: nameRejected, format: "%.3f", reach: atMost(0.01), of: rejectedShare(0, 60*second)}},
		plot:     plot,
	}
}

// outage is S2 or S2b.
func outage(name, title string, failure time.Duration, plot string) scenario {
	const from, to, end = 30 * second, 90 * second, 130 * second
	s := scenario{
		name:   name,
		title:  title,
		length: end,
		backend: func(_ float64, latency time.Duration) backend {
			return blind(phases(phase{from, up(latency)}, phase{to, down(failure)}, phase{forever, up(latency)}))
		},
		measures: outageMeasures(from, to, end),
		plot:     plot,
		bad:      []span{{from, to}},
	}
	if failure > refusal {
		// What is not known yet cannot be acted upon: only the recovery is asked for.
		for i := range s.measures {
			if s.measures[i].name != nameRecovery {
				s.measures[i].reach = nil
			}
		}
	}
	return s
}

func outageMeasures(from, to, end time.Duration) []measure {
	return []measure{
		{name: nameHalf, format: "%.2f", reach: atMost(0.5).slowly(2, ", ≤ 2 at 10/s"), of: timeToReject(from, to)},
		{name: nameLeak, format: "%.2f", reach: atMost(0.3).slowly(nothing, " from 100/s on"), of: leak(from, from+10*second)},
		{name: nameProbes, format: "%.2f", reach: within(0.5, 2), of: probes(from+20*second, to)},
		{name: nameGap, format: "%.0f", reach: atLeast(100), pooled: true, of: smallestGap(from+20*second, to)},
		{name: nameRecovery, format: "%.1f", reach: atMost(1.5), of: recovery(to, end)},
		{name: nameLost, format: "%.2f", reach: atMost(0.8), of: lost(to, end)},
	}
}

func deadNode(name string, share float64, r *reach, plot string) scenario {
	const from, end = 10 * second, 70 * second
	return scenario{
		name:   name,
		title:  "after 10 s, " + percent(share) + " of the calls fail whatever the load, for 60 s",
		length: end,
		backend: func(_ float64, latency time.Duration) backend {
			return blind(phases(phase{from, up(latency)}, phase{forever, partly(share, latency)}))
		},
		measures: []measure{
			{name: nameGoodput, format: "%.2f", reach: r, of: goodput(from, end)},
			{name: "the same in the last 20 s", format: "%.3f", of: goodput(end-20*second, end)},
		},
		plot: plot,
		bad:  []span{{from, end}},
	}
}

func overload(name string, share float64, plot string) scenario {
	const from, end = 10 * second, 70 * second
	s := span{from, end}
	return scenario{
		name:   name,
		title:  "after 10 s, the backend serves " + percent(share) + " of the offered load and refuses the rest in 2 ms, for 60 s",
		length: end,
		backend: func(rate float64, latency time.Duration) backend {
			return backend{answer: phases(phase{from, up(latency)}, phase{forever, limited(share*rate, latency)})}
		},
		measures: []measure{
			{name: nameAllowed, format: "%.2f", reach: atMost(1.5), of: ofCapacity(share, allowed, s)},
			{name: nameServed, format: "%.2f", reach: atLeast(0.97), of: ofCapacity(share, served, s)},
		},
		plot: plot,
		bad:  []span{s},
	}
}

var blip = scenario{
	name:   "S5",
	title:  "a total outage of 2 s after 30 s, failing in 2 ms",
	length: 60 * second,
	backend: func(_ float64, latency time.Duration) backend {
		return blind(phases(phase{30 * second, up(latency)}, phase{32 * second, down(refusal)}, phase{forever, up(latency)}))
	},
	measures: []measure{
		{name: "seconds of traffic lost after the blip", format: "%.2f", reach: atMost(0.9), of: lost(32*second, 60*second)},
	},
	plot: "s5",
	bad:  []span{{30 * second, 32 * second}},
}

var flaps = scenario{
	name:   "S6",
	title:  "5 s up and 5 s down in turns, for 100 s",
	length: 100 * second,
	backend: func(_ float64, latency time.Duration) backend {
		up, down := up(latency), down(refusal)
		return blind(func(at time.Duration, f fate) answer {
			if at%(10*second) < 5*second {
				return up(at, f)
			}
			return down(at, f)
		})
	},
	measures: []measure{
		{name: "share of the up time served", format: "%.2f", reach: atLeast(0.8), of: allowedShare(every(10, 0, 5*second, 10*second)...)},
	},
	plot: "s6",
	bad:  every(10, 5*second, 5*second, 10*second),
}

var cold = scenario{
	name:   "S7",
	title:  "dead at the first call for 10 s, well for 20 s, not called for a minute, and dead again",
	length: 100 * second,
	asks:   func(at time.Duration) bool { return at < 30*second || at >= 90*second },
	backend: func(_ float64, latency time.Duration) backend {
		return blind(phases(phase{10 * second, down(refusal)}, phase{90 * second, up(latency)}, phase{forever, down(refusal)}))
	},
	measures: []measure{
		{
			name: "leak at a cold start, in seconds of traffic", format: "%.2f",
			reach: atMost(0.3).slowly(nothing, " from 100/s on"), of: leak(0, 10*second),
		},
		{name: "leak after an idle minute, in seconds of traffic", format: "%.2f", of: leak(90*second, 100*second)},
	},
	plot: "s7",
	bad:  []span{{0, 10 * second}, {90 * second, 100 * second}},
}

// fleetRate is the load of 100 clients of 20 calls/s.
const fleetRate = 2000

var fleet = scenario{
	name:    "S8",
	title:   "100 clients of 20 calls/s: after 30 s the backend is dead for 30 s, serves 30 % of the load for 5 s and then all",
	length:  90 * second,
	columns: []column{{label: "2000", rate: fleetRate, clients: 100, seeds: 5}},
	backend: func(rate float64, latency time.Duration) backend {
		return backend{answer: phases(
			phase{30 * second, up(latency)},
			phase{60 * second, down(refusal)},
			phase{65 * second, limited(0.3*rate, latency)},
			phase{forever, up(latency)},
		)}
	},
	measures: []measure{
		{
			name: "load ÷ capacity while the backend warms up", format: "%.2f", reach: atMost(1.6),
			of: ofCapacity(0.3, allowed, span{60 * second, 65 * second}),
		},
		{
			name: "goodput ÷ capacity while the backend warms up", format: "%.2f",
			of: ofCapacity(0.3, served, span{60 * second, 65 * second}),
		},
		{name: "time until < 1 % rejected once it is warm, s", format: "%.1f", reach: atMost(2), of: recovery(65*second, 90*second)},
	},
	plot: "s8",
	bad:  []span{{30 * second, 65 * second}},
}
