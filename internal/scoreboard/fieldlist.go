package scoreboard

import (
	"fmt"
	"time"
)

// The scenarios of the field, in the order of their numbers. L5 is about
// goroutines, which a simulator does not have.
var field = []scenario{
	fastFailures, fromTheStart, slowNode.drawn("300/s, 200ms"),
	pauses.drawn("300/s of 200ms, 2s"), pausesMissed, cuts, longPolls,
	randomly("L6", 0.75, atLeast(0.8), 1000),
	randomly("L7a", 0.75, atLeast(0.8), 50, 300).drawn("50/s"),
	randomly("L7b", 0.85, atLeast(0.6), 50, 300),
	noBursts("L8a", "a token bucket of one call", atLeast(0.8), 1, 0, 10, 100, 30, 300, 50, 1000).drawn("10 of 100/s"),
	noBursts("L8b", "a token bucket of a quarter of a second", atLeast(0.9), 0.25, 0, 10, 100, 30, 300, 50, 1000),
	noBursts("L9", "a token bucket of one call, callers that retry three times", atLeast(0.93), 1, 3, 10, 20),
	queued("L10a", atLeast(0.5), 30),
	queued("L10b", atLeast(0.75), 400).drawn("400/s"),
	returning.drawn("300/s, half of its nodes"), longCalls,
	flutter("L13a", 300, atMost(0.5)).drawn("300/s, 1s/1s"),
	flutter("L13b", 20, nil),
	batches, manyClients, retryAfter, impatient, hasty,
}

var fastFailures = func() scenario {
	var cs []column
	for _, c := range []struct {
		rate    float64
		regular bool
		good    distribution
	}{
		{300, false, around(200 * ms)},
		{300, true, always(200 * ms)},
		{300, false, lognormally(200*ms, 0.2)},
		{50, false, lognormally(200*ms, 0.2)},
		{2000, false, lognormally(200*ms, 0.2)},
	} {
		label := perSec(c.rate, ", "+c.good.String())
		if c.regular {
			label += ", regular"
		}
		cs = append(cs, column{label: label, world: &world{
			rate: c.rate, regular: c.regular, good: c.good, bad: always(ms),
			faults: in10s(fault{kind: failing, share: 0.5, length: 60 * second}),
		}})
	}
	return fieldScenario("L1a", "after 10 s, half of the calls fail at once (1 ms), the others take 200 ms, for 60 s", cs,
		goodputBesideNone(atLeast(0.92), 10*second, 70*second))
}()

var fromTheStart = fieldScenario("L1b", "the same from the first call on",
	[]column{
		{label: "300/s, ~200ms", world: &world{
			rate: 300, good: around(200 * ms), bad: always(ms),
			faults: []fault{{kind: failing, share: 0.5, length: 60 * second}},
		}},
		{label: "300/s, 200ms, regular", world: &world{
			rate: 300, regular: true, good: always(200 * ms), bad: always(ms),
			faults: []fault{{kind: failing, share: 0.5, length: 60 * second}},
		}},
	},
	goodputBesideNone(atLeast(0.92), 0, 60*second))

var slowNode = func() scenario {
	var cs []column
	for _, latency := range []time.Duration{200 * ms, 500 * ms, time.Second} {
		for _, rate := range []float64{20, 100, 300} {
			cs = append(cs, column{label: perSec(rate, ", "+latency.String()), world: &world{
				rate: rate, good: around(latency),
				faults: in10s(fault{kind: losing, nodes: 2, dead: 1, length: 60 * second}),
			}})
		}
	}
	return fieldScenario("L2", "after 10 s, one of two nodes refuses connections in 2 ms, the other takes its time, for 60 s", cs,
		goodputBesideNone(atLeast(0.92), 10*second, 70*second))
}()

var pauses = pausesOf("L3a", "nobody calls meanwhile", true)

var pausesMissed = pausesOf("L3b", "what is called meanwhile comes right after it", false)

func pausesOf(name, meanwhile string, idles bool) scenario {
	var cs []column
	for _, c := range []struct {
		rate             float64
		latency, timeout time.Duration
		pauses           []time.Duration
	}{
		{1000, 20 * ms, 250 * ms, []time.Duration{500 * ms, second, 2 * second, 4 * second}},
		{300, 200 * ms, 500 * ms, []time.Duration{500 * ms, second, 2 * second, 4 * second}},
		{30, 500 * ms, 2 * second, []time.Duration{2 * second, 4 * second}},
		{300, 500 * ms, 2 * second, []time.Duration{2 * second, 4 * second}},
	} {
		for _, d := range c.pauses {
			cs = append(cs, column{label: fmt.Sprintf("%g/s of %v, %v", c.rate, c.latency, d), world: &world{
				rate: c.rate, good: around(c.latency), timeout: c.timeout, idles: idles,
				faults: in10s(fault{kind: pausing, length: d}, fault{kind: well, length: 20 * second}),
			}})
		}
	}
	return fieldScenario(name, "our own process pauses, and the calls in flight time out together; "+meanwhile, cs,
		measure{name: nameRejectedTraffic, format: "%.2f", reach: atMost(0.3), of: lost(10*second, 30*second)})
}

