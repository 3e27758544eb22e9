package scoreboard

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
)

// at100 are 100 calls/s.
var at100 = column{label: "100", rate: 100, seeds: 3}

func TestSimulator_PoissonArrivalsComeAtTheirRate(t *testing.T) {
	tr := inBubble(t, job{scenario: scenarioNamed("S1a"), policy: none, column: at100}, 0)
	// 6000 calls, of which the standard deviation is 77.
	require.InDelta(t, 6000, tr.between(0, 60*second).offered, 4*77)
	// Of a Poisson process, the variance of a count is its mean: 10 per bin.
	var squares float64
	for _, b := range tr.bins[:600] {
		squares += (b.offered - 10) * (b.offered - 10)
	}
	require.InDelta(t, 10, squares/600, 3)
}

func TestSimulator_RegularArrivalsAreEvenlySpaced(t *testing.T) {
	c := at100
	c.regular = true
	tr := inBubble(t, job{scenario: scenarioNamed("S1a"), policy: none, column: c}, 0)
	for _, b := range tr.bins[1:600] { // nothing arrives at 0
		require.EqualValues(t, 10, b.offered)
	}
}

func TestSimulator_OutcomesAreDeliveredAfterTheirLatency(t *testing.T) {
	tr := inBubble(t, job{scenario: scenarioNamed("S2b"), policy: none, column: at100}, 0)
	require.Zero(t, tr.between(30*second, 32*second).failed)
	require.EqualValues(t, tr.between(30*second, 90*second).offered, tr.between(32*second, 92*second).failed)
	for _, c := range tr.calls {
		if c.at < 30*second {
			require.GreaterOrEqual(t, c.took, 5*time.Millisecond)
			require.Less(t, c.took, 200*time.Millisecond)
		}
	}
}

func TestSimulator_WithoutABreakerEveryCallIsAllowed(t *testing.T) {
	for _, s := range slices.Concat(scenarios, shapes) {
		t.Run(s.name, func(t *testing.T) {
			for _, c := range s.in([]column{at100})[:1] {
				tr := inBubble(t, job{scenario: s, policy: none, column: c}, 0)
				all := sum(tr)
				require.Positive(t, all.offered)
				require.Equal(t, all.offered, all.allowed)
				require.Equal(t, all.allowed, all.served+all.failed)
				if all.willing > 0 {
					require.Equal(t, all.willing, all.served)
				}
			}
		})
	}
}

func TestSimulator_EachBreakerCountsWhatTheSimulatorDoes(t *testing.T) {
	for _, p := range []string{"sre", "classic", "aegis", "consecutive", "rate"} { // the models have no totals
		for _, name := range []string{"S2", "S2b", "S4a", "S8", "N6"} {
			t.Run(p+"/"+name, func(t *testing.T) {
				s := scenarioNamed(name)
				tr := inBubble(t, job{scenario: s, policy: policyNamed(p), column: s.in([]column{at100})[0]}, 0)
				var totals breaker.Totals
				for _, a := range tr.breakers {
					b := a.(breaker.Breaker).Snapshot().Totals
					totals.Offered += b.Offered
					totals.Allowed += b.Allowed
					totals.Rejected += b.Rejected
					totals.Success += b.Success
					totals.Failure += b.Failure
					totals.InFlight += b.InFlight
				}
				all := sum(tr)
				require.Equal(t, breaker.Totals{
					Offered:  uint64(all.offered),
					Allowed:  uint64(all.allowed),
					Rejected: uint64(all.rejected()),
					Success:  uint64(all.served),
					Failure:  uint64(all.failed),
				}, totals)
			})
		}
	}
}

func TestSimulator_TheSameSeedGivesTheSameRun(t *testing.T) {
	for _, p := range []string{"sre", "classic", "aegis", "Kratos v3", "go-zero", "Envoy", "consecutive", "rate", "none"} {
		t.Run(p, func(t *testing.T) {
			j := job{scenario: scenarioNamed("S2"), policy: policyNamed(p), column: at100}
			once, again, other := inBubble(t, j, 0), inBubble(t, j, 0), inBubble(t, j, 1)
			require.Equal(t, once.bins, again.bins)
			require.Equal(t, once.calls, again.calls)
			require.NotEqual(t, once.calls, other.calls)
		})
	}
}

func TestSimulator_AllPoliciesMeetTheSameCalls(t *testing.T) {
	offered := func(p policy) (bins []float64) {
		for _, b := range inBubble(t, job{scenario: scenarioNamed("S3b"), policy: p, column: at100}, 0).bins {
			bins = append(bins, b.offered, b.willing)
		}
		return bins
	}
	for _, p := range policies {
		require.Equal(t, offered(none), offered(p), p.name)
	}
}

