package breaker

import (
	"sync/atomic"

	root "github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/sre"
)

var (
	_ Breaker         = (*guarded)(nil)
	_ root.Controller = (*guarded)(nil)
)

// guarded is a breaker that goes by the config of its group, whatever that is
// when a call asks.
type guarded struct {
	*sre.Breaker
	group *Group
	conf  atomic.Pointer[Config] // what it goes by
	off   atomic.Bool            // whether SwitchOff has set the mode
}

// Allow returns nil if a call may go out, and the rejection if not.
func (b *guarded) Allow() error {
	b.follow()
	if err := b.Breaker.Allow(); err != nil {
		return unavailable(err)
	}
	return nil
}

// Acquire returns a permit for one call, or a *RejectedError.
func (b *guarded) Acquire() (root.Permit, error) {
	b.follow()
	return b.Breaker.Acquire()
}

// follow adopts the config of the group if it is another one.
func (b *guarded) follow() {
	if b.conf.Load() != b.group.conf.Load() {
		b.adopt()
	}
}

func (b *guarded) adopt() {
	b.group.adopting.Lock()
	defer b.group.adopting.Unlock()
	conf := b.group.conf.Load()
	if b.conf.Load() == conf {
		return // another call has done it
	}
	b.Reconfigure(b.group.settings(conf)...)
	b.switchOff(conf.SwitchOff)
	b.conf.Store(conf)
}

// switchOff sets the mode, or takes it back. A mode that somebody else has set
// stays.
func (b *guarded) switchOff(off bool) {
	s := b.Snapshot()
	forced := s.Mode == root.ForceClosed && s.ModeUntil.IsZero()
	switch {
	case off && s.Mode == root.Auto:
		b.SetMode(root.ForceClosed)
		b.off.Store(true)
	case !off && b.off.Swap(false) && forced:
		b.SetMode(root.Auto)
	}
}

// Idle reports whether nothing but totals would be lost with the breaker. What
// SwitchOff has set, the next one would have as well.
func (b *guarded) Idle() bool {
	if !b.off.Load() {
		return b.Breaker.Idle()
	}
	s := b.Snapshot()
	return s.Mode == root.ForceClosed && s.ModeUntil.IsZero() && s.State == root.Closed &&
		s.Totals.InFlight == 0 && s.Window.Total() == 0
}
