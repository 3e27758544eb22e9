package adaptive

import "math"

// paced is the state of the phase in which calls go out at two paces in turns. What
// becomes of them at the higher one and at the lower one tells whether more calls
// help: see odds.
type paced struct {
	level float64 // calls per ns at the lower pace
	loose bool    // whether the callers do not use the pace, and are only kept apart
	gain  float64 // the higher one, in lower ones
	part  float64 // of the calls of a trial, which goes out at the lower pace
	trial bool    // whether all calls go out in turns with a share of them
	ramp  bool    // whether each cohort goes out at a higher pace than the one before

	low, high tally
	ref       tally   // what became of calls at a pace that was too high
	rests     int     // cohorts at the lower pace between two at the higher one
	wait      int     // so many more of them
	lean      float64 // nats by which it seems that more calls do not help

	peak   float64 // successes per ns of late, at the most
	flight float64 // calls that have not ended
	room   float64 // for so many of them

	next, due int64 // when the next call may go out, and when it should

	free        tally // of cohorts in a row in which nothing was rejected
	freeFrom    int64
	asked       float64 // calls in a trial
	timed, took float64 // successes, and the ns that they took together
	seen        Cohort  // asked and sent, fading
}

const (
	// The gain while nothing speaks against it. TCP's slow start doubles (RFC 5681); a
	// breaker knows the pace of before, and ends the growth there.
	growth = 3.0
	// The least gain: the surplus by which the breaker learns that the backend can do more
	// (BBR takes 1.25). Less takes longer to tell from noise, more overloads by more.
	gentle = 1.16
	// So large a share of the calls is as good as all of them.
	most = 7.0 / 8
	// One call a second: without any, nothing would be learned.
	slowest = 1 / float64(sec)
	// Cohorts at the lower pace between two at the higher one. More cost an overloaded
	// backend less, and find out later that it has recovered.
	rarely = 8
	// The share of the calls that goes out at the lower pace of a trial. The smaller, the
	// sooner it is clear what fewer calls do, and the more good calls are lost.
	contrast = 0.25
	// Nats by which a trial ends: a wrong verdict costs a pardon, or a hold that the next
	// cohorts correct.
	clear = doubt
	// Nats by which the pace changes, about 1 in 4.5: an error is soon put right, so it
	// may be frequent; waiting for more would be slow.
	sway = 1.5
	// The share of what the backend delivers that is sent while most calls come
	// too late: a queue gets shorter only if less comes than goes. BBR drains by the inverse of its gain.
	drain = 0.75
	// Calls over which the success ratio is averaged, few enough to follow a backend that
	// warms up, so many that single failures do not count.
	memory = 32.0
	// The share of what is known that each cohort leaves, so about five of them count: more
	// would hide a change, fewer would be noise.
	fade = 0.8
	// The shortest cohort: for calls that take less, a shorter one would see only bursts.
	shortest = 30 * ms
	// So much of the time between two calls lies between them at least, so that a backend
	// without room for bursts gets none; less than 1 makes up for callers that come late.
	evenly = 0.9
	// So many times the calls that are asked for is no limit, so calls need not be spaced.
	plenty = 2.0
	// Without a rejection for so long, the pacing ends: longer than a usual timeout.
	quiet = 2 * sec
)

// allows decides about a call that begins with the cohort c.
func (p *paced) allows(now int64, c *Cohort, rate float64, random func() float64) bool {
	if p.trial {
		return c.high || random() < p.part
	}
	if now < p.next || p.flight >= p.room {
		return false
	}
	if pace := p.at(c); pace < plenty*rate && !p.loose {
		gap := 1 / pace
		// On average in step, but evenly spaced, unless nobody has called for a while.
		if p.due = max(p.due, now-longest); now-p.due <= int64(2*gap) {
			p.next = max(p.due+int64(gap), now+int64(evenly*gap))
		}
		p.due += int64(gap)
	}
	return true
}

// at returns the pace of a cohort.
func (p *paced) at(c *Cohort) float64 {
	if c.high {
		return p.level * p.gain
	}
	return p.level
}

// share returns the share of the calls that goes out.
func (p *paced) share(c *Cohort) float64 {
	return min(1, (p.seen.sent+c.sent)/max(1, p.seen.asked+c.asked))
}

func (l *Law) pace(now int64, p paced, cause string) {
	p.next, p.due, p.rests, p.room = now, now, 1, math.Inf(1)
	l.paced = p
	l.become(Paced, now, cause)
	l.current().high = p.trial || p.ramp
}

