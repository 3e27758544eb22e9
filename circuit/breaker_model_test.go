package circuit_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// modelRun is one random history of a real breaker and a naive one.
type modelRun struct {
	real    *circuit.Breaker
	naive   *naiveBreaker
	began   time.Time
	rules   []naiveRule // of which the options were made
	permits []modelPermit
	events  []breaker.Event
	asked   []circuit.Counts
	same    int // events that were compared
}

type modelPermit struct {
	real  breaker.Permit
	naive *naiveCall
}

// TestBreaker_EqualsANaiveModel compares the breaker with a naive one after
// every step of random histories, over random options.
func TestBreaker_EqualsANaiveModel(t *testing.T) {
	// A bubble for each history: in a single one, rapid would end the test after 24
	// hours of the bubble's clock, and call it passed.
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			r := newModelRun(t)
			outcome := func(t *rapid.T) breaker.Outcome {
				return rapid.SampledFrom([]breaker.Outcome{breaker.Failure, breaker.Success, breaker.Ignored}).Draw(t, "outcome")
			}
			call := func(t *rapid.T) {
				if p, ok := r.acquire(t); ok {
					r.settle(p, outcome(t))
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"acquire": func(t *rapid.T) { r.acquire(t) },
				"call":    call,
				"calls": func(t *rapid.T) {
					for range rapid.IntRange(1, 5).Draw(t, "calls") {
						call(t)
						r.compare(t)
					}
				},
				"settle": func(t *rapid.T) {
					if len(r.permits) == 0 {
						t.Skip("no permit")
					}
					r.settle(rapid.SampledFrom(r.permits).Draw(t, "permit"), outcome(t))
				},
				"allow": func(t *rapid.T) {
					// Kratos' middleware marks a failure right after a rejection.
					if !r.allow(t) && rapid.Bool().Draw(t, "as Kratos") {
						r.mark(breaker.Failure)
					}
				},
				"mark": func(t *rapid.T) { r.mark(outcome(t)) },
				"pause": func(t *rapid.T) {
					if len(r.permits) == 0 {
						t.Skip("no permit")
					}
					p := rapid.SampledFrom(r.permits).Draw(t, "permit")
					now := r.now()
					require.Equal(t, r.naive.pause(now, p.naive), p.real.Pause())
				},
				"resume": func(t *rapid.T) {
					if len(r.permits) == 0 {
						t.Skip("no permit")
					}
					p := rapid.SampledFrom(r.permits).Draw(t, "permit")
					p.real.Resume()
					r.naive.resume(r.now(), p.naive)
				},
				"step": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.Int64Range(0, int64(80*time.Millisecond)).Draw(t, "by")))
				},
				"boundary": func(t *rapid.T) {
					now := time.Since(r.began)
					at := slices.DeleteFunc(r.naive.instants(now), func(at time.Duration) bool { return at <= now || at == naiveForever })
					if len(at) == 0 {
						t.Skip("nothing will change")
					}
					slices.Sort(at)
					time.Sleep(rapid.SampledFrom(at).Draw(t, "at") - now + time.Duration(rapid.Int64Range(-1, 1).Draw(t, "off by")))
				},
				"hand": func(t *rapid.T) { r.byHand(rapid.IntRange(0, 3).Draw(t, "to")) },
				"mode": func(t *rapid.T) {
					m := rapid.SampledFrom([]breaker.Mode{breaker.Auto, breaker.Auto, breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun}).Draw(t, "mode")
					r.setMode(m, rapid.SampledFrom([]time.Duration{0, time.Nanosecond, 70 * time.Millisecond}).Draw(t, "for"))
				},
				"reconfigure": func(t *rapid.T) {
					r.reconfigure(t)
					if rapid.Bool().Draw(t, "twice") {
						r.compare(t)
						r.reconfigure(t)
					}
				},
				"": r.compare,
			})
		})
	})
}

// newModelRun makes both breakers.
func newModelRun(t *rapid.T) *modelRun {
	r := &modelRun{began: time.Now()}
	c, opts := r.drawOptions(t)
	r.real = circuit.NewBreaker(append(opts, circuit.WithListener(func(e breaker.Event) { r.events = append(r.events, e) }))...)
	r.naive = &naiveBreaker{
		looked: -1, modeUntil: naiveForever,
		opened: func() bool { return r.real.Snapshot().State != breaker.Closed },
	}
	r.naive.use(c)
	return r
}

