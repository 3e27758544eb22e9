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

// The numbers of the law itself are checked where it is, in internal/adaptive.
func TestAlgorithm_OptionsAndTheFormulaOfTheBookAreAsThePageSays(t *testing.T) {
	page, err := os.ReadFile("../docs/algorithm.md")
	require.NoError(t, err)
	text := strings.Join(strings.Fields(string(page)), " ")
	says := func(format string, args ...any) {
		t.Helper()
		require.Contains(t, text, fmt.Sprintf(format, args...))
	}

	const k, w = 5.0 / 3, 3.0
	says("with a window w = %v s and K = 5/3 it begins w·(1 - 1/K) = %.1f s after", w, w*(1-1/k))
	x := 1.0
	for range 100 {
		x = k * (1 - math.Exp(-x))
	}
	says("%.0f s at 100 calls/s and %.0f s at 10 000", w/x*math.Log(100*w), w/x*math.Log(10_000*w))
	require.InDelta(t, 6, 1/(1-k*0.5), 1e-9) // calls per window that are allowed if half of them succeed
	says("six calls get through per window")

	o := newOptions("", nil)
	classic := newOptions("", []Option{Classic()})
	says("| `WithSuccess` | ratio, [%f, 1] | %v |", bounds.Success.Low, o.success)
	says("an overloaded backend gets at most %.2f times", 1/o.success)
	says("| `WithRequest` | calls in a window, [1, 1e9] | %d, %d with `Classic` |", o.Request, classic.Request)
	says("| `WithWindow` | time, [1µs, 24h] | %.0f s |", o.window.Seconds())
	says("| `WithBucket` | number, [1, %d] | %d |", int(bounds.Bucket.High), o.bucket)
	says("| `WithProbeInterval` | time, [10ms, 1m] | %d ms |", o.probe/time.Millisecond)
	says("| `WithMaxProbeInterval` | time, [10ms, %vh] | `WithProbeInterval` |", bounds.MaxProbeInterval.High.Hours())
	require.Equal(t, o.probe, o.maxProbe)
}
