package breakertest

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kratos-breaker/breaker"
)

// allModes are all modes.
var allModes = []breaker.Mode{breaker.Auto, breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun}

// accounting are the checks that no call is lost or counted twice.
func (k Kind) accounting(in in) {
	in("the totals of any history are those of its calls", func(t *testing.T) {
		// Without what a *testing.T has beyond a TB, which is not allowed in a
		// bubble.
		rapid.Check(struct{ testing.TB }{t}, k.randomHistory)
	})
	in("the totals are exact after 64 goroutines", k.goroutines)
}

// history is a breaker and what must have been counted.
type history struct {
	b       breaker.Breaker
	want    breaker.Totals
	permits []breaker.Permit
	settled []bool
}

func (h *history) rejected(mode breaker.Mode, before breaker.Totals, err error) bool {
	if err == nil {
		// Only a mode lets calls through that would be rejected.
		if after := h.b.Snapshot().Totals.WouldReject; mode == breaker.DryRun && after == before.WouldReject+1 {
			h.want.WouldReject++
		}
		return false
	}
	h.want.Rejected++
	return true
}

func (k Kind) randomHistory(t *rapid.T) {
	h := &history{b: k.New("")}
	ask := func(ask func() error) bool {
		s := h.b.Snapshot()
		return !h.rejected(s.Mode, s.Totals, ask())
	}
	actions := map[string]func(*rapid.T){
		"acquire": func(t *rapid.T) {
			for range rapid.IntRange(1, Slots+2).Draw(t, "permits") {
				var p breaker.Permit
				if ask(func() (err error) { p, err = h.b.Acquire(); return err }) {
					h.permits, h.settled = append(h.permits, p), append(h.settled, false)
					h.want.InFlight++
				}
			}
		},
		"settle": func(t *rapid.T) {
			if len(h.permits) == 0 {
				t.Skip("there is no permit")
			}
			i := rapid.IntRange(0, len(h.permits)-1).Draw(t, "permit")
			o := rapid.SampledFrom(Outcomes).Draw(t, "outcome")
			rapid.SampledFrom(settlements).Draw(t, "how")(h.permits[i], o)
			if !h.settled[i] {
				h.settled[i] = true
				h.want = Add(h.want, o)
				h.want.InFlight--
			}
		},
		"calls": func(t *rapid.T) {
			o := rapid.SampledFrom(Outcomes).Draw(t, "outcome")
			for range rapid.IntRange(1, 200).Draw(t, "calls") {
				if ask(func() error {
					p, err := h.b.Acquire()
					p.Done(o)
					return err
				}) {
					h.want = Add(h.want, o)
				}
			}
		},
		"aegis' protocol": func(t *rapid.T) {
			succeeds := rapid.Bool().Draw(t, "succeeds")
			for range rapid.IntRange(1, 20).Draw(t, "calls") {
				switch {
				case !ask(h.b.Allow):
					h.b.MarkFailed()
				case succeeds:
					h.b.MarkSuccess()
					h.want.Success++
				default:
					h.b.MarkFailed()
					h.want.Failure++
				}
			}
		},
		"wait": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
		},
		"": func(t *rapid.T) { RequireTotals(t, h.b, h.want) },
	}
	if c, ok := h.b.(breaker.Controller); ok {
		actions["overrule"] = func(t *rapid.T) {
			m := rapid.SampledFrom(allModes).Draw(t, "mode")
			if d := rapid.IntRange(0, 5).Draw(t, "seconds"); d > 0 {
				c.SetModeFor(m, time.Duration(d)*time.Second)
			} else {
				c.SetMode(m)
			}
		}
		actions["reset"] = func(*rapid.T) { c.Reset() }
	}
	t.Repeat(actions)
}

