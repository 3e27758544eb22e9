package docs_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	aegissre "github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// The numbers of the README are measured here: calls that nobody knows the
// moments of (a Poisson process) go through a breaker to a backend, in virtual
// time. Every run has calls and chance of its own, by its seed, and comes out the
// same each time.

// offered is a call, by when it was made.
type offered struct {
	at              time.Duration
	allowed, served bool
}

// backendAt says whether a backend serves a call, luck being uniform in [0, 1).
type backendAt func(at time.Duration, luck float64) bool

// An outage, as the README measures it.
const (
	outageFrom, outageTo = 10 * time.Second, 40 * time.Second
	outageEnd            = 80 * time.Second
)

func withOutage(at time.Duration, _ float64) bool { return at < outageFrom || at >= outageTo }

func dead(time.Duration, float64) bool { return false }

// chance serves a share of the calls, whatever their number: with one of 0.5, one
// of two nodes is dead.
func chance(share float64) backendAt {
	return func(_ time.Duration, luck float64) bool { return luck < share }
}

// offer makes calls for some time. A call takes 10 ms if it is served, and 2 ms
// if not. All happens in one goroutine, and so in the same order each time.
func offer(b breaker.Acquirer, rps float64, seed uint64, length time.Duration, serves backendAt) (calls []offered) {
	r := rand.New(rand.NewPCG(seed, 0))
	begin := time.Now()
	var running []call // by when they end
	until := func(at time.Duration) {
		for len(running) > 0 && running[0].ends <= at {
			time.Sleep(running[0].ends - time.Since(begin))
			running[0].permit.Done(running[0].outcome)
			running = running[1:]
		}
		time.Sleep(at - time.Since(begin))
	}
	for {
		at := time.Since(begin) + time.Duration(r.ExpFloat64()/rps*float64(time.Second))
		if at >= length {
			until(length + 10*time.Millisecond)
			return calls
		}
		until(at)
		next := offered{at: at}
		ok := serves(at, r.Float64())
		if p, err := b.Acquire(); err == nil {
			next.allowed, next.served = true, ok
			c := call{ends: at + 2*time.Millisecond, permit: p, outcome: breaker.Failure}
			if ok {
				c.ends, c.outcome = at+10*time.Millisecond, breaker.Success
			}
			i, _ := slices.BinarySearchFunc(running, c, func(c, d call) int { return cmp.Compare(c.ends, d.ends) })
			running = slices.Insert(running, i, c)
		}
		calls = append(calls, next)
	}
}

// call is one that was allowed.
type call struct {
	ends    time.Duration
	permit  breaker.Permit
	outcome breaker.Outcome
}

// between returns how many of the calls were made then, and how many of them
// were allowed and were served.
func between(calls []offered, from, to time.Duration) (n, allowed, served int) {
	first := func(at time.Duration) int {
		i, _ := slices.BinarySearchFunc(calls, at, func(c offered, at time.Duration) int { return cmp.Compare(c.at, at) })
		return i
	}
	for _, c := range calls[first(from):first(to)] {
		n++
		if c.allowed {
			allowed++
		}
		if c.served {
			served++
		}
	}
	return n, allowed, served
}

// reaction returns when, after the beginning of the outage, half of the calls
// are rejected; never if not before its end.
func reaction(calls []offered, rps float64) time.Duration {
	step := 100 * time.Millisecond
	if rps < 50 {
		step = 500 * time.Millisecond // or there are too few in it
	}
	for at := outageFrom + step; at <= outageTo; at += step {
		if n, allowed, _ := between(calls, at-step, at); n > 0 && 2*allowed <= n {
			return at - outageFrom
		}
	}
	return never
}

const never = time.Duration(math.MaxInt64)

// recovery returns how long after the outage the last stretch of time ends of
// whose calls 1 % or more are rejected.
func recovery(calls []offered) time.Duration {
	const step = 500 * time.Millisecond // a share of 1 % needs many calls
	for at := outageEnd; at > outageTo; at -= step {
		if n, allowed, _ := between(calls, at-step, at); n > 0 && 100*(n-allowed) >= n {
			return at - outageTo
		}
	}
	return 0
}

// runs is how many times a rate is measured.
func runs(rps float64) uint64 { return uint64(max(7, min(60, 2500/rps))) }

// outages returns the sorted reactions and recoveries of many outages.
func outages(t *testing.T, rps float64, newBreaker func(seed uint64) breaker.Breaker) (reactions, recoveries []time.Duration) {
	for seed := range runs(rps) {
		synctest.Test(t, func(*testing.T) {
			calls := offer(newBreaker(seed), rps, seed, outageEnd, withOutage)
			reactions = append(reactions, reaction(calls, rps))
			recoveries = append(recoveries, recovery(calls))
		})
	}
	slices.Sort(reactions)
	slices.Sort(recoveries)
	return reactions, recoveries
}

// ours is a breaker whose chance comes from the seed.
func ours(seed uint64, opts ...sre.Option) breaker.Breaker {
	return sre.NewBreaker(append(opts, sre.WithRandom(rand.New(rand.NewPCG(seed, 1)).Float64))...)
}

func oursByDefault(seed uint64) breaker.Breaker { return ours(seed) }

// kratosDefault is what Kratos' middleware makes. Its chance begins with the time,
// which is the same in each bubble.
func kratosDefault(seed uint64) breaker.Breaker {
	time.Sleep(time.Duration(seed))
	return breaker.Adapt(aegissre.NewBreaker())
}

func most(sorted []time.Duration) time.Duration   { return sorted[len(sorted)-1-len(sorted)/20] }
func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