// try begins a trial.
func (l *Law) try(now int64, cause string) {
	l.pace(now, paced{trial: true, part: contrast}, cause)
}

// recover begins to make more and more calls after a probe has succeeded.
func (l *Law) recover(now int64) {
	l.ratio = min(l.ratio, prior) // it may come back with a part of it
	l.pace(now, paced{ramp: true, level: 1 / float64(l.round()), gain: growth}, "a probe succeeded")
}

// round returns how long a cohort lasts at least: about as long as a call takes.
func (l *Law) round() int64 { return max(shortest, min(int64(l.usual), patience)) }

// isFull reports whether a cohort tells enough. Two in a row last equally long, or the
// one at the lower pace would leave the backend time to rest.
func (l *Law) isFull(c *Cohort, age int64) bool {
	p := &l.paced
	switch {
	case p.trial:
		return c.asked >= few/p.part && age >= l.round()
	case p.ramp:
		return age >= l.round()
	}
	return age >= l.round() && float64(age)*p.level >= few
}

// paces begins and judges cohorts.
func (l *Law) paces(now int64) {
	c := l.current()
	age := now - c.from
	if len(l.cohorts) < few && (c.sent > 0 && l.isFull(c, age) || age >= longest) {
		l.turn(now, c)
	}
	for l.phase == Paced && len(l.cohorts) > 1 && (l.cohorts[0].pending() == 0 || l.isOverdue(l.cohorts[0], now)) {
		c := l.cohorts[0]
		l.cohorts = append(l.cohorts[:0], l.cohorts[1:]...)
		l.judge(now, c)
	}
}

// turn ends the present cohort, and sets the pace of the next one.
func (l *Law) turn(now int64, c *Cohort) {
	p := &l.paced
	p.seen.asked, p.seen.sent = p.seen.asked*fade+c.asked, p.seen.sent*fade+c.sent
	l.rate = c.asked / float64(now-c.from)
	n := c.tally(now)
	p.peak = max(p.peak*(1-1.0/few/few), n.done/n.t)
	if !p.trial {
		p.room = tardy*p.peak*l.usual + few
	}
	p.loose = n.pace()*plenty < p.at(c)
	if p.ramp && p.lean <= 0 && !l.failing() {
		p.level = max(p.level, n.done/n.t) // as in TCP, what has arrived sets the clock
		if l.served > 0 && l.served < most*l.asks && p.level*p.gain > l.served {
			// Before, the backend did no more.
			p.level, p.ramp, p.gain = max(p.level, l.served), false, math.Sqrt(p.gain)
		}
	}
	high := p.ramp || p.trial && !c.high
	if !p.ramp && !p.trial {
		if p.wait--; p.wait < 0 {
			high, p.wait = true, p.rests
		}
	}
	l.begin(now).high = high
}

// failing reports whether calls have failed that are not judged yet.
func (l *Law) failing() bool {
	for _, c := range l.cohorts {
		if c.failed+c.late > 0 {
			return true
		}
	}
	return false
}

// judge takes in what became of the oldest cohort.
func (l *Law) judge(now int64, c *Cohort) {
	p := &l.paced
	if c.sent == 0 {
		return
	}
	good := c.ok + c.late
	if good == 0 {
		l.barren += c.sent
		if -math.Log1p(-certain(l.ratio))*c.sent > doubt {
			// Neither too much to do nor a broken part explains it. If it is a queue, it
			// needs a rest; if it is an interruption, the evidence will do.
			l.rest()
			return
		}
	} else {
		l.barren = 0
		l.ratio += (good/c.sent - l.ratio) * c.sent / (c.sent + memory)
		if p.timed, p.took = p.timed+good, p.took+c.took; p.timed >= few {
			l.usual = min(l.usual, p.took/p.timed)
			p.timed, p.took = 0, 0
		}
	}
	n := c.tally(now)
	if p.trial {
		l.tried(now, c, n)
		return
	}
	limited := c.sent < most*c.asked
	if limited || !p.ramp || n.ratio() < l.Accept {
		l.weigh(now, c.high, n)
	}
	if limited {
		p.free = tally{}
		return
	}
	if p.free.n == 0 {
		p.freeFrom = c.from
	}
	p.free.add(n, 1)
	if now-p.freeFrom >= quiet {
		l.finish(now)
	}
}

