// Package mode has what every breaker does when a person overrules it: held open,
// held closed, or let run dry.
package mode

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// Never is a time that does not come.
const Never = math.MaxInt64

// Setting is a mode that somebody has set. It never changes; nil is Auto.
type Setting struct {
	mode      breaker.Mode
	until     int64     // nanoseconds since the breaker was made
	end       time.Time // zero if it does not end
	rejection *breaker.RejectedError
}

// Breaker is whose mode is set.
type Breaker struct {
	Package string // in what a wrong mode panics with
	Name    string
	Made    time.Time // with a monotonic reading
}

// For returns the setting of a mode that ends after d. It panics as SetModeFor does.
func (b Breaker) For(now int64, m breaker.Mode, d time.Duration) *Setting {
	if d <= 0 {
		panic(fmt.Sprintf("%s: SetModeFor(%v, %v): want a duration above 0", b.Package, m, d))
	}
	return b.setting("SetModeFor", now, m, d)
}

// Always returns the setting of a mode that does not end. It panics as SetMode does.
func (b Breaker) Always(now int64, m breaker.Mode) *Setting {
	return b.setting("SetMode", now, m, Never)
}

func (b Breaker) setting(method string, now int64, m breaker.Mode, d time.Duration) *Setting {
	if m > breaker.DryRun {
		panic(fmt.Sprintf("%s: %s(%v): want Auto, ForceOpen, ForceClosed or DryRun", b.Package, method, m))
	}
	if m == breaker.Auto {
		return nil
	}
	s := &Setting{mode: m, until: Never}
	if int64(d) < Never-now {
		s.until = now + int64(d)
		s.end = b.Made.Add(time.Duration(s.until))
	}
	if m == breaker.ForceOpen {
		s.rejection = breaker.NewRejectedError(b.Name, breaker.Open, breaker.ReasonForcedOpen, s.end, nil)
	}
	return s
}

// Rejection returns the error of every call and until when it stays so, if the mode
// holds the breaker open, and nil otherwise.
func (s *Setting) Rejection() (r *breaker.RejectedError, until int64) {
	if s == nil || s.rejection == nil {
		return nil, 0
	}
	return s.rejection, s.until
}

// Lenient reports whether the mode lets calls through that the breaker would reject.
func (s *Setting) Lenient() bool {
	return s != nil && (s.mode == breaker.DryRun || s.mode == breaker.ForceClosed)
}

// Show shows the mode in a snapshot of the breaker, and what it does to calls.
func (s *Setting) Show(shown *breaker.Snapshot, now int64) {
	if s == nil || now >= s.until {
		return
	}
	shown.Mode, shown.ModeUntil = s.mode, s.end
	shown.RejectRatio, shown.RetryAfter = 0, 0
	if s.mode == breaker.ForceOpen {
		shown.RejectRatio = 1
		if s.until != Never {
			shown.RetryAfter = time.Duration(s.until - now)
		}
	}
}

// Switch says who decides about the calls of a breaker. It has the ledger of calls
// that the breaker decides nothing from. The zero value is in Auto; it is safe for
// concurrent use.
type Switch struct {
	// Outside counts calls that the mode alone let through, and all others whose end
	// is no evidence.
	Outside ledger.Ledger

	set   atomic.Pointer[Setting]
	would atomic.Uint64 // rejections that DryRun did not make
}

// Set puts a setting in force.
func (w *Switch) Set(s *Setting) { w.set.Store(s) }

// Last returns the setting that was put in force last, and may have ended.
func (w *Switch) Last() *Setting { return w.set.Load() }

// At returns the setting in force. It changes nothing. A nil Switch is in Auto.
func (w *Switch) At(now int64) *Setting {
	if w == nil {
		return nil
	}
	if s := w.set.Load(); s != nil && now < s.until {
		return s
	}
	return nil
}

// Expire ends a setting whose time is over, and reports whether it was this call
// that did.
func (w *Switch) Expire(now int64) bool {
	s := w.set.Load()
	return s != nil && now >= s.until && w.set.CompareAndSwap(s, nil)
}

// LetsThrough is for a call that the breaker would reject. It reports whether the
// setting lets it through, and counts that.
func (w *Switch) LetsThrough(s *Setting) bool {
	if s != nil && s.mode == breaker.DryRun {
		w.would.Add(1)
	}
	return s.Lenient()
}

// Permit returns the permit of a call that the mode alone lets through.
func (w *Switch) Permit() breaker.Permit {
	word, serial, ok := w.Outside.TryTake()
	if !ok {
		word, serial = w.Outside.Take()
	}
	return breaker.NewPermit(w, breaker.Ticket{Word: word, Serial: serial})
}

// Settle implements [breaker.Settler] for permits of Permit.
func (w *Switch) Settle(t breaker.Ticket, o breaker.Outcome) {
	switch {
	case o == breaker.Success:
		w.Outside.Settle(t.Word, t.Serial, 1)
	case w.Outside.Settle(t.Word, t.Serial, 0):
		w.Count(o)
	}
}

// Count counts an outcome that is evidence of nothing.
func (w *Switch) Count(o breaker.Outcome) {
	switch o {
	case breaker.Success:
		w.Outside.Succeed()
	case breaker.Ignored:
		w.Outside.Ignore()
	default:
		w.Outside.AddFailure()
	}
}

// Totals returns the totals of a breaker that has counted all others in t.
func (w *Switch) Totals(t ledger.Totals) breaker.Totals {
	t = t.Add(w.Outside.Totals())
	t.WouldReject = w.would.Load()
	return breaker.Totals(t)
}
