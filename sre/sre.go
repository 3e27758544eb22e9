// Package sre is an adaptive circuit breaker. While the backend is healthy it
// rejects nothing. When the backend is down it rejects everything but an occasional
// probe; when it is overloaded, it sends slightly more than succeeds; when only part
// of it is broken, it rejects nothing, because that would not help. To tell these
// apart, it sends fewer calls, or more, for a moment. Take it unless you need a fixed
// rule: package circuit has those.
//
// Its options are those of go-kratos/aegis' circuitbreaker/sre and some more. With
// [Classic] its decisions are those of aegis as well: client-side throttling after the
// Google SRE book. A breaker has no timer and no goroutine. docs/algorithm.md says how
// it decides, and why.
package sre

import (
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/window"
)

var _ breaker.Controller = (*Breaker)(nil)

// Breaker is an adaptive circuit breaker. Make one with [NewBreaker]; the zero
// value is not valid. All methods are safe for concurrent use.
//
// There are two ways to use it. Acquire hands out a permit, and counts a
// rejection by itself. Allow, MarkSuccess and MarkFailed are aegis' protocol:
// the caller marks each allowed call once, and marks a failure after each
// rejection, as Kratos' middleware does. Until it has, the window does not
// count the rejection, and the next MarkFailed is taken for it, unless the last
// rejection is longer ago than the window.
//
// While the breaker is healthy, asking costs an atomic load, plus a
// compare-and-swap for a permit, and settling one clock read and one atomic
// operation, however many buckets there are; once per bucket, one call goes
// through all of them. A success takes no lock, and nothing is allocated but some
// memory for more cache lines when goroutines contend for it. Once there were
// failures in a row, a failure takes a lock for a moment. With so small a
// WithRequest or so large a WithSuccess that the first failure can count, or
// in ForceOpen, asking reads the clock and the counts as well.
type Breaker struct {
	// The order keeps what every call reads and what every call writes on
	// cache lines of their own.
	window   window.Rolling
	budget   budget
	settings atomic.Pointer[throttle]
	control  atomic.Pointer[control] // nil until needed
	doubt    atomic.Uint32           // failures in a row that are worth a look
	meter    meter
	_        [48]byte
	ledger   ledger.Ledger
}

// NewBreaker returns a closed breaker. It panics if an option is out of its
// range.
func NewBreaker(opts ...Option) *Breaker {
	o := newOptions("NewBreaker", opts)
	b := &Breaker{}
	b.settings.Store(o.throttle())
	if o.name != "" || len(o.listeners) > 0 || o.random != nil {
		b.control.Store(newControl(&o))
	}
	b.window.Init(o.bucket, o.span())
	b.assess(1)
	return b
}

// Allow returns nil if a call may go out, and a *[breaker.RejectedError] if
// not.
func (b *Breaker) Allow() error {
	if b.budget.left() {
		return nil
	}
	return b.allowSlow()
}

func (b *Breaker) allowSlow() error {
	now := b.window.Now()
	b.expire(now)
	m, o := b.modeAt(now)
	marked := !b.throttle().unmarked
	if m != nil && m.Mode == breaker.ForceOpen {
		if marked {
			o.outside.RejectUnmarked(now)
		} else {
			o.outside.Reject()
		}
		return m.rejection
	}
	_, admitted := b.admits(now)
	defer b.deliver()
	switch {
	case admitted:
		return nil
	case m != nil:
		if m.Mode == breaker.DryRun {
			o.would.Add(1)
		}
		return nil
	}
	if marked {
		b.ledger.RejectUnmarked(now)
	} else {
		b.book(now, true)
	}
	return b.reject()
}

// MarkSuccess counts a successful call.
func (b *Breaker) MarkSuccess() {
	now := b.window.Now()
	if !b.window.Due(now) && b.budget.left() { // nearly every call
		b.ledger.Succeed()
		return
	}
	if b.window.Due(now) {
		b.roll(now)
	}
	b.ledger.Succeed()
	b.succeeded(now, origin{})
	b.deliver()
}

// MarkFailed counts a failed call, or a rejection by Allow that was not marked
// yet. For the decision both are the same; they differ in the snapshot.
func (b *Breaker) MarkFailed() {
	now := b.window.Now()
	if b.window.Due(now) {
		b.roll(now)
	}
	defer b.deliver()
	if !b.throttle().unmarked && b.marksRejection(now) {
		return
	}
	b.spendFailure(now, b.ledger.Fail(), origin{})
}

// marksRejection reports whether a MarkFailed is that of a rejection, and if so
// books it.
func (b *Breaker) marksRejection(now int64) bool {
	length := int64(b.window.Length())
	if o := b.overrule(); o != nil && o.outside.Unmarked() {
		if now-o.outside.LastUnmarked() > length {
			o.outside.AbandonUnmarked()
		} else if o.outside.Book() {
			return true
		}
	}
	if !b.ledger.Unmarked() {
		return false
	}
	if now-b.ledger.LastUnmarked() > length {
		b.ledger.AbandonUnmarked() // by a host that does not mark its rejections
		return false
	}
	if !b.ledger.Book() {
		return false
	}
	b.spendRejection(now)
	return true
}

