package scoreboard

import (
	"time"

	"github.com/kratos-breaker/breaker"
)

// event is the arrival of a call (its permit is not used), or the end of one.
type event struct {
	at      time.Duration
	order   uint64 // of two events at one time, the one that was made first comes first
	client  int
	worker  int // 1 or more in a closed loop, else 0
	attempt int // 0 at first, then how often the call was tried before
	ends    bool
	outcome breaker.Outcome
	permit  breaker.Permit
	fate    fate // of a call that is tried again, or ends
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.order < f.order
}

// agenda is a heap of events. Unlike container/heap it allocates nothing per
// event.
type agenda struct {
	events []event
	order  uint64
}

func (a *agenda) push(e event) {
	a.order++
	e.order = a.order
	a.events = append(a.events, e)
	es := a.events
	for i := len(es) - 1; i > 0; {
		up := (i - 1) / 2
		if !es[i].before(&es[up]) {
			break
		}
		es[i], es[up] = es[up], es[i]
		i = up
	}
}

func (a *agenda) pop() event {
	es := a.events
	first := es[0]
	last := len(es) - 1
	es[0] = es[last]
	es[last] = event{}
	es = es[:last]
	a.events = es
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if right := down + 1; right < last && es[right].before(&es[down]) {
			down = right
		}
		if !es[down].before(&es[i]) {
			break
		}
		es[i], es[down] = es[down], es[i]
		i = down
	}
	return first
}
