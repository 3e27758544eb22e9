package law

import "github.com/kratos-breaker/breaker/internal/ledger"

// Classic is the formula of the Google SRE book for client-side throttling, in the form
// that go-kratos/aegis gave it. With total calls asked for and success of them successful
// within the window, a call is allowed while
//
//	total < Request  or  total < K·success        with K = 1 / success ratio
//
// and otherwise rejected with probability
//
//	max(0, (total - K·success) / (total + 1))
//
// Rejected calls count in total, if their host marks them. So while the backend is down
// the probability approaches 1, and about one call per window gets through.
//
// Source: Beyer et al., Site Reliability Engineering, chapter 21, "Client-Side
// Throttling", https://sre.google/sre-book/handling-overload/
type Classic struct {
	K        float64
	Request  int64
	Unmarked bool // whether nobody marks what Allow rejects
}

// Total returns the calls that were asked for. To aegis and Kratos v1, these are the
// calls that were marked.
func (f Classic) Total(c ledger.Counts) uint64 {
	if f.Unmarked {
		return c.Success + c.Failure
	}
	return c.Total()
}

// RejectRatio returns the probability, in [0, 1), with which a call is rejected after c.
// The arithmetic is that of aegis, operation by operation, so the result is the same to
// the last bit.
func (f Classic) RejectRatio(c ledger.Counts) float64 {
	total := f.Total(c)
	accepted := f.K * float64(c.Success)
	if total < uint64(f.Request) || float64(total) < accepted {
		return 0
	}
	return max(0, (float64(total)-accepted)/float64(total+1))
}

// Headroom returns how many more calls may fail after c before a call can be rejected,
// whatever else succeeds meanwhile: RejectRatio stays 0 for every number of failures
// below Headroom. Let f of the calls in c have failed.
//
// After x more failures and y more successes, rejecting takes both
//
//	f + x + success + y >= Request  and  f + x >= (K-1)·(success + y)
//
// The second bounds success + y by (f+x)/(K-1); put into the first it needs
// f + x >= Request·(1 - 1/K). And the second alone needs, as y >= 0,
// x >= K·success - total. Each is necessary, so the larger one counts.
func (f Classic) Headroom(c ledger.Counts) float64 {
	total := f.Total(c)
	byVolume := float64(f.Request)*(1-1/f.K) - float64(total-c.Success)
	byRatio := f.K*float64(c.Success) - float64(total)
	return max(byVolume, byRatio)
}
