package sre_test

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

// traffic is calls to a backend through a breaker, in the time of a bubble. With
// the same seed, everything is the same in each run.
type traffic struct {
	b       *sre.Breaker
	backend backend
	rate    float64 // calls per second, a Poisson process
	regular bool    // evenly spaced instead
	workers int     // if not 0, so many call one after the other, 10 ms apart
	random  *rand.Rand

	now   time.Duration
	due   agenda
	order int
	calls []call
}

// call is one call that the breaker was asked about.
type call struct {
	at, took    time.Duration
	allowed, ok bool
}

// backend answers a call that begins at a time. luck is in [0, 1).
type backend func(at time.Duration, luck float64) (ok bool, took time.Duration)

const (
	latency = 10 * time.Millisecond
	refusal = 2 * time.Millisecond
)

func up(time.Duration, float64) (bool, time.Duration)   { return true, latency }
func down(time.Duration, float64) (bool, time.Duration) { return false, refusal }

// failing fails a share of the calls, whatever the load.
func failing(share float64) backend {
	return func(_ time.Duration, luck float64) (bool, time.Duration) { return luck >= share, latency }
}

// hanging lets each call wait for its timeout.
func hanging(timeout time.Duration) backend {
	return func(time.Duration, float64) (bool, time.Duration) { return false, timeout }
}

// limited serves so many calls per second, a quarter of a second's at once, and
// refuses the others.
func limited(capacity float64) backend { return bucket(capacity, capacity/4) }

// bucket is limited with room for so many calls at once.
func bucket(capacity, size float64) backend {
	tokens, last := size, time.Duration(0)
	return func(at time.Duration, _ float64) (bool, time.Duration) {
		tokens = min(size, tokens+(at-last).Seconds()*capacity)
		last = at
		if tokens < 1 {
			return false, refusal
		}
		tokens--
		return true, latency
	}
}

type event struct {
	at    time.Duration
	order int
	run   func()
}

// agenda is a heap of events.
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	*a = (*a)[:last]
	return e
}

// inTraffic runs f in a bubble, with traffic of so many calls per second to a
// backend that is up.
func inTraffic(t *testing.T, rate float64, seed uint64, f func(t *testing.T, tr *traffic), opts ...sre.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts := append([]sre.Option{sre.WithRandom(rand.New(rand.NewPCG(seed, 2)).Float64)}, opts...)
		f(t, &traffic{b: sre.NewBreaker(opts...), backend: up, rate: rate, random: rand.New(rand.NewPCG(seed, 1))})
	})
}

// inWorkers is inTraffic for a closed loop.
func inWorkers(t *testing.T, workers int, f func(t *testing.T, tr *traffic), opts ...sre.Option) {
	t.Helper()
	inTraffic(t, 0, 1, func(t *testing.T, tr *traffic) {
		tr.workers = workers
		f(t, tr)
	}, opts...)
}

func (tr *traffic) at(at time.Duration, run func()) {
	tr.order++
	heap.Push(&tr.due, event{at: at, order: tr.order, run: run})
}

// during lets the traffic flow for the time d, and returns the calls that began
// in it. Those in flight end later, or never if there is no more traffic.
func (tr *traffic) during(d time.Duration, to backend) []call {
	tr.backend = to
	from, end := len(tr.calls), tr.now+d
	if from == 0 {
		tr.begin()
	}
	for len(tr.due) > 0 && tr.due[0].at < end {
		e := heap.Pop(&tr.due).(event)
		time.Sleep(e.at - tr.now)
		tr.now = e.at
		e.run()
	}
	time.Sleep(end - tr.now)
	tr.now = end
	return tr.calls[from:]
}

// silence is during without calls: those that were due begin after it.
func (tr *traffic) silence(d time.Duration) {
	time.Sleep(d)
	tr.now += d
	for i := range tr.due {
		tr.due[i].at += d
	}
}

func (tr *traffic) begin() {
	if tr.workers == 0 {
		tr.at(tr.now+tr.gap(), tr.arrive)
	}
	for w := range tr.workers {
		tr.at(tr.now+time.Duration(w)*time.Millisecond, tr.work)
	}
}

func (tr *traffic) gap() time.Duration {
	mean := float64(time.Second) / tr.rate
	if tr.regular {
		return time.Duration(mean)
	}
	return time.Duration(mean * tr.random.ExpFloat64())
}

func (tr *traffic) arrive() {
	tr.at(tr.now+tr.gap(), tr.arrive)
	tr.ask(func() {})
}

func (tr *traffic) work() {
	tr.ask(func() { tr.at(tr.now+10*time.Millisecond, tr.work) })
}

func (tr *traffic) ask(ended func()) {
	c := call{at: tr.now}
	luck := tr.random.Float64()
	permit, err := tr.b.Acquire()
	if err != nil {
		tr.calls = append(tr.calls, c)
		ended()
		return
	}
	c.allowed = true
	c.ok, c.took = tr.backend(tr.now, luck)
	tr.calls = append(tr.calls, c)
	tr.at(tr.now+c.took, func() {
		if c.ok {
			permit.Done(breaker.Success)
		} else {
			permit.Done(breaker.Failure)
		}
		ended()
	})
}

func allowed(calls []call) (n float64) {
	for _, c := range calls {
		if c.allowed {
			n++
		}
	}
	return n
}

func served(calls []call) (n float64) {
	for _, c := range calls {
		if c.ok {
			n++
		}
	}
	return n
}

func rejections(calls []call) float64 { return float64(len(calls)) - allowed(calls) }

// between returns the calls that began in [from, to).
func between(calls []call, from, to time.Duration) []call {
	i, j := 0, 0
	for i < len(calls) && calls[i].at < from {
		i++
	}
	for j = i; j < len(calls) && calls[j].at < to; {
		j++
	}
	return calls[i:j]
}
