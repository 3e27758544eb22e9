package adaptive

import (
	"fmt"
	"math"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Streak returns how many failures in a row are worth a look: where a share of the
// calls fails anyway, fewer of them are no surprise.
func Streak(before ledger.Counts) uint64 {
	ratio := float64(before.Success+1) / float64(before.Success+before.Failure+1)
	return max(3, uint64(math.Ceil(doubt/-math.Log1p(-min(ratio, 1-nothing)))))
}

// know takes in what the backend does while all is well.
func (l *Law) know(seen Seen) {
	// As if one more call had ended as is assumed without knowing.
	l.ratio = (float64(seen.Before.Success) + prior) / (float64(seen.Before.Success+seen.Before.Failure) + 1)
	if seen.Latency > 0 {
		l.usual = seen.Latency
	}
	if seen.BeforeFor > 0 {
		l.asks = float64(seen.Before.Total()) / float64(seen.BeforeFor)
		l.served = float64(seen.Before.Success) / float64(seen.BeforeFor)
	}
}

// silent reports whether so little succeeds that it is no chance.
func (l *Law) silent(seen Seen) bool {
	return seen.Silence > l.overdue() && l.asks*float64(seen.Silence)*l.ratio > coincidence
}

// Alarm is told of failures in a row while the law is calm.
func (l *Law) Alarm(now int64, seen Seen, cause string) {
	if l.phase == Calm {
		l.know(seen)
		l.become(Suspect, now, cause)
		l.suspect, l.barren = suspect{silent: l.silent(seen), broken: 2}, 3
		l.breaks()
	}
}

// Look is told what the window shows when a bucket begins.
func (l *Law) Look(now int64, seen Seen) {
	l.expire(now)
	switch {
	case l.phase == Calm:
		l.heard = now
		l.know(seen)
		if l.silent(seen) {
			l.become(Suspect, now, "nothing succeeds any more")
			l.suspect = suspect{silent: true}
			return
		}
	case l.phase != Suspect || now-l.since > brief || seen.Window.Success < l.Enough:
		return
	}
	accept, w := l.accepts(now), seen.Window
	n := float64(w.Success + w.Failure + seen.Flight) // calls in flight may yet succeed
	if w.Success+w.Failure >= l.Enough && float64(w.Failure) > (1-accept)*n+2*math.Sqrt(accept*(1-accept)*n) {
		l.try(now, fmt.Sprintf("%d of %d calls failed", w.Failure, w.Success+w.Failure))
	}
}

// accepts returns the success ratio below which there is trouble.
func (l *Law) accepts(now int64) float64 {
	if now < l.pardoned.until {
		return min(l.Accept, l.pardoned.ratio/2)
	}
	return l.Accept
}

// pardon lets all calls through for a while, since fewer do not help. The longer that took to find
// out, the longer the pardon lasts, so that finding out costs little. A share that is accepted
// needs none: more than that may fail because the backend gets more than it can do.
func (l *Law) pardon(now int64, ratio float64) {
	if p := &l.pardoned; ratio < l.Accept {
		p.last = min(max(2*p.last, pardonFor, few*(now-l.since)), few*pardonFor)
		p.until, p.ratio = now+p.last, ratio
	}
	l.become(Calm, now, "fewer calls do not help")
}