// MarkIgnored counts a call whose outcome says nothing about the backend.
func (b *Breaker) MarkIgnored() {
	now := b.window.Now()
	if b.window.Due(now) {
		b.roll(now)
	}
	b.ledger.Ignore()
	b.ignored(now, origin{}, true)
	b.deliver()
}

// Acquire returns a permit for one call, or a *[breaker.RejectedError].
func (b *Breaker) Acquire() (breaker.Permit, error) {
	if b.budget.left() { // nearly every call, without a call of its own
		if word, serial, ok := b.ledger.TryTake(); ok {
			return b.permit(word, serial), nil
		}
	}
	return b.acquireSlow()
}

func (b *Breaker) acquireSlow() (breaker.Permit, error) {
	settler := breaker.Settler((*settler)(b))
	if !b.budget.left() {
		p, by, err := b.decide()
		if by == nil {
			return p, err
		}
		settler = by
	}
	word, serial, ok := b.ledger.TryTake()
	if !ok {
		word, serial = b.ledger.Take()
	}
	return breaker.NewPermit(settler, breaker.Ticket{Word: word, Serial: serial}), nil
}

func (b *Breaker) permit(word *atomic.Uint64, serial uint64) breaker.Permit {
	return breaker.NewPermit((*settler)(b), breaker.Ticket{Word: word, Serial: serial})
}

// decide decides from the mode and the law. It returns a rejection, or the permit
// of a call that the mode alone lets through; or, if the breaker itself allows the
// call, who settles its permit.
func (b *Breaker) decide() (p breaker.Permit, by breaker.Settler, err error) {
	now := b.window.Now()
	b.expire(now)
	m, o := b.modeAt(now)
	if m != nil && m.Mode == breaker.ForceOpen {
		o.outside.Reject()
		return p, nil, m.rejection
	}
	s, admitted := b.admits(now)
	if admitted {
		b.deliver()
		switch {
		case s != nil:
			return p, s, nil
		case !b.throttle().classic && !b.alerted():
			if b.budget.left() || b.assess(1) >= 0 {
				if b.meter.begin(now) {
					return p, (*timed)(b), nil
				}
			}
		}
		return p, (*settler)(b), nil
	}
	b.book(now, m == nil)
	if m == nil {
		b.deliver()
		return p, nil, b.reject()
	}
	if m.Mode == breaker.DryRun {
		o.would.Add(1)
	}
	b.deliver()
	word, serial, ok := o.outside.TryTake()
	if !ok {
		word, serial = o.outside.Take()
	}
	return breaker.NewPermit(o, breaker.Ticket{Word: word, Serial: serial}), nil, nil
}

// book counts a rejection, which the mode may have kept from being made.
func (b *Breaker) book(now int64, made bool) {
	if b.window.Due(now) { // a classic breaker reads the window without beginning a bucket
		b.roll(now)
	}
	if made {
		b.ledger.Reject()
	} else {
		b.ledger.Overrule()
	}
	if b.throttle().classic && b.budget.left() { // it was set meanwhile: see assess
		b.budget.spend(1)
	}
}

// Settle takes the permit of a call back that the mode alone let through.
func (o *overruled) Settle(t breaker.Ticket, outcome breaker.Outcome) {
	var success uint64
	if outcome == breaker.Success {
		success = 1
	}
	if !o.outside.Settle(t.Word, t.Serial, success) {
		return
	}
	switch outcome {
	case breaker.Success:
	case breaker.Ignored:
		o.outside.Ignore()
	default:
		o.outside.AddFailure()
	}
}

// settler is a Breaker with the one method that only permits call.
type settler Breaker

func (s *settler) Settle(t breaker.Ticket, o breaker.Outcome) {
	b := (*Breaker)(s)
	if o == breaker.Success {
		// Nearly every call, without a call of its own.
		now := b.window.Now()
		if !b.window.Due(now) && b.budget.left() && ledger.TrySettle(t.Word, t.Serial, 1) {
			return
		}
		b.settle(t, breaker.Result{Outcome: o}, origin{known: true})
		return
	}
	b.settle(t, breaker.Result{Outcome: o}, origin{known: true})
}

// SettleResult implements breaker.ResultSettler.
func (s *settler) SettleResult(t breaker.Ticket, r breaker.Result) {
	if r.Outcome == breaker.Success {
		s.Settle(t, r.Outcome)
		return
	}
	(*Breaker)(s).settle(t, r, origin{known: true})
}