func TestReadme_OutagesTakeAsLongAsItSays(t *testing.T) {
	if testing.Short() {
		t.Skip("many simulated outages")
	}
	requireReadmeSays(t, "Ours are bounds that at least 19 of 20 outages keep, Kratos' are medians.")
	requireReadmeSays(t, "simulated outages of %v s", (outageTo - outageFrom).Seconds())
	for _, row := range readmeTable(t, "calls/s") {
		rps := number(t, row[0])
		reactions, recoveries := outages(t, rps, oursByDefault)
		require.LessOrEqual(t, most(reactions), duration(t, row[1]), "at %v/s: %v", rps, reactions)
		require.LessOrEqual(t, most(recoveries), duration(t, row[2]), "at %v/s: %v", rps, recoveries)

		reactions, recoveries = outages(t, rps, kratosDefault)
		if row[3] == "never" {
			require.Equal(t, never, reactions[0], "at %v/s: %v", rps, reactions)
			require.Equal(t, "-", row[4])
			continue
		}
		require.InEpsilon(t, duration(t, row[3]), median(reactions), 0.2, "at %v/s: %v", rps, reactions)
		require.InEpsilon(t, duration(t, row[4]), median(recoveries), 0.35, "at %v/s: %v", rps, recoveries)
	}
}

// The rows of the comparison with Kratos' breaker repeat what the other table
// and the runs below say.

func readmeRecoveries(t *testing.T) {
	row := readmeRow(t, "what", "recovery after an outage")
	kratos, ok := strings.CutSuffix(row[1], " or more, longer with more calls")
	require.True(t, ok)
	last := time.Duration(0)
	for _, outage := range readmeTable(t, "calls/s") {
		require.Equal(t, row[2], outage[2])
		if outage[4] == "-" {
			continue
		}
		require.GreaterOrEqual(t, duration(t, outage[4]), duration(t, kratos))
		require.Greater(t, duration(t, outage[4]), last)
		last = duration(t, outage[4])
	}
}

func readmeQuietOperation(t *testing.T) {
	row := readmeRow(t, "what", "an operation with 10 calls/s")
	outage := readmeRow(t, "calls/s", "10")
	require.Equal(t, "is never protected", row[1])
	require.Equal(t, "never", outage[3])
	require.Equal(t, "is protected after "+outage[1], row[2])
}

func readmeDeadNode(t *testing.T) {
	if testing.Short() {
		t.Skip("many simulated minutes")
	}
	row := readmeRow(t, "what", "one dead node of two, 100 calls/s or more")
	var atMost, atLeast float64
	_, err := fmt.Sscanf(row[1], "less than %f %% of the calls that the other node could serve are served", &atMost)
	require.NoError(t, err)
	_, err = fmt.Sscanf(row[2], "more than %f %% of them", &atLeast)
	require.NoError(t, err)
	// The minutes differ much: with a wrong verdict, our breaker can reject most of
	// one. So it takes many of them to know what is left on average.
	for rps, minutes := range map[float64]uint64{100: 60, 1000: 5} {
		left := func(newBreaker func(seed uint64) breaker.Breaker) float64 {
			good, all := 0, 0
			for seed := range minutes {
				synctest.Test(t, func(*testing.T) {
					n, _, served := between(offer(newBreaker(seed), rps, seed, time.Minute, chance(0.5)), 0, time.Minute)
					good, all = good+served, all+n
				})
			}
			return 100 * float64(good) / (0.5 * float64(all))
		}
		require.Greater(t, left(oursByDefault), atLeast, "at %v/s", rps)
		require.Less(t, left(kratosDefault), atMost, "at %v/s", rps)
	}
}

// A dead backend gets about one call a second, at any rate.
func TestReadme_ADeadBackendGetsAboutOneProbeASecond(t *testing.T) {
	requireReadmeSays(t, "a probe, about one a second")
	for _, rps := range []float64{10, 100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			_, probes, _ := between(offer(ours(1), rps, 1, 2*time.Minute, dead), time.Minute, 2*time.Minute)
			require.InDelta(t, 60, probes, 15, "at %v/s", rps)
		})
	}
}

// A pardon allows all calls for so long, if rejecting does not help. Now and then
// the next one comes before anything is rejected, and the pause looks longer.
func TestReadme_AllCallsAreAllowedForAWhileIfFewerDoNotHelp(t *testing.T) {
	requireReadmeSays(t, "so for 20 s all are allowed")
	synctest.Test(t, func(t *testing.T) {
		var pauses []time.Duration
		last := time.Duration(0)
		for _, c := range offer(ours(1), 300, 1, 5*time.Minute, chance(0.5)) {
			if !c.allowed {
				if pause := c.at - last; pause > 10*time.Second {
					pauses = append(pauses, pause)
				}
				last = c.at
			}
		}
		require.NotEmpty(t, pauses)
		require.GreaterOrEqual(t, slices.Min(pauses), 20*time.Second)
		require.Less(t, slices.Min(pauses), 30*time.Second)
	})
}

// With as many calls in a window, of which three of four fail, rejectedOf returns
// how many are rejected in two minutes.
func rejectedOf(b breaker.Acquirer, perWindow float64) (n int) {
	every := time.Duration(3 * float64(time.Second) / perWindow)
	for call := range int(2 * time.Minute / every) {
		p, err := b.Acquire()
		switch {
		case err != nil:
			n++
		case call%4 == 0:
			p.Done(breaker.Success)
		default:
			p.Done(breaker.Failure)
		}
		time.Sleep(every)
	}
	return n
}
