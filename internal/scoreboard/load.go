package scoreboard

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

// load is how calls arrive, and what their callers do.
type load struct {
	rate    float64 // calls per second, of all clients together
	clients int     // each with a breaker of its own; 0 means 1
	regular bool    // evenly spaced; otherwise a Poisson process
	// asks, if not nil, says when there are calls at all.
	asks func(at time.Duration) bool
	// wave varies the rate.
	wave wave

	// With workers, calls come from a closed loop, beside those of the rate if
	// that is not 0: each worker calls again when it has thought after the end
	// of its last call, or its rejection.
	workers int
	think   time.Duration
	batch   batch
	// hold makes the calls of workers long polls: that much is added to a success.
	hold distribution

	// A call that fails or is rejected is tried so often again, each time after
	// a delay.
	retries int
	delay   distribution

	// A call fails after the timeout, and its caller gives it up after the
	// patience, if these are not 0.
	timeout, patience time.Duration

	// In a pause the process does nothing at all. What was due in it happens
	// right after it, and the calls fail together whose timeout falls into it.
	pauses []span
	// idles says that nobody calls in a pause: what would arrive in it is lost.
	idles bool
	// At a cut all calls in flight fail.
	cuts []time.Duration

	// remembers keeps the rejections in the trace.
	remembers bool
}

// wave varies the rate of arrivals. The mean stays the rate of the load.
type wave struct {
	// on and off: calls arrive only in the first part of each period.
	on, off time.Duration
	// swing, in (0, 1]: within each period the rate rises from 1-swing of its
	// mean to 1+swing, and falls again.
	swing  float64
	period time.Duration
}

// peak is the highest rate ÷ the mean.
func (w wave) peak() float64 {
	switch {
	case w.off > 0:
		return (w.on + w.off).Seconds() / w.on.Seconds()
	case w.period > 0:
		return 1 + w.swing
	}
	return 1
}

// height is the rate at a time ÷ the peak.
func (w wave) height(at time.Duration) float64 {
	switch {
	case w.off > 0:
		if at%(w.on+w.off) < w.on {
			return 1
		}
		return 0
	case w.period > 0:
		x := 2 * (at % w.period).Seconds() / w.period.Seconds() // 0 to 2
		return (1 - w.swing + 2*w.swing*min(x, 2-x)) / (1 + w.swing)
	}
	return 1
}

// batch makes the workers share a number of calls, and then wait for the next
// batch.
type batch struct {
	calls int
	every time.Duration
}

// wanted reports whether there is a call at all.
func (l *load) wanted(at time.Duration, f fate) bool {
	if l.idles && l.awake(at) > at {
		return false
	}
	if l.asks != nil && !l.asks(at) {
		return false
	}
	h := l.wave.height(at)
	return h >= 1 || f.uniform(askWanted) < h
}

// end is what becomes of a call that began at a time and would end as a.
func (l *load) end(at time.Duration, a answer) answer {
	if l.timeout > 0 && a.took > l.timeout {
		a = answer{breaker.Failure, l.timeout}
	}
	if l.patience > 0 && a.took > l.patience {
		a = answer{breaker.Ignored, l.patience}
	}
	for _, cut := range l.cuts {
		if at < cut && cut < at+a.took {
			a = answer{breaker.Failure, cut - at}
			break
		}
	}
	for _, p := range l.pauses {
		end := at + a.took
		if at >= p.from || end < p.from {
			continue
		}
		due := at + l.timeout
		switch {
		case l.timeout > 0 && p.from <= due && due < p.to:
			a = answer{breaker.Failure, p.to - at}
		case end < p.to:
			a.took = p.to - at
		}
	}
	return a
}

// awake is when the process comes to what is due at a time.
func (l *load) awake(at time.Duration) time.Duration {
	for _, p := range l.pauses {
		if p.from <= at && at < p.to {
			at = p.to
		}
	}
	return at
}
