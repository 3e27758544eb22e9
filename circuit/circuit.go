// Package circuit is the classic circuit breaker with three states. Closed, it
// lets every call through and counts how they end. Once too many fail, it is
// open and rejects every call, for some time. Then it is half-open: it lets a
// few probes through, whose results close or reopen it. It has no timer and no
// goroutine.
//
// The pattern is Michael Nygard's: Release It!, chapter "Stability Patterns".
// The options are those of sony/gobreaker, failsafe-go and mist-go together;
// docs/migrate.md shows them side by side.
package circuit

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/notify"
)

var _ breaker.Controller = (*Breaker)(nil)

// Breaker is a circuit breaker with three states. Make one with [NewBreaker];
// the zero value is not valid. All methods are safe for concurrent use.
//
// There are two ways to use it. Acquire hands out a permit, which knows the
// state that it was issued in: a late result moves no other state. Allow,
// MarkSuccess and MarkFailed are aegis' protocol, which carries no identity: in a
// half-open breaker, a mark is taken for the result of the oldest probe, and the
// MarkFailed that Kratos' middleware sends after a rejection for that
// rejection's, see [WithUnmarkedRejections].
//
// While the breaker is closed, a call that succeeds or is ignored allocates
// nothing, and reads the clock only if there is a rule with a period. It takes no
// lock, but for one call in each bucket, for successes while so many calls have
// failed that only minCalls is not reached, and for ignored ones if there is a
// rule of slow calls. None of it grows with numbers or periods. A failure shares a
// lock with others. It has it for itself for a moment if it could open the breaker
// or is the first call of a bucket, or if there is a rule of failures among the
// last calls or within a period, of slow calls, or of WithOpenWhen; so has each
// call that asks or ends while the breaker is half-open.
type Breaker struct {
	// What every call reads, and no call writes. Then the ledger, the lanes of
	// which are cache lines of their own: see the test of the layout.
	view  atomic.Pointer[view]
	base  time.Time
	due   atomic.Int64 // when a meter has to begin a bucket; never without meters
	watch atomic.Bool  // whether a success could open the breaker
	*core

	ledger ledger.Ledger // calls of the closed state, and rejections
}

// core is what calls of a closed and healthy breaker do not touch.
type core struct {
	events  *notify.Queue[breaker.Event]
	calls   *calls        // in flight, from the first time on that slow ones count
	outside ledger.Ledger // probes, late results, and what DryRun and ForceClosed let through
	would   atomic.Uint64 // rejections that DryRun did not make

	// mu is held to read by a failure that changes nothing but counts, and to
	// write by all else.
	mu        sync.RWMutex
	streak    streak
	options   *options // replaced, never changed; without the lock, see view
	machine   machine
	recent    []recent
	meters    []*meter
	slow      *meter // of calls on time and slow ones, if these count; also in meters
	mode      breaker.Mode
	modeUntil int64
	asking    *asking        // set while the lock is held
	withheld  *breaker.Event // an opening whose delay is being asked for
	shadow    *view          // of calls that the mode lets through
}

// view is what a call needs to know of the state and the options. It is
// replaced, never changed.
type view struct {
	breaker    *Breaker
	options    *options
	generation uint64
	closed     bool                   // calls may go out
	timedCalls bool                   // and are timed
	metered    bool                   // there are meters
	counting   bool                   // a failure need only be counted, unless a rule may hold
	rejects    int64                  // calls are rejected until then, if not 0
	rejection  *breaker.RejectedError // of rejected calls
}

// NewBreaker returns a closed breaker. It panics if an option is out of its
// range or contradicts another one.
func NewBreaker(opts ...Option) *Breaker {
	o := newOptions("NewBreaker", opts)
	b := &Breaker{base: time.Now(), core: &core{}}
	b.events = notify.New[breaker.Event](o.listeners)
	o.listeners, o.given = nil, nil // of no more use
	b.shadow = &view{breaker: b}
	b.use(o, 0)
	b.publish()
	return b
}

func (b *Breaker) now() int64 { return int64(time.Since(b.base)) }

// time returns the wall-clock time, with a monotonic reading, of an instant of
// now.
func (b *Breaker) time(now int64) time.Time { return b.base.Add(time.Duration(now)) }

