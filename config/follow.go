package config

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// Load reads rules and puts them in force. What the source has later, is for
// [Rules.Follow].
func Load(s Source, opts ...Option) (*Rules, error) {
	v, err := s.tree()
	if err != nil {
		return nil, s.wrap(err)
	}
	set, err := newSet(v)
	if err != nil {
		return nil, s.wrap(err)
	}
	r := New(set, opts...)
	r.follower.source, r.follower.seen = s, lookOf(v, nil)
	return r, nil
}

// follower knows what of a source was dealt with.
type follower struct {
	source  Source
	running atomic.Bool
	seen    look
}

// look is what a source had: a tree, as text, or an error.
type look struct{ tree, err string }

// WithInterval sets how often [Rules.Follow] looks at the source. The range is
// [10ms, 1h], the default 1 s. New rules are in force when two looks have seen the
// same, so that one who is still writing is left to finish. It panics if d is out
// of its range.
func WithInterval(d time.Duration) Option {
	bounds.Interval.Must(d)
	return func(o *options) { o.interval = d }
}

// Follow looks for changes of the source that the rules were loaded from, and
// applies them, until ctx is done. Run it in a goroutine:
//
//	go rules.Follow(ctx)
//
// A change that is not valid, or a source that cannot be read, leaves the rules
// as they are, and is told to [WithReport] and counted once.
//
// A look costs the reading and parsing of a few kilobytes. Follow panics if ctx
// is nil, if the rules have no source, since they come from [New], or if somebody
// follows it already; and if the function of WithReport or a listener does.
func (r *Rules) Follow(ctx context.Context) {
	f := &r.follower
	switch {
	case ctx == nil:
		panic("config: Follow: the context is nil")
	case f.source.read == nil:
		panic("config: Follow: the rules have no source: they come from New")
	case !f.running.CompareAndSwap(false, true):
		panic("config: Follow: somebody follows the source already")
	}
	defer f.running.Store(false)
	ticker := time.NewTicker(r.options.interval)
	defer ticker.Stop()
	last := f.seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		tree, err := f.source.tree()
		now := lookOf(tree, err)
		if now == last && now != f.seen {
			f.seen = now
			r.take(tree, err)
		}
		last = now
	}
}

func lookOf(tree any, err error) look {
	if err != nil {
		return look{err: err.Error()}
	}
	return look{tree: fmt.Sprintf("%#v", tree)}
}

// take deals with what the source has now.
func (r *Rules) take(tree any, err error) {
	var set *Set
	if err == nil {
		set, err = newSet(tree)
	}
	if err != nil {
		r.reject(r.follower.source.wrap(err))
		return
	}
	r.Apply(set)
}
