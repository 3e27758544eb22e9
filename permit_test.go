package breaker_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/breakertest"
)

func TestPermit_ZeroValueSettlesNothing(t *testing.T) {
	var p breaker.Permit
	for _, o := range breakertest.Outcomes {
		require.NotPanics(t, func() { p.Done(o) })
	}
}

func TestPermit_OfARejectionSettlesNothing(t *testing.T) {
	for _, kind := range unwilling {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			breakertest.MustReject(t, func() bool {
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
		for _, first := range breakertest.Outcomes {
			for _, second := range breakertest.Outcomes {
				t.Run(fmt.Sprintf("%s/%v then %v", kind.name, first, second), func(t *testing.T) {
					b := kind.make()
					p := breakertest.Acquire(t, b, 1)[0]
					duplicate := p
					breakertest.RequireTotals(t, b, breaker.Totals{InFlight: 1})
					p.Done(first)
					breakertest.RequireTotals(t, b, breakertest.Add(breaker.Totals{}, first))
					p.Done(second)
					duplicate.Done(second)
					duplicate.Done(first)
					breakertest.RequireTotals(t, b, breakertest.Add(breaker.Totals{}, first))
				})
			}
		}
	}
}

func TestPermit_InvalidOutcomeIsAFailure(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			breakertest.Acquire(t, b, 1)[0].Done(breaker.Outcome(3))
			breakertest.Acquire(t, b, 1)[0].Done(breaker.Outcome(255))
			breakertest.RequireTotals(t, b, breaker.Totals{Failure: 2})
		})
	}
}

func TestPermit_NeverSettledStaysInFlight(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			breakertest.Acquire(t, b, breakertest.Slots+3)
			runtime.GC()
			runtime.GC()
			breakertest.RequireTotals(t, b, breaker.Totals{InFlight: breakertest.Slots + 3})
			breakertest.Acquire(t, b, 1)[0].Done(breaker.Success)
			breakertest.RequireTotals(t, b, breaker.Totals{InFlight: breakertest.Slots + 3, Success: 1})
		})
	}
}

func TestPermit_MayBeDoneInAnotherGoroutine(t *testing.T) {
	for _, kind := range willing {
		t.Run(kind.name, func(t *testing.T) {
			b := kind.make()
			done := make(chan struct{})
			for _, p := range breakertest.Acquire(t, b, breakertest.Slots+3) {
				go func() {
					p.Done(breaker.Success)
					done <- struct{}{}
				}()
			}
			for range breakertest.Slots + 3 {
				<-done
			}
			breakertest.RequireTotals(t, b, breaker.Totals{Success: breakertest.Slots + 3})
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
				permits := breakertest.Acquire(t, b, n)
				want := breaker.Totals{InFlight: n}
				breakertest.RequireTotals(t, b, want)
				for i := range n {
					p, o := permits[order(i)], breakertest.Outcomes[i%len(breakertest.Outcomes)]
					p.Done(o)
					p.Done(breaker.Success)
					p.Done(breaker.Failure)
					want = breakertest.Add(want, o)
					want.InFlight--
					breakertest.RequireTotals(t, b, want)
				}
				for _, p := range permits {
					p.Done(breaker.Success)
					p.Done(breaker.Failure)
				}
				breakertest.RequireTotals(t, b, want)
			})
		}
	}
}

func TestPermit_LateDoneDoesNotSettleTheNextPermitInItsPlace(t *testing.T) {
	for _, kind := range willing {
		for _, before := range []int{0, breakertest.Slots - 1, breakertest.Slots, breakertest.Slots + 3} {
			for _, o := range breakertest.Outcomes {
				t.Run(fmt.Sprintf("%s/%d in flight/%v", kind.name, before, o), func(t *testing.T) {
					b := kind.make()
					breakertest.Acquire(t, b, before)
					late := breakertest.Acquire(t, b, 1)[0]
					late.Done(o)
					next := breakertest.Acquire(t, b, 1)[0]
					want := breakertest.Add(breaker.Totals{InFlight: uint64(before) + 1}, o)
					late.Done(breaker.Failure)
					late.Done(breaker.Success)
					breakertest.RequireTotals(t, b, want)
					next.Done(breaker.Failure)
					want.InFlight--
					want.Failure++
					breakertest.RequireTotals(t, b, want)
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
			breakertest.Acquire(t, one, breakertest.Slots)
			breakertest.Acquire(t, other, breakertest.Slots)
			wantOne, wantOther := breaker.Totals{InFlight: breakertest.Slots}, breaker.Totals{InFlight: breakertest.Slots}
			var late []breaker.Permit
			for range 50 {
				p := breakertest.Acquire(t, one, 1)[0]
				p.Done(breaker.Success)
				wantOne.Success++
				late = append(late, p)
				q := breakertest.Acquire(t, other, 1)[0]
				wantOther.InFlight++
				for _, p := range late {
					p.Done(breaker.Failure)
				}
				breakertest.RequireTotals(t, one, wantOne)
				breakertest.RequireTotals(t, other, wantOther)
				q.Done(breaker.Success)
				wantOther.InFlight--
				wantOther.Success++
			}
			breakertest.RequireTotals(t, other, wantOther)
		})
	}
}

func TestPermit_Of64RacingGoroutinesExactlyOneSettles(t *testing.T) {
	const racers, rounds = 64, 100
	for _, kind := range willing {
		for _, before := range []int{0, breakertest.Slots + 1} {
			t.Run(fmt.Sprintf("%s/%d in flight", kind.name, before), func(t *testing.T) {
				b := kind.make()
				breakertest.Acquire(t, b, before)
				for round := range rounds {
					p := breakertest.Acquire(t, b, 1)[0]
					start := make(chan struct{})
					var wg sync.WaitGroup
					for i := range racers {
						wg.Go(func() {
							<-start
							p.Done(breakertest.Outcomes[i%len(breakertest.Outcomes)])
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
	for _, p := range breakertest.Acquire(t, b, permits) {
		for i := range racers {
			wg.Go(func() { p.Done(breakertest.Outcomes[i%len(breakertest.Outcomes)]) })
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
