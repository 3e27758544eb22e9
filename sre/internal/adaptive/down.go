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
	// The most between two probes of a quiet client, unless the interval is longer. Without
	// a call for longer, the outage may be over.
	seldom = int64(tardy) * longest
	// Growth from one wait to the next at first, since most outages are short: six or seven
	// probes in the first 3 s, with the default interval.
	backoff = 1.4
)

// fall begins an outage. It is dated from now on: how long it has lasted is not known.
func (l *Law) fall(now int64, cause string) {
	if p := l.paced; p != nil && !p.ramp() && p.level < all {
		l.served = p.level
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
	if age := now - l.since; age > forget && l.MaxProbe > rarest {
		rarest = min(l.MaxProbe, max(rarest, int64(float64(l.Probe)*float64(age)/float64(forget))))
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
	l.cohorts = l.cohorts[max(0, len(l.cohorts)-few):]
	// Until it has ended, the next one waits longer.
	l.down.last, l.down.next = now, now+l.wait(now, true)
	return true
}

// probeEnded plans the next probe after one of the cohort c that has not succeeded.
func (l *Law) probeEnded(now int64, c *Cohort) {
	if l.phase == Down {
		l.down.failed += min(1, c.failed)
		l.down.next = min(l.down.next, max(now, l.down.last+l.wait(now, false)))
	}
}

// outlasts ends an outage that may be over, since nobody has come for a probe for so
// long that it is no chance.
func (l *Law) outlasts(now int64) {
	if gap := now - l.down.next; gap > seldom && (l.asks == 0 || float64(gap)*l.asks > coincidence) {
		l.become(Suspect, now, "nobody called for a while")
		l.suspect = suspect{}
	}
}
