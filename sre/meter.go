package sre

import (
	"math"
	"sync/atomic"
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
	if mean := m.latency(); mean > 0 {
		took = mean + (took-mean)*smoothing
	}
	m.mean.Store(math.Float64bits(took))
}

// latency returns how long a call takes, in ns; 0 if that is not known.
func (m *meter) latency() float64 { return math.Float64frombits(m.mean.Load()) }
