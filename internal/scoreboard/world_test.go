package scoreboard

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// runs runs a world under a policy.
func (w *world) runs(t *testing.T, p policy, seed uint64) (tr *trace) {
	synctest.Test(t, func(*testing.T) { tr = w.run(p, seed) })
	return tr
}

// answers asks a behaviour every so often.
func answers(b behaviour, n int, every time.Duration) (as []answer) {
	for i := range n {
		as = append(as, b(time.Duration(i)*every, fate{id: uint64(i), luck: float64(i%10) / 10}))
	}
	return as
}

func served10ms() *world { return &world{good: always(10 * ms)} }

func outcomes(as []answer) (os []breaker.Outcome) {
	for _, a := range as {
		os = append(os, a.outcome)
	}
	return os
}

const (
	yes = breaker.Success
	no  = breaker.Failure
)

func TestFault_NodesAreCalledInTurn(t *testing.T) {
	two := fault{kind: losing, nodes: 2, dead: 1}.behaviour(served10ms(), span{})
	require.Equal(t, []breaker.Outcome{yes, no, yes, no, yes}, outcomes(answers(two, 5, ms)))
	five := fault{kind: losing, nodes: 5, dead: 2}.behaviour(served10ms(), span{})
	require.Equal(t, []breaker.Outcome{yes, yes, no, yes, no, yes, yes, no, yes, no}, outcomes(answers(five, 10, ms)))
	hangs := fault{kind: losingSlowly, nodes: 2, dead: 1}.behaviour(served10ms(), span{})
	require.Equal(t, []answer{{yes, 10 * ms}, {no, longest}}, answers(hangs, 2, ms))
}

func TestFault_AShareFailsByLuck(t *testing.T) {
	b := fault{kind: failing, share: 0.3}.behaviour(&world{good: always(10 * ms), bad: always(ms)}, span{})
	as := answers(b, 10, ms)
	require.Equal(t, slices.Repeat([]answer{{no, ms}}, 3), as[:3])
	require.Equal(t, slices.Repeat([]answer{{yes, 10 * ms}}, 7), as[3:])
}

func TestFault_ABucketServesWhatItHasTokensFor(t *testing.T) {
	b := fault{kind: limiting, capacity: 10, burst: 3}.behaviour(served10ms(), span{})
	// It is full at first, and gets a token every 100 ms.
	require.Equal(t, []breaker.Outcome{yes, yes, yes, yes, yes, no, yes, no, yes}, outcomes(answers(b, 9, 50*ms)))
	one := fault{kind: limiting, capacity: 10, burst: 0.1}.behaviour(served10ms(), span{})
	require.Equal(t, []breaker.Outcome{yes, no, yes, no}, outcomes(answers(one, 4, 50*ms)), "each bucket holds a call")
}

func TestFault_AQueueMakesCallsWaitAndWorksForThoseThatAreGone(t *testing.T) {
	b := fault{kind: queueing, capacity: 10, servers: 1}.behaviour(served10ms(), span{})
	as := answers(b, 3, 0)
	require.Equal(t, []answer{{yes, 110 * ms}, {yes, 210 * ms}, {yes, 310 * ms}}, as)
	require.Equal(t, answer{yes, 110*ms + 50*ms}, b(250*ms, fate{}), "the fourth waits for 50 ms more")

	two := fault{kind: queueing, capacity: 10, servers: 2}.behaviour(served10ms(), span{})
	require.Equal(t, []answer{{yes, 210 * ms}, {yes, 210 * ms}, {yes, 410 * ms}}, answers(two, 3, 0))

	ideal := fault{kind: queueing, capacity: 10, servers: 1}.behaviour(&world{good: always(10 * ms), timeout: 250 * ms, ideal: true}, span{})
	require.Equal(t, []breaker.Outcome{yes, yes, no, no}, outcomes(answers(ideal, 4, 0)))
	require.Equal(t, answer{yes, 210 * ms}, ideal(100*ms, fate{}), "it did no work for who was refused")
}

func TestFault_FlapsWarmsUpAndSlowsDown(t *testing.T) {
	w := served10ms()
	flap := fault{kind: flapping, up: 100 * ms, down: 200 * ms}.behaviour(w, span{from: 100 * ms})
	for at, up := range map[time.Duration]breaker.Outcome{100: yes, 199: yes, 200: no, 399: no, 400: yes} {
		require.Equal(t, up, flap(at*ms, fate{}).outcome, at)
	}
	slow := fault{kind: slowing, factor: 3}.behaviour(w, span{})
	require.Equal(t, answer{yes, 30 * ms}, slow(0, fate{}))
	warm := fault{kind: warming, capacity: 100, burst: 1, share: 0.1, length: 10 * second}
	b := warm.behaviour(w, span{0, warm.length})
	require.Equal(t, answer{yes, 100 * ms}, b(0, fate{}), "ten times as slow")
	var served [2]float64
	for at := time.Duration(0); at < warm.length; at += ms {
		if b(at, fate{}).outcome == yes {
			served[at*2/warm.length]++
		}
	}
	require.InDelta(t, 500*(0.1+0.55)/2, served[0], 10)
	require.InDelta(t, 500*(0.55+1)/2, served[1], 20)
}