// drawOptions draws options, maybe with rules that look at the same calls as
// those of before.
func (r *modelRun) drawOptions(t *rapid.T) (naiveConfig, []circuit.Option) {
	const ms = time.Millisecond
	c := naiveConfig{successes: 1, of: 1, lease: 30 * time.Second, delay: 30 * time.Second, factor: 1}
	var opts []circuit.Option
	add := func(o circuit.Option) { opts = append(opts, o) }
	number := func(label string, low, high int) int { return rapid.IntRange(low, high).Draw(t, label) }
	some := func(label string) bool { return rapid.Bool().Draw(t, label) }
	length := func(label string, of ...time.Duration) time.Duration { return rapid.SampledFrom(of).Draw(t, label) }

	if len(r.rules) == 0 || some("other rules") {
		r.rules = nil
		kinds := []string{naiveInARow, naiveOfLast, naiveWithin, naiveRate, naiveRate, naiveSlow, naiveOpenWhen}
		kinds = rapid.Permutation(kinds).Draw(t, "rules")
		for _, kind := range kinds[:rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3}).Draw(t, "number of rules")] {
			r.rules = append(r.rules, naiveRule{kind: kind, period: length("period", 100*ms, 230*ms, time.Second), n: number("calls", 1, 7)})
		}
	}
	for _, rule := range r.rules {
		switch rule.kind {
		case naiveOpenWhen:
			period := rule.period
			if some("whole state") {
				period = 0
			}
			p := naivePredicate{period, func(c circuit.Counts) bool {
				return c.Failure >= 2 && c.Failure > c.Success || c.ConsecutiveFailures > 2 || c.InFlight > 4
			}}
			c.openWhen = append(c.openWhen, p)
			add(circuit.WithOpenWhen(period, func(counts circuit.Counts) bool {
				r.asked = append(r.asked, counts)
				return p.holds(counts)
			}))
			continue
		case naiveInARow:
			rule.m, rule.n, rule.period = number("failures", 1, 4), 0, 0
		case naiveOfLast:
			rule.m, rule.period = number("failures", 1, min(4, rule.n)), 0
		case naiveWithin:
			rule.m, rule.n = number("failures", 1, 4), 0
		case naiveRate, naiveSlow:
			ratio := rapid.SampledFrom([][2]int{{1, 2}, {1, 3}, {2, 3}, {1, 1}, {3, 10}, {60, 100}}).Draw(t, "ratio")
			rule.m, rule.n, rule.minCalls = ratio[0], ratio[1], number("min calls", 1, 6)
		}
		if rule.kind == naiveSlow {
			c.threshold = length("threshold", 30*ms, 150*ms)
		}
		c.rules = append(c.rules, rule)
		add(rule.option(c.threshold))
	}
	slowOnly := len(c.rules) == 1 && len(c.openWhen) == 0 && c.threshold > 0
	if slowOnly && some("slow calls only") {
		slowOnly = false
		add(circuit.WithSlowCallsOnly())
	}
	if len(c.rules)+len(c.openWhen) == 0 || slowOnly {
		c.rules = append(c.rules, naiveRule{kind: naiveInARow, m: 5}) // the default
	}
	if len(c.rules) == 1 && len(c.openWhen) == 0 && c.threshold == 0 && some("probes as in closed") {
		add(circuit.WithProbesAsInClosed())
		switch rule := c.rules[0]; rule.kind {
		case naiveOfLast:
			c.successes, c.of = rule.n-rule.m+1, rule.n
		case naiveRate:
			c.successes, c.of, c.asRate = rule.minCalls, rule.minCalls, &rule
		default:
			c.of = rule.m
		}
	} else if some("probes") {
		c.of = number("of", 1, 4)
		c.successes = number("successes", 1, c.of)
		add(circuit.WithProbes(c.successes, c.of))
	}
	c.failures, c.limit = c.of-c.successes+1, c.of
	if c.asRate == nil && some("probe failures") {
		c.failures = number("failed probes", 1, c.failures)
		add(circuit.WithProbeFailures(c.failures))
	}
	if some("probe limit") {
		c.limit = number("limit", 1, c.of)
		add(circuit.WithProbeLimit(c.limit))
	}
	if some("lease") {
		c.lease = length("lease of", 20*ms, 60*ms, 400*ms)
		add(circuit.WithProbeLease(c.lease))
	}
	if some("delay") {
		c.delay = length("delay of", 0, 10*ms, 50*ms, 200*ms)
		add(circuit.WithDelay(c.delay))
	}
	c.longest = c.delay
	if c.delay > 0 && some("backoff") {
		c.factor = rapid.SampledFrom([]float64{1, 1.5, 2, 10}).Draw(t, "factor")
		c.longest = c.delay * time.Duration(number("longest", 1, 5))
		add(circuit.WithBackoff(c.factor, c.longest))
	}
	if c.marksNothing = some("unmarked rejections"); c.marksNothing {
		add(circuit.WithUnmarkedRejections())
	}
	return c, opts
}

