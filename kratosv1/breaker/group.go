package breaker

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	root "github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/group"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/sre"
)

var _ root.Source = (*Group)(nil)

// Group makes one breaker per key, when the key is first asked for. Make one with
// [NewGroup]; the zero value is not valid. All methods are safe for concurrent use.
//
// It lists its breakers, as a Source of this module's package breaker, for metrics
// and the like.
type Group struct {
	breakers *group.Group[*guarded]
	adaptive bool
	classify root.Classifier

	conf     atomic.Pointer[Config] // filled, and never written to
	adopting sync.Mutex             // held while a breaker adopts it
}

// Option configures a group in [NewGroup].
type Option func(*options)

type options struct {
	limit     int
	adaptive  bool
	classify  root.Classifier
	listeners []root.Listener
}

// WithLimit sets how many keys the group holds. The range is [1, the largest int],
// the default 256. Keys beyond it share one breaker. A breaker that was not asked
// for in 10 minutes, and that nothing would be lost with, makes room for a new key.
func WithLimit(n int) Option { return func(o *options) { o.limit = n } }

// WithAdaptive makes the breakers decide as sre.NewBreaker does by default. K is
// then one by the success ratio below which there is trouble, and Request the
// number of calls below which a share of failures means nothing; an outage is
// seen with fewer.
func WithAdaptive() Option { return func(o *options) { o.adaptive = true } }

// WithClassifier sets what the errors of [Group.Go] say about the backend: see
// there for the default. It panics if c is nil.
func WithClassifier(c root.Classifier) Option {
	if c == nil {
		panic("kratosv1/breaker: WithClassifier: the classifier is nil")
	}
	return func(o *options) { o.classify = c }
}

// WithListener adds a listener: it is told when a breaker of the group begins to
// reject calls, and when it stops. The name in the event is the key. It panics if
// l is nil.
func WithListener(l root.Listener) Option {
	if l == nil {
		panic("kratosv1/breaker: WithListener: the listener is nil")
	}
	return func(o *options) { o.listeners = append(o.listeners, l) }
}

// NewGroup returns an empty group. A nil conf is that of the last [Init], or all
// defaults. It panics if a field of conf or an option is out of its range.
func NewGroup(conf *Config, opts ...Option) *Group {
	if conf == nil {
		conf = initial.Load()
	}
	o := options{limit: int(bounds.KratosV1Limit.Default), classify: Classify}
	for _, opt := range opts {
		if opt == nil {
			panic("kratosv1/breaker: NewGroup: nil Option")
		}
		opt(&o)
	}
	bounds.KratosV1Limit.Must(int64(o.limit))
	g := &Group{adaptive: o.adaptive, classify: o.classify}
	g.conf.Store(conf.filled())
	g.breakers = group.NewKeyed(func(key string) *guarded {
		conf := g.conf.Load()
		made := append(g.settings(conf), sre.WithName(key))
		for _, l := range o.listeners {
			made = append(made, sre.WithListener(l))
		}
		b := &guarded{Breaker: sre.NewBreaker(made...), group: g}
		b.switchOff(conf.SwitchOff)
		b.conf.Store(conf)
		return b
	}, group.WithLimit(o.limit))
	return g
}

func (g *Group) settings(c *Config) []sre.Option {
	s := []sre.Option{
		sre.WithSuccess(1 / c.K),
		sre.WithRequest(c.Request),
		sre.WithWindow(time.Duration(c.Window)),
		sre.WithBucket(c.Bucket),
		sre.WithUnmarkedRejections(),
	}
	if !g.adaptive {
		s = append(s, sre.Classic())
	}
	return s
}

// Get returns the breaker of key, and makes it if there is none.
func (g *Group) Get(key string) Breaker { return g.breakers.Get(key) }

// Reload makes conf the config of the group from now on, for breakers that are
// there as well as for those to come, whoever holds them. Their windows are kept if
// Window and Bucket stay, and begin empty otherwise. An open breaker is not
// closed: it goes by the old numbers until it closes by itself, or with
// [WithAdaptive] stays open by the new ones. SwitchOff holds at once.
//
// A nil conf changes nothing. Reload panics, with nothing changed, if a field is out
// of its range.
func (g *Group) Reload(conf *Config) {
	if conf == nil {
		return
	}
	g.conf.Store(conf.filled())
	// Each breaker follows before its next call anyway: also one that is just
	// being made, or that the group has forgotten and somebody holds.
	for _, b := range g.breakers.All() {
		b.follow()
	}
	if b, ok := g.breakers.Overflow(); ok {
		b.follow()
	}
}

// Go calls run if the breaker of name allows it, tells the breaker how it ended,
// and returns its error. If the call is rejected, run is not called, and Go returns
// what fallback returns, or the error of [Breaker] Allow if fallback is nil. A panic
// of run is a failure and goes on. A nil run is an error.
//
// What an error says about the backend is up to [WithClassifier], by default
// [Classify].
func (g *Group) Go(name string, run, fallback func() error) error {
	var call func(context.Context) error
	if run != nil {
		call = func(context.Context) error { return run() }
	}
	return root.Run(context.Background(), g.breakers.Get(name), call, root.WithClassifier(g.classify),
		root.WithRunFallback(func(_ context.Context, err error) error {
			if fallback == nil {
				return unavailable(err)
			}
			return fallback()
		}))
}

// Breakers yields the breakers that there are, in no order. Looking changes
// nothing.
func (g *Group) Breakers() iter.Seq[root.Listed] { return root.SourceOf(g.breakers).Breakers() }

// Keys says how many keys there are and may be.
func (g *Group) Keys() root.Keys { return root.SourceOf(g.breakers).Keys() }
