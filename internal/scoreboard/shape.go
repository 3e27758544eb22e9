package scoreboard

import (
	"fmt"
	"slices"
	"time"
)

// shapes are faults that no default was made for.
var shapes = []scenario{
	partialFailure("N1", 0.3),
	partialFailure("N2", 0.8),
	gradual,
	outage("N4", "a total outage of 60 s after 30 s, failing in 500 ms", 500*time.Millisecond, ""),
	waves,
	loop,
}

// partialFailure is S3 with another share, and says how much is rejected.
func partialFailure(name string, share float64) scenario {
	s := deadNode(name, share, nil, "")
	s.measures = append(s.measures, measure{name: nameRejected, format: "%.1f", of: rejectedShare(10*second, 70*second)})
	return s
}

// gradual is an outage that comes and goes within 5 s.
var gradual = scenario{
	name:   "N3",
	title:  "an outage that comes within 5 s, lasts for 60 s and goes within 5 s; failures take 2 ms",
	length: 140 * second,
	backend: func(_ float64, latency time.Duration) backend {
		up, down := up(latency), down(refusal)
		return blind(func(at time.Duration, f fate) answer {
			comes := (at - 30*second).Seconds() / 5
			goes := (at - 95*second).Seconds() / 5
			if f.luck < min(comes, 1-goes) {
				return down(at, f)
			}
			return up(at, f)
		})
	},
	measures: gradualMeasures(),
	bad:      []span{{30 * second, 100 * second}},
}

// gradualMeasures are those of an outage, without reach: nobody can reject
// half of the calls before half of them fail.
func gradualMeasures() []measure {
	ms := outageMeasures(30*second, 100*second, 140*second)
	for i := range ms {
		ms[i].reach = nil
		switch ms[i].name {
		case nameProbes:
			ms[i].of = probes(50*second, 95*second)
		case nameGap:
			ms[i].of = smallestGap(50*second, 95*second)
		case nameLeak:
			ms[i].name = "calls let through in the first 10 s, in seconds of traffic"
		}
	}
	return ms
}

// waves is an overload that comes and goes.
var waves = func() scenario {
	const share = 0.3
	high := every(5, 10*second, 10*second, 20*second)
	low := every(5, 20*second, 10*second, 20*second)
	return scenario{
		name:   "N5",
		title:  "after 10 s, in turns: for 10 s the backend serves 30 % of the offered load, for 10 s all of it",
		length: 110 * second,
		backend: func(rate float64, latency time.Duration) backend {
			up, limited := up(latency), limited(share*rate, latency)
			return backend{answer: func(at time.Duration, f fate) answer {
				if at >= 10*second && at%(20*second) >= 10*second {
					return limited(at, f)
				}
				return up(at, f)
			}}
		},
		measures: []measure{
			{name: nameAllowed, format: "%.2f", of: ofCapacity(share, allowed, high...)},
			{name: nameServed, format: "%.2f", of: ofCapacity(share, served, high...)},
			{name: "share of the calls allowed in between", format: "%.2f", of: allowedShare(low...)},
		},
		bad: high,
	}
}()

// loop is a closed loop: few workers, which all hang when the backend does.
var loop = scenario{
	name:   "N6",
	title:  "workers that call again 10 ms after their last call ended or was rejected; after 30 s the backend hangs for 30 s, timeouts of 2 s",
	length: 80 * second,
	columns: []column{
		{label: "4 workers", workers: 4, seeds: 5},
		{label: "8 workers", workers: 8, seeds: 5},
		{label: "32 workers", workers: 32, seeds: 5},
	},
	backend: func(_ float64, latency time.Duration) backend {
		return blind(phases(phase{30 * second, up(latency)}, phase{60 * second, down(timeout)}, phase{forever, up(latency)}))
	},
	measures: []measure{
		{name: "calls that go to the hanging backend in the first 3 s ÷ those of no breaker", format: "%.2f", of: hangingCalls(3 * second)},
		{name: "calls that go to the hanging backend in the first 10 s ÷ those of no breaker", format: "%.2f", of: hangingCalls(10 * second)},
		{name: "share of the workers' time spent waiting for it, in the first 10 s", format: "%.2f", of: waiting(30*second, 40*second)},
		{name: nameRecovery, format: "%.1f", of: recovery(60*second, 80*second)},
	},
	bad: []span{{30 * second, 60 * second}},
}

// hangingCalls compares with no breaker, which makes a call per worker and timeout.
func hangingCalls(first time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		turn := timeout + tr.load.think
		without := float64(tr.load.workers) * float64((first+turn-1)/turn)
		return tr.between(30*second, 30*second+first).allowed / without
	}
}

// waiting returns the share of the workers' time that calls took which began
// after from.
func waiting(from, to time.Duration) func(*trace) float64 {
	return func(tr *trace) float64 {
		var sum time.Duration
		for _, c := range tr.calls {
			if c.at >= from && c.at < to {
				sum += min(c.at+c.took, to) - c.at
			}
		}
		return sum.Seconds() / (float64(tr.load.workers) * (to - from).Seconds())
	}
}

// percent writes a share.
func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// scenarioNamed returns the scenario of that name.
func scenarioNamed(name string) scenario {
	all := slices.Concat(scenarios, shapes, field)
	return all[slices.IndexFunc(all, func(s scenario) bool { return s.name == name })]
}
