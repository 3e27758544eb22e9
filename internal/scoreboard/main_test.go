package scoreboard

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBubble runs a job with one seed.
func inBubble(t *testing.T, j job, seed int) (tr *trace) {
	synctest.Test(t, func(*testing.T) { tr = j.run(seed) })
	return tr
}

// measured runs a job with all its seeds.
func measured(t *testing.T, j job) result {
	return j.result(func(seed int) *trace { return inBubble(t, j, seed) })
}
