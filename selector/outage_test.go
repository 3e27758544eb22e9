package selector_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/middleware/circuitbreaker"
	"github.com/kratos-breaker/breaker/selector"
	"github.com/kratos-breaker/breaker/sre"
)

const patience = 20 * time.Second

// With BREAKER_RATE=1000, for a machine that has nothing else to do, there are
// so many calls a second, and the times are those that are promised.
func load() (rate int, bound time.Duration) {
	if n, err := strconv.Atoi(os.Getenv("BREAKER_RATE")); err == nil && n > 0 {
		return n, 2 * time.Second
	}
	return 150, patience
}

// tolerable is how long the callers may stand still. If the machine keeps them
// waiting for longer, all calls that hang time out when it goes on, before any
// other can succeed, and to a breaker that looks as if nothing worked.
const tolerable = 50 * time.Millisecond

// unhindered plays a test of services. If it fails while the machine let the
// callers wait, that shows nothing, and it is played again.
func unhindered(t *testing.T, name string, play func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		if _, bound := load(); bound == patience {
			t.Parallel()
		}
		for range 5 {
			hindered := false
			t.Run("try", func(t *testing.T) {
				defer func() { hindered = t.Skipped() }()
				play(t)
			})
			if !hindered {
				return
			}
		}
		t.Error("the machine has too much else to do")
	})
}

// service is two nodes behind a discovery, called at a steady rate by a client
// with a breaker per operation and one per node.
type service struct {
	t     *testing.T
	bound time.Duration
	rate  int
	a, b  *backend
	dir   *directory
	nodes *selector.Nodes
	stood atomic.Int64 // the longest time between two looks at what is due, ns

	mu     sync.Mutex
	ended  []result
	opened []string // why the breaker of the operation has opened
}

// result is how a call ended.
type result struct {
	at  time.Time
	err error
}

func newService(t *testing.T, w *wire, timeout time.Duration, opts ...selector.Option) *service {
	rate, bound := load()
	s := &service{
		t: t, rate: rate, bound: bound,
		a: newBackend(t, w), b: newBackend(t, w), nodes: selector.NewNodes(opts...),
	}
	s.dir = newDirectory(w, s.a, s.b)
	operations := group.NewKeyed(func(key string) *sre.Breaker {
		return sre.NewBreaker(sre.WithName(key), sre.WithListener(func(e breaker.Event) {
			if e.To == breaker.Open {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.opened = append(s.opened, fmt.Sprintf("%s: %+v", e.Cause, e.Snapshot.Window))
			}
		}))
	})
	call := w.dial(t, s.dir, timeout, s.nodes.Filter,
		circuitbreaker.Client(circuitbreaker.WithGroup(operations)), s.nodes.Client())
	require.Eventually(t, func() bool { // the connections are there
		return call(t.Context()) == nil && s.a.calls.Load() > 0 && s.b.calls.Load() > 0
	}, patience, time.Millisecond)

	ctx, stop := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	calls.Go(func() {
		const tick = 5 * time.Millisecond
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		began, looked, made := time.Now(), time.Now(), 0
		for ctx.Err() == nil {
			<-ticker.C
			s.stood.Store(max(s.stood.Load(), int64(time.Since(looked))))
			looked = time.Now()
			for due := int(time.Since(began).Seconds() * float64(s.rate)); made < due; made++ {
				calls.Go(func() { s.note(call(context.Background())) })
			}
		}
	})
	t.Cleanup(func() {
		stop()
		calls.Wait()
	})
	return s
}

func (s *service) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, result{time.Now(), err})
}

// require fails the test, unless the callers had to wait.
func (s *service) require(ok bool, what string, args ...any) {
	s.t.Helper()
	if stood := time.Duration(s.stood.Load()); !ok && stood > tolerable {
		s.t.Skipf("the callers stood still for %v, and so this shows nothing: "+what, append([]any{stood}, args...)...)
	}
	require.Truef(s.t, ok, what, args...)
}

// eventually waits for a condition, and returns how long that took.
func (s *service) eventually(what string, done func() bool) time.Duration {
	s.t.Helper()
	return s.within(s.bound, what, done)
}

