// Package sre is an adaptive circuit breaker. While the backend is healthy it
// rejects nothing. When the backend is down it rejects everything but an occasional
// probe; when it is overloaded, it sends slightly more than succeeds; when only part
// of it is broken, it rejects nothing, because that would not help. To tell these
// apart, it sends fewer calls, or more, for a moment. Take it unless you need a fixed
// rule: package circuit has those.
//
// Its options are those of go-kratos/aegis' circuitbreaker/sre and some more. With
// [Classic] its decisions are those of aegis as well: client-side throttling after the
// Google SRE book. A breaker has no timer and no goroutine. docs/algorithm.md says how
// it decides, and why.
package sre

// NewBreaker returns a closed breaker. It panics if an option is out of its
// range.
func NewBreaker(opts ...Option) *Breaker {
	o := newOptions("NewBreaker", opts)
	b := &Breaker{}
	b.settings.Store(o.shared())
	if o.name != "" || len(o.listeners) > 0 || o.random != nil {
		b.lazy.Store(newLazyState(&o))
	}
	b.law = (*guarded)(b)
	if o.classic {
		b.law = (*classic)(b)
	}
	b.window.Init(o.bucket, o.span())
	b.assess(1)
	return b
}
