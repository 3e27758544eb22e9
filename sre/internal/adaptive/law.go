package adaptive

import (
	"fmt"
	"math"
	"time"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Settings are what the options of a breaker say. Times are in ns.
type Settings struct {
	Accept   float64        // success ratio below which there is trouble
	Enough   uint64         // fewer calls are no trouble
	Probe    int64          // between two probes
	MaxProbe int64          // the same, at most
	Random   func() float64 // in [0, 1)
}

// Seen is what the window of a breaker shows when its law is told to look. Times
// are in ns.
type Seen struct {
	Window    ledger.Counts // since [Law.Since]
	Before    ledger.Counts // of it, before the silence
	BeforeFor int64
	Silence   int64   // since when nothing has succeeded, as far as buckets tell
	Flight    uint64  // calls that have not ended
	Latency   float64 // of a call that succeeds; 0 if that is not known
}

// Phase is what a law takes the backend for.
type Phase uint8

// The phases, as the comment of the package has them.
const (
	Calm Phase = iota
	Suspect
	Down
	Paced
)

// Law is the state of the law. It is plain data: whoever holds it locks it.
type Law struct {
	Settings

	phase Phase
	epoch uint64 // of the phase: the stamps of an earlier one are old
	since int64
	clean int64 // since when the window tells of the present
	heard int64
	alive int64 // when a call succeeded last in trouble, or the trouble began
	cause string

	// What was before the trouble.
	ratio  float64 // of the calls, which succeeded
	usual  float64 // ns that a call took which succeeded
	served float64 // successes per ns
	asks   float64 // calls asked for per ns, of late

	cohorts []*Cohort // of the phase, the oldest first
	barren  float64   // failures since a success, of cohorts that were judged

	pardoned pardon
	suspect  suspect
	down     down
	paced    *paced // of the phase Paced, and otherwise nil
}

// pardon is how long failures are not taken for trouble, since fewer calls did not
// help.
type pardon struct {
	until int64
	last  int64   // how long the last one was, ns
	ratio float64 // of the calls, which succeeded then
}

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)

	// Nats, ln 10⁶: chance does it once in a million times, so it was no chance. With
	// less, an outage is seen after fewer failures, and bad luck is taken for one.
	coincidence = 13.8
	// Nats, 1 in a thousand: enough for what costs little if it is wrong.
	doubt = coincidence / 2
	// What each explanation of a cohort leaves to chance, so one call speaks for
	// or against it by ln(0.97/0.03) = 3.5 nats at most.
	uncertain = 0.03
	// The success ratio of a backend that is down: some answers come from a cache, say. The
	// less, the more a call that is pending counts against an outage. And the least share of the
	// calls that a hold lets out.
	nothing = uncertain
	// The success ratio if nothing is known: two of three. It is also the most that is
	// assumed in trouble, so 13 failures in a row (13·ln 3 > 13.8) are the fewest for an outage.
	prior = 2.0 / 3
	// What is over sooner needs no breaker: it is over before the first probe, which
	// waits as long. Longer, and more calls meet a dead backend.
	brief = 140 * ms
	// Usual latencies after which a call is overdue. RFC 6298 waits for four deviations,
	// but here only the mean is known. More see a hang later, fewer mistake a slow call for one.
	tardy = 4.0
	// Calls of a cohort at least, and a gain of 1/8 of a mean as in RFC 6298. Fewer calls tell
	// nothing, more make each answer come later. A pardon lasts so many times as long as it took to
	// find out, and so many of the first pardon at most.
	few = 8
	// The longest cohort, so that a quiet client learns something; and the time after which a
	// call is overdue if the latency is not known: about as long as usual timeouts.
	longest = 2 * sec
	// So large a share of the calls is as good as all of them; and what is left of what is
	// known with each cohort, so about eight count.
	most = 1 - 1.0/few
	// Without a call for so long, what was known says little about now.
	forget = 60 * sec
	// The first pardon. The next ones double: long enough for the cost of finding out to be
	// small, short enough to see what changed.
	pardonFor = 20 * sec
)

// New returns the law of a breaker that is calm.
func New(s Settings) *Law { return &Law{Settings: s, ratio: prior} }

// Tune changes the settings. If the window was emptied, it tells nothing older.
func (l *Law) Tune(now int64, s Settings, emptied bool) {
	l.Settings = s
	if emptied {
		l.clean = now
	}
	if l.phase == Down {
		// A shorter interval does not wait until a longer one has passed.
		l.down.next = min(l.down.next, now+l.wait(now, true))
	}
}

// Phase returns the phase.
func (l *Law) Phase() Phase { return l.phase }

// Cause says why the phase began.
func (l *Law) Cause() string { return l.cause }

// Since returns since when the window tells of the present.
func (l *Law) Since() int64 { return l.clean }

// Heard returns when the law was asked or told anything.
func (l *Law) Heard() int64 { return l.heard }

// Forgets returns how long after that it is calm.
func (l *Law) Forgets() int64 { return max(forget, 2*l.Probe, 2*l.MaxProbe) }

// PhaseAt returns the phase at a time at which nothing happens.
func (l *Law) PhaseAt(now int64) Phase {
	if gap := now - l.heard; max(gap, -gap) > l.Forgets() {
		return Calm
	}
	return l.phase
}

func (l *Law) become(p Phase, now int64, cause string) {
	if p > Suspect || l.phase > Suspect {
		l.clean = now
	}
	l.phase, l.since, l.alive, l.heard, l.cause = p, now, now, now, cause
	l.epoch++
	l.cohorts, l.barren, l.paced = nil, 0, nil
	if p != Calm {
		l.begin(now)
	}
}