// goroutines calls, fails, gives up, panics and settles twice at random from 64
// goroutines, each with books of its own, through outages and recoveries.
func (k Kind) goroutines(t *testing.T) {
	const goroutines, calls = 64, 120
	b := k.New("")
	var success, failure, ignored, rejected atomic.Uint64
	// Half of all calls end within one instant, and so truly race; in good and
	// bad times of three seconds, after which there is a pause.
	began := time.Now()
	work := func(r *rand.Rand) {
		for range calls {
			pause := time.Duration(r.IntN(3)*r.IntN(3)) * 100 * time.Millisecond
			duration := time.Duration(r.IntN(2)*r.IntN(3)) * 10 * time.Millisecond
			bad := int(time.Since(began)/(3*time.Second))%2 == 0 && r.IntN(10) > 0
			time.Sleep(pause)
			p, err := b.Acquire()
			if err != nil {
				rejected.Add(1)
				continue
			}
			time.Sleep(duration)
			switch n := r.IntN(20); {
			case n == 0:
				ignored.Add(1)
				p.Done(breaker.Ignored)
			case bad:
				failure.Add(1)
				p.DoneWith(breaker.Result{Outcome: breaker.Failure, Err: errBackend})
			default:
				success.Add(1)
				p.Done(breaker.Success)
			}
			if r.IntN(4) == 0 {
				p.Done(breaker.Failure)
			}
		}
	}
	ended := make(chan struct{})
	var workers, overruler sync.WaitGroup
	if c, ok := b.(breaker.Controller); ok {
		overruler.Go(func() { overrule(c, ended) })
	}
	for i := range goroutines {
		workers.Go(func() { work(rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	go func() {
		workers.Wait()
		close(ended)
	}()
	t.Cleanup(overruler.Wait)
	t.Cleanup(workers.Wait)
	watch(t, b, ended)
	overruler.Wait()
	want := breaker.Totals{
		Success: success.Load(), Failure: failure.Load(), Ignored: ignored.Load(), Rejected: rejected.Load(),
		WouldReject: b.Snapshot().Totals.WouldReject,
	}
	RequireTotals(t, b, want)
	for _, n := range []uint64{want.Success, want.Failure, want.Ignored, want.Rejected} {
		require.NotZero(t, n)
	}
}

// watch looks at b now and then, until done is closed.
func watch(t *testing.T, b breaker.Breaker, done <-chan struct{}) {
	var last breaker.Totals
	for {
		select {
		case <-done:
			return
		default:
		}
		for range 10 { // while the calls of one instant run
			s := b.Snapshot()
			requireConsistent(t, s)
			now := s.Totals
			for _, pair := range [][2]uint64{
				{last.Success, now.Success},
				{last.Failure, now.Failure},
				{last.Ignored, now.Ignored},
				{last.Rejected, now.Rejected},
				{last.WouldReject, now.WouldReject},
			} {
				require.LessOrEqual(t, pair[0], pair[1], "%+v, then %+v", last, now)
			}
			last = now
			runtime.Gosched()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// overrule sets modes and resets, until done is closed.
func overrule(c breaker.Controller, done <-chan struct{}) {
	for n := 0; ; n++ {
		time.Sleep(700 * time.Millisecond)
		select {
		case <-done:
			return
		default:
		}
		switch n % 8 {
		case 2, 4:
			c.SetModeFor(allModes[n/8%len(allModes)], 200*time.Millisecond)
		case 5:
			c.SetMode(breaker.DryRun)
		case 6:
			c.SetMode(breaker.Auto)
		case 7:
			c.Reset()
		}
	}
}

// requireConsistent requires what holds in every snapshot.
func requireConsistent(t require.TestingT, s breaker.Snapshot) {
	tot, w := s.Totals, s.Window
	require.Equal(t, tot.Offered, tot.Allowed+tot.Rejected)
	require.Equal(t, tot.Allowed, tot.Success+tot.Failure+tot.Ignored+tot.InFlight)
	for _, n := range []uint64{
		tot.Offered, tot.Success, tot.Failure, tot.Ignored, tot.InFlight, tot.Rejected, tot.WouldReject,
		w.Success, w.Failure, w.Rejected, w.Slow, s.ConsecutiveSuccesses, s.ConsecutiveFailures, s.Openings,
	} {
		require.Less(t, n, uint64(1<<40), "a count below zero: %+v", s)
	}
	require.True(t, s.RejectRatio >= 0 && s.RejectRatio <= 1, "%v", s.RejectRatio)
	require.GreaterOrEqual(t, s.RetryAfter, time.Duration(0))
	require.False(t, s.Since.After(time.Now()), "%+v", s)
	requireLeads(t, s)
	if s.RetryAfter > 0 {
		require.EqualValues(t, 1, s.RejectRatio, "who rejects for certain rejects all")
	}
	if s.Mode == breaker.Auto {
		require.Zero(t, s.ModeUntil)
		require.True(t, s.RejectRatio == 0 || s.State != breaker.Closed, "%+v", s)
	}
}

// requireLeads requires that the transitions, if the breaker counts any, lead
// from a closed breaker to the state that it is in.
func requireLeads(t require.TestingT, s breaker.Snapshot) {
	if s.Transitions == (breaker.Transitions{}) {
		return
	}
	one := func(is bool) int {
		if is {
			return 1
		}
		return 0
	}
	for _, state := range []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open} {
		balance := 0
		for _, other := range []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open} {
			balance += int(s.Transitions[other][state]) - int(s.Transitions[state][other])
		}
		require.Equal(t, one(state == s.State)-one(state == breaker.Closed), balance, "%+v", s)
	}
}
