package rule

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
	"github.com/kratos-breaker/breaker/internal/window"
)

// buckets is how many a period has.
const buckets = 10

// meter counts the calls of a period. Rules that look at the same calls share one.
type meter struct {
	period time.Duration
	ledger *ledger.Ledger
	window window.Rolling
}

// meterOf returns the meter of a period that one of the rules has, and a new one,
// which begins now, if none has.
func meterOf(rules []Rule, period time.Duration, l *ledger.Ledger, now int64) *meter {
	for _, r := range rules {
		for _, m := range metersOf(r) {
			if m.period == period && m.ledger == l {
				return m
			}
		}
	}
	m := &meter{period: period, ledger: l}
	m.window.Init(buckets, period/buckets)
	m.clear(now)
	return m
}

// metersOf returns the meters of a rule.
func metersOf(r Rule) []*meter {
	if m, ok := r.(interface{ meters() []*meter }); ok {
		return m.meters()
	}
	return nil
}

func (m *meter) roll(now int64) { m.window.Roll(now, m.ledger, func() {}) }

func (m *meter) clear(now int64) { m.window.Clear(now, m.ledger, func() {}) }

func (m *meter) counts(now int64) ledger.Counts { return m.window.Counts(now, m.ledger) }

// metered is what rules have in common that look at the calls of a period, besides
// taking over the meter.
type metered struct{ calls *meter }

func (m *metered) meters() []*meter { return []*meter{m.calls} }

// Clear leaves the meter to the Set.
func (m *metered) Clear(Evidence) {}

// Record has nothing to do: the ledger has counted the failure.
func (m *metered) Record(Evidence) {}

// within returns the part of the evidence that lies within the period.
func (m *metered) within(e Evidence) ledger.Counts {
	return m.calls.window.Since(e.Now, func() ledger.Counts { return e.Ended })
}

// Show shows the period, if it is the longest.
func (m *metered) Show(e Evidence, w breaker.Window) breaker.Window {
	if m.calls.period > w.Length {
		c := m.within(e)
		w.Length, w.Success, w.Failure = m.calls.period, c.Success, c.Failure
	}
	return w
}
