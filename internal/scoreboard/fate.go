package scoreboard

import (
	"math"
	"time"
)

// fate is what chance has in store for a call.
type fate struct {
	luck  float64 // in [0, 1)
	delay float64 // its latency as a share of the mean: half fixed, half exponential
	id    uint64  // from which all else is derived that anybody asks about
}

// The questions that fate answers independently of each other.
const (
	askSuccess uint64 = iota + 1 // how long a success takes
	askFailure                   // how long a failure takes
	askPoll                      // how long a long poll is held
	askDelay                     // when the caller tries again
	askWanted                    // whether there is a call at all, while fewer arrive
	askLuck                      // luck and delay of the next attempt
	askWait
	askNext
)

func (f fate) latency(mean time.Duration) time.Duration {
	return time.Duration(f.delay * float64(mean))
}

// bits are the mix of SplitMix64.
func (f fate) bits(question uint64) uint64 {
	z := f.id + question*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform is in (0, 1).
func (f fate) uniform(question uint64) float64 {
	return (float64(f.bits(question)>>11) + 0.5) / (1 << 53)
}

func (f fate) exponential(question uint64) float64 { return -math.Log(f.uniform(question)) }

// normal is of mean 0 and deviation 1.
func (f fate) normal(question uint64) float64 {
	return math.Sqrt2 * math.Erfinv(2*f.uniform(question)-1)
}

// again is the fate of the next attempt of the same call. What a breaker said
// about this one does not change it.
func (f fate) again() fate {
	return fate{luck: f.uniform(askLuck), delay: 0.5 + 0.5*f.exponential(askWait), id: f.bits(askNext)}
}