// Acquire returns a permit for one call, or a *[breaker.RejectedError].
func (b *Breaker) Acquire() (breaker.Permit, error) {
	v := b.view.Load()
	if v.closed && !v.timedCalls { // nearly every call, without a call of its own
		if word, serial, ok := b.ledger.TryTake(); ok {
			return breaker.NewPermit(v, breaker.Ticket{Word: word, Serial: serial}), nil
		}
	}
	return b.acquireSlow(v)
}

func (b *Breaker) acquireSlow(v *view) (breaker.Permit, error) {
	switch {
	case v.closed && !v.timedCalls:
		word, serial := b.ledger.Take()
		return breaker.NewPermit(v, breaker.Ticket{Word: word, Serial: serial}), nil
	case v.closed:
		if now := b.now(); now < b.calls.nextCheck.Load() {
			return b.calls.take(now, v), nil
		}
	case v.rejects > 0 && b.now() < v.rejects:
		b.ledger.Reject()
		return breaker.Permit{}, v.rejection
	}
	return b.acquireLocked()
}

// acquireLocked decides under the lock.
func (b *Breaker) acquireLocked() (p breaker.Permit, err error) {
	b.mu.Lock()
	defer b.unlock(&p)
	now := b.now()
	b.advance(now)
	b.checkOverdue(now)
	rejection := b.decide(now)
	v := b.view.Load()
	switch {
	case rejection != nil && b.overrules():
		return permit(&b.outside, b.shadow), nil
	case rejection != nil:
		b.ledger.Reject()
		return p, rejection
	case b.machine.state == breaker.HalfOpen:
		return b.probe(now), nil
	case v.timedCalls:
		return b.calls.take(now, v), nil
	}
	return permit(&b.ledger, v), nil
}

// permit hands out a ticket of l.
func permit(l *ledger.Ledger, v *view) breaker.Permit {
	return breaker.NewPermit(v, ticket(l))
}

func ticket(l *ledger.Ledger) breaker.Ticket {
	word, serial, ok := l.TryTake()
	if !ok {
		word, serial = l.Take()
	}
	return breaker.Ticket{Word: word, Serial: serial}
}

// lenient reports whether the mode lets calls through that the breaker would
// reject.
func (c *core) lenient() bool { return c.mode == breaker.DryRun || c.mode == breaker.ForceClosed }

// overrules is called for a call that the breaker would reject, and reports
// whether the mode lets it through.
func (c *core) overrules() bool {
	if c.mode == breaker.DryRun {
		c.would.Add(1)
	}
	return c.lenient()
}

// decide returns the rejection of a call, or nil. If the breaker is half-open
// then, the call is a probe.
func (b *Breaker) decide(now int64) *breaker.RejectedError {
	m := &b.machine
	switch {
	case b.mode == breaker.ForceOpen:
	case m.state == breaker.Closed:
		return nil
	case m.state == breaker.Open && now < m.until:
	default:
		if m.state == breaker.Open {
			b.become(breaker.HalfOpen, m.until, causeDelay)
		}
		if b.options.probes.admits(m) {
			return nil
		}
	}
	return b.view.Load().rejection
}

// probe lets a probe through.
func (b *Breaker) probe(now int64) breaker.Permit {
	t := ticket(&b.outside)
	b.run(probe{ticket: t}, now)
	return breaker.NewPermit(b.view.Load(), t)
}

func (b *Breaker) run(p probe, now int64) {
	p.began, p.leaseEnds, p.slowAt = now, now+int64(b.options.probes.lease), never
	if b.options.threshold > 0 && !p.anonymous {
		p.slowAt = now + int64(b.options.threshold)
	}
	b.machine.running = append(b.machine.running, p)
}

// Settle takes a permit back.
func (v *view) Settle(t breaker.Ticket, o breaker.Outcome) {
	if o == breaker.Success && v.closed {
		// Nearly every call, without a lock.
		b := v.breaker
		if b.view.Load() == v && (!v.metered || b.now() < b.due.Load()) &&
			(ledger.TrySettle(t.Word, t.Serial, 1) || b.ledger.Settle(t.Word, t.Serial, 1)) {
			if b.watch.Load() {
				b.reconsider(v.generation)
			}
			return
		}
	}
	v.SettleResult(t, breaker.Result{Outcome: o})
}