func TestSimulator_ALimitedBackendServesItsCapacity(t *testing.T) {
	for name, share := range map[string]float64{"S4a": 0.5, "S4b": 0.1} {
		tr := inBubble(t, job{scenario: scenarioNamed(name), policy: none, column: at100}, 0)
		require.InEpsilon(t, 100*share*60, tr.between(10*second, 70*second).served, 0.02)
	}
}

func TestSimulator_WorkersOfAClosedLoopWaitForTheirCalls(t *testing.T) {
	c := loop.columns[1]
	tr := inBubble(t, job{scenario: loop, policy: none, column: c}, 0)
	// 8 workers, each of which takes 10 ms for a call and as long between two.
	require.InEpsilon(t, 400*30, tr.between(0, 30*second).offered, 0.03)
	// Then each has one call per timeout.
	require.InDelta(t, 8*15, tr.between(30*second, 60*second).offered, 8)
	require.InDelta(t, 1, hangingCalls(10*second)(tr), 0.05)
	require.InDelta(t, 1, waiting(30*second, 40*second)(tr), 0.02)
}

func TestAgenda_EqualsANaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a agenda
		var model []event // the one that is next comes first
		for i := range rapid.IntRange(1, 100).Draw(t, "steps") {
			if len(model) > 0 && rapid.Bool().Draw(t, "pop") {
				require.Equal(t, model[0].client, a.pop().client)
				model = model[1:]
				continue
			}
			e := event{at: time.Duration(rapid.IntRange(0, 9).Draw(t, "at")), client: i}
			a.push(e)
			model = append(model, e)
			slices.SortStableFunc(model, func(x, y event) int { return int(x.at - y.at) })
		}
		require.Len(t, a.events, len(model))
	})
}

func TestBuckets_ForgetWhatIsOlderThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(10, 300*time.Millisecond, time.Now())
		b.newest().success = 1
		time.Sleep(2999 * time.Millisecond)
		b.newest().failure = 2
		require.Equal(t, tally{success: 1, failure: 2}, b.sum())
		time.Sleep(time.Millisecond)
		require.Equal(t, tally{failure: 2}, b.sum())
		time.Sleep(time.Hour)
		require.Zero(t, b.sum())
	})
}

func TestMeasures_AreThoseOfATraceDrawnByHand(t *testing.T) {
	tr := &trace{load: load{rate: 100}, bins: make([]count, 201)}
	for i := range tr.bins[:200] {
		tr.bins[i] = count{offered: 10, allowed: 10, served: 10, willing: 10}
	}
	for i := 50; i < 120; i++ { // rejected from 5 s to 12 s
		tr.bins[i] = count{offered: 10, allowed: 5, served: 4, willing: 10}
	}
	tr.calls = []call{{at: 6 * second}, {at: 6500 * time.Millisecond}, {at: 6600 * time.Millisecond}, {at: 9 * second}}
	require.InDelta(t, 1.05, timeToReject(4*second, 20*second)(tr), 1e-9)
	require.Equal(t, math.Inf(1), timeToReject(0, 5*second)(tr))
	require.InDelta(t, 2, recovery(10*second, 20*second)(tr), 1e-9)
	require.Equal(t, math.Inf(1), recovery(10*second, 12*second)(tr))
	require.Zero(t, recovery(12*second, 20*second)(tr))
	require.InDelta(t, 0.5, leak(5*second, 6*second)(tr), 1e-9)
	require.InDelta(t, 1, lost(10*second, 20*second)(tr), 1e-9)
	require.InDelta(t, 50, probes(5*second, 7*second)(tr), 1e-9)
	require.InDelta(t, 100, smallestGap(5*second, 9*second)(tr), 1e-9)
	require.InDelta(t, 50, rejectedShare(5*second, 7*second)(tr), 1e-9)
	require.InDelta(t, 0.4, goodput(5*second, 7*second)(tr), 1e-9)
	require.InDelta(t, 0.75, allowedShare(span{4 * second, 6 * second})(tr), 1e-9)
	require.InDelta(t, 2, ofCapacity(0.25, allowed, span{5 * second, 7 * second})(tr), 1e-9)
}

// sum is all that happened in a run.
func sum(tr *trace) (all count) {
	for _, b := range tr.bins {
		all.add(b)
	}
	return all
}

func policyNamed(name string) policy {
	return policies[slices.IndexFunc(policies, func(p policy) bool { return p.name == name })]
}
