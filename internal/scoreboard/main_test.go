package scoreboard

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubbles run on all processors.
func bubbles(t *testing.T) Bubbles {
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

// inBubble runs a job with one seed.
func inBubble(t *testing.T, j job, seed int) (tr *trace) {
	synctest.Test(t, func(*testing.T) { tr = j.run(seed) })
	return tr
}

// resultOf runs a job with all its seeds.
func resultOf(t *testing.T, j job) result {
	return bubbles(t).run([]job{j})[j.key()]
}
