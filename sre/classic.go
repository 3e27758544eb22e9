package sre

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker/internal/ledger"
)

// throttle is the decision of [Classic]: client-side throttling of the Google SRE
// book, in the form that go-kratos/aegis gave it. With total calls asked for and success of
// them successful within the window, a call is allowed while
//
//	total < request  or  total < k·success        with k = 1 / success ratio
//
// and otherwise rejected with probability
//
//	max(0, (total - k·success) / (total + 1))
//
// Rejected calls count in total, if their host marks them. So while the backend is down the probability
// approaches 1, and about one call per window gets through.
//
// Source: Beyer et al., Site Reliability Engineering, chapter 21, "Client-Side
// Throttling", https://sre.google/sre-book/handling-overload/
type throttle struct {
	k       float64
	request int64
	every   time.Duration // between probes; of the other decision
	rarest  time.Duration
	classic bool // whether this one decides

	unmarked bool // whether nobody marks what Allow rejects
}

// total returns the calls that were asked for. To aegis and Kratos v1, that is
// what was marked.
func (d throttle) total(c ledger.Counts) uint64 {
	if d.unmarked {
		return c.Success + c.Failure
	}
	return c.Total()
}

// usual is what most breakers decide by: they share it.
var usual = func() (all [2]throttle) {
	for i, opts := range [2][]Option{{}, {Classic()}} {
		o := newOptions("NewBreaker", opts)
		all[i] = o.decidesBy()
	}
	return all
}()

// throttle returns what the breaker decides by. It is replaced, never changed.
func (b *Breaker) throttle() *throttle { return b.settings.Load() }

// rejectRatio returns the probability, in [0, 1), with which a call is
// rejected after c. The arithmetic is that of aegis, operation by operation,
// so the result is the same to the last bit.
func (d throttle) rejectRatio(c ledger.Counts) float64 {
	total := d.total(c)
	accepted := d.k * float64(c.Success)
	if total < uint64(d.request) || float64(total) < accepted {
		return 0
	}
	return max(0, (float64(total)-accepted)/float64(total+1))
}

// headroom returns how many more calls may fail after c before a call can be
// rejected, whatever else succeeds meanwhile: rejectRatio stays 0 for every
// number of failures below headroom. Let f of the calls in c have failed. The
// other decision uses it, too, since it needs more before it looks for trouble.
//
// After x more failures and y more successes, rejecting takes both
//
//	f + x + success + y >= request  and  f + x >= (k-1)·(success + y)
//
// The second bounds success + y by (f+x)/(k-1); put into the first it needs
// f + x >= request·(1 - 1/k). And the second alone needs, as y >= 0,
// x >= k·success - total. Each is necessary, so the larger one counts.
func (d throttle) headroom(c ledger.Counts) float64 {
	total := d.total(c)
	byVolume := float64(d.request)*(1-1/d.k) - float64(total-c.Success)
	byRatio := d.k*float64(c.Success) - float64(total)
	return max(byVolume, byRatio)
}

// classically writes down what the state of a classic breaker is, now that the
// reject ratio after c is p.
func (b *Breaker) classically(now int64, p float64, c ledger.Counts) {
	if p > 0 != (b.changed()&1 != 0) {
		b.recordState(now, p, c, fmt.Sprintf("%d of %d calls within %v succeeded", c.Success, b.throttle().total(c), b.window.Length()))
	}
	if p == 0 {
		b.adoptPostponed()
	}
}
