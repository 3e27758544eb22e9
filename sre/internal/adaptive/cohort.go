package adaptive

import "math"

// Cohort is the calls that began in one stretch of time. An outcome counts for
// the cohort that its call began with, whenever the call ends.
type Cohort struct {
	epoch            uint64 // of the phase that it belongs to
	from, to         int64  // to is [open] until the next one begins
	asked            float64
	sent, ok, failed float64
	answered         float64 // calls that have been answered, and may go on
	took             float64 // ns, of those that succeeded, together
	done             float64 // successes that ended while it was the newest
	high             bool    // whether it went out at the higher of two paces
}

const open = math.MaxInt64

// pending returns how many of the calls have neither ended nor been answered. Those
// that were answered go on, and end later than the others.
func (c *Cohort) pending() float64 {
	return max(0, c.sent-max(c.answered, c.ok+c.failed))
}

// isOver reports whether a call that ends now was overdue even if it was the last one of
// the cohort to begin.
func (c *Cohort) isOver(now, overdue int64) bool { return c.to != open && now-c.to > overdue }

// tally returns what became of the calls.
func (c *Cohort) tally(now int64) tally {
	ok := max(c.ok, min(c.sent, c.answered)) // a stream that was answered may go on for ever
	return tally{c.sent, ok, c.done, float64(min(now, c.to) - c.from)}
}

// tally counts calls that went out at one pace: so many, of which so many
// succeeded in time, over so many ns.
type tally struct{ n, ok, done, t float64 }

func (a *tally) add(b tally, keep float64) {
	a.n, a.ok, a.done, a.t = a.n*keep+b.n, a.ok*keep+b.ok, a.done*keep+b.done, a.t*keep+b.t
}

func (a tally) ratio() float64 { return a.ok / max(1, a.n) }
func (a tally) pace() float64  { return a.n / max(1, a.t) }

// delivered returns the pace that the backend keeps up with.
func (a tally) delivered() float64 { return max(a.ok, a.done) / max(1, a.t) }

// odds returns by how many nats what became of b is likelier if the backend
// delivers the same number of successes per time as with a, which is overload,
// than if it delivers the same share of the calls, which is a broken part.
// It counts less where little is known of a.
func odds(a, b tally) float64 {
	share := certain((a.ok + prior) / (a.n + 1))
	same := certain(share * a.pace() / b.pace())
	nats := b.ok*math.Log(same/share) + (b.n-b.ok)*math.Log((1-same)/(1-share))
	return nats * a.n / (a.n + b.n)
}

// certain keeps a ratio away from 0 and 1: nothing is ever quite certain.
func certain(p float64) float64 { return max(uncertain, min(1-uncertain, p)) }

// begin begins a cohort, and ends the one before.
func (l *Law) begin(now int64) *Cohort {
	if len(l.cohorts) > 0 {
		c := l.current()
		c.to = now
		if t := float64(now - c.from); t > 0 {
			l.asks += (c.asked/t - l.asks) * t / (t + few*float64(longest))
		}
	}
	c := &Cohort{epoch: l.epoch, from: now, to: open}
	l.cohorts = append(l.cohorts, c)
	return c
}

func (l *Law) current() *Cohort { return l.cohorts[len(l.cohorts)-1] }

// cohortOf returns the cohort of a call that ends: the one that it was stamped
// with if that is of this phase, nil if it is older, and the oldest one with a call that is
// pending if the call has no stamp.
func (l *Law) cohortOf(c *Cohort, stamped bool) *Cohort {
	if stamped && c != nil && c.epoch == l.epoch {
		return c
	}
	for _, c := range l.cohorts {
		if !stamped && c.pending() > 0 {
			return c
		}
	}
	return nil
}

// flight returns how many calls have not ended, those apart that are overdue.
func (l *Law) flight() (n float64) {
	for _, c := range l.cohorts {
		n += c.pending()
	}
	return n
}

// overdue returns after how long a call is taken for one that will not succeed.
func (l *Law) overdue() int64 {
	if l.usual == 0 {
		return longest
	}
	return max(int64(tardy*l.usual), brief)
}

// isOverdue reports whether all calls of a cohort should have ended.
func (l *Law) isOverdue(c *Cohort, now int64) bool {
	return c.isOver(now, l.overdue()) || now-c.from > 2*l.overdue()
}
