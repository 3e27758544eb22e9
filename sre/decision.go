package sre

import (
	"fmt"
	"math"
	"time"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// decision is what a breaker decides by, unless it is [Classic]. It is plain
// data: the breaker locks it, and passes the time, in nanoseconds, the counts
// and the random numbers. While it is calm, no call is rejected, and it is told
// of failures and of new buckets only.
//
// The rule of the SRE book knows one number, the share of calls that succeed.
// That cannot tell a backend that is down, which no call helps, from one with
// too much to do, which fewer calls help, and from one of which a part is
// broken, which fewer calls do not help. This decision tells them apart by what
// each of them does and the others do not, and treats each in its own way:
//
//	calm       Nothing is rejected.
//	down       Nothing succeeds any more: a streak of failures so long that it is
//	           no coincidence. All calls are rejected but a probe now and then.
//	shedding   Fewer calls help. Each success earns a little more than one further
//	           call, so the backend gets a little more than it can do.
//	trial      Many calls fail, and it is not known whether fewer calls would
//	           help. It is found out.
//
// Down. A streak of n failures has, at the success ratio s before it, the
// probability (1-s)^n. Below coincidence, and after minSilence without a success
// or with very many failures, the backend is down. The first success of a probe ends it, and the breaker sheds.
//
// Shedding. A success earns earn calls. As long as none fails, earn is large, and
// the number of calls grows exponentially, as in the slow start of TCP (RFC
// 5681), so a healed backend is at full load within a few round trips. Once calls
// fail, earn is only a little above 1: if the backend can do C calls, it gets
// earn·C. What fails even while few calls go out is not overload, and is made up
// for. Calls that are earned are spread over some time, since a backend with
// too much to do fails in bursts. When nothing was rejected for a while, the
// breaker is calm.
//
// Trial. Let x be the calls allowed in a stretch of time, and y those of them that
// succeed. With a backend that is overloaded, y does not depend on x: the slope of
// y over x is 0. With one of which a part is broken, y is a share of x: the slope
// is that share. The traffic varies by itself, and so tells the two apart; if it
// does not vary enough, the breaker lets fewer calls through in some of the
// stretches. The slope is that of the least squares. It decides once it is clear
// at nearly two standard errors: shedding helps, or it does not, and then the
// breaker is calm for a while whatever the share of failures is.
//
// What is far below any share that a broken part explains is shed without a
// trial, and so is trouble soon after the backend was down: a backend that comes
// back is slow. While shedding, the same question is asked again: if far fewer
// calls go out and yet as many of them fail, shedding does not help.
type decision struct {
	accept float64 // success ratio below which there is trouble
	enough uint64  // calls without which there is no trial, and no shedding but after an outage
	every  int64   // ns between probes
	span   int64   // of a bucket
	turn   int64   // of a stretch: a bucket, but neither shorter than latencies nor too long
	window int64

	phase  phase
	since  int64
	cause  string
	streak failures
	rate   float64 // of calls that were asked for, per ns
	served float64 // of successes, per ns
	heard  int64   // when the decision was told or asked anything

	nextProbe int64
	probed    bool // whether there was a probe in this outage

	credit     float64 // calls that were earned
	pure       bool    // whether no call has failed since the shedding began
	late       uint64  // at most so many calls whose failures are older than the shedding
	row        uint64  // successes since a call failed
	rejected   int64   // when a call was rejected last
	afterwards bool    // whether the backend was down before
	before     float64 // success ratio before the shedding
	capacity   float64 // successes per ns before it; 0 if that says nothing
	memory     stretch // of the shedding, fading
	lasted     float64 // ns of it
	low        stretch // of it, what was far below peak
	again      int64   // since when capacity is doubted instead of the shedding; 0 if it is not
	peak       float64 // the most successes in a stretch, fading

	now     stretch // what happens at present
	ends    int64   // when it ends
	share   float64 // of the calls, which is let through in it
	dithers bool    // whether the share varies
	line    line    // of the trial

	pardoned int64 // until when failures are not taken for overload
	wary     int64 // until when failures are taken for overload
}

type phase uint8

const (
	calm phase = iota
	trial
	shedding
	down
)

// failures is a streak.
type failures struct {
	n      uint64
	from   int64  // when it began, or since when nothing has succeeded
	after  uint64 // successes there were before it
	flight uint64 // calls in flight when it began
}

// stretch counts what happens in a stretch of time.
type stretch struct{ asked, allowed, success, ended float64 }

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)

	// The backend is down if a streak of failures is at least so long and so
	// improbable. At 1 in a million, one in twenty failures makes no such streak
	// in days. The least length is for a streak that follows another kind of
	// trouble, when the success ratio before it says little. The silence is for
	// interruptions that are over before a probe could find out.
	coincidence = 1e-6
	minStreak   = 13
	minSilence  = 140 * ms
	fewFailures = 3   // are enough after half a window without a success: callers that wait long
	longStreak  = 100 // is enough without a silence, if so many calls failed that began in it

	// Probes come at intervals of WithProbeInterval, give or take 15 % so that
	// clients do not fall into step. In a young outage they come sooner, for most
	// are short.
	firstProbe = 150 * ms
	jitter     = 0.15

	// What a success earns. The larger one trebles the load with each round
	// trip, the smaller one leaves the backend a little more than it can do, by
	// which it is found out that it can do more.
	earnPure  = 3.0
	earn      = 1.15
	pureAgain = 24      // successes in a row: 1 in 30 if as many fail as with the smaller one
	pace      = 50 * ms // over which earned calls are spread
	hoard     = sec / 5 // the most calls that can be earned, in time of traffic
	starving  = 3.0     // successes' time without a call after which one is a probe
	rarely    = 3.0     // intervals of probes without a call, at the most, then

	// Shedding ends after so long without a rejection.
	quietPure = 500 * ms
	quiet     = 1500 * ms

	// A trial. The share of the calls in a stretch varies by itself if its
	// variance is at least dull of its mean squared: by a seventh.
	dithered    = 0.6
	dull        = 0.02
	stretches   = 7  // before it decides
	minAsked    = 10 // in a stretch, or it is longer
	clear       = 1.8
	helpful     = 0.25 // of 1, which is that the successes do not depend on the calls
	unhelpful   = 0.75
	pardon      = 20 * sec
	brokenShare = 0.7 // of failures, the most that a broken part explains
	sigmas      = 2.5

	// Doubt about shedding. After an outage it comes later: the backend is slow
	// at first, and other clients shed, too.
	fade           = 0.97 // per stretch
	doubtAfter     = 1500 * ms
	doubtAfterDown = 7 * sec
	wariness       = 15 * sec
	doubtEnded     = 8    // calls, before their ratio says anything
	doubtShare     = 0.7  // of the calls are allowed at the most: with more, shedding changes the ratio too little
	doubtShareDown = 0.3  // the same after an outage, which hides what the ratio was before
	doubtWorst     = 0.12 // of the calls that end succeed: with fewer, it may be the next outage
	doubtBest      = 0.9  // with more, shedding helps
	downBorder     = 0.65 // of these succeed after an outage if shedding helps: 1/earn, less what the slow start costs
	doubtSigmas    = 1.5
	scarce         = 0.12 // of the calls, in which too little is seen to look for long
	helped         = 0.7  // of these succeed if shedding helps: 1/earn, less some chance

	// What is known fades: after so long without a call, the breaker is calm.
	forget = 60 * sec
)

