package breakertest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// settlements are the two ways to settle a permit.
var settlements = []func(breaker.Permit, breaker.Outcome){
	breaker.Permit.Done,
	func(p breaker.Permit, o breaker.Outcome) {
		p.DoneWith(breaker.Result{Outcome: o, Err: errBackend})
	},
}

// permits are the checks of what a permit promises.
func (k Kind) permits(in in) {
	in("a permit settles once, whatever is said later and by which copy", func(t *testing.T) {
		for _, first := range Outcomes {
			for _, second := range Outcomes {
				for i, settle := range settlements {
					b := k.New("")
					p := Acquire(t, b, 1)[0]
					duplicate := p
					RequireTotals(t, b, breaker.Totals{InFlight: 1})
					settle(p, first)
					RequireTotals(t, b, Add(breaker.Totals{}, first))
					settle(p, second)
					settlements[1-i](duplicate, second)
					settle(duplicate, first)
					RequireTotals(t, b, Add(breaker.Totals{}, first))
				}
			}
		}
	})

	in("of racing goroutines exactly one settles", func(t *testing.T) {
		const racers, rounds = 64, 20
		for _, before := range []int{0, Slots + 1} {
			b := k.New("")
			Acquire(t, b, before)
			for round := range rounds {
				p := Acquire(t, b, 1)[0]
				start := make(chan struct{})
				var wg sync.WaitGroup
				for i := range racers {
					wg.Go(func() {
						<-start
						settlements[i%2](p, Outcomes[i%2]) // no failures, which would open it
					})
				}
				close(start)
				wg.Wait()
				got := b.Snapshot().Totals
				require.EqualValues(t, round+1, got.Success+got.Failure+got.Ignored)
				require.EqualValues(t, before, got.InFlight)
			}
		}
	})

	in("a late settlement does not settle the next permit in its place", func(t *testing.T) {
		for _, before := range []int{0, Slots - 1, Slots, Slots + 3} {
			for _, o := range Outcomes {
				b := k.New("")
				Acquire(t, b, before)
				late := Acquire(t, b, 1)[0]
				late.Done(o)
				next := Acquire(t, b, 1)[0]
				for _, settle := range settlements {
					settle(late, breaker.Failure)
					settle(late, breaker.Success)
				}
				want := Add(breaker.Totals{InFlight: uint64(before) + 1}, o)
				RequireTotals(t, b, want)
				next.Done(breaker.Success)
				want.InFlight--
				RequireTotals(t, b, Add(want, breaker.Success))
			}
		}
	})

	in("an unknown outcome is a failure, and opens as one", func(t *testing.T) {
		b := k.New("")
		for _, p := range Acquire(t, b, k.Outage) {
			p.Done(breaker.Outcome(200))
			time.Sleep(time.Millisecond) // what fails all at once may have one cause
		}
		RequireTotals(t, b, breaker.Totals{Failure: uint64(k.Outage)})
		k.requireRejects(t, b)
	})

	in("the zero permit and that of a rejection settle nothing", func(t *testing.T) {
		b := k.tripped()
		MustReject(t, func() bool {
			p, err := b.Acquire()
			if err == nil {
				p.Done(breaker.Failure)
				return false
			}
			require.Equal(t, breaker.Permit{}, p)
			before := b.Snapshot()
			for _, settle := range settlements {
				for _, o := range Outcomes {
					settle(p, o)
				}
			}
			require.Equal(t, before, b.Snapshot())
			return true
		})
	})

	in("a call ends as its permit says, not as the last one does", func(t *testing.T) {
		const n = 100
		b := k.New("")
		permits := Acquire(t, b, n)
		want := breaker.Totals{InFlight: n}
		for i := range n { // neither in the order of asking nor against it
			o := Outcomes[i%len(Outcomes)]
			permits[i*37%n].Done(o)
			want = Add(want, o)
			want.InFlight--
			RequireTotals(t, b, want)
		}
	})
}
