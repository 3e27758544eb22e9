package adaptive

import "math"

// paced is the state of the phase in which calls go out at two paces. What becomes of
// them at the faster one, beside the slower one, tells whether more calls help: see [odds].
type paced struct {
	level float64 // calls per ns at the lower pace; [all] until enough is known
	gain  float64 // the higher one, in lower ones
	loose bool    // whether the callers did not use the pace, so calls are not spaced

	low, high tally   // of the calls at each pace; a ramp has only low
	ref       tally   // of the calls before fewer went out, with which a hold is compared
	lean      float64 // nats by which it seems that more calls do not help; a sum in a ramp
	rests     int     // cohorts at the lower pace between two at the higher one
	wait      int     // so many more of them
	looked    int64   // when the last one at the higher one began

	peak      float64 // successes per ns of late, at the most
	next, due int64   // when the next call may go out, and when it should

	free tally // of cohorts in a row in which hardly any call was rejected
}

var all = math.Inf(1)

const (
	// The gain while nothing speaks against it. TCP's slow start doubles once per round
	// trip (RFC 5681); with 2, a backend that flaps would be served less by a third.
	growth = 3.0
	// So much bolder a look is than the one before that was not decisive; and paces and shares
	// that differ by less are as good as the same. Less takes longer to tell from noise, more
	// overloads by more (BBR looks with 1.25).
	gentle = 1.16
	// Nats by which the pace changes, about 1 in 6: an error is soon put right, so it may
	// be frequent; waiting for more would be slow.
	sway = doubt / tardy
	// So many times the calls that are asked for is no limit, so calls need not be spaced.
	// The other twos: a look is no bolder, a share that fell by more is not the same,
	// and a rise takes half of the nats.
	plenty = 2.0
	// The calls over which what is known is averaged, few enough to follow a backend that
	// warms up, so many that single failures do not count; and those of a reference at least.
	memory = tardy * few
	// So much of the time between two calls lies between them at least, so that a backend
	// without room for bursts gets none; less than 1 makes up for callers that come late.
	evenly = 0.9
)

// try begins to find out whether fewer calls help. At first all go out.
func (l *Law) try(now int64, cause string) {
	l.served = 0 // what succeeded before the trouble is no limit
	l.pace(now, &paced{level: all, gain: gentle}, cause)
}

// recover begins to make more and more calls after a probe has succeeded.
func (l *Law) recover(now int64) {
	l.ratio = min(l.ratio, prior) // it may come back with a part of it
	l.pace(now, &paced{level: 1 / float64(l.round()), gain: growth}, "a probe succeeded")
}

func (l *Law) pace(now int64, p *paced, cause string) {
	p.next, p.due, p.looked, p.rests, p.wait = now, now, now, 1, 1
	l.become(Paced, now, cause)
	l.paced, l.current().high = p, p.ramp()
}

// allows decides about a call. Looks and ramps are not bounded by the calls in flight,
// or callers who come in bursts would never be seen to be served.
func (p *paced) allows(now int64, l *Law) bool {
	c := l.current()
	switch {
	case p.level == all:
		return true
	case now < p.next || !c.high && l.flight() >= tardy*p.peak*l.usual+few:
		return false
	}
	if p.loose {
		p.due = now
		return true
	}
	gap := 1 / p.at(c.high)
	// On average in step, but evenly spaced, unless nobody has called for a while.
	if p.due = max(p.due, now-longest); now-p.due <= int64(plenty*gap) {
		p.next = max(p.due+int64(gap), now+int64(evenly*gap))
	}
	p.due += int64(gap)
	return true
}

// ramp reports whether every cohort goes out at the higher pace.
func (p *paced) ramp() bool { return p.gain == growth }

// at returns the higher or the lower pace.
func (p *paced) at(high bool) float64 {
	if high {
		return p.level * p.gain
	}
	return p.level
}

// round returns how long a cohort of a hold lasts at least: about as long as a call takes,
// and not so short that it sees only bursts.
func (l *Law) round() int64 { return max(brief/int64(tardy), min(int64(l.usual), brief)) }

// isFull reports whether a cohort tells enough. In a hold, two in a row last equally long,
// or the one at the lower pace would leave the backend time to rest. In a ramp they are
// short, since each one sets the pace of the next.
func (l *Law) isFull(c *Cohort, age int64) bool {
	p := l.paced
	switch {
	case age >= longest:
		return true
	case c.sent == 0 || age < brief/int64(tardy) || !p.ramp() && age < l.round():
		return false
	case p.level == all:
		return c.asked >= memory
	case p.ramp():
		return float64(age)*p.at(c.high) >= growth
	}
	return float64(age)*p.level >= few
}

// paces begins and judges cohorts.
func (l *Law) paces(now int64) {
	if c := l.current(); len(l.cohorts) < few && l.isFull(c, now-c.from) {
		l.turn(now, c)
	}
	for l.phase == Paced && len(l.cohorts) > 1 && (l.cohorts[0].pending() == 0 || l.isOverdue(l.cohorts[0], now)) {
		c := l.cohorts[0]
		if l.cohorts = l.cohorts[1:]; c.sent > 0 {
			l.judge(now, c)
		}
	}
}

