package circuit_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
)

// What callers, and a person, do to a naiveBreaker, and what it shows.

// acquire returns the call if it may go out, and otherwise why not and for how
// long.
func (n *naiveBreaker) acquire(now time.Duration) (*naiveCall, breaker.Reason, time.Duration) {
	n.catchUp(now)
	if n.mode == breaker.ForceOpen {
		n.rejected++
		return nil, breaker.ReasonForcedOpen, n.retryAfter(now)
	}
	if n.state == breaker.Closed {
		n.look(now)
		n.catchUp(now)
	}
	c := &naiveCall{
		era: n.era, in: n.state, began: now, leaseEnds: now + n.config.lease,
		timed: n.state == breaker.Closed && n.config.threshold > 0, slowAt: naiveForever,
	}
	if n.state == breaker.HalfOpen && n.config.threshold > 0 {
		c.slowAt = now + n.config.threshold
	}
	reason := breaker.ReasonUnknown
	good, bad := n.results()
	switch probes := len(n.running()); {
	case n.state == breaker.Open:
		reason = breaker.ReasonOpen
	case n.state == breaker.HalfOpen && (probes >= n.config.limit || probes+good+bad >= n.config.of):
		reason = breaker.ReasonProbeLimit
	}
	if reason != breaker.ReasonUnknown {
		switch n.mode {
		case breaker.DryRun:
			n.would++
			c.shadow = true
		case breaker.ForceClosed:
			c.shadow = true
		default:
			n.rejected++
			return nil, reason, n.retryAfter(now)
		}
	}
	n.calls = append(n.calls, c)
	return c, reason, 0
}

// look judges the calls in flight. What is new to it must be judged; what an
// earlier look has seen, too, may be.
func (n *naiveBreaker) look(now time.Duration) {
	var certain, possible []string
	for _, c := range n.overdue(now) {
		possible = n.holding(now, true, naiveSlow, naiveRate)
		if c.began+n.config.threshold > n.looked {
			certain = n.holding(now, true, naiveSlow)
		}
	}
	n.looked = now
	n.judge(now, certain, possible)
}

// allow is acquire without a permit: it leaves no trace of calls of a closed
// breaker.
func (n *naiveBreaker) allow(now time.Duration) (breaker.Reason, time.Duration, bool) {
	c, reason, retryAfter := n.acquire(now)
	switch {
	case c == nil:
		if !n.config.marksNothing {
			n.unmarked++
			n.lastRejection = now
		}
		return reason, retryAfter, false
	case c.in == breaker.HalfOpen && !c.shadow:
		c.anonymous, c.slowAt = true, naiveForever
	default:
		n.calls = n.calls[:len(n.calls)-1]
	}
	return 0, 0, true
}

// mark tells the end of a call that asked with Allow.
func (n *naiveBreaker) mark(now time.Duration, o breaker.Outcome) {
	if o == breaker.Failure && n.unmarked > 0 {
		if now-n.lastRejection <= time.Second {
			n.unmarked--
			return
		}
		n.unmarked = 0
	}
	n.catchUp(now)
	for _, p := range n.running() {
		if p.anonymous {
			n.settle(now, p, o)
			return
		}
	}
	e := naiveEnd{era: -1, at: now, outcome: o, good: o == breaker.Success, answered: o != breaker.Ignored}
	if n.state == breaker.Closed {
		e.era = n.era
		n.closedEnd(now, e)
		n.catchUp(now)
		return
	}
	n.ends = append(n.ends, e)
}

func (n *naiveBreaker) settle(now time.Duration, c *naiveCall, o breaker.Outcome) {
	n.catchUp(now)
	if c.over {
		return
	}
	c.over = true
	timed := n.config.threshold > 0 && c.timed && !c.counted
	slow := timed && !c.paused && now-c.began >= n.config.threshold
	e := naiveEnd{
		era: c.era, at: now, outcome: o, answered: o != breaker.Ignored,
		good: o == breaker.Success, timed: timed, slow: slow,
	}
	switch {
	case c.shadow || c.era != n.era || c.failed:
		e.era = -1
		n.ends = append(n.ends, e)
	case n.state == breaker.Closed:
		n.closedEnd(now, e)
	default:
		n.probeEnd(e)
	}
	n.catchUp(now)
}