func (s *service) within(bound time.Duration, what string, done func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	for !done() {
		s.require(time.Since(began) < bound, "not within %v: %s", bound, what)
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// served waits until, of the calls that end within a second, 99 % are served. It
// returns how long it took to the beginning of that second, and how many calls
// failed before it.
func (s *service) served() (took time.Duration, failed int) {
	s.t.Helper()
	const second = time.Second
	began := time.Now()
	var from time.Time
	s.within(s.bound+second, "99 % are served", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		from = time.Now().Add(-second)
		if from.Before(began) {
			return false
		}
		failed = 0
		calls, lost := 0, 0
		for _, r := range s.ended {
			switch {
			case r.at.Before(began):
			case r.at.Before(from):
				if r.err != nil {
					failed++
				}
			default:
				calls++
				if r.err != nil {
					lost++
				}
			}
		}
		return calls > s.rate/2 && 100*lost <= calls
	})
	return from.Sub(began), failed
}

// share waits until the backend gets so large a share of the calls that end in a
// quarter of a second.
func (s *service) share(b *backend, least float64) time.Duration {
	s.t.Helper()
	return s.eventually("its share of the calls", func() bool {
		before, others := b.calls.Load(), s.ends()
		time.Sleep(250 * time.Millisecond)
		return float64(b.calls.Load()-before) >= least*float64(s.ends()-others) && s.ends() > others
	})
}

func (s *service) ends() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ended)
}

// operationOpened returns why the breaker of the operation has opened, each time.
func (s *service) operationOpened() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.opened)
}

func (s *service) requireOperationClosed() {
	s.t.Helper()
	why := s.operationOpened()
	s.require(len(why) == 0, "the breaker of the operation opened: %q", why)
}

func (s *service) ejected(b *backend) bool {
	for l := range s.nodes.Breakers() {
		if l.Key == b.address {
			return l.Breaker.Snapshot().State == breaker.Open
		}
	}
	return false
}

func TestOutage_ADeadNodeOfTwoCostsNeitherTheCallsNorTheOperationItsBreaker(t *testing.T) {
	for _, w := range wires {
		for name, kill := range faults {
			unhindered(t, w.name+", "+name, func(t *testing.T) {
				timeout := 2 * time.Second // as by default
				if name == "hangs" {       // which is only known by it
					timeout = 500 * time.Millisecond
				}
				s := newService(t, w, timeout)
				s.served()

				kill(s.a)
				took, failed := s.served()
				t.Logf("killed: 99 %% of %d calls a second were served after %v, until then %d failed", s.rate, took, failed)
				s.requireOperationClosed()
				// gRPC itself does without a node that has no connection.
				if w.name != "grpc" || name != "refuses" {
					s.require(s.ejected(s.a), "the dead node is ejected")
				}

				s.a.heal()
				t.Logf("healed: it had its share after %v", s.share(s.a, 0.4))
				s.eventually("its breaker closes", func() bool { return !s.ejected(s.a) })
				s.requireOperationClosed()
			})
		}
	}
}

func TestOutage_IfAllNodesAreDeadProbesStillReachThem(t *testing.T) {
	for _, w := range wires {
		unhindered(t, w.name, func(t *testing.T) {
			s := newService(t, w, 2*time.Second)
			s.bound = patience // no time is promised: the first probe may go to the dead one
			s.served()
			faults["fails"](s.a)
			faults["fails"](s.b)
			s.eventually("the breaker of the operation opens", func() bool { return len(s.operationOpened()) > 0 })
			time.Sleep(200 * time.Millisecond) // for the calls that were under way
			for _, b := range []*backend{s.a, s.b} {
				before := b.calls.Load()
				s.eventually("a probe", func() bool { return b.calls.Load() > before })
			}
			s.a.heal()
			took, _ := s.served()
			t.Logf("one healed: 99 %% of the calls were served after %v", took)
			s.b.heal()
			t.Logf("the other healed: it had its share after %v", s.share(s.b, 0.4))
		})
	}
}

func TestOutage_ANodeThatDiscoveryTakesAwayIsForgotten(t *testing.T) {
	for _, w := range wires {
		unhindered(t, w.name, func(t *testing.T) {
			s := newService(t, w, 2*time.Second, selector.WithForget(200*time.Millisecond))
			faults["fails"](s.a)
			s.eventually("it is ejected", func() bool { return s.ejected(s.a) })
			s.dir.set(w, s.b)
			s.eventually("it is forgotten", func() bool { return s.nodes.Keys().Held == 1 })
			s.served()
			s.a.heal()
			s.dir.set(w, s.a, s.b)
			s.share(s.a, 0.4)
			require.False(t, s.ejected(s.a))
			require.Equal(t, 2, s.nodes.Keys().Held)
		})
	}
}