var cuts = func() scenario {
	var cs []column
	for _, c := range []struct {
		rate    float64
		latency time.Duration
	}{{1000, 20 * ms}, {300, 200 * ms}, {100, time.Second}, {20, 5 * second}} {
		cs = append(cs, column{label: fmt.Sprintf("%g/s of %v", c.rate, c.latency), world: &world{
			rate: c.rate, good: around(c.latency), timeout: 30 * second,
			faults: []fault{{kind: well, length: 30 * second}, {kind: cutting, length: 30 * second}},
		}})
	}
	return fieldScenario("L4a", "the one connection of all calls breaks, and is there again at once", cs,
		measure{name: nameRejectedTraffic, format: "%.2f", reach: atMost(0.5), of: lost(30*second, 60*second)},
		measure{name: nameRecovery, format: "%.1f", reach: atMost(1.5), of: recovery(30*second, 60*second)})
}()

var longPolls = func() scenario {
	var cs []column
	for _, c := range []struct {
		polls int
		hold  time.Duration
	}{{20, 30 * second}, {100, 30 * second}, {50, 5 * second}} {
		cs = append(cs, column{label: fmt.Sprintf("%d of %v", c.polls, c.hold), world: &world{
			workers: c.polls, hold: around(c.hold), think: 100 * ms, good: around(20 * ms), timeout: 10 * time.Minute,
			faults: []fault{{kind: well, length: 100 * second}, {kind: cutting, length: 60 * second}},
		}})
	}
	return fieldScenario("L4b", "a load balancer breaks all of its long polls, and is there again at once; who is rejected asks again after 100 ms", cs,
		measure{name: nameRecovery, format: "%.1f", reach: atMost(1.5), of: recovery(100*second, 160*second)})
}()

// randomly is about a share of failures, whatever the load.
func randomly(name string, share float64, r *reach, rates ...float64) scenario {
	var cs []column
	for _, rate := range rates {
		cs = append(cs, column{label: perSec(rate, ""), world: &world{
			rate: rate, good: around(10 * ms), bad: around(10 * ms),
			faults: in10s(fault{kind: failing, share: share, length: 120 * second}),
		}})
	}
	return fieldScenario(name, "after 10 s, "+percent(share)+" of the calls fail at random, for 120 s", cs,
		goodputBesideNone(r, 10*second, 130*second))
}

// noBursts has pairs of a capacity and a rate.
func noBursts(name, what string, r *reach, burst float64, retries int, pairs ...float64) scenario {
	var cs []column
	for i := 0; i < len(pairs); i += 2 {
		capacity, rate := pairs[i], pairs[i+1]
		size := burst
		if burst < 1 {
			size = burst * capacity
		}
		cs = append(cs, column{label: fmt.Sprintf("%g of %g/s", capacity, rate), capacity: capacity, world: &world{
			rate: rate, good: around(10 * ms), retries: retries, delay: around(100 * ms),
			faults: in10s(fault{kind: limiting, capacity: capacity, burst: size, length: 60 * second}),
		}})
	}
	return fieldScenario(name, "after 10 s, the backend takes no bursts ("+what+"), for 60 s", cs,
		measure{name: nameServed, format: "%.2f", reach: r, of: ofColumnsCapacity(10*second, 70*second)},
		measure{name: nameAllowed, format: "%.2f", of: allowedOfCapacity(10*second, 70*second)})
}

func queued(name string, r *reach, rate float64) scenario {
	return fieldScenario(name, "after 10 s, a queue before a server that does half of the load; timeouts of 1 s, after which the work is done all the same",
		[]column{{label: perSec(rate, ""), capacity: rate / 2, world: &world{
			rate: rate, good: around(10 * ms), timeout: second,
			faults: in10s(fault{kind: queueing, capacity: rate / 2, servers: 1, length: 60 * second}),
		}}},
		measure{name: nameServed, format: "%.2f", reach: r, of: ofColumnsCapacity(10*second, 70*second)})
}

var returning = func() scenario {
	var cs []column
	for _, rate := range []float64{50, 300, 1000} {
		for _, c := range []struct {
			label string
			after fault
		}{
			{"half of its nodes", fault{kind: losing, nodes: 4, dead: 2}},
			{"40 % errors", fault{kind: failing, share: 0.4}},
			{"60 % errors", fault{kind: failing, share: 0.6}},
		} {
			c.after.length = 15 * second
			cs = append(cs, column{label: perSec(rate, ", "+c.label), world: &world{
				rate: rate, good: around(20 * ms),
				faults: in10s(fault{kind: refusing, length: 30 * second}, c.after),
			}})
		}
	}
	return fieldScenario("L11", "after an outage of 30 s the backend returns in part, for 15 s", cs,
		goodputBesideNone(atLeast(0.85), 40*second, 55*second))
}()