func TestWorld_TimeoutsFailAndImpatienceIsIgnored(t *testing.T) {
	w := &world{rate: 100, regular: true, good: always(20 * ms), timeout: 200 * ms, faults: in10s(fault{kind: hanging, length: 10 * second})}
	tr := w.runs(t, none, 1)
	require.EqualValues(t, 1000, sum(tr).failed)
	require.Equal(t, 200*ms, tr.calls[len(tr.calls)-1].took)
	w.patience = 100 * ms
	tr = w.runs(t, none, 1)
	require.Zero(t, sum(tr).failed)
	require.EqualValues(t, 1000, sum(tr).ignored)
	require.Equal(t, 100*ms, tr.calls[len(tr.calls)-1].took)
}

func TestWorld_APauseMakesTheCallsInFlightTimeOutTogether(t *testing.T) {
	const from, to = 10 * second, 12 * second
	w := &world{rate: 100, regular: true, good: always(300 * ms), timeout: 500 * ms, idles: true, faults: in10s(
		fault{kind: pausing, length: 2 * second}, fault{kind: well, length: 10 * second})}
	tr := w.runs(t, none, 1)
	failed := tr.at(to).failed
	require.InDelta(t, 30, failed, 1, "all that were in flight")
	require.Equal(t, failed, sum(tr).failed)
	require.Zero(t, tr.between(from+bin, to).served+tr.between(from, to).offered)
	for _, c := range tr.calls {
		require.False(t, c.at >= from && c.at < to)
	}

	w.idles = false
	tr = w.runs(t, none, 1)
	require.Zero(t, tr.between(from, to).offered)
	require.EqualValues(t, 210, tr.at(to).offered, "what is missed is made up for")

	// Who has time enough gets the answer late.
	w.timeout = 10 * second
	tr = w.runs(t, none, 1)
	require.Zero(t, sum(tr).failed)
	require.InDelta(t, 30, tr.at(to).served, 1)
}

func TestWorld_ACutFailsAllCallsInFlightAtOnce(t *testing.T) {
	w := &world{rate: 100, regular: true, good: always(300 * ms), faults: in10s(fault{kind: cutting, length: 10 * second})}
	tr := w.runs(t, none, 1)
	require.EqualValues(t, 29, sum(tr).failed) // one has just ended, and one just begins
	require.EqualValues(t, 29, tr.at(10*second).failed)
}

func TestWorld_CallersTryAgain(t *testing.T) {
	w := &world{rate: 10, regular: true, good: always(ms), retries: 2, delay: always(40 * ms), faults: []fault{{kind: refusing, length: 10 * second}}}
	tr := w.runs(t, none, 1)
	require.Equal(t, []call{{100 * ms, refusal}, {142 * ms, refusal}, {184 * ms, refusal}}, tr.calls[:3])
	require.EqualValues(t, 3*99, sum(tr).offered)
	// After a rejection, too.
	tr = w.runs(t, policy{make: rejecting}, 1)
	require.EqualValues(t, 3*99, sum(tr).offered)
	require.Zero(t, sum(tr).allowed)
}

func TestWorld_WorkersShareABatch(t *testing.T) {
	w := batches.columns[0].world
	tr := w.runs(t, none, 1)
	require.EqualValues(t, 200, tr.between(0, 10*second).offered)
	require.EqualValues(t, 200, tr.between(30*second, 40*second).failed)
	require.EqualValues(t, 200, tr.between(60*second, 70*second).served)
	require.EqualValues(t, 600, sum(tr).offered)
}

func TestWorld_LongPollsAreHeld(t *testing.T) {
	w := &world{workers: 10, think: 100 * ms, hold: always(900 * ms), good: always(10 * ms), faults: []fault{{kind: well, length: 10100 * ms}}}
	require.InDelta(t, 100, sum(w.runs(t, none, 1)).offered, 1)
}

func TestWorld_ArrivalsComeInWavesAtTheSameMean(t *testing.T) {
	w := &world{rate: 100, wave: wave{on: 200 * ms, off: 300 * ms}, good: always(ms), faults: []fault{{kind: well, length: 100 * second}}}
	tr := w.runs(t, none, 1)
	for i, b := range tr.bins[:1000] {
		if i%5 >= 2 {
			require.Zero(t, b.offered)
		}
	}
	require.InEpsilon(t, 10000, sum(tr).offered, 0.04)

	w.wave = wave{swing: 0.8, period: 20 * second}
	tr = w.runs(t, none, 1)
	require.InEpsilon(t, 10000, sum(tr).offered, 0.04)
	var low, high float64
	for i := range 5 {
		from := time.Duration(i) * 20 * second
		low += tr.between(from, from+2*second).offered
		high += tr.between(from+9*second, from+11*second).offered
	}
	require.InEpsilon(t, 5*2*100*(0.2+0.16), low, 0.15)
	require.InEpsilon(t, 5*2*100*(1.8-0.08), high, 0.1)
}

// rejecting is a breaker that rejects all calls.
func rejecting(*randSource) breaker.Acquirer { return closedDoor{} }

type closedDoor struct{}

func (closedDoor) Acquire() (breaker.Permit, error) { return breaker.Permit{}, errRejected }
