// Package breaker has the surface of Kratos v1's pkg/net/netutil/breaker: change
// the import line.
//
// It decides as that package does, by the formula of the SRE book, to the last
// bit, if K is the inverse of a float64: 1.5 and 2 are, 1.8 is off by its last bit.
// With [WithAdaptive], it decides as sre.NewBreaker does, which recovers sooner.
// What else differs from Kratos v1 is listed in docs/migrate.md.
package breaker

import (
	"sync"
	"sync/atomic"
)

// The states of Kratos v1, by its numbers. Nothing returns them, there as here:
// whoever wants to know the state looks at the snapshot of a breaker, through
// [Group.Breakers], and compares with the words of this module.
const (
	// StateOpen is for a breaker that rejects a share of the calls.
	StateOpen int32 = iota
	// StateClosed is for a breaker that allows every call.
	StateClosed
	// StateHalfopen is a state that no breaker of this package is ever in.
	StateHalfopen
)

// Breaker is what [Group.Get] returns. All methods are safe for concurrent use.
// It is also a Controller of this module's package breaker, with permits, a
// snapshot and modes.
type Breaker interface {
	// Allow returns nil if a call may go out, which must then be marked. The
	// error is a *RejectedError of this module's package breaker by errors.As, its
	// ErrNotAllowed by errors.Is, and ecode.ServiceUnavailable by Kratos v1's
	// ecode.Cause and ecode.EqualError. A rejection is not marked.
	Allow() error
	// MarkSuccess counts a successful call.
	MarkSuccess()
	// MarkFailed counts a failed call.
	MarkFailed()
}

var (
	initial      atomic.Pointer[Config] // of the last Init, or nil
	initializing sync.Mutex
	defaultGroup = NewGroup(nil)
)

// Init makes conf the config of the default group, and of every NewGroup(nil) from
// now on. It may be called again: the default group is then reloaded, as by
// [Group.Reload]. A nil conf changes nothing. It panics, with nothing changed, if a
// field is out of its range.
func Init(conf *Config) {
	if conf == nil {
		return
	}
	c := conf.filled()
	initializing.Lock()
	defer initializing.Unlock()
	initial.Store(c)
	defaultGroup.Reload(c)
}

// Go is [Group.Go] of the default group.
func Go(name string, run, fallback func() error) error {
	return defaultGroup.Go(name, run, fallback)
}

// Default returns the group that [Go] uses, for those who watch breakers.
func Default() *Group { return defaultGroup }