func (d *decision) become(p phase, now int64, cause string) {
	d.phase, d.since, d.cause, d.heard = p, now, cause, now
	d.ends, d.share, d.dithers = now+d.turn, 1, false
	d.probed, d.row = false, 0
	d.now, d.memory, d.line = stretch{}, stretch{}, line{}
}

// forgets returns how long after the last call the breaker is calm.
func (d *decision) forgets() int64 { return max(forget, 2*d.every) }

// phaseAt returns the phase at a time at which nothing happens.
func (d *decision) phaseAt(now int64) phase {
	if now-d.heard > d.forgets() {
		return calm
	}
	return d.phase
}

// rejects returns the share of calls that is rejected.
func (d *decision) rejects() float64 {
	switch {
	case d.phase == down:
		return 1
	case d.phase == trial && d.dithers:
		return (1 - dithered) / 2
	case d.phase == shedding:
		asked := d.memory.asked + d.now.asked
		if asked == 0 {
			return 1
		}
		// Never 0: nobody knows yet that nothing is rejected any more.
		return max(0.01, 1-(d.memory.allowed+d.now.allowed)/asked)
	}
	return 0
}

// hear takes note of the time.
func (d *decision) hear(now int64, random func() float64) {
	if d.phaseAt(now) != d.phase {
		d.become(calm, now, "no call for a minute")
	}
	d.heard = now
	d.end(now, random)
}

