package sre_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// Failures that met a held lock were taken in later in one go, and counted as a row
// although calls had succeeded between them: two goroutines at full speed, of whose
// calls 10 % failed, had nearly all of them rejected.
func TestRegression_FailuresThatMetALockCountedAsARow(t *testing.T) {
	for _, goroutines := range []int{1, 2, 8, 64} {
		for _, share := range []float64{0.05, 0.1, 0.2, 0.3} {
			t.Run(fmt.Sprintf("%d goroutines, %v fail", goroutines, share), func(t *testing.T) {
				b := sre.NewBreaker()
				var callers sync.WaitGroup
				end := time.Now().Add(50 * time.Millisecond)
				for i := range goroutines {
					callers.Go(func() {
						random := rand.New(rand.NewPCG(uint64(i), 1))
						for n := 0; n%64 != 0 || time.Now().Before(end); n++ {
							p, err := b.Acquire()
							if err != nil {
								continue // the totals tell
							}
							if random.Float64() < share {
								p.Done(breaker.Failure)
							} else {
								p.Done(breaker.Success)
							}
						}
					})
				}
				callers.Wait()
				totals := b.Snapshot().Totals
				require.Zero(t, totals.Rejected, "of %d", totals.Offered)
			})
		}
	}
}
