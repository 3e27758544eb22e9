package breakertest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// recorder is a listener that keeps what it is told, and what it read like
// then.
type recorder struct {
	mu     sync.Mutex
	events []breaker.Event
	texts  []string
}

func (r *recorder) listen(e breaker.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.texts = append(r.texts, fmt.Sprintf("%+v", e))
}

func (r *recorder) recorded() []breaker.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}

// requireStory requires that each event of b begins where the last one ended, the
// first one with a closed breaker, that b counts as many, and that each still
// reads as it did.
func (r *recorder) requireStory(t *testing.T, b breaker.Breaker, name string, end breaker.State) {
	t.Helper()
	state, at := breaker.Closed, time.Time{}
	var changes breaker.Transitions
	for i, e := range r.recorded() {
		changes[e.From][e.To]++
		require.Equal(t, changes, e.Snapshot.Transitions, "%d: %+v", i, e)
		require.Equal(t, state, e.From, "%d: %+v", i, e)
		require.NotEqual(t, e.From, e.To, "%d: %+v", i, e)
		require.False(t, e.At.Before(at), "%d: %+v", i, e)
		require.False(t, e.At.After(time.Now()), "%d: %+v", i, e)
		require.NotEmpty(t, e.Cause)
		require.Equal(t, e.To, e.Snapshot.State)
		require.Equal(t, e.Cause, e.Snapshot.Cause)
		require.Equal(t, name, e.Snapshot.Name)
		require.WithinDuration(t, e.At, e.Snapshot.Since, 0)
		requireConsistent(t, e.Snapshot)
		require.Equal(t, r.texts[i], fmt.Sprintf("%+v", e), "changed after it was told")
		state, at = e.To, e.At
	}
	require.Equal(t, end, state)
	require.Equal(t, changes, b.Snapshot().Transitions)
}

// requireCounted requires that the snapshot of a breaker counts what the listener
// was told, and the change to its state if no call has met that yet.
func (r *recorder) requireCounted(t *testing.T, s breaker.Snapshot) {
	t.Helper()
	state := breaker.Closed
	var changes breaker.Transitions
	for _, e := range r.recorded() {
		changes[e.From][e.To]++
		state = e.To
	}
	if s.State != state {
		changes[state][s.State]++
	}
	require.Equal(t, changes, s.Transitions, "%+v", s)
}