// inStreak reports whether a failure belongs to the streak, when there were
// success successes up to now, of all time.
func (d *decision) inStreak(success uint64) bool { return d.streak.n > 0 && d.streak.after == success }

// fail takes in a failure, for which the streak has been begun. The window holds
// w.
func (d *decision) fail(now int64, w ledger.Counts, random func() float64) {
	d.hear(now, random)
	d.now.ended++
	if d.late > 0 {
		d.late--
	} else {
		d.pure, d.row = false, 0
	}
	d.streak.n++
	if d.phase != down && d.isDown(now, w) {
		d.become(down, now, fmt.Sprintf("%d failures in a row", d.streak.n))
		d.plan(now, random)
	}
}

func (d *decision) isDown(now int64, w ledger.Counts) bool {
	n, silence := d.streak.n, now-d.streak.from
	switch {
	case n >= longStreak+d.streak.flight:
	case n >= minStreak && silence >= minSilence:
	case n >= fewFailures && silence >= d.window/2:
	default:
		return false
	}
	// As if there had been two successes and a failure before.
	failed := float64(w.Failure) - float64(n)
	s := (float64(w.Success) + 2) / (float64(w.Success) + max(0, failed) + 3)
	return float64(n)*math.Log1p(-s) <= math.Log(coincidence)
}

// succeed takes in a success, after which so many calls are in flight. It is not
// called while the breaker is calm.
func (d *decision) succeed(now int64, flight uint64, random func() float64) {
	d.hear(now, random)
	d.now.ended++
	d.now.success++
	if d.row++; d.row >= pureAgain {
		d.pure = true
	}
	switch d.phase {
	case down:
		if !d.probed {
			return // it began before the outage
		}
		d.wary = now + wariness
		d.shed(now, "a probe succeeded", true)
		d.late = flight // they may have begun before the backend was back
	case shedding:
		by := earn / max(d.accept, d.yield())
		if d.pure {
			by = earnPure
		}
		d.credit = min(d.credit+by, 1+d.rate*float64(hoard))
	}
}

// ignore takes in an ignored outcome: another call may be made for it, or callers
// who give up would use up what successes earn.
func (d *decision) ignore() {
	if d.phase == shedding {
		d.credit = min(d.credit+1, 1+d.rate*float64(hoard))
	}
}

// yield returns the share of the calls that would succeed if the backend had
// less to do than it can, as far as it is known: the load has to grow in spite of
// what fails then.
func (d *decision) yield() float64 {
	switch {
	case d.again > 0:
		return 1
	case d.capacity == 0:
		// What fails even when there is little to do is not overload.
		return min(1, (d.low.success+8)/(d.low.ended+8))
	}
	// If fewer succeed than when more were made, the backend can do more, but
	// takes bursts badly.
	expected := max(1, d.capacity*d.lasted)
	return min(1, (d.memory.success+math.Sqrt(expected))/expected)
}

func (d *decision) shed(now int64, cause string, afterwards bool) {
	d.become(shedding, now, cause)
	d.afterwards, d.pure = afterwards, afterwards
	d.rejected, d.nextProbe = now, now
	d.credit, d.late = earnPure, 0
	d.low, d.peak, d.lasted, d.again = stretch{}, 0, 0, 0
	if afterwards {
		d.capacity = 0 // it is just coming back
	}
}

// plan sets the time of the next probe.
func (d *decision) plan(now int64, random func() float64) {
	wait := float64(d.every)
	if d.phase == down {
		// The shorter the outage so far, the sooner it may be over.
		wait = min(wait, float64(max(firstProbe, 4*(now-d.streak.from))))
	} else if d.served > 0 {
		if !d.afterwards {
			wait *= rarely // it is not down, only slow
		}
		wait = min(wait, starving/d.served)
	}
	d.nextProbe = now + int64(wait*(1-jitter+2*jitter*random()))
}