// turn ends the present cohort, and sets the pace of the next one.
func (l *Law) turn(now int64, c *Cohort) {
	p, n := l.paced, c.tally(now)
	p.peak = max(p.peak*most, n.done/n.t)
	p.loose = p.level < all && l.asks*plenty < p.at(c.high)
	if p.ramp() && p.lean <= 0 {
		// As in TCP, what has arrived sets the clock; one of them may be luck.
		p.level = max(p.level, (n.done-1)/n.t)
		if l.served > 0 && l.served < most*l.asks && p.level*p.gain > l.served {
			// Before the outage, the backend did no more.
			p.level, p.gain = max(p.level, l.served), math.Sqrt(growth)
		}
	}
	high := p.ramp()
	if !high && p.level < all {
		if p.wait--; p.wait < 0 || now-p.looked > seldom {
			high, p.wait, p.looked = true, p.rests, now
		}
	}
	l.begin(now).high = high
}

// judge takes in what became of a cohort. If none of its calls succeeded, nothing is decided:
// [Law.test] tells whether that is an outage.
func (l *Law) judge(now int64, c *Cohort) {
	p, n := l.paced, c.tally(now)
	if n.ok == 0 {
		l.barren += c.sent
	} else {
		l.barren = 0
		l.ratio += (n.ratio() - l.ratio) * c.sent / (c.sent + memory)
	}
	if c.ok > 0 {
		// In a hang calls take longer, and more only because they are in trouble.
		l.usual += min(0, (c.took/c.ok-l.usual)*c.ok/(c.ok+few))
	}
	limited := c.sent < most*c.asked
	if p.level < all && (limited || !p.ramp() || n.pace() > gentle*p.low.pace()) {
		if l.weigh(now, c.high, n); l.phase != Paced {
			return
		}
	}
	if limited {
		p.free = tally{}
	} else if p.free.add(n, 1); n.ok > 0 {
		l.finish(now)
	}
}

// weigh compares a cohort with others, and decides about the pace.
func (l *Law) weigh(now int64, high bool, n tally) {
	p := l.paced
	if p.compare(high, n); n.ok == 0 {
		return
	}
	helps := 0.0 // nats by which it seems that fewer calls help
	if !high {
		helps = odds(p.ref, p.low)
	}
	switch {
	case helps < -doubt && p.low.ratio() > p.ref.ratio()/plenty:
		l.pardon(now, p.low.ratio())
	case helps > doubt:
		p.ref = tally{}
	case p.lean > sway:
		l.settle()
	case p.lean < -sway/plenty:
		l.rise()
	}
}

// compare takes in a cohort: in a ramp beside those before, in a hold beside those at the
// other pace.
func (p *paced) compare(high bool, n tally) {
	switch {
	case p.ramp():
		p.lean += odds(p.low, n)
		if p.low.add(n, most); n.ok < n.n && p.lean <= sway {
			p.level = max(p.level, n.pace())
		}
		return
	case high:
		p.high.add(n, most)
		p.gain = min(p.gain*gentle, plenty) // the next look goes further
	default:
		p.low.add(n, most)
	}
	if slow, fast := p.low, p.high; slow.n > 0 && fast.n > 0 {
		if slow.pace() > fast.pace() {
			slow, fast = fast, slow // callers need not use the pace
		}
		p.lean = odds(slow, fast)
	}
}

// settle keeps to the pace that the backend delivers at. A hold of which most calls succeed
// keeps its own.
func (l *Law) settle() {
	p := l.paced
	low := p.low
	if p.ramp() && low.n >= memory {
		p.ref = low
	}
	if p.ramp() || low.ratio() < 1/gentle {
		p.level, low = max(low.delivered(), p.high.delivered(), l.floor()), tally{}
	}
	l.hold(low)
	p.rests = min(2*p.rests, few/2)
}

// hold begins to hold the pace, of which so much is known.
func (l *Law) hold(low tally) {
	p := l.paced
	p.low, p.high, p.lean, p.loose = low, tally{}, 0, false
	// A look makes one standard deviation more calls. Less tells nothing.
	p.gain = 1 + 1/math.Sqrt(max(few, p.level*float64(l.round())))
}

// rise makes more calls. A ramp does that anyway.
func (l *Law) rise() {
	p := l.paced
	p.lean = 0
	if !p.ramp() {
		p.level *= p.gain
		p.gain = min(p.gain*p.gain, growth)
		p.low, p.high, p.rests, p.wait = p.high, tally{}, 1, 0
	}
}

// floor returns the least pace, so that something is learned: one call in 2 s, or 3 % of those
// that are asked for.
func (l *Law) floor() float64 { return max(1/float64(longest), nothing*l.asks) }

// finish ends the pacing, for nothing was rejected for a while; or begins a hold, now that it
// is known what becomes of all calls, and too many fail.
func (l *Law) finish(now int64) {
	p := l.paced
	switch failed := p.free.ratio() < l.accepts(now); {
	case failed && p.free.n >= max(memory, float64(l.Enough)):
		p.ref, p.level = p.free, max(p.free.delivered(), l.floor())
		p.free, p.wait = tally{}, 1
		l.hold(tally{})
	case p.free.t >= float64(longest) && (!failed || p.level < all && p.free.n < float64(l.Enough)):
		l.become(Calm, now, "nothing is rejected any more")
	}
}
