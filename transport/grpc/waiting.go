package grpc

import (
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
)

// waiting tells a breaker when the caller of a stream waits for the first message or
// the header. Whoever receives and whoever sends may be two goroutines.
type waiting struct {
	timed     bool // whether the breaker looks at it; the rest is only used then
	oneAnswer bool // which is due when all is sent, and not with the first message

	isDue     atomic.Bool
	receiving atomic.Bool
	done      atomic.Bool
}

// await is called before the caller waits.
func (w *waiting) await(p breaker.Permit) {
	if !w.timed || w.done.Load() {
		return
	}
	w.receiving.Store(true)
	if w.isDue.Load() {
		p.Resume()
	}
}

// arrived is called when it is over.
func (w *waiting) arrived(p breaker.Permit) {
	if w.timed && !w.done.Load() {
		w.done.Store(true)
		p.Pause()
	}
}

// due is called when something was sent that the backend has to answer.
func (w *waiting) due(p breaker.Permit) {
	if !w.timed || w.isDue.Load() || w.isDue.Swap(true) || !w.receiving.Load() {
		return
	}
	p.Resume()
	if w.done.Load() { // meanwhile; one of the two pauses is the last
		p.Pause()
	}
}
