package circuit

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/kratos-breaker/breaker"
)

// Opening is what a function of [WithDelayFunc] is asked about.
type Opening struct {
	// Name is the breaker's name.
	Name string
	// Result is the end of the call that opened the breaker. Its Err is nil if
	// the call was settled without: see breaker.Permit.DoneWith.
	Result breaker.Result
	// Number counts the openings since the breaker was last closed, from 1.
	Number uint64
	// Delay is the delay without the function.
	Delay time.Duration
}

// day is the longest delay, and the longest of all other times that can be set.
const day = 24 * time.Hour

// delays say how long an open breaker rejects all calls.
type delays struct {
	first   time.Duration
	factor  float64 // with each opening, up to the longest
	longest time.Duration
	jitter  float64
	byUser  func(Opening) time.Duration

	retryAfter   time.Duration // the longest that a backend may ask for; 0 if it is not asked
	retryAfterOf func(error) (time.Duration, bool)
}

// of returns the delay of an opening by its number, from 1.
func (d *delays) of(opening uint64) time.Duration {
	delay := float64(d.first) * math.Pow(d.factor, float64(opening-1))
	delay = min(delay, float64(d.longest))
	if d.jitter > 0 {
		delay -= delay * d.jitter * rand.Float64()
	}
	return time.Duration(delay)
}

// after returns the delay of an opening by r, which is otherwise so long, and
// whether a function of the user's has to be asked for it.
func (d *delays) after(r breaker.Result, otherwise time.Duration) (delay time.Duration, asks bool) {
	if d.retryAfter > 0 && r.RetryAfter > 0 {
		return min(r.RetryAfter, d.retryAfter), false
	}
	return otherwise, d.retryAfterOf != nil && r.Err != nil || d.byUser != nil
}

// ask asks the functions of the user. The result is negative if they know no delay.
func (d *delays) ask(o Opening) time.Duration {
	if err := o.Result.Err; d.retryAfterOf != nil && err != nil {
		if delay, ok := d.retryAfterOf(err); ok && delay > 0 {
			return min(delay, d.retryAfter)
		}
	}
	if d.byUser != nil {
		return min(d.byUser(o), day)
	}
	return -1
}
