package notify_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQueue_DeliversToEachListenerInOrderAndOnce(t *testing.T) {
	var got []string
	q := notify.New([]func(string){
		func(e string) { got = append(got, "first "+e) },
		func(e string) { got = append(got, "second "+e) },
	})
	q.Add("a")
	q.Add("b")
	require.Empty(t, got, "Add alone calls nobody")
	q.Deliver()
	q.Deliver()
	q.Add("c")
	q.Deliver()
	require.Equal(t, []string{"first a", "second a", "first b", "second b", "first c", "second c"}, got)
}

func TestQueue_WithoutListenersIsNilAndTakesEvents(t *testing.T) {
	q := notify.New[int]([]func(int){})
	require.Nil(t, q)
	require.NotPanics(t, func() {
		q.Add(1)
		q.Deliver()
	})
}

func TestQueue_DoesNotShareTheSliceOfListeners(t *testing.T) {
	got := 0
	listeners := []func(int){func(e int) { got = e }}
	q := notify.New(listeners)
	listeners[0] = func(int) { t.Error("not a listener") }
	q.Add(7)
	q.Deliver()
	require.Equal(t, 7, got)
}

// TestQueue_AListenerMayAddAndDeliver: what it adds comes after it has returned,
// and after what waits already.
func TestQueue_AListenerMayAddAndDeliver(t *testing.T) {
	var q *notify.Queue[int]
	var got []int
	inside := false
	q = notify.New([]func(int){
		func(e int) {
			require.False(t, inside, "called inside of itself")
			inside = true
			defer func() { inside = false }()
			got = append(got, e)
			if e < 3 {
				q.Add(e + 10)
				q.Deliver()
			}
		},
		func(e int) { got = append(got, -e) },
	})
	q.Add(1)
	q.Add(2)
	q.Deliver()
	require.Equal(t, []int{1, -1, 2, -2, 11, -11, 12, -12}, got)
}

func TestQueue_APanicGoesOnAfterTheRestIsDelivered(t *testing.T) {
	var got []int
	q := notify.New([]func(int){
		func(e int) {
			if e == 2 {
				panic("boom")
			}
		},
		func(e int) { got = append(got, e) },
	})
	for e := range 4 {
		q.Add(e)
	}
	require.PanicsWithValue(t, "boom", q.Deliver)
	require.Equal(t, []int{0, 1, 2, 3}, got, "the second listener misses nothing")
	q.Add(4)
	q.Deliver()
	require.Equal(t, []int{0, 1, 2, 3, 4}, got, "and the queue goes on")
}

func TestQueue_SeveralPanicsInARowStillDeliverTheRest(t *testing.T) {
	var tried, got []int
	q := notify.New([]func(int){
		func(e int) {
			tried = append(tried, e)
			panic(e)
		},
		func(e int) { got = append(got, e) },
	})
	for e := range 100 {
		q.Add(e)
	}
	require.Panics(t, q.Deliver)
	require.Len(t, tried, 100)
	require.Equal(t, tried, got)
	require.True(t, slices.IsSorted(got))
}

func TestQueue_AGoexitGoesOnAfterTheRestIsDelivered(t *testing.T) {
	var got []int
	q := notify.New([]func(int){
		func(e int) {
			if e%2 == 0 {
				runtime.Goexit()
			}
		},
		func(e int) { got = append(got, e) },
	})
	for e := range 5 {
		q.Add(e)
	}
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.Deliver()
		returned = true
	}()
	<-done
	require.False(t, returned, "the goroutine has ended")
	require.Equal(t, []int{0, 1, 2, 3, 4}, got)
}

func TestQueue_AListenerThatBlocksHoldsUpNobodyWhoAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		release := make(chan struct{})
		q := notify.New([]func(int){func(e int) {
			if e == 0 {
				<-release
			}
			got = append(got, e)
		}})
		q.Add(0)
		go q.Deliver()
		synctest.Wait() // it blocks
		for e := 1; e < 10; e++ {
			q.Add(e)
			q.Deliver() // would deadlock the bubble if it waited
		}
		require.Empty(t, got, "the order is kept")
		close(release)
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got, "by the one who was held up")
	})
}

// TestQueue_KeepsTheOrderOfEachAdder adds from 8 goroutines at once. The
// listeners take no lock: that only one is called at a time, the race detector
// sees. After the last Deliver nothing waits.
func TestQueue_KeepsTheOrderOfEachAdder(t *testing.T) {
	const adders, each = 8, 2000
	type event struct{ adder, number int }
	var first, second []event
	q := notify.New([]func(event){
		func(e event) { first = append(first, e) },
		func(e event) { second = append(second, e) },
	})
	var wg sync.WaitGroup
	for a := range adders {
		wg.Go(func() {
			for n := range each {
				q.Add(event{a, n})
				if n%3 != 0 || n == each-1 {
					q.Deliver()
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, first, adders*each)
	require.Equal(t, first, second)
	var next [adders]int
	for _, e := range first {
		require.Equal(t, next[e.adder], e.number)
		next[e.adder]++
	}
}

// TestQueue_EqualsANaiveModel lets listeners add further events, deliver them,
// and panic, at random.
func TestQueue_EqualsANaiveModel(t *testing.T) {
	type event struct {
		number, adds    int
		delivers, panic bool
	}
	type delivery struct{ listener, number int }
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
			return event{0, rapid.IntRange(0, 2).Draw(t, "adds"), rapid.Bool().Draw(t, "delivers"), rapid.Bool().Draw(t, "panics")}
		}), 1, 30).Draw(t, "events")
		for i := range events {
			events[i].number = i
		}
		listeners := rapid.IntRange(1, 3).Draw(t, "listeners")

		var got []delivery
		var q *notify.Queue[event]
		rest := events[1:]
		var all []func(event)
		for l := range listeners {
			all = append(all, func(e event) {
				got = append(got, delivery{l, e.number})
				for range min(e.adds, len(rest)) {
					q.Add(rest[0])
					rest = rest[1:]
				}
				if e.delivers {
					q.Deliver()
				}
				if e.panic {
					panic(e.number)
				}
			})
		}
		q = notify.New(all)
		q.Add(events[0])
		func() {
			defer func() { _ = recover() }()
			q.Deliver()
		}()

		// Event after event, listener after listener; the next ones at the end.
		var want []delivery
		added := 1
		for i := 0; i < added; i++ {
			for l := range listeners {
				want = append(want, delivery{l, i})
				added = min(added+events[i].adds, len(events))
			}
		}
		require.Equal(t, want, got)
	})
}
