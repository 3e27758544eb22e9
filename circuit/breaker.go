package circuit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
	"github.com/kratos-breaker/breaker/internal/mode"
	"github.com/kratos-breaker/breaker/internal/notify"
)

// Breaker is a circuit breaker with three states. Make one with [NewBreaker];
// the zero value is not valid. All methods are safe for concurrent use.
//
// There are two ways to use it. Acquire hands out a permit, which knows the
// state that it was issued in: a late result moves no other state. Allow,
// MarkSuccess and MarkFailed are aegis' protocol, which carries no identity: in a
// half-open breaker, a mark is taken for the result of the oldest probe, and the
// MarkFailed that Kratos' middleware sends after a rejection for that
// rejection's, see [WithUnmarkedRejections].
type Breaker struct {
	// What every call reads, and no call writes. Then the ledger, the lanes of
	// which are cache lines of their own: see the test of the layout.
	published atomic.Pointer[published]
	base      time.Time
	cold      *cold
	hot
}

// cold is what calls of a closed and healthy breaker do not touch.
type cold struct {
	owner  *Breaker
	events *notify.Queue[breaker.Event]
	mode   mode.Switch // its ledger has the probes, too
	halted *published  // while the state changes

	mu       sync.Mutex
	options  *options // replaced, never changed; without the lock, see published
	machine  machine
	closed   closed
	userCall *userCall      // set while the lock is held
	withheld *breaker.Event // an opening whose delay is being asked for
}

// published is what a call needs to know of the state and the options. It is
// replaced, never changed.
type published struct {
	breaker    *Breaker
	options    *options
	rules      *rule.Set
	generation uint64
	closed     bool                   // calls may go out
	timedCalls bool                   // and are timed
	metered    bool                   // there are rules with a period
	unlocked   bool                   // a failure needs no lock, unless a rule may hold
	rows       bool                   // a rule looks at failures in a row
	rejects    int64                  // calls are rejected until then, if not 0
	rejection  *breaker.RejectedError // of rejected calls
}

// userCall is a question to functions of the user's, which are asked when the
// lock is no longer held.
type userCall struct {
	options    *options
	generation uint64
	result     breaker.Result
	opening    *Opening        // for the delay, or nil:
	questions  []rule.Question // for the functions of WithOpenWhen
}

// timing is a Breaker whose calls are timed, since there is a rule of slow ones.
type timing Breaker

// NewBreaker returns a closed breaker. It panics if an option is out of its
// range or contradicts another one.
func NewBreaker(opts ...Option) *Breaker {
	o := newOptions("NewBreaker", opts)
	b := &Breaker{base: time.Now(), cold: &cold{}}
	c := b.cold
	c.owner, c.halted = b, &published{breaker: b}
	c.events = notify.New[breaker.Event](o.listeners)
	o.listeners, o.named = nil, false // of no more use
	c.options = o
	c.closed.hot = &b.hot
	c.closed.use(o, 0, (*timing)(b))
	c.publish()
	return b
}

func (b *Breaker) now() int64 { return int64(time.Since(b.base)) }

// time returns the wall-clock time, with a monotonic reading, of an instant of
// now. It is zero for never.
func (b *Breaker) time(now int64) time.Time {
	if now == never {
		return time.Time{}
	}
	return b.base.Add(time.Duration(now))
}

// publish makes known what calls need of the present state. The lock is held.
func (c *cold) publish() {
	m, set := &c.machine, c.mode.Last()
	v := &published{breaker: c.owner, options: c.options, rules: c.closed.rules, generation: m.generation, metered: c.closed.rules.Metered()}
	if c.closed.calls != nil {
		c.closed.calls.generation = m.generation
	}
	if r, until := set.Rejection(); r != nil {
		v.rejection, v.rejects = r, until
		c.owner.published.Store(v)
		return
	}
	reject := func(why breaker.Reason, until int64) {
		v.rejection = breaker.NewRejectedError(c.options.name, m.state, why, c.owner.time(until), nil)
	}
	switch m.state {
	case breaker.Closed:
		v.closed = true
		v.timedCalls = c.options.threshold > 0
		v.unlocked, v.rows = c.closed.rules.Needs()&rule.Lock == 0, c.closed.rules.Needs()&rule.Row != 0
	case breaker.Open:
		reject(breaker.ReasonOpen, m.until)
		if !set.Lenient() {
			v.rejects = m.until
		}
	default:
		reject(breaker.ReasonProbeLimit, never)
	}
	c.owner.published.Store(v)
}

// halt makes every call take the lock, until publish. When it returns, none counts
// without it.
func (c *cold) halt() {
	c.owner.published.Store(c.halted)
	c.closed.ledger.Failures().Drain()
}
