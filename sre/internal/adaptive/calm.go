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

// ratioOf returns the success ratio, as if two more calls had succeeded and one had
// failed.
func ratioOf(success, failure uint64) float64 {
	return (float64(success) + 2) / (float64(success+failure) + 3)
}

// know takes in what the backend does while all is well.
func (l *Law) know(now int64, seen Seen) {
	before := seen.Before
	l.ratio = ratioOf(before.Success, before.Failure)
	if seen.Latency > 0 {
		l.usual = seen.Latency
	}
	if now > l.burstAt+l.Window {
		l.burst = 0
	}
	if seen.BeforeFor == 0 || seen.LastFor == 0 {
		return
	}
	l.rate = float64(before.Total()) / float64(seen.BeforeFor)
	l.served = float64(before.Success) / float64(seen.BeforeFor)
	l.meanRate(l.rate)
	// What failed together because it broke together is no share of the calls.
	if b := float64(seen.Last.Failure) - 2*l.rate*float64(seen.LastFor); b > l.burst {
		l.burst, l.burstAt = b, now
	}
}

func (l *Law) meanRate(rate float64) {
	if l.asks == 0 {
		l.asks = rate
	}
	l.asks += (rate - l.asks) / (few * tardy)
}

// silent reports whether so little succeeds that it is no chance.
func (l *Law) silent(seen Seen) bool {
	return seen.Silence > l.overdue() && l.rate*float64(seen.Silence)*l.ratio > coincidence
}

// Alarm is told of failures in a row while the law is calm.
func (l *Law) Alarm(now int64, seen Seen, cause string) {
	if l.phase == Calm {
		l.know(now, seen)
		l.become(Suspect, now, cause)
		l.suspect, l.barren = suspect{silent: l.silent(seen), broken: 2}, 3
		l.breaks()
	}
}

// Look is told what the window shows when a bucket begins.
func (l *Law) Look(now int64, seen Seen) {
	if l.PhaseAt(now) != l.phase {
		l.become(Calm, now, "no call for a minute")
	}
	if l.phase != Calm {
		l.outlasts(now)
		l.called = now
		if seen.LastFor > 0 {
			l.meanRate(float64(seen.Last.Total()) / float64(seen.LastFor))
		}
		if l.phase != Suspect || now-l.since > brief || seen.Window.Success < l.Enough {
			return
		}
	}
	if l.phase == Calm {
		l.heard = now
		l.know(now, seen)
	}
	if l.phase == Calm && l.silent(seen) {
		l.become(Suspect, now, "nothing succeeds any more")
		l.suspect = suspect{silent: true}
		return
	}
	accept := l.Accept
	if now < l.pardoned.until {
		accept = min(accept, l.pardoned.ratio/2)
	}
	w := seen.Window
	failed := max(0, float64(w.Failure)-l.burst)
	n := float64(w.Success) + failed + float64(seen.Flight) // calls in flight may yet succeed
	if w.Success+w.Failure >= l.Enough && failed > (1-accept)*n+2*math.Sqrt(accept*(1-accept)*n) {
		l.try(now, fmt.Sprintf("%d of %d calls failed", w.Failure, w.Success+w.Failure))
	}
}