// SettleResult takes a permit back, too.
func (v *view) SettleResult(t breaker.Ticket, r breaker.Result) {
	b := v.breaker
	if v.closed && r.Outcome == breaker.Ignored {
		if b.ledger.Settle(t.Word, t.Serial, 0) {
			b.ledger.Ignore() // not outside, or a snapshot could see it twice
		}
		return
	}
	if v.counting && r.Outcome > breaker.Success && b.count(v, &t, r) {
		return
	}
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	if v.closed {
		if b.ledger.Settle(t.Word, t.Serial, 0) {
			b.ended(now, v.generation, r)
		}
		return
	}
	p, wanted := find(&b.machine.running, func(p probe) bool { return p.ticket == t })
	if !wanted {
		find(&b.machine.strays, func(p probe) bool { return p.ticket == t })
	}
	switch {
	case !b.outside.Settle(t.Word, t.Serial, 0):
	case wanted:
		b.probed(now, p, r)
	default:
		b.countOutside(r.Outcome)
	}
}

// Pause stops the clock of a probe.
func (v *view) Pause(t breaker.Ticket) bool {
	if v.closed {
		return false // or it would be a call
	}
	return v.clock(t, func(p *probe, _ int64) { p.paused, p.slowAt = true, never })
}

// Resume starts it anew.
func (v *view) Resume(t breaker.Ticket) {
	if v.closed {
		return
	}
	v.clock(t, func(p *probe, now int64) {
		if p.paused {
			p.paused, p.slowAt = false, now+int64(v.breaker.options.threshold)
		}
	})
}

// clock changes a probe in flight, and reports whether it is one that is timed.
func (v *view) clock(t breaker.Ticket, change func(p *probe, now int64)) bool {
	b := v.breaker
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	if b.options.threshold == 0 {
		return false
	}
	running := b.machine.running
	i := slices.IndexFunc(running, func(p probe) bool { return p.ticket == t })
	if i >= 0 {
		change(&running[i], now)
	}
	return i >= 0
}

// ended counts the end of a call that was let through by the closed state of
// the given generation.
func (b *Breaker) ended(now int64, generation uint64, r breaker.Result) {
	if !b.current(generation) || r.Outcome == breaker.Ignored {
		b.countOutside(r.Outcome)
		return
	}
	b.roll(now)
	if r.Outcome != breaker.Success {
		b.fail(now, r)
		return
	}
	b.ledger.Succeed()
	b.judge(now, r)
}

// current reports whether generation is that of the closed state that the
// breaker is in.
func (c *core) current(generation uint64) bool {
	return c.machine.state == breaker.Closed && c.machine.generation == generation
}

// countOutside counts an outcome that is evidence of nothing.
func (c *core) countOutside(o breaker.Outcome) {
	switch o {
	case breaker.Ignored:
		c.outside.Ignore()
	case breaker.Success:
		c.outside.Succeed()
	default:
		c.outside.Fail()
	}
}

// count counts a failure of the closed state v, and opens the breaker if a rule
// holds. Without a ticket, the failure is that of any call. It returns false,
// having done nothing, if more has to be done.
func (b *Breaker) count(v *view, t *breaker.Ticket, r breaker.Result) bool {
	now := int64(0)
	if v.metered {
		now = b.now()
	}
	b.mu.RLock() // so the state does not change
	if b.view.Load() != v || now >= b.due.Load() {
		b.mu.RUnlock()
		return false
	}
	if t != nil && !b.ledger.Settle(t.Word, t.Serial, 0) {
		b.mu.RUnlock()
		return true
	}
	b.ledger.AddFailure()
	ended := b.ledger.Ended()
	row := b.streak.fail(ended.Success)
	opens := b.mayOpen(now, row, ended)
	b.mu.RUnlock()
	if opens {
		b.decideAfter(v, row, r)
	}
	return true
}

// mayOpen reports whether a rule may hold after a failure was counted, the last
// one of so many in a row and of all that have ended.
func (b *Breaker) mayOpen(now int64, row uint64, ended ledger.Counts) bool {
	for i := range b.recent {
		if row >= uint64(b.recent[i].failures) {
			return true
		}
	}
	for _, rule := range b.options.rates {
		c := b.meter(rule.period, &b.ledger).window.Since(now, func() ledger.Counts { return ended })
		if rule.holds(c) || rule.mayHold(c) {
			return true
		}
	}
	return false
}

