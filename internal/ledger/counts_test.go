package ledger

import (
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTotals_AddAddsEveryField(t *testing.T) {
	for i := range reflect.TypeFor[Totals]().NumField() {
		var a, b, want Totals
		reflect.ValueOf(&a).Elem().Field(i).SetUint(1)
		reflect.ValueOf(&b).Elem().Field(i).SetUint(2)
		reflect.ValueOf(&want).Elem().Field(i).SetUint(3)
		require.Equal(t, want, a.Add(b))
		require.Equal(t, want, b.Add(a))
	}
}

func TestCounts_SubAndTotalTakeEveryField(t *testing.T) {
	c, d := Counts{100, 20, 3}, Counts{1, 2, 3}
	require.Equal(t, Counts{99, 18, 0}, c.Sub(d))
	require.EqualValues(t, 123, c.Total())
	require.EqualValues(t, 6, d.Total())
}

// TestTotals_TellWhatIsInAWord fills each slot of each lane with all bits that
// there are beside the ones that count.
func TestTotals_TellWhatIsInAWord(t *testing.T) {
	serials := ^uint64(busy | successMask)
	var l Ledger
	r := newRoom()
	l.more.Store(r)
	all := []*lane{&l.first}
	for i := range r.place {
		all = append(all, &r.place[i].lane)
	}
	want := Totals{}
	for n, a := range all {
		for i := range a.slot {
			count := uint64(1)<<39 | 5
			a.slot[i].Store(serials | count)
			if (n+i)%2 == 0 {
				a.slot[i].Store(serials | busy | count)
				want.InFlight++
			}
			want.Success += count
		}
		a.success.Store(1000)
		a.failure.Store(10_000)
		want.Success += 1000
		want.Failure += 10_000
	}
	want.Allowed = want.Success + want.Failure + want.InFlight
	want.Offered = want.Allowed
	require.Equal(t, want, l.Totals())
	require.Equal(t, Counts{Success: want.Success, Failure: want.Failure}, l.Counts())
	require.Equal(t, want.Failure, l.Unsuccessful())
}

// TestLedger_EveryCallIsCountedOnceInEveryWay does everything from many
// goroutines at once. While it goes on, no number is larger than it can be, and those
// of Counts only grow.
func TestLedger_EveryCallIsCountedOnceInEveryWay(t *testing.T) {
	const workers, rounds = 8, 10_000
	for name, l := range map[string]*Ledger{"one lane": {}, "the same lane": nil, "lanes": {}} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "the same lane":
				l, _ = ledgerWithRoom()
			case "lanes":
				l.more.Store(newRoom())
			}
			var begun, success, failure, ignored, rejected, overruled atomic.Uint64
			fail := func(row uint64, ok bool) {
				require.True(t, ok)
				require.Positive(t, row)
			}
			one := func() {
				kind := rand.IntN(8)
				begun.Add(1)
				if kind < 4 {
					word, ticket := l.take()
					switch kind {
					case 0, 1:
						success.Add(1)
						require.True(t, l.Settle(word, ticket, 1))
					case 2:
						failure.Add(1)
						fail(l.SettleFailure(word, ticket))
					default:
						ignored.Add(1)
						require.True(t, l.Settle(word, ticket, 0))
						l.Ignore()
					}
					return
				}
				switch kind {
				case 4:
					success.Add(1)
					l.Succeed()
				case 5:
					failure.Add(1)
					fail(l.Fail(), true)
				case 6:
					rejected.Add(1)
					l.Reject()
				default:
					rejected.Add(1)
					overruled.Add(1)
					l.Overrule()
					l.RejectUnmarked(1)
					require.True(t, l.Book(), "there is one for each")
				}
			}
			var wg sync.WaitGroup
			var end atomic.Bool
			wg.Go(func() { requireGrowth(t, l, &begun, &end) })
			var working sync.WaitGroup
			for range workers {
				working.Go(func() {
					for n := range rounds {
						if n%1000 == 0 {
							l.ForgetRows()
						}
						one()
					}
				})
			}
			working.Wait()
			end.Store(true)
			wg.Wait()
			want := Totals{
				Offered: workers * rounds, Allowed: workers*rounds - rejected.Load(), Rejected: rejected.Load(),
				Success: success.Load(), Failure: failure.Load(), Ignored: ignored.Load(),
			}
			require.Equal(t, want, l.Totals())
			require.Equal(t, Counts{want.Success, want.Failure, want.Rejected + overruled.Load()}, l.Counts())
			require.False(t, l.Unmarked())
		})
	}
}

// requireGrowth reads a ledger until the end.
func requireGrowth(t *testing.T, l *Ledger, begun *atomic.Uint64, end *atomic.Bool) {
	var before Counts
	var unsuccessful uint64
	for !end.Load() {
		offered := l.Totals().Offered
		require.LessOrEqual(t, offered, begun.Load())
		now, u := l.Counts(), l.Unsuccessful()
		require.GreaterOrEqual(t, now.Success, before.Success)
		require.GreaterOrEqual(t, now.Failure, before.Failure)
		require.GreaterOrEqual(t, now.Rejected, before.Rejected)
		require.GreaterOrEqual(t, u, unsuccessful)
		before, unsuccessful = now, u
	}
}
