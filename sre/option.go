package sre

import (
	"fmt"
	"math"
	"time"

	"github.com/kratos-breaker/breaker"
)

// Option configures a breaker in [NewBreaker]. A value out of its range makes
// NewBreaker panic.
type Option func(*options)

type options struct {
	name      string
	listeners []breaker.Listener
	success   float64
	request   int64
	window    time.Duration
	bucket    int
}

func defaults() options {
	return options{success: 0.6, request: 100, window: 3 * time.Second, bucket: 10}
}

// The bounds keep every product of the arithmetic far from overflow.
const (
	minSuccess = 1e-6
	maxRequest = 1e9
	maxWindow  = 24 * time.Hour
	minBucket  = time.Microsecond
	maxBuckets = 100_000
)

// WithSuccess sets the success ratio below which calls are rejected: K is
// 1/ratio. The range is [0.000001, 1], the default 0.6. A larger ratio rejects
// sooner and more; with 1, each failure costs some calls.
func WithSuccess(ratio float64) Option { return func(o *options) { o.success = ratio } }

// WithRequest sets the number of calls in the window below which none is
// rejected. The range is [1, 1e9], the default 100. A smaller number protects
// quieter operations, and lets chance open the breaker more often.
func WithRequest(calls int64) Option { return func(o *options) { o.request = calls } }

// WithWindow sets the length of the rolling window. The range is [1µs, 24h],
// the default 3 s. A longer window decides from more calls, and both opens
// and recovers later.
func WithWindow(d time.Duration) Option { return func(o *options) { o.window = d } }

// WithBucket sets the number of buckets that the window is made of; the window
// advances by a bucket at a time. The range is [1, 100000], and a bucket must
// be at least 1 µs long; the default is 10. The length of a bucket is the
// window's divided by n, rounded down to a nanosecond. A bucket takes 24 bytes,
// and once per bucket a call reads them all, a few nanoseconds each.
func WithBucket(n int) Option { return func(o *options) { o.bucket = n } }

// WithName sets the name that snapshots and errors carry; the default is "".
func WithName(name string) Option { return func(o *options) { o.name = name } }

// WithListener adds a listener: it is told when the breaker begins to reject
// calls, and when it stops. Events are made when a call meets the change. It
// panics if l is nil.
func WithListener(l breaker.Listener) Option {
	if l == nil {
		panic("sre: WithListener: the listener is nil")
	}
	return func(o *options) { o.listeners = append(o.listeners, l) }
}

func (o *options) check() {
	bad := func(option string, value any, want string) {
		panic(fmt.Sprintf("sre: %s(%v): want %s", option, value, want))
	}
	switch {
	case math.IsNaN(o.success) || o.success < minSuccess || o.success > 1:
		bad("WithSuccess", o.success, "a ratio in [0.000001, 1]")
	case o.request < 1 || o.request > maxRequest:
		bad("WithRequest", o.request, "a number of calls in [1, 1000000000]")
	case o.window < minBucket || o.window > maxWindow:
		bad("WithWindow", o.window, "a duration in [1µs, 24h]")
	case o.bucket < 1 || o.bucket > maxBuckets:
		bad("WithBucket", o.bucket, "a number in [1, 100000]")
	case o.window/time.Duration(o.bucket) < minBucket:
		bad("WithBucket", o.bucket, fmt.Sprintf("buckets of at least 1µs; WithWindow(%v) has room for %d",
			o.window, o.window/minBucket))
	}
}
