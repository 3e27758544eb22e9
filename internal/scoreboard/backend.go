package scoreboard

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

// answer is how a call ends, and after which time.
type answer struct {
	outcome breaker.Outcome
	took    time.Duration
}

// behaviour answers a call that begins at the given time.
type behaviour func(at time.Duration, f fate) answer

// backend answers calls.
type backend struct {
	answer behaviour
	// blind is the same as answer if that does not depend on the other calls;
	// otherwise nil.
	blind behaviour
}

func blind(b behaviour) backend { return backend{answer: b, blind: b} }

const (
	refusal = 2 * time.Millisecond // how long a backend takes to refuse a call
	timeout = 2 * time.Second      // Kratos' default
)

// up serves every call.
func up(latency time.Duration) behaviour {
	return func(_ time.Duration, f fate) answer { return answer{breaker.Success, f.latency(latency)} }
}

// down fails every call after the same time.
func down(after time.Duration) behaviour {
	return func(time.Duration, fate) answer { return answer{breaker.Failure, after} }
}

// partly fails a share of the calls, by chance alone.
func partly(share float64, latency time.Duration) behaviour {
	return func(_ time.Duration, f fate) answer {
		if f.luck < share {
			return answer{breaker.Failure, f.latency(latency)}
		}
		return answer{breaker.Success, f.latency(latency)}
	}
}

// limited serves so many calls per second, and refuses the rest. It has a token
// bucket that holds 5 calls, or those of a quarter of a second if that is more.
func limited(capacity float64, latency time.Duration) behaviour {
	size := max(5, capacity/4)
	tokens, last := size, time.Duration(0)
	return func(at time.Duration, f fate) answer {
		tokens = min(size, tokens+(at-last).Seconds()*capacity)
		last = at
		if tokens < 1 {
			return answer{breaker.Failure, refusal}
		}
		tokens--
		return answer{breaker.Success, f.latency(latency)}
	}
}

// phase is a behaviour that ends at a time.
type phase struct {
	until time.Duration
	behaviour
}

// forever is the end of the last phase.
const forever = time.Duration(1<<63 - 1)

// phases are behaviours one after the other.
func phases(ps ...phase) behaviour {
	return func(at time.Duration, f fate) answer {
		for _, p := range ps {
			if at < p.until {
				return p.behaviour(at, f)
			}
		}
		panic("scoreboard: the last phase ends")
	}
}
