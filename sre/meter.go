package sre

import (
	"math"
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
)

// meter measures how long a call takes that succeeds. It times one call per bucket,
// as TCP times one segment per round trip.
type meter struct {
	began atomic.Int64  // when the call began that is being timed, ns; 0 if there is none
	mean  atomic.Uint64 // of the latencies, ns; 0 if there was none yet
}

const (
	lost      = int64(60e9) // ns after which a call that has not ended is given up
	smoothing = 1.0 / 8     // as in RFC 6298
)

// begin begins to time a call, unless one is being timed.
func (m *meter) begin(now int64) bool {
	began := m.began.Load()
	return (began == 0 || now-began > lost) && m.began.CompareAndSwap(began, now)
}

// end ends what begin began.
func (m *meter) end(now int64, success bool) {
	began := m.began.Swap(0)
	if !success || began == 0 {
		return
	}
	took := float64(now - began)
	if mean := math.Float64frombits(m.mean.Load()); mean > 0 {
		took = mean + (took-mean)*smoothing
	}
	m.mean.Store(math.Float64bits(took))
}

func (b *Breaker) latency() float64 { return math.Float64frombits(b.meter.mean.Load()) }

// Pause implements breaker.PauseSettler: the backend has answered, and the call goes
// on.
func (s *timed) Pause(breaker.Ticket) bool {
	b := (*Breaker)(s)
	b.meter.end(b.window.Now(), true)
	return false
}

// Resume implements breaker.PauseSettler.
func (s *timed) Resume(breaker.Ticket) {}

// timed settles the permit of the call that is being timed.
type timed Breaker

// Settle implements breaker.Settler.
func (s *timed) Settle(t breaker.Ticket, o breaker.Outcome) {
	s.SettleResult(t, breaker.Result{Outcome: o})
}

// SettleResult implements breaker.ResultSettler.
func (s *timed) SettleResult(t breaker.Ticket, r breaker.Result) {
	b := (*Breaker)(s)
	b.meter.end(b.window.Now(), r.Outcome == breaker.Success)
	b.settle(t, r, origin{known: true})
}
