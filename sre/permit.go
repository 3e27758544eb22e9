package sre

import (
	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/sre/internal/adaptive"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

// Acquire returns a permit for one call, or a *[breaker.RejectedError].
func (b *Breaker) Acquire() (breaker.Permit, error) {
	if b.budget.left() { // nearly every call, without a call of its own
		if word, serial, ok := b.ledger.TryTake(); ok {
			return breaker.NewPermit((*settler)(b), breaker.Ticket{Word: word, Serial: serial}), nil
		}
	}
	return b.acquireSlow()
}

func (b *Breaker) acquireSlow() (breaker.Permit, error) {
	var by breaker.Settler
	counts := &b.ledger
	if !b.budget.left() {
		var err error
		if by, counts, err = b.decide(true, false); err != nil {
			return breaker.Permit{}, err
		}
	}
	if by == nil {
		by = (*settler)(b)
	}
	word, serial, ok := counts.TryTake()
	if !ok {
		word, serial = counts.Take()
	}
	return breaker.NewPermit(by, breaker.Ticket{Word: word, Serial: serial}), nil
}

// settle counts the outcome of a call, unless its permit was settled before. Row is the
// number of failures in a row.
func settle(l *ledger.Ledger, t breaker.Ticket, o breaker.Outcome) (row uint64, settled bool) {
	switch o {
	case breaker.Success:
		settled = l.Settle(t.Word, t.Serial, 1)
	case breaker.Ignored:
		if settled = l.Settle(t.Word, t.Serial, 0); settled {
			l.Ignore()
		}
	default:
		row, settled = l.SettleFailure(t.Word, t.Serial)
	}
	return row, settled
}

// settle takes back a permit of a call that began at from.
func (b *Breaker) settle(t breaker.Ticket, r breaker.Result, from *stamp) {
	now := b.window.Now()
	if b.window.Due(now) {
		b.roll(now)
	}
	defer b.lazy.peek().events.Deliver()
	row, settled := settle(&b.ledger, t, r.Outcome)
	if !settled {
		return
	}
	what := law.Failed
	switch {
	case r.Outcome == breaker.Success:
		what = law.Succeeded
	case r.Outcome == breaker.Ignored && r.NotSent:
		what = law.NotSent
	case r.Outcome == breaker.Ignored:
		what = law.Ignored
	}
	b.law.Report(now, law.Report{What: what, Row: row, From: from})
}

// settler settles the permits of most calls.
type settler Breaker

func (s *settler) Settle(t breaker.Ticket, o breaker.Outcome) {
	b := (*Breaker)(s)
	if o == breaker.Success {
		// Nearly every call, without a call of its own.
		now := b.window.Now()
		if !b.window.Due(now) && b.budget.left() && ledger.TrySettle(t.Word, t.Serial, 1) {
			return
		}
	}
	b.settle(t, breaker.Result{Outcome: o}, unstamped)
}

func (s *settler) SettleResult(t breaker.Ticket, r breaker.Result) {
	if r.Outcome == breaker.Success {
		s.Settle(t, r.Outcome)
		return
	}
	(*Breaker)(s).settle(t, r, unstamped)
}

// timed settles the permit of the call that is being timed.
type timed Breaker

func (s *timed) Settle(t breaker.Ticket, o breaker.Outcome) {
	s.SettleResult(t, breaker.Result{Outcome: o})
}

func (s *timed) SettleResult(t breaker.Ticket, r breaker.Result) {
	s.meter.end(s.window.Now(), r.Outcome == breaker.Success)
	(*Breaker)(s).settle(t, r, unstamped)
}

// Answered ends the measurement, though the call goes on.
func (s *timed) Answered(breaker.Ticket) { s.meter.end(s.window.Now(), true) }

// stamp settles the permits of the calls that began in one cohort.
type stamp struct {
	b      *Breaker
	law    *adaptive.Law // which a Reset replaces
	cohort *adaptive.Cohort
}

// unstamped is the stamp of calls that began when the law was calm.
var unstamped = new(stamp)

func (s *stamp) Settle(t breaker.Ticket, o breaker.Outcome) {
	s.b.settle(t, breaker.Result{Outcome: o}, s)
}

func (s *stamp) SettleResult(t breaker.Ticket, r breaker.Result) { s.b.settle(t, r, s) }

// Answered reports that the backend lives. What comes later says nothing.
func (s *stamp) Answered(breaker.Ticket) {
	s.b.law.Report(s.b.window.Now(), law.Report{What: law.Answered, From: s})
	s.b.lazy.peek().events.Deliver()
}
