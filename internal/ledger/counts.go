package ledger

// Counts are calls that ended or were rejected, in a window or since the
// creation of a breaker.
type Counts struct{ Success, Failure, Rejected uint64 }

// Total returns Success + Failure + Rejected.
func (c Counts) Total() uint64 { return c.Success + c.Failure + c.Rejected }

// Sub returns c - d.
func (c Counts) Sub(d Counts) Counts {
	return Counts{c.Success - d.Success, c.Failure - d.Failure, c.Rejected - d.Rejected}
}

// Unsuccessful returns the number of failures and of booked rejections.
func (l *Ledger) Unsuccessful() uint64 { return l.failures() + l.Rejected() }

// Counts returns the counts since creation, of rejections the booked ones.
// Each number only ever grows.
func (l *Ledger) Counts() Counts {
	c := l.Ended()
	c.Rejected = l.Rejected()
	return c
}

// Ended returns Counts without the rejections.
func (l *Ledger) Ended() Counts {
	c := Counts{Success: l.first.successes(), Failure: l.first.failures()}
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			c.Success += more.place[i].successes()
			c.Failure += more.place[i].failures()
		}
	}
	return c
}

func (l *Ledger) successes() uint64 {
	n := l.first.successes()
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			n += more.place[i].successes()
		}
	}
	return n
}

func (l *Ledger) failures() uint64 {
	n := l.first.failures()
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			n += more.place[i].failures()
		}
	}
	return n
}

// Totals has the fields of breaker.Totals.
type Totals struct {
	Offered, Allowed, Rejected uint64
	Success, Failure, Ignored  uint64
	InFlight                   uint64
	WouldReject                uint64 // no ledger counts it
}

// Add returns t + u.
func (t Totals) Add(u Totals) Totals {
	return Totals{
		Offered:     t.Offered + u.Offered,
		Allowed:     t.Allowed + u.Allowed,
		Rejected:    t.Rejected + u.Rejected,
		Success:     t.Success + u.Success,
		Failure:     t.Failure + u.Failure,
		Ignored:     t.Ignored + u.Ignored,
		InFlight:    t.InFlight + u.InFlight,
		WouldReject: t.WouldReject + u.WouldReject,
	}
}

// Totals returns what became of every call. Rejections count before they are
// marked. A call that is being settled may be missing for a moment; none is ever
// counted twice.
func (l *Ledger) Totals() Totals {
	t := Totals{
		// Before any slot, or a ticket that is settled as a failure meanwhile counts
		// twice: its failure may be that of another lane.
		Failure: l.failures(),
		Ignored: l.ignored.Load(),
		// In this order, or one that moves on between two looks counts twice.
		Rejected: l.abandoned.Load() + l.made() + l.unmarked(),
	}
	t.add(&l.first)
	if more := l.more.Load(); more != nil {
		for i := range more.place {
			t.add(&more.place[i].lane)
		}
	}
	// Last: who settles a ticket from the pool takes it out of these first.
	t.InFlight += uint64(l.extra.Load())
	t.Allowed = t.Success + t.Failure + t.Ignored + t.InFlight
	t.Offered = t.Allowed + t.Rejected
	return t
}

// add looks at each slot once, or a call that is settled between two looks
// would be in neither sum.
func (t *Totals) add(a *lane) {
	t.Success += a.success.Load()
	for i := range a.slot {
		w := a.slot[i].Load()
		t.Success += w & successMask
		t.InFlight += w & busy / busy
	}
}

func (a *lane) successes() uint64 {
	n := a.success.Load()
	for i := range a.slot {
		n += a.slot[i].Load() & successMask
	}
	return n
}

// A lane counts its failures in a word at the top of which stands how many
// goroutines are inside of it: see Enter.
const (
	insideOne   = 1 << 48
	failureMask = insideOne - 1
)

func (a *lane) failures() uint64 { return a.failure.Load() & failureMask }