// pause says that a caller does not wait any more, and reports whether that matters.
func (n *naiveBreaker) pause(now time.Duration, c *naiveCall) bool {
	if c.in != breaker.Closed || c.shadow {
		n.catchUp(now)
		if n.config.threshold == 0 || !slices.Contains(n.running(), c) {
			return false
		}
		c.paused, c.slowAt = true, naiveForever
		return true
	}
	if !c.timed || c.over {
		return false
	}
	slow := n.config.threshold > 0 && !c.paused && now-c.began >= n.config.threshold
	c.paused, c.counted = true, c.counted || slow
	if slow {
		n.catchUp(now)
		if n.state == breaker.Closed && c.era == n.era {
			n.closedEnd(now, naiveEnd{era: n.era, at: now, timed: true, slow: true, unheard: true})
		}
		n.catchUp(now)
	}
	return true
}

func (n *naiveBreaker) resume(now time.Duration, c *naiveCall) {
	switch {
	case c.in != breaker.Closed || c.shadow:
		n.catchUp(now)
		if n.config.threshold > 0 && c.paused && slices.Contains(n.running(), c) {
			c.paused, c.slowAt = false, now+n.config.threshold
		}
	case c.timed && !c.over && c.paused && !c.counted:
		c.paused, c.began = false, now
	}
}

func (n *naiveBreaker) byHand(now time.Duration, to breaker.State) {
	n.catchUp(now)
	switch {
	case n.state == to:
	case to == breaker.Open:
		n.open(now, "by hand")
	default:
		n.become(to, now, "by hand")
	}
	n.catchUp(now)
}

func (n *naiveBreaker) reset(now time.Duration) {
	n.catchUp(now)
	n.become(breaker.Closed, now, "reset")
}

// reconfigure draws at once what follows for probes, and leaves the rest to what
// comes.
func (n *naiveBreaker) reconfigure(now time.Duration, c naiveConfig) {
	n.catchUp(now)
	if c.equal(n.config) {
		return
	}
	n.use(c)
	n.looked = -1
	for _, p := range n.calls {
		if p.in == breaker.HalfOpen && !p.shadow && !p.over {
			p.leaseEnds = max(now, p.began+c.lease)
		}
	}
	for _, p := range n.running() {
		p.slowAt = naiveForever
		if c.threshold > 0 && !p.anonymous && !p.paused {
			p.slowAt = max(now, p.began+c.threshold)
		}
	}
	if n.state == breaker.HalfOpen {
		n.conclude(now)
	}
	n.catchUp(now)
}