// settle takes back a permit of a call that began at from.
func (b *Breaker) settle(t breaker.Ticket, r breaker.Result, from origin) {
	now := b.window.Now()
	if b.window.Due(now) {
		b.roll(now)
	}
	defer b.deliver()
	switch r.Outcome {
	case breaker.Success:
		if b.ledger.Settle(t.Word, t.Serial, 1) {
			b.succeeded(now, from)
		}
	case breaker.Ignored:
		if b.ledger.Settle(t.Word, t.Serial, 0) {
			b.ledger.Ignore()
			b.ignored(now, from, !r.NotSent)
		}
	default:
		if row, ok := b.ledger.SettleFailure(t.Word, t.Serial); ok {
			b.spendFailure(now, row, from)
		}
	}
}

// admits decides about a call, the mode apart. The stamp settles the permit of the
// call if the law wants to know when it began.
func (b *Breaker) admits(now int64) (*stamp, bool) {
	if !b.throttle().classic {
		if b.window.Due(now) {
			b.roll(now)
		}
		return b.asks(now)
	}
	c := b.window.Counts(now, &b.ledger)
	p := b.throttle().rejectRatio(c)
	b.classically(now, p, c)
	return nil, p == 0 || b.random() >= p
}

// succeeded is called after a success was counted that had no budget to see.
func (b *Breaker) succeeded(now int64, from origin) {
	if !b.throttle().classic {
		b.tellSuccess(now, from)
	}
}

func (b *Breaker) ignored(now int64, from origin, sent bool) {
	if !b.throttle().classic {
		b.tellIgnored(now, from, sent)
	}
}

// spendFailure spends from the budget after a failure was counted.
func (b *Breaker) spendFailure(now int64, row uint64, from origin) {
	if !b.throttle().classic {
		b.tellFailure(now, row, from)
		return
	}
	b.spendRejection(now)
}

// spendRejection spends from the budget after a failure or a rejection was
// counted. In the window of a classic breaker, both are the same.
func (b *Breaker) spendRejection(now int64) {
	if !b.throttle().classic {
		return
	}
	left := b.budget.spend(1)
	if left > 0 || left == 0 && b.refill() {
		return
	}
	c := b.window.Counts(now, &b.ledger)
	b.classically(now, b.throttle().rejectRatio(c), c)
}

// roll begins a bucket. What the budget was reckoned from may leave the window
// with it, so there is none until it is reckoned anew.
func (b *Breaker) roll(now int64) {
	shut := false
	began := b.window.Roll(now, &b.ledger, func() {
		b.budget.shut()
		shut = true
	})
	// Who shut it and then came too late to begin the bucket sets it, too.
	if began {
		b.look(now)
	}
	if !b.throttle().classic {
		return // the next call sets it
	}
	if (began || shut) && b.assess(1) > 0 {
		b.classically(now, 0, b.window.Counts(now, &b.ledger))
	}
}

// refill sets a used-up budget anew within a bucket and reports whether
// something is left. A budget that would soon be used up again is not worth
// the reading of all buckets: it stays negative until the next bucket.
func (b *Breaker) refill() bool { return b.assess(max(8, int64(b.window.Buckets()/4))) > 0 }

// assess sets the budget to the number of failures that no part of the window
// which can be left over later would judge, or to -1 if that is fewer than
// worthwhile, and returns what it set. What is counted from now on goes to the
// newest bucket, and the buckets expire from the oldest on; so what is left
// over always begins with one of today's buckets.
//
// If a newer bucket is begun meanwhile, assess returns 0 and leaves the budget
// to the goroutine that begins it.
func (b *Breaker) assess(worthwhile int64) int64 {
	for {
		read := b.budget.word.Load()
		before := b.ledger.Unsuccessful()
		n := int64(budgetMax)
		law := b.throttle()
		stable := !law.classic || b.window.Suffixes(&b.ledger, func(c ledger.Counts, _ int64) {
			n = min(n, wholeFailures(law.headroom(c)))
		})
		if !stable {
			return 0
		}
		if n < worthwhile || b.forcedOpen() || b.alerted() {
			n = -1
		}
		if !b.budget.set(read, n) {
			continue
		}
		// A failure or rejection may spend only from a budget that it sees, to save
		// an atomic operation. What was counted since the reading is spent here, if
		// need be for the second time.
		if late := b.ledger.Unsuccessful() - before; law.classic && late > 0 && n > 0 {
			b.budget.spend(late)
		}
		return n
	}
}

// reject returns the error of a rejected call. It says the same for every call,
// so there is one per breaker.
func (b *Breaker) reject() error {
	if g := b.guarded(); g != nil {
		if r := g.rejection.Load(); r != nil {
			return r
		}
	}
	return &b.controls().rejected
}

func (b *Breaker) name() string {
	if c := b.control.Load(); c != nil {
		return c.rejected.Name()
	}
	return ""
}
