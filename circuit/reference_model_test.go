package circuit_test

import (
	"math"
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// naiveBreaker is the breaker as its documentation has it, and as plain as can
// be: it keeps every call that it ever saw, and counts them when it is asked. It
// moves on with the clock at once, where the real one waits for a call. Times
// are since its creation.
type naiveBreaker struct {
	config naiveConfig
	// from tells from which end on something counts that is in use.
	from map[naiveUse]int
	// opened tells whether the real one has opened, where the documentation
	// leaves open when exactly it looks at the calls in flight.
	opened func() bool

	state    breaker.State
	era      int // number of the state
	since    time.Duration
	causes   []string // a part of the cause's text; any of them will do
	until    time.Duration
	openings int
	shown    breaker.Window // what the state before an open one had counted
	changes  breaker.Transitions

	calls           []*naiveCall
	ends            []naiveEnd
	rejected, would uint64
	looked          time.Duration // when a closed one was last asked for a permit

	unmarked      int // rejections by Allow without their mark
	lastRejection time.Duration

	mode      breaker.Mode
	modeUntil time.Duration

	events []naiveEvent
	asked  []circuit.Counts
}

type naiveConfig struct {
	rules     []naiveRule
	openWhen  []naivePredicate
	threshold time.Duration

	successes, of, failures, limit int
	asRate                         *naiveRule // of WithProbesAsInClosed
	lease                          time.Duration

	delay, longest time.Duration
	factor         float64
	marksNothing   bool // WithUnmarkedRejections
}

type naivePredicate struct {
	period time.Duration
	holds  func(circuit.Counts) bool
}

// naiveRule opens the breaker, and is called by what the cause's text has in it.
type naiveRule struct {
	kind     string
	m, n     int // failures of calls, or the ratio
	minCalls int
	period   time.Duration
}

const (
	naiveInARow   = " failures in a row"
	naiveOfLast   = " of the last "
	naiveWithin   = " failures within "
	naiveRate     = " failed"
	naiveSlow     = " were slow"
	naiveOpenWhen = "WithOpenWhen" // no rule

	naiveForever = time.Duration(math.MaxInt64)
)

// naiveUse is something that calls are counted by.
type naiveUse struct {
	what      string // a kind of rule, or a period
	n         int
	period    time.Duration
	threshold time.Duration
}

const naivePeriod = "a period"

// uses returns what a rule counts by, and then its period.
func (c naiveConfig) uses(r naiveRule) []naiveUse {
	period := naiveUse{what: naivePeriod, period: r.period}
	switch r.kind {
	case naiveOfLast:
		return []naiveUse{{what: r.kind, n: r.n}}
	case naiveWithin:
		return []naiveUse{{what: r.kind, period: r.period}, period}
	case naiveSlow:
		return []naiveUse{{what: r.kind, period: r.period, threshold: c.threshold}, period}
	case naiveRate:
		return []naiveUse{period}
	}
	return nil
}

// naiveCall is a call that was let through with a permit, or a probe.
type naiveCall struct {
	era       int
	in        breaker.State
	shadow    bool // let through by the mode
	anonymous bool // by Allow
	timed     bool // in a closed state
	began     time.Duration
	leaseEnds time.Duration
	over      bool

	slowAt  time.Duration // of a probe
	failed  bool          // since it is slow
	paused  bool
	counted bool // as slow, when it was paused
}

// naiveEnd is a call that ended.
type naiveEnd struct {
	era      int // whose evidence it is; -1 for none
	at       time.Duration
	outcome  breaker.Outcome
	good     bool // for a probe
	timed    bool
	slow     bool
	unheard  bool // a probe of Allow that was lost: in no total
	answered bool // not ignored
}

type naiveEvent struct {
	from, to breaker.State
	causes   []string
	at       time.Duration
	window   breaker.Window
	openings int
	changes  breaker.Transitions
}

// use puts a configuration in force. What was in use before goes on.
func (n *naiveBreaker) use(c naiveConfig) {
	from := map[naiveUse]int{}
	use := func(u naiveUse) {
		from[u] = len(n.ends)
		if at, ok := n.from[u]; ok {
			from[u] = at
		}
	}
	for _, r := range c.rules {
		for _, u := range c.uses(r) {
			use(u)
		}
	}
	for _, p := range c.openWhen {
		use(naiveUse{what: naivePeriod, period: p.period})
	}
	n.config, n.from = c, from
}

func (n *naiveBreaker) evidence() []naiveEnd { return n.evidenceOf(naiveUse{}) }

// evidenceOf returns the evidence since something came into use.
func (n *naiveBreaker) evidenceOf(u naiveUse) (ends []naiveEnd) {
	for _, e := range n.ends[n.from[u]:] {
		if e.era == n.era {
			ends = append(ends, e)
		}
	}
	return ends
}

// during returns the evidence in the ten buckets of a period, which begin at
// multiples of their length after the creation of the breaker.
func (n *naiveBreaker) during(u naiveUse, now time.Duration) (ends []naiveEnd) {
	bucket := u.period / 10
	for _, e := range n.evidenceOf(u) {
		if now/bucket-e.at/bucket < 10 {
			ends = append(ends, e)
		}
	}
	return ends
}

func naiveCount(ends []naiveEnd) (success, failure uint64) {
	for _, e := range ends {
		switch {
		case !e.answered:
		case e.outcome == breaker.Success:
			success++
		default:
			failure++
		}
	}
	return success, failure
}

// naiveStreak returns how many calls were good, or bad, since one was not.
func naiveStreak(ends []naiveEnd) (good, bad uint64) {
	for _, e := range slices.Backward(ends) {
		switch {
		case !e.answered:
		case e.good && bad == 0:
			good++
		case !e.good && good == 0:
			bad++
		default:
			return good, bad
		}
	}
	return good, bad
}

func naiveLast(ends []naiveEnd, n int) []naiveEnd {
	ends = slices.DeleteFunc(slices.Clone(ends), func(e naiveEnd) bool { return !e.answered })
	return ends[max(0, len(ends)-n):]
}

// overdue returns the calls of the present state in flight that are slow by now.
func (n *naiveBreaker) overdue(now time.Duration) (calls []*naiveCall) {
	for _, c := range n.calls {
		if n.config.threshold > 0 && c.timed && c.era == n.era && !c.over && !c.paused && now-c.began >= n.config.threshold {
			calls = append(calls, c)
		}
	}
	return calls
}

func (n *naiveBreaker) slow(r naiveRule, now time.Duration) (onTime, slow int) {
	for _, e := range n.during(n.config.uses(r)[0], now) {
		switch {
		case e.timed && e.slow:
			slow++
		case e.timed && e.answered:
			onTime++
		}
	}
	return onTime, slow
}

func (n *naiveBreaker) holds(r naiveRule, now time.Duration, inFlight int) bool {
	if r.kind == naiveInARow {
		_, failures := naiveStreak(n.evidence())
		return failures >= uint64(r.m)
	}
	use := n.config.uses(r)[0]
	switch r.kind {
	case naiveOfLast:
		_, failures := naiveCount(naiveLast(n.evidenceOf(use), r.n))
		return failures >= uint64(r.m)
	case naiveWithin:
		_, failures := naiveCount(slices.DeleteFunc(n.evidenceOf(use), func(e naiveEnd) bool { return now-e.at >= r.period }))
		return failures >= uint64(r.m)
	case naiveSlow:
		onTime, slow := n.slow(r, now)
		slow += inFlight
		return onTime+slow >= r.minCalls && slow*r.n >= r.m*(onTime+slow)
	}
	s, f := naiveCount(n.during(use, now))
	return int(s+f) >= r.minCalls && int(f)*r.n >= r.m*int(s+f)
}

// holding returns the rules that hold, with calls in flight or without. Some may
// hold by the passing of time alone; only kinds are looked at, if there are any.
func (n *naiveBreaker) holding(now time.Duration, inFlight bool, kinds ...string) (causes []string) {
	overdue := 0
	if inFlight {
		overdue = len(n.overdue(now))
	}
	for _, r := range n.config.rules {
		if (kinds == nil || slices.Contains(kinds, r.kind)) && n.holds(r, now, overdue) {
			causes = append(causes, r.kind)
		}
	}
	return causes
}

// judge opens the breaker if something is certain, and if something is possible
// as the real one does.
func (n *naiveBreaker) judge(now time.Duration, certain, possible []string) {
	if len(certain) > 0 || len(possible) > 0 && n.opened() {
		n.open(now, slices.Concat(certain, possible)...)
	}
}

// closedEnd takes in the end of a call as evidence of the closed state.
func (n *naiveBreaker) closedEnd(now time.Duration, e naiveEnd) {
	n.ends = append(n.ends, e)
	switch {
	case !e.answered && e.slow:
		n.judge(now, n.holding(now, true, naiveSlow), n.holding(now, true, naiveRate))
	case !e.answered:
	case e.outcome == breaker.Success && !e.slow:
		n.judge(now, n.holding(now, false, naiveRate, naiveSlow), n.holding(now, true, naiveRate, naiveSlow))
	case e.outcome == breaker.Success:
		n.judge(now, n.holding(now, true, naiveRate, naiveSlow), nil)
	default:
		n.judge(now, n.holding(now, true), nil)
		if n.state == breaker.Closed {
			n.ask(now)
		}
	}
}

// ask asks the functions of WithOpenWhen.
func (n *naiveBreaker) ask(now time.Duration) {
	for _, p := range n.config.openWhen {
		ends := n.evidence()
		if p.period > 0 {
			ends = n.during(naiveUse{what: naivePeriod, period: p.period}, now)
		}
		c := circuit.Counts{InFlight: n.totals().InFlight}
		c.Success, c.Failure = naiveCount(ends)
		c.ConsecutiveSuccesses, c.ConsecutiveFailures = naiveStreak(n.evidence())
		n.asked = append(n.asked, c)
		if p.holds(c) {
			n.open(now, naiveOpenWhen)
			return
		}
	}
}

// probeEnd takes in the result of a probe of the half-open state.
func (n *naiveBreaker) probeEnd(e naiveEnd) {
	n.ends = append(n.ends, e)
	if e.answered {
		n.conclude(e.at)
	}
}

// conclude draws what follows from the results of the probes.
func (n *naiveBreaker) conclude(at time.Duration) {
	good, bad := n.results()
	p := n.config
	failed := bad >= p.failures
	if r := p.asRate; r != nil {
		if good+bad < r.minCalls {
			return
		}
		failed = bad*r.n >= r.m*r.minCalls
	}
	switch {
	case failed:
		n.open(at, "results of the probes")
	case good >= p.successes || p.asRate != nil:
		n.become(breaker.Closed, at, "results of the probes")
	}
}

func (n *naiveBreaker) results() (good, bad int) {
	for _, e := range n.evidence() {
		switch {
		case !e.answered:
		case e.good:
			good++
		default:
			bad++
		}
	}
	return good, bad
}

func (n *naiveBreaker) running() (probes []*naiveCall) {
	for _, c := range n.calls {
		if c.era == n.era && c.in == breaker.HalfOpen && !c.over && !c.shadow && !c.failed {
			probes = append(probes, c)
		}
	}
	return probes
}

func (n *naiveBreaker) open(at time.Duration, causes ...string) {
	n.openings++
	delay := float64(n.config.delay)
	for range n.openings - 1 {
		delay = min(delay*n.config.factor, float64(n.config.longest))
	}
	n.until = at + time.Duration(delay)
	n.become(breaker.Open, at, causes...)
}

func (n *naiveBreaker) become(to breaker.State, at time.Duration, causes ...string) {
	if n.state != breaker.Open {
		n.shown = n.window(at)
	}
	if to == breaker.Closed {
		n.openings = 0
	}
	if n.state != to {
		n.changes[n.state][to]++
		n.events = append(n.events, naiveEvent{n.state, to, causes, at, n.shown, n.openings, n.changes})
	}
	n.era++
	n.state, n.since, n.causes = to, at, causes
}

// catchUp does what the passing of time has led to.
func (n *naiveBreaker) catchUp(now time.Duration) {
	if now >= n.modeUntil {
		n.mode, n.modeUntil = breaker.Auto, naiveForever
	}
	for {
		first := n.firstToFail(now)
		switch {
		case n.state == breaker.Open && now >= n.until:
			n.become(breaker.HalfOpen, n.until, "the delay has passed")
		case first != nil && first.slowAt < first.leaseEnds:
			first.failed = true
			n.probeEnd(naiveEnd{era: n.era, at: first.slowAt, outcome: breaker.Failure, answered: true, unheard: true})
		case first != nil:
			n.lose(first)
		default:
			for _, c := range n.calls {
				if c.in == breaker.HalfOpen && !c.shadow && !c.over && now >= c.leaseEnds {
					n.lose(c) // of an earlier state
				}
			}
			return
		}
	}
}

// firstToFail returns the probe that is the first to be slow or lost by now, or nil.
func (n *naiveBreaker) firstToFail(now time.Duration) (first *naiveCall) {
	at := func(c *naiveCall) time.Duration { return min(c.slowAt, c.leaseEnds) }
	for _, c := range n.running() {
		if at(c) <= now && (first == nil || at(c) < at(first)) {
			first = c
		}
	}
	return first
}

// lose gives up a probe whose lease has ended.
func (n *naiveBreaker) lose(c *naiveCall) {
	c.over = true
	e := naiveEnd{era: c.era, at: c.leaseEnds, outcome: breaker.Failure, answered: true, unheard: c.anonymous}
	if c.era == n.era && !c.failed {
		n.probeEnd(e)
		return
	}
	e.era = -1
	n.ends = append(n.ends, e) // it tells nothing, as its state has ended
}
