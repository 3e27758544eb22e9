package rule

import "github.com/kratos-breaker/breaker"

// Probes is how the probes of a half-open breaker are judged. It has no state of
// its own: a half-open breaker keeps its probes and their results, whatever the
// numbers become.
type Probes struct {
	Successes, Of int  // so many of so many close the breaker
	Failures      int  // so many reopen it
	Limit         int  // of probes that run at once
	All           bool // the verdict comes when all have ended
}

// Admits reports whether another probe may run: no more than the limit do, and
// none whose result could not be needed.
func (p Probes) Admits(running, success, failure int) bool {
	return running < p.Limit && running+success+failure < p.Of
}

// Verdict returns the state that the results of the probes lead to: HalfOpen if
// there is none yet.
func (p Probes) Verdict(success, failure int) breaker.State {
	switch {
	case p.All && success+failure < p.Of:
		return breaker.HalfOpen
	case failure >= p.Failures:
		return breaker.Open
	case success >= p.Successes:
		return breaker.Closed
	}
	return breaker.HalfOpen
}
