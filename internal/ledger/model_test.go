package ledger

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naive is a ledger that keeps a list of its tickets.
type naive struct {
	Totals
	out, void []naiveTicket
	row       uint64 // of failures
	unmarked  uint64
	last      int64 // when the last rejection was that is, or was, unmarked
	abandoned uint64
	overruled uint64
}

type naiveTicket struct {
	word *atomic.Uint64
	id   uint64
}

func (m *naive) success() { m.Success, m.row = m.Success+1, 0 }

// failure counts one and returns how many there are in a row.
func (m *naive) failure() uint64 {
	m.Failure, m.row = m.Failure+1, m.row+1
	return m.row
}

func (m *naive) totals() Totals {
	t := m.Totals
	t.InFlight = uint64(len(m.out))
	t.Allowed = t.Success + t.Failure + t.Ignored + t.InFlight
	t.Offered = t.Allowed + t.Rejected
	return t
}

func (m *naive) booked() uint64 { return m.Rejected - m.unmarked - m.abandoned + m.overruled }

// settle takes one of the tickets that are out.
func (m *naive) settle(t *rapid.T) naiveTicket {
	if len(m.out) == 0 {
		t.Skip("no ticket is out")
	}
	i := rapid.IntRange(0, len(m.out)-1).Draw(t, "ticket")
	x := m.out[i]
	m.out = append(m.out[:i], m.out[i+1:]...)
	m.void = append(m.void, x)
	return x
}

func (m *naive) book() bool {
	if m.unmarked == 0 {
		return false
	}
	m.unmarked--
	return true
}

// TestLedger_EqualsANaiveModel compares every number after every step of random
// histories. With one lane, or one that all have, rows are known, too; with more
// of them, successes may be counted through another one.
func TestLedger_EqualsANaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, exact := new(Ledger), true
		switch rapid.SampledFrom([]string{"one lane", "the same lane", "lanes"}).Draw(t, "room") {
		case "the same lane":
			l, _ = ledgerWithRoom()
		case "lanes":
			exact = false
			l.more.Store(newRoom())
		}
		var m naive
		requireRow := func(t *rapid.T, want, got uint64) {
			if exact {
				require.Equal(t, want, got)
			}
			require.Positive(t, got)
			require.LessOrEqual(t, got, m.Failure)
		}
		now := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"take": func(*rapid.T) {
				word, id := l.take()
				m.out = append(m.out, naiveTicket{word, id})
			},
			"settle as a success": func(t *rapid.T) {
				x := m.settle(t)
				require.True(t, l.Settle(x.word, x.id, 1))
				m.success()
			},
			"settle as a failure": func(t *rapid.T) {
				x := m.settle(t)
				row, ok := l.SettleFailure(x.word, x.id)
				require.True(t, ok)
				requireRow(t, m.failure(), row)
			},
			"settle and fail": func(t *rapid.T) {
				x := m.settle(t)
				require.True(t, l.Settle(x.word, x.id, 0))
				requireRow(t, m.failure(), l.Fail())
			},
			"settle as ignored": func(t *rapid.T) {
				x := m.settle(t)
				require.True(t, l.Settle(x.word, x.id, 0))
				l.Ignore()
				m.Ignored++
			},
			"settle a void ticket": func(t *rapid.T) {
				if len(m.void) == 0 {
					t.Skip("no ticket is void")
				}
				x := rapid.SampledFrom(m.void).Draw(t, "void")
				require.False(t, l.Settle(x.word, x.id, 1))
				_, ok := l.SettleFailure(x.word, x.id)
				require.False(t, ok)
			},
			"mark success":  func(*rapid.T) { l.Succeed(); m.success() },
			"fail":          func(t *rapid.T) { requireRow(t, m.failure(), l.Fail()) },
			"add a failure": func(*rapid.T) { l.AddFailure(); m.Failure++ },
			"forget rows":   func(*rapid.T) { l.ForgetRows(); m.row = 0 },
			"ignore":        func(*rapid.T) { l.Ignore(); m.Ignored++ },
			"reject":        func(*rapid.T) { l.Reject(); m.Rejected++ },
			"overrule":      func(*rapid.T) { l.Overrule(); m.overruled++ },
			"reject unmarked": func(*rapid.T) {
				now++
				l.RejectUnmarked(now)
				m.Rejected, m.unmarked, m.last = m.Rejected+1, m.unmarked+1, now
			},
			"book": func(t *rapid.T) { require.Equal(t, m.book(), l.Book()) },
			"mark failed": func(*rapid.T) {
				l.MarkFailed()
				if !m.book() {
					m.Failure++
				}
			},
			"abandon": func(*rapid.T) {
				l.AbandonUnmarked()
				m.abandoned, m.unmarked = m.abandoned+m.unmarked, 0
			},
			"": func(t *rapid.T) {
				require.Equal(t, m.totals(), l.Totals())
				require.Equal(t, Counts{m.Success, m.Failure, m.booked()}, l.Counts())
				require.Equal(t, Counts{Success: m.Success, Failure: m.Failure}, l.Ended())
				require.Equal(t, m.booked(), l.Rejected())
				require.Equal(t, m.Failure+m.booked(), l.Unsuccessful())
				require.Equal(t, m.unmarked > 0, l.Unmarked())
				require.Equal(t, m.last, l.LastUnmarked())
			},
		})
	})
}
