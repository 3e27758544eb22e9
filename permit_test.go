package breaker_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

var allOutcomes = []breaker.Outcome{breaker.Ignored, breaker.Success, breaker.Failure, breaker.Outcome(3), breaker.Outcome(255)}

// slots is how many permits a breaker has room for in itself. The words of
// further ones come from a pool that all breakers share.
const slots = 7

func acquire(t *testing.T, b breaker.Breaker, n int) []breaker.Permit {
	t.Helper()
	permits := make([]breaker.Permit, n)
	for i := range permits {
		var err error
		permits[i], err = b.Acquire()
		require.NoError(t, err)
	}
	return permits
}

func add(to breaker.Totals, o breaker.Outcome) breaker.Totals {
	switch o {
	case breaker.Success:
		to.Success++
	case breaker.Ignored:
		to.Ignored++
	default:
		to.Failure++
	}
	return to
}

func TestPermit_ZeroValueSettlesNothing(t *testing.T) {
	var p breaker.Permit
	for _, o := range allOutcomes {
		require.NotPanics(t, func() { p.Done(o) })
	}
}

func TestPermit_OfARejectionSettlesNothing(t *testing.T) {
	for _, kind := range unwilling {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			mustReject(t, func() bool {
				p, err := b.Acquire()
				if err == nil {
					return false
				}
				require.Equal(t, breaker.Permit{}, p)
				before := b.Snapshot().Totals
				p.Done(breaker.Success)
				require.Equal(t, before, b.Snapshot().Totals)
				return true
			})
		})
	}
}

func TestPermit_OnlyTheFirstDoneCounts(t *testing.T) {
	for _, kind := range willing {
		for _, first := range allOutcomes {
			for _, second := range allOutcomes {
				t.Run(fmt.Sprintf("%s/%v then %v", kind.name, first, second), func(t *testing.T) {
					b := kind.make()
					p := acquire(t, b, 1)[0]
					duplicate := p
					requireTotals(t, b, breaker.Totals{InFlight: 1})
					p.Done(first)
					requireTotals(t, b, add(breaker.Totals{}, first))
					p.Done(second)
					duplicate.Done(second)
					duplicate.Done(first)
					requireTotals(t, b, add(breaker.Totals{}, first))
				})
			}
		}
	}
}

func TestPermit_InvalidOutcomeIsAFailure(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			acquire(t, b, 1)[0].Done(breaker.Outcome(3))
			acquire(t, b, 1)[0].Done(breaker.Outcome(255))
			requireTotals(t, b, breaker.Totals{Failure: 2})
		})
	}
}

func TestPermit_NeverSettledStaysInFlight(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			acquire(t, b, slots+3)
			runtime.GC()
			runtime.GC()
			requireTotals(t, b, breaker.Totals{InFlight: slots + 3})
			acquire(t, b, 1)[0].Done(breaker.Success)
			requireTotals(t, b, breaker.Totals{InFlight: slots + 3, Success: 1})
		})
	}
}

func TestPermit_MayBeDoneInAnotherGoroutine(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			done := make(chan struct{})
			for _, p := range acquire(t, b, slots+3) {
				go func() {
					p.Done(breaker.Success)
					done <- struct{}{}
				}()
			}
			for range slots + 3 {
				<-done
			}
			requireTotals(t, b, breaker.Totals{Success: slots + 3})
		})
	}
}

func TestPermit_ManyInFlightSettleOnceEachInAnyOrder(t *testing.T) {
	const n = 100
	for _, kind := range willing {
		for name, order := range map[string]func(i int) int{
			"first in first out": func(i int) int { return i },
			"last in first out":  func(i int) int { return n - 1 - i },
			"scattered":          func(i int) int { return i * 37 % n },
		} {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				b := kind.make()
				permits := acquire(t, b, n)
				want := breaker.Totals{InFlight: n}
				requireTotals(t, b, want)
				for i := range n {
					p, o := permits[order(i)], allOutcomes[i%len(allOutcomes)]
					p.Done(o)
					p.Done(breaker.Success)
					p.Done(breaker.Failure)
					want = add(want, o)
					want.InFlight--
					requireTotals(t, b, want)
				}
				for _, p := range permits {
					p.Done(breaker.Success)
					p.Done(breaker.Failure)
				}
				requireTotals(t, b, want)
			})
		}
	}
}

