package sre

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// TestAlgorithm_IsWhatItsPageSays reads docs/algorithm.md: the numbers there are
// those of the code, or follow from its formulas.
func TestAlgorithm_IsWhatItsPageSays(t *testing.T) {
	page, err := os.ReadFile("../docs/algorithm.md")
	require.NoError(t, err)
	text := strings.Join(strings.Fields(string(page)), " ")
	says := func(format string, args ...any) {
		t.Helper()
		require.Contains(t, text, fmt.Sprintf(format, args...))
	}
	seconds := func(ns float64) string { return fmt.Sprintf("%.1f s", ns/1e9) }

	// The formula of the SRE book.
	const k, w = 5.0 / 3, 3.0
	says("w·(1 - 1/K) = %s", seconds(w*(1-1/k)*1e9))
	says("w·(1 - 0.5/K) = %s", seconds(w*(1-0.5/k)*1e9))
	x := 1.0
	for range 100 {
		x = k * (1 - math.Exp(-x))
	}
	says("%.0f s at 100 calls/s, %.0f s at 10 000", w/x*math.Log(100*w), w/x*math.Log(10_000*w))
	q := 1 / (1 - k*0.5) // calls per window that are allowed if half of them succeed
	require.InDelta(t, 6, q, 1e-9)
	says("six calls get through per window")

	// Down.
	length := func(s float64) int { return int(math.Ceil(math.Log(coincidence) / math.Log(1-s))) }
	says("For s = 0.95 that takes %d failures, for 0.5 it takes %d, for 0.3 it takes %d", length(0.95), length(0.5), length(0.3))
	require.InDelta(t, 1e-6, coincidence, 0)
	says("At least %d failures and %d ms without a success", minStreak, minSilence/ms)
	require.EqualValues(t, 100, longStreak)
	require.EqualValues(t, 3, fewFailures)

	// Shedding.
	require.InDelta(t, 3, earnPure, 0)
	says("Once a call has failed, %v: if the backend can do C calls, it gets %v·C", earn, earn)
	says("spread over %d ms of traffic", pace/ms)

	// Trial, doubt, fleet.
	require.EqualValues(t, 7, stretches)
	says("lets %.0f %% of the calls through in half of the stretches", dithered*100)
	says("does not help, and stops for %d s", pardon/sec)
	says("for %d s after an outage", wariness/sec)

	// Knobs.
	o := newOptions("", nil)
	o.check()
	classic := newOptions("", nil)
	Classic()(&classic)
	classic.check()
	says("| `WithSuccess` | ratio, [%f, 1] | %v |", bounds.Success.Low, o.success)
	says("| `WithRequest` | calls in a window, [1, 1e9] | %d, %d with `Classic` |", o.request, classic.request)
	says("| `WithWindow` | time, [1µs, 24h] | %.0f s |", o.window.Seconds())
	says("| `WithBucket` | number, [1, %d] | %d |", int(bounds.Bucket.High), o.bucket)
	says("| `WithProbeInterval` | time, [10ms, 1m] | %d ms |", o.probe/time.Millisecond)
}
