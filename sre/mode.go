package sre

import (
	"math"
	"sync/atomic"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/ledger"
)

// overruled is made when somebody sets a mode for the first time.
type overruled struct {
	mode    atomic.Pointer[mode] // nil in Auto
	outside ledger.Ledger        // calls that the window knows nothing of, or only as rejected
	would   atomic.Uint64        // rejections that DryRun did not make
}

type mode struct {
	breaker.Mode
	until     int64                  // ns
	rejection *breaker.RejectedError // in ForceOpen
}

const never = math.MaxInt64

// at returns the mode, or nil in Auto. It changes nothing.
func (o *overruled) at(now int64) *mode {
	if o == nil {
		return nil
	}
	if m := o.mode.Load(); m != nil && now < m.until {
		return m
	}
	return nil
}

// is reports whether m is the mode x, which is not Auto.
func (m *mode) is(x breaker.Mode) bool { return m != nil && m.Mode == x }