var longCalls = fieldScenario("L12", "calls of 5 s, then an outage that fails in 2 ms",
	[]column{{label: "20/s", world: &world{
		rate: 20, good: around(5 * second), timeout: 30 * second,
		faults: []fault{{kind: well, length: 60 * second}, {kind: refusing, length: 60 * second}, {kind: well, length: 60 * second}},
	}}},
	measure{name: nameHalf, format: "%.2f", reach: atMost(3), of: timeToReject(60*second, 120*second)},
	measure{name: nameRecovery, format: "%.1f", of: recovery(120*second, 180*second)})

func flutter(name string, rate float64, deadCalls *reach) scenario {
	var cs []column
	const from, length = 10 * second, 60 * second
	for _, half := range []time.Duration{500 * ms, time.Second} {
		n := int(length / (2 * half))
		cs = append(cs, column{
			label: fmt.Sprintf("%g/s, %v/%v", rate, half, half),
			up:    every(n, from, half, 2*half), down: every(n, from+half, half, 2*half),
			world: &world{
				rate: rate, good: around(10 * ms),
				faults: in10s(fault{kind: flapping, up: half, down: half, length: length}),
			},
		})
	}
	return fieldScenario(name, "after 10 s, up and down in turns of 0.5 s or 1 s, for 60 s", cs,
		measure{name: "share of the up time served", format: "%.2f", reach: atLeast(0.5), of: columnsUpTime},
		measure{name: "share of the dead calls sent", format: "%.2f", reach: deadCalls, of: columnsSent})
}

var batches = fieldScenario("L14", "8 workers make a batch of 200 calls against a dead backend, and the same again 30 s later, when it is well",
	[]column{{label: "8 workers", world: &world{
		workers: 8, think: ms, batch: batch{200, 30 * second}, good: around(20 * ms),
		faults: []fault{{kind: well, length: 30 * second}, {kind: refusing, length: 25 * second}, {kind: well, length: 35 * second}},
	}}},
	measure{name: "calls of the good batch rejected, of 200", format: "%.0f", reach: atMost(10), of: rejectedCalls(60*second, 90*second)})

var manyClients = fieldScenario("L15", "300 clients of 2 calls/s: the backend is dead for 60 s, and returns with 40 % of the capacity",
	[]column{{label: "600/s", clients: 300, world: &world{
		rate: 600, clients: 300, good: around(10 * ms),
		faults: []fault{
			{kind: well, length: 30 * second},
			{kind: refusing, length: 60 * second},
			{kind: limiting, capacity: 240, burst: 60, length: 20 * second},
			{kind: well, length: 20 * second},
		},
	}}},
	measure{name: "share of the dead calls sent, after 20 s", format: "%.2f", reach: atMost(0.12), of: sent(span{50 * second, 90 * second})},
	measure{name: "peak of the load ÷ capacity", format: "%.2f", reach: atMost(2.3), of: peak(240, 90*second, 110*second)})

var retryAfter = fieldScenario("L16", "a rejection in an outage says when the next call is allowed, after 20 s of outage",
	[]column{{label: "300/s", world: &world{
		rate: 300, good: around(10 * ms), remembers: true,
		faults: in10s(fault{kind: refusing, length: 50 * second}, fault{kind: well, length: 20 * second}),
	}}},
	measure{name: "share of the rejections that say it", format: "%.2f", reach: atLeast(0.95), of: honest(30*second, 58*second)})

var impatient = fieldScenario("L18a", "after 30 s, a hang of which all callers cancel after 1 s; calls take 20 ms usually",
	[]column{{label: "100/s", world: &world{
		rate: 100, good: around(20 * ms), patience: second,
		faults: []fault{{kind: well, length: 30 * second}, {kind: hanging, length: 30 * second}, {kind: well, length: 20 * second}},
	}}},
	measure{name: nameHalf, format: "%.2f", reach: atMost(3), of: timeToReject(30*second, 60*second)},
	measure{name: nameRecovery, format: "%.1f", of: recovery(60*second, 80*second)})

var hasty = fieldScenario("L18b", "callers that cancel after 10 ms, of a backend that is well and takes 20 ms",
	[]column{{label: "100/s", world: &world{
		rate: 100, good: always(20 * ms), patience: 10 * ms,
		faults: []fault{{kind: well, length: 60 * second}},
	}}},
	measure{name: nameRejected, format: "%.1f", reach: atMost(0), of: rejectedShare(0, 60*second)})
