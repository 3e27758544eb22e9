package main

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// load offers calls to all clients at the same moments, whatever becomes of
// the earlier ones, and takes the backend from phase to phase.
type load struct {
	plan    plan
	backend *backend
	clients []*client
	turn    int // the client that is next to be the first

	orders chan phase // what somebody wants the backend to do now

	base    atomic.Pointer[time.Time]
	current atomic.Int32 // phase
	// states holds how the clients treated calls at the end of the phases
	// before the current one.
	states [phases][]string
}

// errByHand ends the planned outage when somebody wants another one.
var errByHand = errors.New("taken over by hand")

func newLoad(p plan, b *backend, clients []*client) *load {
	return &load{plan: p, backend: b, clients: clients, orders: make(chan phase)}
}

// order makes the backend behave as in phase p, in the goroutine of the load.
func (l *load) order(ctx context.Context, p phase) error {
	select {
	case l.orders <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// margin is how long before the end of a phase its last call is, so that it
// still meets the backend of that phase.
const margin = 10 * time.Millisecond

// maxBehind is by how many calls the load may be late. After a longer pause of
// a busy machine it leaves some out, or the pause would end in a burst.
const maxBehind = 10

// run returns when the last call has ended. The error is that of ctx, or of
// the backend, or errByHand.
func (l *load) run(ctx context.Context) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	jitter := jitterOf(l.plan.seed)
	base := time.Now()
	l.base.Store(&base)
	for p := range phases {
		if err := l.backend.enter(p); err != nil {
			return err
		}
		begin := base.Add(l.plan.begin(p))
		for at := range l.arrivals(begin, l.plan.length(p), jitter) {
			if err := l.sleepUntil(ctx, at, l.takeOver); err != nil {
				return err
			}
			l.each(func(c *client) {
				c.tally.offer(p)
				calls.Go(func() { l.one(ctx, c, p, begin) })
			})
		}
		if err := l.sleepUntil(ctx, begin.Add(l.plan.length(p)), l.takeOver); err != nil {
			return err
		}
		for _, c := range l.clients {
			l.states[p] = append(l.states[p], c.state())
		}
		l.current.Store(int32(p + 1))
	}
	return nil
}

// takeOver does what was ordered, and ends the planned outage.
func (l *load) takeOver(p phase) error { return errors.Join(l.backend.enter(p), errByHand) }

// byHand goes on with the load, and does to the backend what is ordered. These
// calls are not in the tables. It returns the error of ctx, or of the backend.
func (l *load) byHand(ctx context.Context) error {
	const forever = 100 * 365 * 24 * time.Hour
	var calls sync.WaitGroup
	defer calls.Wait()
	for at := range l.arrivals(time.Now(), forever, jitterOf(l.plan.seed)) {
		if err := l.sleepUntil(ctx, at, l.backend.enter); err != nil {
			return err
		}
		l.each(func(c *client) { calls.Go(func() { _ = c.call(ctx) }) })
	}
	return nil
}

// each calls f for every client, each time beginning with another one: the
// scheduler does not treat them all alike.
func (l *load) each(f func(*client)) {
	for i := range l.clients {
		f(l.clients[(l.turn+i)%len(l.clients)])
	}
	l.turn++
}

// one makes a call for a client.
func (l *load) one(ctx context.Context, c *client, p phase, begin time.Time) {
	now := time.Now()
	err := c.call(ctx)
	c.tally.end(p, now.Sub(begin).Seconds()/l.plan.length(p).Seconds(), time.Since(now), resultOf(err))
}

// arrivals yields the moments of the calls in a phase: one in each of equally
// long slots, but nobody knows when in it.
func (l *load) arrivals(begin time.Time, length time.Duration, jitter *rand.Rand) iter.Seq[time.Time] {
	slot := time.Duration(float64(time.Second) / l.plan.rps)
	return func(yield func(time.Time) bool) {
		for i := 0; ; i++ {
			i = max(i, int(time.Since(begin)/slot)-maxBehind)
			at := time.Duration(i)*slot + time.Duration(jitter.Float64()*float64(slot))
			if at >= length-margin || !yield(begin.Add(at)) {
				return
			}
		}
	}
}

func jitterOf(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// sleepUntil does meanwhile what is ordered. It returns early with the error of
// that, or of ctx.
func (l *load) sleepUntil(ctx context.Context, t time.Time, do func(phase) error) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case p := <-l.orders:
			if err := do(p); err != nil {
				return err
			}
		}
	}
}

// client returns one of the clients.
func (l *load) client(transport, name string) *client {
	for _, c := range l.clients {
		if c.transport == transport && c.name == name {
			return c
		}
	}
	panic("outage: no client " + transport + " " + name)
}

// starved reports whether the machine cannot take the load: calls timed out
// though the backend answered in time.
func (l *load) starved() bool {
	for _, c := range l.clients {
		for _, p := range []phase{healthy, badGateway, partial} {
			if c.tally.of(p).late > 0 {
				return true
			}
		}
	}
	return false
}

// reached returns the phase that the load has come to, and phases at the end.
func (l *load) reached() phase { return phase(l.current.Load()) }

// elapsed returns how long the load has been running.
func (l *load) elapsed() time.Duration {
	if base := l.base.Load(); base != nil {
		return min(time.Since(*base), l.plan.total)
	}
	return 0
}

// state returns how the i-th client treats calls now, or did at the end of
// phase p.
func (l *load) state(i int, p phase) string {
	if p < l.reached() {
		return l.states[p][i]
	}
	return l.clients[i].state()
}

// over reports whether phase p is over and every call of it has ended.
func (l *load) over(p phase) bool {
	if l.reached() <= p {
		return false
	}
	for _, c := range l.clients {
		if c.tally.of(p).inFlight() > 0 {
			return false
		}
	}
	return true
}