func TestPermit_LateDoneDoesNotSettleTheNextPermitInItsPlace(t *testing.T) {
	for _, kind := range willing {
		for _, before := range []int{0, slots - 1, slots, slots + 3} {
			for _, o := range allOutcomes {
				t.Run(fmt.Sprintf("%s/%d in flight/%v", kind.name, before, o), func(t *testing.T) {
					b := kind.make()
					acquire(t, b, before)
					late := acquire(t, b, 1)[0]
					late.Done(o)
					next := acquire(t, b, 1)[0]
					want := add(breaker.Totals{InFlight: uint64(before) + 1}, o)
					late.Done(breaker.Failure)
					late.Done(breaker.Success)
					requireTotals(t, b, want)
					next.Done(breaker.Failure)
					want.InFlight--
					want.Failure++
					requireTotals(t, b, want)
				})
			}
		}
	}
}

// The words of the eighth permit and later ones wander between breakers.
func TestPermit_LateDoneDoesNotSettleThePermitOfAnotherBreaker(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			one, other := kind.make(), kind.make()
			acquire(t, one, slots)
			acquire(t, other, slots)
			wantOne, wantOther := breaker.Totals{InFlight: slots}, breaker.Totals{InFlight: slots}
			var late []breaker.Permit
			for range 50 {
				p := acquire(t, one, 1)[0]
				p.Done(breaker.Success)
				wantOne.Success++
				late = append(late, p)
				q := acquire(t, other, 1)[0]
				wantOther.InFlight++
				for _, p := range late {
					p.Done(breaker.Failure)
				}
				requireTotals(t, one, wantOne)
				requireTotals(t, other, wantOther)
				q.Done(breaker.Success)
				wantOther.InFlight--
				wantOther.Success++
			}
			requireTotals(t, other, wantOther)
		})
	}
}

func TestPermit_Of64RacingGoroutinesExactlyOneSettles(t *testing.T) {
	const racers, rounds = 64, 100
	for _, kind := range willing {
		for _, before := range []int{0, slots + 1} {
			t.Run(fmt.Sprintf("%s/%d in flight", kind.name, before), func(t *testing.T) {
				b := kind.make()
				acquire(t, b, before)
				for round := range rounds {
					p := acquire(t, b, 1)[0]
					start := make(chan struct{})
					var wg sync.WaitGroup
					for i := range racers {
						wg.Go(func() {
							<-start
							p.Done(allOutcomes[i%len(allOutcomes)])
						})
					}
					close(start)
					wg.Wait()
					got := b.Snapshot().Totals
					require.EqualValues(t, round+1, got.Success+got.Failure+got.Ignored)
					require.EqualValues(t, before, got.InFlight)
				}
			})
		}
	}
}

func TestPermit_ExactlyOneMarkReachesAnAdaptedBreaker(t *testing.T) {
	const racers, permits = 16, 20
	var marks counting
	b := breaker.Adapt(&marks)
	var wg sync.WaitGroup
	for _, p := range acquire(t, b, permits) {
		for i := range racers {
			wg.Go(func() { p.Done(allOutcomes[i%len(allOutcomes)]) })
		}
	}
	wg.Wait()
	require.EqualValues(t, permits, marks.allow.Load())
	require.EqualValues(t, permits, marks.success.Load()+marks.failed.Load())
}

// counting is an aegis-shaped breaker that counts what it is told, and rejects
// every call whose number is a multiple of rejectEvery.
type counting struct {
	rejectEvery                      int64
	allow, rejected, success, failed atomic.Int64
}

func (b *counting) Allow() error {
	if n := b.allow.Add(1); b.rejectEvery > 0 && n%b.rejectEvery == 0 {
		b.rejected.Add(1)
		return errRejected
	}
	return nil
}

func (b *counting) MarkSuccess() { b.success.Add(1) }
func (b *counting) MarkFailed()  { b.failed.Add(1) }