func (r *modelRun) now() time.Duration { return time.Since(r.began) }

func (r *modelRun) acquire(t *rapid.T) (modelPermit, bool) {
	p, err := r.real.Acquire()
	c, reason, retryAfter := r.naive.acquire(r.now())
	r.sameVerdict(t, err, c != nil, reason, retryAfter)
	if c == nil {
		return modelPermit{}, false
	}
	r.permits = append(r.permits, modelPermit{p, c})
	return r.permits[len(r.permits)-1], true
}

func (r *modelRun) allow(t *rapid.T) bool {
	err := r.real.Allow()
	reason, retryAfter, ok := r.naive.allow(r.now())
	r.sameVerdict(t, err, ok, reason, retryAfter)
	return ok
}

func (r *modelRun) sameVerdict(t *rapid.T, err error, allowed bool, reason breaker.Reason, retryAfter time.Duration) {
	require.Equal(t, allowed, err == nil, "%v", err)
	var rejected *breaker.RejectedError
	if errors.As(err, &rejected) {
		require.Equal(t, reason, rejected.Reason())
		require.Equal(t, retryAfter, rejected.RetryAfter())
	}
	if r.naive.mode != breaker.ForceOpen {
		// Who asks has met every change.
		require.Len(t, r.events, len(r.naive.events))
	}
}

// settle settles a permit, which may be settled already.
func (r *modelRun) settle(p modelPermit, o breaker.Outcome) {
	p.real.Done(o)
	r.naive.settle(r.now(), p.naive, o)
}

func (r *modelRun) mark(o breaker.Outcome) {
	switch o {
	case breaker.Success:
		r.real.MarkSuccess()
	case breaker.Failure:
		r.real.MarkFailed()
	default:
		r.real.MarkIgnored()
	}
	r.naive.mark(r.now(), o)
}

func (r *modelRun) byHand(to int) {
	switch to {
	case 0:
		r.real.Reset()
		r.naive.reset(r.now())
	case 1:
		r.real.Open()
		r.naive.byHand(r.now(), breaker.Open)
	case 2:
		r.real.HalfOpen()
		r.naive.byHand(r.now(), breaker.HalfOpen)
	case 3:
		r.real.Close()
		r.naive.byHand(r.now(), breaker.Closed)
	}
}

func (r *modelRun) setMode(m breaker.Mode, d time.Duration) {
	if d == 0 {
		r.real.SetMode(m)
		r.naive.setMode(m, naiveForever)
		return
	}
	r.real.SetModeFor(m, d)
	r.naive.setMode(m, r.now()+d)
}

func (r *modelRun) reconfigure(t *rapid.T) {
	c, opts := r.drawOptions(t)
	r.real.Reconfigure(opts...)
	r.naive.reconfigure(r.now(), c)
}

func requireCause(t *rapid.T, cause string, of []string) {
	ok := slices.ContainsFunc(of, func(part string) bool { return strings.Contains(cause, part) })
	require.True(t, ok || len(of) == 0 && cause == "", "%q is none of %q", cause, of)
}

func (r *modelRun) compare(t *rapid.T) {
	got, want := r.real.Snapshot(), r.naive.snapshot(r.began, r.now())
	requireCause(t, got.Cause, r.naive.causes)
	got.Cause = ""
	require.Equal(t, want, got, "at %v", r.now())
	require.Equal(t, r.naive.asked, r.asked)
	// What only the passing of time has led to is told to nobody yet.
	require.LessOrEqual(t, len(r.events), len(r.naive.events))
	for ; r.same < len(r.events); r.same++ {
		e, want := r.events[r.same], r.naive.events[r.same]
		requireCause(t, e.Cause, want.causes)
		require.Equal(t, e.Cause, e.Snapshot.Cause)
		require.Equal(t, e.At, e.Snapshot.Since)
		require.Equal(t, fmt.Sprint(want.from, want.to, want.at, want.window, want.openings, want.changes),
			fmt.Sprint(e.From, e.Snapshot.State, e.At.Sub(r.began), e.Snapshot.Window, e.Snapshot.Openings, e.Snapshot.Transitions))
		require.Equal(t, want.to, e.To)
	}
}
