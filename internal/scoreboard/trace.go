package scoreboard

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

// count counts the calls of a stretch of time. Calls are offered, allowed,
// useful and willing when they begin; they have failed, are ignored or served
// when they end.
type count struct {
	offered, allowed, failed, ignored, served float64
	// useful are the allowed calls that are going to be served.
	useful float64
	// willing are the calls that the backend served, or would have served. It
	// is counted only if the backend does not depend on what it gets.
	willing float64
}

func (c *count) add(d count) {
	c.offered += d.offered
	c.allowed += d.allowed
	c.failed += d.failed
	c.ignored += d.ignored
	c.served += d.served
	c.useful += d.useful
	c.willing += d.willing
}

func (c count) rejected() float64 { return c.offered - c.allowed }

// call is a call that was allowed.
type call struct {
	at, took time.Duration
}

// rejection is a call that was rejected.
type rejection struct {
	at    time.Duration
	after time.Duration // of the error
}

// bin is the resolution of a trace.
const bin = 100 * time.Millisecond

// trace is what happened in a run.
type trace struct {
	load  load
	bins  []count
	calls []call
	// rejections are kept if the load says so.
	rejections []rejection
	// breakers are those of the clients, after the run.
	breakers []breaker.Acquirer
	// column is what a world was run as.
	column column
	// none is what happened without a breaker, with the same seed; nil if nobody
	// compares.
	none *trace
}

func (tr *trace) at(at time.Duration) *count {
	return &tr.bins[min(int(at/bin), len(tr.bins)-1)]
}

// between sums up the bins from one time to another.
func (tr *trace) between(from, to time.Duration) (c count) {
	for _, b := range tr.bins[int(from/bin):int(to/bin)] {
		c.add(b)
	}
	return c
}

// seconds returns in how many seconds so many calls are offered.
func (tr *trace) seconds(calls float64) float64 { return calls / tr.load.rate }