// listeners are the checks of what listeners are told and may do.
func (k Kind) listeners(in in) {
	in("listeners are told an outage and its end in order and once", func(t *testing.T) {
		var one, other recorder
		name := ""
		if k.Named {
			name = "users"
		}
		b := k.New(name, one.listen, other.listen)
		k.trip(b)
		require.Len(t, one.recorded(), 1)
		one.requireStory(t, b, name, breaker.Open)
		for range time.Second / pace {
			call(b, breaker.Failure)
			time.Sleep(pace)
		}
		k.recover(t, b, func() bool { return call(b, breaker.Success) })
		one.requireStory(t, b, name, breaker.Closed)
		require.Equal(t, one.recorded(), other.recorded())
		require.GreaterOrEqual(t, len(one.recorded()), 2)
	})

	in("transitions are counted as listeners are told them, or sooner", func(t *testing.T) {
		var told recorder
		b := k.New("", told.listen)
		step := func(o breaker.Outcome) bool {
			told.requireCounted(t, b.Snapshot())
			p, err := b.Acquire()
			told.requireCounted(t, b.Snapshot())
			p.Done(o)
			told.requireCounted(t, b.Snapshot())
			time.Sleep(pace)
			return err == nil
		}
		for range 2 {
			for range 5 * time.Second / pace {
				step(breaker.Failure)
			}
			k.recover(t, b, func() bool { return step(breaker.Success) })
		}
		for range 5 * time.Second / pace {
			step(breaker.Failure)
		}
		for range 3 * time.Minute / time.Second { // nobody calls: time alone changes the state
			time.Sleep(time.Second)
			told.requireCounted(t, b.Snapshot())
		}
		step(breaker.Ignored)
		require.GreaterOrEqual(t, len(told.recorded()), 5)
	})

	in("listeners are told each change once by 64 goroutines", func(t *testing.T) {
		var one, other recorder
		b := k.New("", one.listen, other.listen)
		ended := make(chan struct{})
		if c, ok := b.(breaker.Controller); ok {
			go overrule(c, ended)
		}
		var workers sync.WaitGroup
		for i := range 64 {
			workers.Go(func() {
				r := rand.New(rand.NewPCG(2, uint64(i)))
				for n := range 150 {
					o := breaker.Success
					if n/30%2 == 0 {
						o = breaker.Failure
					}
					call(b, o)
					time.Sleep(time.Duration(r.IntN(3)) * 100 * time.Millisecond)
				}
			})
		}
		workers.Wait()
		close(ended)
		time.Sleep(time.Second)
		if c, ok := b.(breaker.Controller); ok {
			c.SetMode(breaker.Auto)
		}
		k.recover(t, b, func() bool { return call(b, breaker.Success) })
		one.requireStory(t, b, "", breaker.Closed)
		require.Equal(t, one.recorded(), other.recorded())
		require.GreaterOrEqual(t, len(one.recorded()), 4)
	})

	in("a listener may call back into the breaker", func(t *testing.T) {
		var b breaker.Breaker
		var told recorder
		calls := 0
		b = k.New("", func(e breaker.Event) {
			calls++
			require.Equal(t, e.To, b.Snapshot().State)
			call(b, breaker.Ignored)
			if b.Allow() == nil {
				b.MarkSuccess()
			} else {
				b.MarkFailed()
			}
			if c, ok := b.(breaker.Controller); ok && e.To == breaker.Open {
				c.SetMode(breaker.ForceOpen)
				c.SetMode(breaker.Auto)
				c.Reset()
			}
		}, told.listen)
		for calls == 0 {
			call(b, breaker.Failure)
		}
		end := breaker.Open
		if k.Controlled {
			require.Equal(t, 2, calls, "it was told of its own Reset, after it had returned")
			end = breaker.Closed
		}
		told.requireStory(t, b, "", end)
		require.Equal(t, end, b.Snapshot().State)
		require.Zero(t, b.Snapshot().Totals.InFlight)
	})

	for name, leave := range map[string]func(){"panic": func() { panic(errBackend) }, "Goexit": runtime.Goexit} {
		in("a listener's "+name+" harms neither the breaker nor the next listener", func(t *testing.T) {
			var told recorder
			left := 0
			b := k.New("", func(breaker.Event) {
				left++
				leave()
			}, told.listen)
			call := func(o breaker.Outcome) (allowed bool) {
				before := left
				panicked, returned := EndOf(func() { allowed = call(b, o) })
				require.Equal(t, left == before, returned)
				if panicked != nil {
					require.Equal(t, errBackend, panicked)
				}
				require.Zero(t, b.Snapshot().Totals.InFlight)
				return allowed
			}
			for range k.Outage {
				call(breaker.Failure)
			}
			require.Equal(t, 1, left)
			k.requireRejects(t, b)
			k.recover(t, b, func() bool { return call(breaker.Success) })
			told.requireStory(t, b, "", breaker.Closed)
			require.Len(t, told.recorded(), left)
			requireConsistent(t, b.Snapshot())
		})
	}

	in("a listener that blocks holds up one goroutine, and no call of another", func(t *testing.T) {
		var told recorder
		var blocked atomic.Bool
		gate := make(chan struct{})
		b := k.New("", func(breaker.Event) {
			blocked.Store(true)
			<-gate
		}, told.listen)
		var held sync.WaitGroup
		release := sync.OnceFunc(func() {
			close(gate)
			held.Wait()
		})
		t.Cleanup(release)
		held.Go(func() {
			for !blocked.Load() {
				call(b, breaker.Failure)
			}
		})
		synctest.Wait()
		require.Equal(t, breaker.Open, b.Snapshot().State)
		k.trip(b) // it may be open a little only
		k.requireRejects(t, b)
		require.Empty(t, told.recorded())
		k.recover(t, b, func() bool { return call(b, breaker.Success) })
		release()
		told.requireStory(t, b, "", breaker.Closed)
		require.GreaterOrEqual(t, len(told.recorded()), 2)
	})
}
