package circuit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Callers append what they want to defaults of their own.
func TestNewBreaker_TheLastOfAnOptionThatIsGivenTwiceCounts(t *testing.T) {
	none := func(error) (time.Duration, bool) { return 0, false }
	for name, c := range map[string]struct{ first, last Option }{
		"WithConsecutiveFailures": {WithConsecutiveFailures(1), WithConsecutiveFailures(2)},
		"WithFailureCount":        {WithFailureCount(1, 2), WithFailureCount(3, 4)},
		"WithFailuresInPeriod":    {WithFailuresInPeriod(1, time.Second), WithFailuresInPeriod(2, time.Minute)},
		"WithSlowCallRate":        {WithSlowCallRate(1, 0.5, 1, time.Second), WithSlowCallRate(2, 0.1, 2, time.Minute)},
		"WithProbes":              {WithProbes(1, 2), WithProbes(3, 4)},
		"WithProbeLease":          {WithProbeLease(time.Second), WithProbeLease(time.Minute)},
		"WithDelay":               {WithDelay(time.Second), WithDelay(time.Minute)},
		"WithBackoff":             {WithBackoff(2, time.Hour), WithBackoff(3, time.Minute)},
		"WithJitter":              {WithJitter(0.1), WithJitter(0.2)},
		"WithRetryAfter":          {WithRetryAfter(time.Second, none), WithRetryAfter(time.Minute, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBreaker(c.first, WithUnmarkedRejections(), c.last)
			before := b.published.Load()
			b.Reconfigure(c.last, WithUnmarkedRejections())
			require.Same(t, before, b.published.Load(), "with the options that it has, nothing changes")
			b.Reconfigure(c.first, WithUnmarkedRejections())
			require.NotSame(t, before, b.published.Load())
		})
	}
	probes := []Option{WithProbes(3, 5), WithProbeLimit(1), WithProbeFailures(1)}
	b := NewBreaker(append(probes, WithProbeLimit(2), WithProbeFailures(3), WithName("a"), WithName("b"))...)
	require.Equal(t, 2, b.cold.options.probes.Limit)
	require.Equal(t, 3, b.cold.options.probes.Failures)
	require.Equal(t, "b", b.Snapshot().Name)

	first := func(Opening) time.Duration { return time.Second }
	b = NewBreaker(WithDelayFunc(first), WithDelayFunc(func(Opening) time.Duration { return time.Hour }), WithConsecutiveFailures(1))
	b.MarkFailed()
	require.Greater(t, b.Snapshot().RetryAfter, time.Minute)

	b = NewBreaker(WithFailureRate(1, 9, time.Hour), WithFailureRate(0.5, 100, time.Minute))
	require.Len(t, b.cold.options.rules, 2, "these add up")
}