func (c naiveConfig) equal(d naiveConfig) bool {
	for _, rules := range []*[]naiveRule{&c.rules, &d.rules} {
		*rules = slices.SortedFunc(slices.Values(*rules), func(a, b naiveRule) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return reflect.DeepEqual(c, d) // not if there are functions
}

func (n *naiveBreaker) setMode(m breaker.Mode, until time.Duration) {
	n.mode, n.modeUntil = m, until
	if m == breaker.Auto {
		n.modeUntil = naiveForever
	}
}

func (n *naiveBreaker) retryAfter(now time.Duration) time.Duration {
	switch {
	case n.mode == breaker.ForceOpen && n.modeUntil != naiveForever:
		return n.modeUntil - now
	case n.mode == breaker.Auto && n.state == breaker.Open:
		return n.until - now
	}
	return 0
}

func (n *naiveBreaker) window(now time.Duration) (w breaker.Window) {
	switch n.state {
	case breaker.Open:
		return n.shown
	case breaker.HalfOpen:
		good, bad := n.results()
		return breaker.Window{Success: uint64(good), Failure: uint64(bad)}
	}
	ends := n.evidence()
	for _, r := range n.config.rules {
		switch r.kind {
		case naiveOfLast:
			ends = naiveLast(n.evidenceOf(n.config.uses(r)[0]), r.n)
		case naiveSlow:
			_, slow := n.slow(r, now)
			w.Slow = uint64(slow + len(n.overdue(now)))
			w.Length = max(w.Length, r.period)
		default:
			w.Length = max(w.Length, r.period)
		}
	}
	for _, p := range n.config.openWhen {
		w.Length = max(w.Length, p.period)
	}
	if w.Length > 0 {
		ends = n.during(naiveUse{what: naivePeriod, period: w.Length}, now)
	}
	w.Success, w.Failure = naiveCount(ends)
	return w
}

func (n *naiveBreaker) totals() (t breaker.Totals) {
	for _, e := range n.ends {
		switch {
		case e.unheard:
		case e.outcome == breaker.Ignored:
			t.Ignored++
		case e.outcome == breaker.Success:
			t.Success++
		default:
			t.Failure++
		}
	}
	for _, c := range n.calls {
		if !c.over && !c.anonymous {
			t.InFlight++
		}
	}
	t.Allowed = t.Success + t.Failure + t.Ignored + t.InFlight
	t.Rejected, t.WouldReject = n.rejected, n.would
	t.Offered = t.Allowed + t.Rejected
	return t
}

// snapshot has no cause: there may be several.
func (n *naiveBreaker) snapshot(began time.Time, now time.Duration) breaker.Snapshot {
	n.catchUp(now)
	s := breaker.Snapshot{
		Mode: n.mode, State: n.state, Since: began.Add(n.since), Window: n.window(now), Totals: n.totals(),
		Openings: uint64(n.openings), Transitions: n.changes, RetryAfter: n.retryAfter(now),
	}
	if n.modeUntil != naiveForever {
		s.ModeUntil = began.Add(n.modeUntil)
	}
	if n.state != breaker.Open {
		s.ConsecutiveSuccesses, s.ConsecutiveFailures = naiveStreak(n.evidence())
	}
	good, bad := n.results()
	full := len(n.running()) >= n.config.limit || len(n.running())+good+bad >= n.config.of
	if n.mode == breaker.ForceOpen || n.mode == breaker.Auto && (n.state == breaker.Open || n.state == breaker.HalfOpen && full) {
		s.RejectRatio = 1
	}
	return s
}

// instants returns when the passing of time may change something.
func (n *naiveBreaker) instants(now time.Duration) (at []time.Duration) {
	at = append(at, n.until, n.modeUntil, n.lastRejection+time.Second)
	for _, c := range n.calls {
		if !c.over {
			at = append(at, c.leaseEnds, c.began+n.config.threshold, c.slowAt)
		}
	}
	for _, r := range n.config.rules {
		if r.period == 0 {
			continue
		}
		bucket := r.period / 10
		at = append(at, (now/bucket+1)*bucket)
		for _, e := range n.evidence() {
			at = append(at, e.at+r.period, (e.at/bucket+10)*bucket)
		}
	}
	return at
}

// option returns the option of a rule.
func (r naiveRule) option(threshold time.Duration) circuit.Option {
	ratio := float64(r.m) / float64(max(1, r.n))
	switch r.kind {
	case naiveInARow:
		return circuit.WithConsecutiveFailures(r.m)
	case naiveOfLast:
		return circuit.WithFailureCount(r.m, r.n)
	case naiveWithin:
		return circuit.WithFailuresInPeriod(r.m, r.period)
	case naiveSlow:
		return circuit.WithSlowCallRate(threshold, ratio, r.minCalls, r.period)
	}
	if r.n == 100 {
		return circuit.WithFailurePercent(r.m, r.minCalls, r.period)
	}
	return circuit.WithFailureRate(ratio, r.minCalls, r.period)
}
