package adaptive

import "math"

// down is the state of the phase in which nothing succeeds.
type down struct {
	next   int64   // when the next probe may go out
	last   int64   // when the last one did
	failed float64 // probes
}

const (
	// By so much of it the time between two probes varies either way, so that the clients
	// of a fleet do not fall into step.
	jitter = 0.15
	// One call of so many is a probe, 11 % of what a quiet client asks for. With fewer, a fleet
	// of quiet clients loads a dead backend; with more, each of them recovers later.
	share = 9.0
	// The most between two probes of a quiet client, unless the interval is longer.
	seldom = 5 * sec
	// Without a call for so long, the outage may be over. It is the most between two
	// probes, so a client that calls at all has a probe instead.
	stale = 5 * sec
	// After so long an outage probes may become rarer: whoever waited for a minute does
	// not mind a second more.
	lengthy = 60 * sec
	// Growth from one wait to the next at first, since most outages are short: six probes in
	// the first 3 s, with the default interval.
	backoff = 1.5
)

// fall begins an outage. It is dated from now on: how long it has lasted is not known.
func (l *Law) fall(now int64, cause string) {
	if p := &l.paced; l.phase == Paced {
		switch {
		case p.free.n > 0:
			l.served = p.free.done / p.free.t
		case !p.ramp && !p.trial && p.low.n > 0:
			l.served = p.low.delivered()
		}
	}
	l.become(Down, now, cause)
	l.down = down{last: now, next: now + min(brief, l.Probe)}
}

// wait returns how long to wait until the next probe. At first it grows with each
// one, for most outages are short; then it is the interval, or longer if too large
// a share of the calls would be probes. A long outage is probed more rarely.
func (l *Law) wait(now int64, pending bool) int64 {
	rarest := l.Probe
	if l.asks > 0 {
		rarest = max(rarest, int64(min(share/l.asks, float64(seldom))))
	}
	if age := now - l.since; age > lengthy && l.MaxProbe > rarest {
		rarest = min(l.MaxProbe, max(rarest, int64(float64(l.Probe)*float64(age)/float64(lengthy))))
	}
	if !pending {
		rarest = int64(min(float64(rarest), float64(brief)*math.Pow(backoff, l.down.failed)))
	}
	return int64(float64(rarest) * (1 - jitter + 2*jitter*l.Random()))
}

// probes decides about a call.
func (l *Law) probes(now int64) bool {
	if now < l.down.next {
		return false
	}
	l.begin(now)
	if len(l.cohorts) > few {
		l.cohorts = append(l.cohorts[:0], l.cohorts[1:]...)
	}
	// Until it has ended, the next one waits longer.
	l.down.last, l.down.next = now, now+l.wait(now, true)
	return true
}

// probeFailed plans the next probe.
func (l *Law) probeFailed(now int64) {
	l.down.failed++
	l.down.next = min(l.down.next, max(now, l.down.last+l.wait(now, false)))
}

// probeIgnored plans the next probe after one that told nothing. One that was not
// sent is made up for at once.
func (l *Law) probeIgnored(now int64, sent bool) {
	if !sent {
		l.down.next = now
		return
	}
	l.down.next = min(l.down.next, max(now, l.down.last+l.wait(now, false)))
}

// outlasts ends an outage that nobody has seen for so long that it may be over: so
// long a time without a call is no chance.
func (l *Law) outlasts(now int64) {
	gap := now - max(l.heard, l.called)
	if l.phase == Down && gap > stale && (l.asks == 0 || float64(gap)*l.asks > coincidence) {
		l.become(Suspect, now, "nobody called for a while")
		l.suspect = suspect{}
	}
}