// ask decides about a call. It is not called while the breaker is calm.
func (d *decision) ask(now int64, random func() float64) bool {
	d.hear(now, random)
	d.now.asked++
	if !d.allows(now, random) {
		d.rejected = now
		return false
	}
	d.now.allowed++
	return true
}

func (d *decision) allows(now int64, random func() float64) bool {
	switch d.phase {
	case calm:
		return true
	case trial:
		return d.share == 1 || random() < d.share
	case shedding:
		if q := now - d.rejected; q > quiet || d.pure && q > quietPure {
			d.become(calm, now, "nothing is rejected any more")
			return true
		}
		spread := max(1, d.rate*float64(pace))
		if d.credit >= 1 && (d.credit >= spread || random() < d.credit/spread) {
			d.credit--
			d.plan(now, random)
			return true
		}
	}
	if now < d.nextProbe {
		return false
	}
	d.probed = true
	d.plan(now, random)
	return true
}

// outlook is what the window holds when a bucket begins, each with its length
// in nanoseconds.
type outlook struct {
	last     ledger.Counts // of the last two buckets
	lastFor  int64
	phase    ledger.Counts // of the present phase
	phaseFor int64
	// Of it, the newest part in which enough calls ended.
	recent    ledger.Counts
	recentFor int64
}

// look looks at the window.
func (d *decision) look(now int64, v outlook) {
	if d.phase != shedding && v.lastFor > 0 { // shedding measures it itself
		d.rate = float64(v.last.Total()) / float64(v.lastFor)
	}
	d.served = float64(v.phase.Success) / float64(max(1, v.phaseFor))
	w, recent := v.phase, v.recent
	if d.phase != calm && d.phase != trial || now < d.pardoned {
		return
	}
	if ended := float64(recent.Success + recent.Failure); recent.Success+recent.Failure >= d.enough &&
		d.hopeless(float64(recent.Success), ended) {
		d.before, d.capacity = float64(recent.Success)/ended, float64(recent.Success)/float64(max(1, v.recentFor))
		d.shed(now, fmt.Sprintf("%d of %d calls failed", recent.Failure, recent.Success+recent.Failure), false)
		return
	}
	n := float64(w.Success + w.Failure)
	if d.phase == trial || w.Success+w.Failure < d.enough ||
		float64(w.Failure) <= (1-d.accept)*n+2*math.Sqrt(d.accept*(1-d.accept)*n) {
		return
	}
	cause := fmt.Sprintf("%d of %d calls failed", w.Failure, w.Success+w.Failure)
	d.before = float64(w.Success) / n
	if now < d.wary {
		d.shed(now, cause, true)
		d.pure = false
		return
	}
	d.become(trial, now, cause)
}

// hopeless reports whether fewer of the calls succeeded than with any backend of
// which a part is broken.
func (d *decision) hopeless(success, calls float64) bool {
	worst := min(1-brokenShare, d.accept)
	return success < worst*calls-sigmas*math.Sqrt(worst*(1-worst)*calls)
}

// end ends the present stretch if it is time.
func (d *decision) end(now int64, random func() float64) {
	if d.phase == calm || now < d.ends ||
		d.phase == trial && d.now.asked < minAsked && now-d.ends < 9*d.turn {
		return
	}
	this := d.now
	began := d.ends - d.turn
	d.now, d.ends = stretch{}, now+d.turn
	switch d.phase {
	case trial:
		d.learn(now, this, random)
	case shedding:
		d.rate = this.asked / float64(now-began)
		d.lasted = d.lasted*fade + float64(now-began)
		d.doubt(now, this)
	}
}