// weigh compares a cohort with those that went out at the other pace.
func (l *Law) weigh(now int64, high bool, n tally) {
	p := &l.paced
	mine, other := &p.low, &p.high
	if high {
		mine, other = other, mine
	}
	if other.n > 0 {
		p.lean += odds(*other, n)
	}
	if p.ramp {
		p.low.add(n, fade)
		if n.ok < n.n && p.lean <= sway {
			p.level = max(p.level, n.pace())
		}
	} else {
		mine.add(n, fade)
		if !high && n.ok == n.n {
			p.gain = min(p.gain*gentle, plenty) // nothing fails: look further
		}
	}
	switch {
	case p.lean > sway:
		if p.ramp {
			p.ref = n
		}
		l.settle(now)
	case p.lean < -sway/2:
		l.rise()
	case !high && isShare(p.ref, p.low):
		p.ramp, p.gain, p.lean = true, growth, 0
		p.high, p.ref = tally{}, tally{}
	}
}

// isShare reports whether it is clear that b is the same share as a at another pace.
func isShare(a, b tally) bool {
	return a.n > 0 && b.ratio() > a.ratio()/2 && odds(a, b) < -clear
}

// settle keeps to the pace that the backend delivers at.
func (l *Law) settle(now int64) {
	p := &l.paced
	if p.low.ratio() < 1/gentle || p.trial || p.ramp {
		p.level = max(p.low.delivered(), p.high.delivered(), slowest)
		p.low = tally{}
	}
	p.high, p.lean = tally{}, 0
	p.gain = max(gentle, math.Sqrt(p.gain))
	p.trial, p.ramp = false, false
	p.rests = min(max(1, 2*p.rests), rarely)
	_ = now
}

// rest goes back to the pace of before.
func (l *Law) rest() {
	p := &l.paced
	if before := p.low.delivered(); !p.trial && before > 0 && p.level > before {
		p.level, p.gain, p.ramp = before, max(gentle, math.Sqrt(p.gain)), false
		p.high, p.lean = tally{}, 0
	}
}

// rise makes more calls.
func (l *Law) rise() {
	p := &l.paced
	if !p.ramp {
		p.level *= p.gain
		p.gain = min(p.gain*p.gain, growth)
		p.low, p.high = p.high, tally{}
		p.rests, p.wait = 1, 0
		p.ramp = p.gain == growth
	}
	p.lean = 0
}

// tried takes in a cohort of a trial. The traffic may differ from one to the next, so
// time is counted in calls that were asked for.
func (l *Law) tried(now int64, c *Cohort, n tally) {
	p := &l.paced
	p.asked += c.asked
	n.t = c.asked
	if c.high {
		p.high.add(n, 1)
	} else {
		if p.high.n > 0 {
			p.lean += odds(p.high, n)
		}
		p.low.add(n, 1)
		if n.ok < n.n {
			p.part = max(p.part/2, contrast/few) // the larger the contrast, the sooner it is clear
		}
	}
	switch {
	case p.high.n >= 2*few/contrast && p.high.ratio() > (1+l.Accept)/2:
		l.become(Calm, now, "calls succeed again")
	case p.lean > clear:
		l.settled(now)
	case p.lean < -clear && p.low.ok > 0:
		l.letGo(now, p.high.ratio())
	case now-l.since > pardonFor:
		l.become(Calm, now, "too few calls to tell")
	}
}

func (l *Law) settled(now int64) {
	p := l.paced
	rate := p.asked / float64(now-l.since) // calls that were asked for, by which the trial counts its time
	p.low.t, p.high.t = p.low.t/rate, p.high.t/rate
	level := max(p.low.delivered(), p.high.delivered(), slowest)
	l.pace(now, paced{level: level, gain: gentle, ref: p.high}, "successes do not depend on the number of calls")
}

// letGo lets all calls through for a while, since fewer do not help.
func (l *Law) letGo(now int64, ratio float64) {
	p := &l.pardoned
	p.last = min(max(2*p.last, pardonFor), few*pardonFor)
	p.until, p.ratio = now+p.last, ratio
	l.become(Calm, now, "fewer calls do not help")
}

// finish ends the pacing, for nothing was rejected for a while.
func (l *Law) finish(now int64) {
	p := &l.paced
	switch ratio := p.free.ratio(); {
	case ratio >= l.Accept || p.free.n < float64(l.Enough):
		l.become(Calm, now, "nothing is rejected any more")
	case p.ramp && p.lean <= 0:
		l.letGo(now, ratio)
	default:
		p.ref, p.level = p.free, max(p.free.delivered(), slowest)
		p.low, p.high, p.free, p.lean, p.gain, p.ramp = tally{}, tally{}, tally{}, 0, gentle, false
	}
}
