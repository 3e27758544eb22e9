package ledger

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// ledgerWithRoom returns one of which all goroutines share a lane.
func ledgerWithRoom() (*Ledger, *room) {
	var l Ledger
	r := newRoom()
	r.spread.Store(0)
	l.more.Store(r)
	return &l, r
}

func TestRoom_GoroutinesWhoMeetAgainAndAgainGetOtherLanes(t *testing.T) {
	l, r := ledgerWithRoom()
	for i := range r.place {
		l.fail(&r.place[i].lane, &r.place[i].side)
	}
	require.EqualValues(t, 2, l.Fail())
	word, ticket := l.take()
	require.Same(t, &r.place[0].slot[0], word)
	for range contentionLimit - 1 {
		l.contended()
	}
	require.Zero(t, r.spread.Load())
	l.contended()
	require.EqualValues(t, 1, r.spread.Load()&1, "an even one would leave out lanes")
	require.EqualValues(t, 1, l.Fail(), "a row of another goroutine is not continued")
	require.True(t, l.Settle(word, ticket, 1), "a ticket knows its word")
	require.Equal(t, Totals{Offered: lanes + 3, Allowed: lanes + 3, Success: 1, Failure: lanes + 2}, l.Totals())
}

func TestRoom_EachSpreadNeedsTwiceAsManyMeetings(t *testing.T) {
	l, r := ledgerWithRoom()
	const most = 100 * contentionLimit
	draws, spread := 0, r.spread.Load()
	for range most {
		l.contended()
		if s := r.spread.Load(); s != spread {
			draws, spread = draws+1, s
		}
	}
	require.Positive(t, draws)
	require.LessOrEqual(t, draws, 7, "2^7 times the limit are more than there were")
	require.EqualValues(t, contentionLimit<<draws, r.limit.Load())
}

func TestRoom_ACallThatTakesItsTimeIsNoMeeting(t *testing.T) {
	l, r := ledgerWithRoom()
	held, ticket := l.take()
	for range 2 * contentionLimit {
		word, ticket := l.take()
		require.NotSame(t, held, word)
		require.True(t, l.Settle(word, ticket, 1))
	}
	require.Zero(t, r.spread.Load())
	require.Zero(t, r.place[0].met.Load())
	require.True(t, l.Settle(held, ticket, 1))
	require.EqualValues(t, 2*contentionLimit+1, l.Counts().Success)
}

func TestRoom_ASlotThatIsFreeAgainIsAMeeting(t *testing.T) {
	l, r := ledgerWithRoom()
	for range contentionLimit {
		word, ticket := l.Take() // after TryTake did not get it
		require.True(t, l.Settle(word, ticket, 1))
	}
	require.NotZero(t, r.spread.Load())
}

func TestRoom_WhoLosesARaceForAWordHasMetSomebody(t *testing.T) {
	for name, call := range map[string]func(l *Ledger){
		"tickets": func(l *Ledger) {
			word, ticket := l.take()
			l.Settle(word, ticket, 1)
		},
		"successes":           (*Ledger).Succeed,
		"failures":            func(l *Ledger) { l.Fail() },
		"rejections":          (*Ledger).Reject,
		"unmarked rejections": func(l *Ledger) { l.RejectUnmarked(1) },
	} {
		t.Run(name, func(t *testing.T) {
			l, r := ledgerWithRoom()
			var calls atomic.Uint64
			var wg sync.WaitGroup
			for i := range 2 {
				wg.Go(func() {
					deeper(3*i, func() {
						for calls.Load() < 20_000_000 && r.spread.Load() == 0 {
							for range 1000 {
								call(l)
							}
							calls.Add(1000)
						}
					})
				})
			}
			wg.Wait()
			require.Equal(t, calls.Load(), l.Totals().Offered)
			require.Zero(t, l.Totals().InFlight)
			if r.spread.Load() == 0 {
				t.Skip("the machine is too busy to run both at once")
			}
		})
	}
}

// The tickets of a lane are settled from others, while the lanes move.
func TestRoom_NothingIsLostWhileLanesMove(t *testing.T) {
	const workers, rounds = 8, 20_000
	l, r := ledgerWithRoom()
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for n := range rounds {
				word, ticket := l.take()
				if i == 0 && n%100 == 0 {
					r.draw()
				}
				deeper(n%3, func() {
					if n%3 > 0 {
						require.True(t, l.Settle(word, ticket, 1))
						return
					}
					_, ok := l.SettleFailure(word, ticket)
					require.True(t, ok)
				})
			}
		})
	}
	wg.Wait()
	failed := uint64((rounds + 2) / 3 * workers)
	all := uint64(workers * rounds)
	require.Equal(t, Totals{Offered: all, Allowed: all, Success: all - failed, Failure: failed}, l.Totals())
	require.Equal(t, Counts{Success: all - failed, Failure: failed}, l.Counts())
	require.Equal(t, failed, l.Unsuccessful())
}
