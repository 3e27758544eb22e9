package sre

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/mode"
	"github.com/kratos-breaker/breaker/internal/notify"
)

// lazyState is what most breakers have no need of, and no call of a healthy one
// touches. A breaker gets it with a name, a listener or random numbers, or when
// it first has failures in a row, rejects or is overruled.
type lazyState struct {
	rejected    atomic.Pointer[breaker.RejectedError] // of every rejection; it has the name
	events      *notify.Queue[breaker.Event]          // delivered when the call at hand is dealt with, for a listener may panic
	random      func() float64                        // in [0, 1)
	overruled   atomic.Pointer[mode.Switch]           // nil until somebody sets a mode
	decision    atomic.Pointer[lockedDecision]        // nil until needed
	postponed   atomic.Pointer[options]
	transitions transitions
}

// transitions are the changes of the state, from closed to open and back.
type transitions struct {
	last  atomic.Int64           // when the state changed, ns, and at bit 0 whether to open
	cause atomic.Pointer[string] // why
	count atomic.Uint64
	mu    sync.Mutex // held while a change is written down and its event added
}

func newLazyState(o *options) *lazyState {
	s := &lazyState{events: notify.New[breaker.Event](o.listeners), random: o.random}
	if o.random == nil {
		s.random = rand.Float64
	}
	s.rejected.Store(breaker.NewRejectedError(o.name, breaker.Open, breaker.ReasonThrottled, time.Time{}, nil))
	return s
}

// lazy holds a lazyState, or none as long as nobody needs it.
type lazy struct{ atomic.Pointer[lazyState] }

// nothing is what a breaker without lazyState has. It never changes.
var nothing = newLazyState(&options{})

// peek returns the state to read from.
func (l *lazy) peek() *lazyState {
	if s := l.Load(); s != nil {
		return s
	}
	return nothing
}

// need returns the state to write to.
func (l *lazy) need() *lazyState {
	if l.Load() == nil {
		l.CompareAndSwap(nil, newLazyState(&options{}))
	}
	return l.Load()
}

func (s *lazyState) name() string { return s.rejected.Load().Name() }

// changed returns when the state changed last, and whether to open.
func (t *transitions) changed() (at int64, open bool) {
	last := t.last.Load()
	return last >> 1, last&1 != 0
}
