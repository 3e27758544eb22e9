package adaptive

import "slices"

// suspect is the state of the phase in which failures were in a row. Calls go out
// as ever, but each is known by when it began.
//
// If nothing had succeeded for long before it, either the backend hangs, or our
// own process stood still. Then one call is tried until it is clear, at a bounded cost.
type suspect struct {
	silent bool    // whether nothing had succeeded for long
	broken float64 // failures of calls that began before
	old    float64 // of them, those that count
	spare  float64 // rejections that may be made yet, in a stall
}

const (
	// Ns of traffic, 0.28 s: the most that is rejected in vain if it was our own process
	// that stood still. More would spare more callers if the backend hangs.
	stallCost = plenty * float64(brief)
)

// stalls reports whether calls broke after a silence.
func (s *suspect) stalls() bool { return s.silent && s.broken >= 3 }

// allows decides about a call that begins with the cohort c.
func (s *suspect) allows(c *Cohort) bool {
	if s.spare < 1 || c.sent == 0 { // more would hang, too, if the backend does
		return true
	}
	s.spare--
	return false
}

// suspects begins and judges cohorts. There was no word for so long.
func (l *Law) suspects(now, gap int64) {
	c := l.current()
	if l.suspect.stalls() {
		// The call that is tried is of the only cohort. It tells, even if no rejection is left.
		if c.sent > 0 && now-c.from > l.overdue() {
			l.fall(now, "nothing succeeds any more")
		}
		return
	}
	if gap > brief && float64(gap)*l.asks > coincidence && l.flight() > 0 {
		// Our own process stood still: what was in flight tells nothing.
		l.become(Suspect, now, l.cause)
		return
	}
	if c.sent > 0 && now-c.from >= min(l.overdue(), brief)/few {
		l.cohorts = slices.DeleteFunc(l.cohorts, func(c *Cohort) bool { return c.sent == 0 })
		l.begin(now)
	}
	l.test(now)
}

// oldFailed takes in the failure of a call that began before. What breaks together
// ends together, and is one event: no more of them count than calls are made.
func (l *Law) oldFailed(now int64) {
	l.breaks()
	made := l.asks
	if made == 0 {
		made = coincidence / float64(brief)
	}
	if l.suspect.old+1 <= made*float64(now-l.since) {
		l.suspect.old++
		l.barren++
	}
}

// breaks counts calls that began before and failed. The third one after a silence
// makes it a stall.
func (l *Law) breaks() {
	s := &l.suspect
	if s.broken++; s.silent && s.broken == 3 {
		s.spare = l.asks * stallCost
	}
}