// decideAfter decides after count has counted.
func (b *Breaker) decideAfter(v *view, row uint64, r breaker.Result) {
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	if !b.current(v.generation) {
		return
	}
	b.roll(now)
	b.watch.Store(true) // before the counts are read: see reconsider
	if b.options == v.options {
		b.failed(now, row, r)
		return
	}
	// Of the rules of a Reconfigure in between, these and the rates knew of it.
	for i := range b.recent {
		if rule := &b.recent[i]; rule.kind == inARow && row >= uint64(rule.failures) {
			b.open(now, rule.cause(), &r)
			return
		}
	}
	b.judge(now, r)
}

// fail counts a failure of the closed state.
func (b *Breaker) fail(now int64, r breaker.Result) {
	b.watch.Store(true) // before the counts are read: see reconsider
	b.ledger.AddFailure()
	b.failed(now, b.streak.fail(b.ledger.Ended().Success), r)
}

// failed opens the breaker if a rule holds after a failure, the last one of so
// many in a row.
func (b *Breaker) failed(now int64, row uint64, r breaker.Result) {
	m := &b.machine
	c := b.ledger.Counts()
	cause := ""
	for i := range b.recent {
		rule := &b.recent[i]
		at := now
		if rule.kind == ofLast {
			at = int64(c.Success + c.Failure)
		}
		if rule.add(at) || rule.kind == inARow && row >= uint64(rule.failures) {
			cause = rule.cause()
		}
	}
	if cause != "" {
		b.open(now, cause, &r)
		return
	}
	b.judge(now, r)
	if len(b.options.openWhen) > 0 && m.state == breaker.Closed {
		b.asking = &asking{options: b.options, generation: m.generation, result: r, counts: b.countsFor(now)}
	}
}

// judge opens the breaker if a rate is too high, and sets watch.
func (b *Breaker) judge(now int64, r breaker.Result) {
	watch := false
	for _, rule := range b.options.rates {
		c := b.rateCounts(rule, now)
		if rule.holds(c) {
			b.open(now, rule.cause(c), &r)
			return
		}
		watch = watch || rule.mayHold(c)
	}
	b.watch.Store(watch)
}

func (b *Breaker) rateCounts(rule rateRule, now int64) ledger.Counts {
	if !rule.slow {
		return b.meter(rule.period, &b.ledger).counts(now)
	}
	c := b.slow.counts(now)
	overdue, _ := b.calls.overdue(now, b.machine.generation, b.options.threshold)
	c.Failure += overdue
	return c
}

// reconsider is called after a success of the closed state if one could open
// the breaker. A failure sets watch before it reads the counts, and a success
// looks at it after it was counted: one of the two sees the other.
func (b *Breaker) reconsider(generation uint64) {
	b.mu.Lock()
	defer b.unlock(nil)
	if b.current(generation) {
		b.judge(b.now(), breaker.Result{Outcome: breaker.Success})
	}
}

// roll lets the meters begin a bucket.
func (b *Breaker) roll(now int64) {
	if now < b.due.Load() {
		return
	}
	for _, m := range b.meters {
		m.roll(now)
	}
	b.setDue()
}

func (b *Breaker) setDue() {
	due := int64(never)
	for _, m := range b.meters {
		due = min(due, m.window.Until())
	}
	b.due.Store(due)
}

// probed takes in the end of a probe that is still wanted.
func (b *Breaker) probed(now int64, p probe, r breaker.Result) {
	b.countOutside(r.Outcome)
	if r.Outcome == breaker.Ignored {
		return
	}
	b.machine.result(r.Outcome == breaker.Success)
	b.conclude(now, &r)
}

// conclude ends the half-open state if the results of the probes do, after r
// or without a result.
func (b *Breaker) conclude(at int64, r *breaker.Result) {
	switch b.options.probes.verdict(&b.machine) {
	case breaker.Closed:
		b.become(breaker.Closed, at, causeProbes)
	case breaker.Open:
		b.open(at, causeProbes, r)
	}
}

