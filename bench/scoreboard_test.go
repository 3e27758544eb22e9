package bench_test

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/scoreboard"
)

var (
	scoreboardTo = flag.String("scoreboard", "", "directory to write the scoreboard to")
	chapters     = flag.String("chapters", "", "with -scoreboard, the scenarios of which to print the chapters and write the plots, separated by commas")
	fuzzed       = flag.Int("fuzzed", 0, "how many worlds the rivals' fuzzer draws")
	fuzzedFirst  = flag.Uint64("fuzzed-first", 1, "its first seed")
)

// rivals are policies of the scoreboard that the root module cannot have,
// because its go.mod would have to name them.
var rivals = []scoreboard.Rival{
	{
		Name:  "throttler",
		About: "the real `adaptivethrottler` of failsafe-go v0.9.8 with its defaults: above 10 % errors in a minute it rejects, at most 90 %",
		Make: func(r *rand.Rand) breaker.Acquirer {
			return &throttled{adaptivethrottler.NewWithDefaults[any](), r}
		},
	},
	{
		Name:  "failsafe",
		About: "the real circuit breaker of failsafe-go v0.9.8: opens when half of at least 20 calls in 10 s failed, for 1 s, and closes when half of 20 probes succeed",
		Make: func(*rand.Rand) breaker.Acquirer {
			return &threeState{circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(0.5, 20, 10*time.Second).WithDelay(time.Second).Build()}
		},
	},
}

var errRejected = breaker.NewRejectedError("", breaker.Open, breaker.ReasonUnknown, time.Time{}, nil)

// recorder is what failsafe-go's policies are told. They know no outcome that
// says nothing.
type recorder interface {
	RecordSuccess()
	RecordFailure()
}

// settler settles permits of a failsafe-go policy.
type settler struct{ recorder }

func (s settler) Settle(_ breaker.Ticket, o breaker.Outcome) {
	if o == breaker.Failure {
		s.RecordFailure()
		return
	}
	s.RecordSuccess()
}

// throttled lets the throttler compute its rate, and draws from a chance with
// a seed in place of its own.
type throttled struct {
	adaptivethrottler.AdaptiveThrottler[any]
	chance *rand.Rand
}

func (t *throttled) Acquire() (breaker.Permit, error) {
	t.TryAcquirePermit() // it counts nothing
	if rate := t.RejectionRate(); rate > 0 && rate >= t.chance.Float64() {
		return breaker.Permit{}, errRejected
	}
	return breaker.NewPermit(settler{t.AdaptiveThrottler}, breaker.Ticket{}), nil
}

type threeState struct {
	circuitbreaker.CircuitBreaker[any]
}

func (b *threeState) Acquire() (breaker.Permit, error) {
	if !b.TryAcquirePermit() {
		return breaker.Permit{}, errRejected
	}
	return breaker.NewPermit(settler{b.CircuitBreaker}, breaker.Ticket{}), nil
}

// bubbles run on all processors.
func bubbles(t *testing.T) scoreboard.Bubbles {
	return func(n int, f func(i int)) {
		t.Run("bubbles", func(t *testing.T) {
			var next atomic.Int64
			for k := range runtime.GOMAXPROCS(0) {
				t.Run(strconv.Itoa(k), func(t *testing.T) {
					t.Parallel()
					for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
						synctest.Test(t, func(*testing.T) { f(i) })
					}
				})
			}
		})
	}
}

func TestScoreboard_IsWrittenOnRequest(t *testing.T) {
	if *scoreboardTo == "" {
		t.Skip("it takes many minutes: make scoreboard")
	}
	if *chapters != "" {
		text, err := scoreboard.Chapters(*scoreboardTo, strings.Split(*chapters, ","), rivals, bubbles(t))
		require.NoError(t, err)
		t.Log("\n" + text)
		return
	}
	require.NoError(t, scoreboard.Write(*scoreboardTo, rivals, bubbles(t)))
}

func TestScoreboard_FuzzesTheRivalsOnRequest(t *testing.T) {
	if *fuzzed == 0 {
		t.Skip("it takes many minutes: -fuzzed says how many worlds")
	}
	for _, report := range scoreboard.Fuzz(*fuzzed, *fuzzedFirst, rivals, bubbles(t)) {
		t.Log("\n" + report)
	}
}

func TestScoreboard_ARivalDecidesWithAChanceThatHasASeed(t *testing.T) {
	allowed := func(r scoreboard.Rival, seed uint64) (allowed int) {
		synctest.Test(t, func(*testing.T) {
			b := r.Make(rand.New(rand.NewPCG(seed, 0)))
			for i := range 1000 {
				p, err := b.Acquire()
				if err == nil {
					allowed++
					p.Done(breaker.Failure)
				}
				if i < 30 {
					require.True(t, err == nil || i > 0)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		return allowed
	}
	// Of 10 s of failures, the throttler rejects at most 90 %.
	require.InDelta(t, 100, allowed(rivals[0], 1), 40)
	require.Equal(t, allowed(rivals[0], 1), allowed(rivals[0], 1))
	// The breaker opens after 20 failures, for 1 s; 20 probes follow, of which 11 fail.
	require.Less(t, allowed(rivals[1], 1), 200)
	require.Equal(t, allowed(rivals[1], 1), allowed(rivals[1], 2))
}