// expire ends what nobody has asked about for so long that it says nothing any more.
func (l *Law) expire(now int64) {
	if l.PhaseAt(now) != l.phase {
		l.become(Calm, now, "no call for a minute")
	}
}

// hear takes note of the time.
func (l *Law) hear(now int64) {
	l.expire(now)
	gap := now - l.heard
	l.heard = now
	switch l.phase {
	case Suspect:
		l.suspects(now, gap)
	case Down:
		l.outlasts(now)
	case Paced:
		l.paces(now)
	}
}

// Ask decides about a call, and returns the cohort that it begins with; nil if
// that does not matter.
func (l *Law) Ask(now int64) (*Cohort, bool) {
	l.hear(now)
	if l.phase == Calm {
		return nil, true
	}
	l.current().asked++
	if l.phase == Suspect && !l.suspect.allows(l.current()) ||
		l.phase == Down && !l.probes(now) ||
		l.phase == Paced && !l.paced.allows(now, l) {
		return nil, false
	}
	l.current().sent++
	return l.current(), true
}

// Rejected takes note of calls that were rejected without asking, because of
// [Law.NotBefore].
func (l *Law) Rejected(calls uint64) {
	if l.phase != Calm {
		l.current().asked += float64(calls)
	}
}

// NotBefore returns until when every call is rejected, or 0.
func (l *Law) NotBefore() int64 {
	if l.phase == Paced {
		return l.paced.next
	}
	return l.NextProbe()
}

// NextProbe returns when the next probe may go out, or 0 if the backend is not
// down.
func (l *Law) NextProbe() int64 {
	if l.phase == Down {
		return l.down.next
	}
	return 0
}

// RejectRatio returns the share of the calls that is rejected.
func (l *Law) RejectRatio() float64 {
	switch {
	case l.phase == Down, l.phase == Suspect && l.suspect.spare >= 1:
		return 1
	case l.phase == Paced:
		return max(nothing, 1-l.paced.at(l.paced.ramp())/l.asks) // looks apart
	}
	return 0
}

// Succeed takes in a success. The stamp is that of the call if it has one.
func (l *Law) Succeed(now int64, stamp *Cohort, stamped bool) {
	l.hear(now)
	c := l.cohortOf(stamp, stamped)
	if c == nil {
		if l.phase == Suspect {
			l.barren = 0 // what began before the trouble has an end of its own
		}
		return
	}
	c.took += float64(now - c.from)
	c.ok++
	l.lives(now, c)
}

// Answer takes in that the backend has answered a call that goes on: a stream, say,
// whose life tells nothing.
func (l *Law) Answer(now int64, stamp *Cohort) {
	l.hear(now)
	if c := l.cohortOf(stamp, true); c != nil {
		c.answered++
		l.lives(now, c)
	}
}

// lives takes in that the backend has answered a call of the cohort c.
func (l *Law) lives(now int64, c *Cohort) {
	l.barren, l.alive = 0, now
	l.current().done++
	if took := float64(now - c.from); l.usual == 0 || l.phase == Down {
		l.usual = max(l.usual, took)
	}
	switch l.phase {
	case Suspect:
		l.become(Calm, now, "calls succeed")
	case Down:
		l.recover(now)
	}
}

// Fail takes in a failure.
func (l *Law) Fail(now int64, stamp *Cohort, stamped bool) {
	l.hear(now)
	c := l.cohortOf(stamp, stamped)
	switch {
	case c != nil:
		c.failed++
		l.probeEnded(now, c)
	case l.phase == Suspect && stamped:
		l.oldFailed(now)
	case l.phase == Suspect:
		l.barren++ // nobody asked about it, so it began just now as far as one knows
	}
	l.test(now)
}

// Ignore takes in an outcome that says nothing, unless the caller had waited for
// so long that the wait does. A call that was not sent says nothing in any case.
func (l *Law) Ignore(now int64, stamp *Cohort, stamped, sent bool) {
	l.hear(now)
	c := l.cohortOf(stamp, stamped)
	switch {
	case c == nil:
		return
	case sent && c.isOver(now, l.overdue()):
		c.failed++
	default:
		c.asked, c.sent = max(0, c.asked-1), max(0, c.sent-1)
	}
	if !sent && l.phase == Down {
		l.down.next = now // the probe is made up for
	} else {
		l.probeEnded(now, c)
	}
	l.test(now)
}

// test looks whether the backend is down.
func (l *Law) test(now int64) {
	if l.phase == Calm || l.phase == Down {
		return
	}
	nats, failures := l.evidence(now)
	if nats > coincidence && now-l.alive >= brief || nats > 7*coincidence {
		l.fall(now, fmt.Sprintf("%.0f failures in a row", failures))
	}
}

// evidence returns by how many nats what became of the calls is likelier if
// hardly any call succeeds than if as many do as before, and how many failed. A
// call that is pending may yet succeed, so it counts against; one that is overdue
// has failed. The newest calls may be left out, since they had no time to fail.
func (l *Law) evidence(now int64) (nats, failures float64) {
	s := max(nothing, min(prior, l.ratio))
	each, maybe := -math.Log1p(-s), math.Log(max(1, s/nothing))
	failed, pending := l.barren, 0.0
	nats, failures = failed*each, failed
	for _, c := range l.cohorts {
		if c.ok+c.answered > 0 {
			failed, pending, nats, failures = 0, 0, 0, 0
			continue
		}
		failed += c.failed
		if l.isOverdue(c, now) {
			failed += c.pending()
		} else {
			pending += c.pending()
		}
		if e := failed*each - pending*maybe; e > nats {
			nats, failures = e, failed
		}
	}
	return nats, failures
}