// find takes a probe out of some.
func find(some *[]probe, wanted func(probe) bool) (p probe, ok bool) {
	i := slices.IndexFunc(*some, wanted)
	if i < 0 {
		return p, false
	}
	p = (*some)[i]
	*some = slices.Delete(*some, i, i+1)
	return p, true
}

// advance does what the passing of time has led to: the mode ends, and probes
// are slow or lost.
func (b *Breaker) advance(now int64) {
	if b.mode != breaker.Auto && now >= b.modeUntil {
		b.mode, b.modeUntil = breaker.Auto, 0
		b.publish()
	}
	for p, at, ok := b.machine.takeFailed(now); ok; p, at, ok = b.machine.takeFailed(now) {
		if at == p.leaseEnds {
			b.lose(p)
		}
		b.machine.result(false)
		b.conclude(at, nil)
	}
	for p, ok := b.machine.takeStray(now); ok; p, ok = b.machine.takeStray(now) {
		b.lose(p)
	}
}

// lose gives a probe up.
func (b *Breaker) lose(p probe) {
	if !p.anonymous { // such a call counts when it is marked
		b.outside.Settle(p.ticket.Word, p.ticket.Serial, 0)
		b.outside.Fail()
	}
}

// Allow returns nil if a call may go out, and a *[breaker.RejectedError] if
// not.
func (b *Breaker) Allow() error {
	v := b.view.Load()
	if v.closed && !v.timedCalls {
		return nil
	}
	return b.allowSlow(v)
}

func (b *Breaker) allowSlow(v *view) error {
	now := b.now()
	switch {
	case v.closed && now < b.calls.nextCheck.Load():
		return nil
	case v.rejects > 0 && now < v.rejects:
		b.rejectUnmarked(now, v.options)
		return v.rejection
	}
	var p breaker.Permit
	b.mu.Lock()
	defer b.unlock(&p)
	now = b.now() // it may have waited for the lock
	b.advance(now)
	b.checkOverdue(now)
	rejection := b.decide(now)
	switch {
	case rejection != nil && b.overrules():
		return nil
	case rejection != nil:
		b.rejectUnmarked(now, b.options)
		return rejection
	case b.machine.state == breaker.HalfOpen:
		b.run(probe{anonymous: true}, now)
		p = breaker.NewPermit((*anonymous)(b), breaker.Ticket{})
	}
	return nil
}

// anonymous settles a probe that Allow let through, if Allow did not return.
type anonymous Breaker

func (a *anonymous) Settle(_ breaker.Ticket, o breaker.Outcome) { (*Breaker)(a).mark(o) }

func (b *Breaker) rejectUnmarked(now int64, o *options) {
	if o.unmarked {
		b.ledger.Reject()
		return
	}
	b.ledger.RejectUnmarked(now)
}

// MarkSuccess counts a successful call that Allow let through.
func (b *Breaker) MarkSuccess() {
	v := b.view.Load()
	if v.closed && (!v.metered || b.now() < b.due.Load()) {
		b.ledger.Succeed()
		if b.watch.Load() {
			b.reconsider(v.generation)
		}
		return
	}
	b.mark(breaker.Success)
}

// MarkFailed counts a failed call that Allow let through, or a rejection by
// Allow that was not marked yet.
func (b *Breaker) MarkFailed() {
	if b.ledger.Unmarked() {
		if b.now()-b.ledger.LastUnmarked() > int64(time.Second) {
			b.ledger.AbandonUnmarked() // by a host that does not mark its rejections
		} else if b.ledger.Book() {
			return
		}
	}
	if v := b.view.Load(); v.counting && b.count(v, nil, breaker.Result{Outcome: breaker.Failure}) {
		return
	}
	b.mark(breaker.Failure)
}

// MarkIgnored counts a call that Allow let through, whose outcome says nothing
// about the backend.
func (b *Breaker) MarkIgnored() {
	if b.view.Load().closed {
		b.ledger.Ignore()
		return
	}
	b.mark(breaker.Ignored)
}

func (b *Breaker) mark(o breaker.Outcome) {
	b.mu.Lock()
	defer b.unlock(nil)
	now := b.now()
	b.advance(now)
	r := breaker.Result{Outcome: o}
	if p, ok := find(&b.machine.running, func(p probe) bool { return p.anonymous }); ok {
		b.probed(now, p, r)
		return
	}
	b.ended(now, b.machine.generation, r)
}
