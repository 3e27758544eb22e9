package group

import (
	"time"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// Option configures a group. A value out of its range makes the constructor, or
// Reconfigure, panic.
type Option func(*options)

type options struct {
	limit int
	idle  time.Duration
}

// WithLimit sets how many keys the group holds, the overflow value aside. The
// range is [1, the largest int], the default 256.
func WithLimit(n int) Option { return func(o *options) { o.limit = n } }

// WithIdle sets how long a value must not have been asked for before it may be
// evicted. The range is [1ms, 8760h], the default 10 minutes. Only a Get of a new
// key looks for such values, at most once in d: the first look notes which
// values nobody asks for from then on, a later one evicts them. So a full group
// that saw no new key for long may answer one with the overflow value until
// another d has passed.
func WithIdle(d time.Duration) Option { return func(o *options) { o.idle = d } }

func newOptions(opts []Option) options {
	o := options{limit: int(bounds.GroupLimit.Default), idle: bounds.GroupIdle.Default}
	for _, opt := range opts {
		if opt == nil {
			panic("group: nil Option")
		}
		opt(&o)
	}
	bounds.GroupLimit.Must(int64(o.limit))
	bounds.GroupIdle.Must(o.idle)
	return o
}