// learn ends a trial if it is clear whether shedding helps.
func (d *decision) learn(now int64, this stretch, random func() float64) {
	d.line.add(this.allowed, this.success)
	d.line.asked += this.asked
	d.dithers = d.dithers || d.line.n >= 2 && d.line.isDull()
	d.share = 1
	if d.dithers && random() < 0.5 {
		d.share = dithered
	}
	if d.line.n >= 4 && d.line.ratio() > (1+d.accept)/2 {
		d.become(calm, now, "calls succeed again")
		return
	}
	if d.hopeless(d.line.y, d.line.x) {
		d.tried(now)
		d.shed(now, fmt.Sprintf("%.0f of %.0f calls failed", d.line.x-d.line.y, d.line.x), false)
		return
	}
	if d.line.n < stretches {
		return
	}
	slope, err := d.line.slope()
	switch helps := 1 - slope; {
	case helps-clear*err > helpful:
		d.tried(now)
		d.shed(now, "successes do not depend on the number of calls", false)
	case helps+clear*err < unhelpful:
		d.pardoned = now + pardon
		d.become(calm, now, "fewer calls do not help")
	}
}

// tried takes note of what the backend did in the trial, had no call been
// rejected.
func (d *decision) tried(now int64) {
	d.before, d.capacity = d.line.y/d.line.asked, d.line.y/float64(max(1, now-d.since))
}

// doubt ends the shedding if it does not help.
func (d *decision) doubt(now int64, this stretch) {
	m := &d.memory
	m.fade()
	m.add(this)
	// With half of the calls that were ever served, there is little to do.
	d.peak = max(d.peak*fade, this.success)
	if this.allowed <= d.peak/2 && this.ended <= 1.5*this.allowed+2 {
		d.low.fade()
		d.low.add(this)
	}
	wait := doubtAfter
	if d.afterwards {
		wait = doubtAfterDown
	}
	if d.again > 0 && now-d.again >= 2*doubtAfter && m.allowed < scarce*m.asked && m.success < helped*m.ended {
		// The second look has become none: what a success earns is less than it
		// costs, whatever the load.
		d.pardoned = now + pardon
		d.become(calm, now, "fewer calls do not help")
		return
	}
	if now-max(d.since, d.again) < wait || m.ended < doubtEnded || m.asked == 0 {
		return
	}
	share, ratio := m.allowed/m.asked, m.success/m.ended
	if share > doubtShare || ratio < doubtWorst || ratio > doubtBest {
		return
	}
	// If shedding helped, the ratio would be that of before by the share. It is
	// by fewer times, nearer to that of before, and not by chance.
	border := math.Sqrt(d.before * min(1, d.before/share))
	if d.afterwards {
		if share > doubtShareDown {
			return
		}
		border = downBorder
	}
	if ratio < border-doubtSigmas*math.Sqrt(border*(1-border)/m.ended) {
		if d.capacity > 0 && d.again == 0 {
			// What was earned for a capacity that the backend has no more fails, too.
			// Without it, look again.
			d.again = now
			d.memory, d.credit = stretch{}, min(d.credit, 1)
			return
		}
		d.pardoned = now + pardon
		d.become(calm, now, "fewer calls do not help")
	}
}

func (s *stretch) add(t stretch) {
	s.asked += t.asked
	s.allowed += t.allowed
	s.success += t.success
	s.ended += t.ended
}

func (s *stretch) fade() {
	s.asked *= fade
	s.allowed *= fade
	s.success *= fade
	s.ended *= fade
}

// line is the line of the least squares through points.
type line struct {
	n, x, y, xx, xy, yy float64
	asked               float64 // calls that were asked for, those allowed are x
}

func (l *line) add(x, y float64) {
	l.n++
	l.x += x
	l.y += y
	l.xx += x * x
	l.xy += x * y
	l.yy += y * y
}

// isDull reports whether x hardly varies.
func (l *line) isDull() bool {
	mean := l.x / l.n
	return l.xx/l.n-mean*mean < dull*mean*mean
}

func (l *line) ratio() float64 { return l.y / max(1, l.x) }

// slope returns the slope and its standard error, in parts of y/x.
func (l *line) slope() (slope, err float64) {
	x, y := l.x/l.n, l.y/l.n
	varX, varY, cov := l.xx/l.n-x*x, l.yy/l.n-y*y, l.xy/l.n-x*y
	if varX <= 0 || y <= 0 {
		return 0, math.Inf(1)
	}
	slope = cov / varX
	// Few points can lie on a line by chance: counts vary at least so much.
	rest := max(varY-slope*cov, y/4)
	return slope * x / y, math.Sqrt(rest/(l.n*varX)) * x / y
}
