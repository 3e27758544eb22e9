package sre

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/sre/internal/law"
)

// Option configures a breaker in [NewBreaker]. A value out of its range makes
// NewBreaker panic.
type Option func(*options)

type options struct {
	settings
	name       string
	listeners  []breaker.Listener
	random     func() float64
	success    float64
	window     time.Duration
	bucket     int
	requestSet bool
	maxSet     bool // whether maxProbe was set
}

// settings are the options that the laws decide by. Both laws share some.
type settings struct {
	law.Classic
	probe    time.Duration // between two probes
	maxProbe time.Duration // the same, at most, in a long outage
	classic  bool
}

// newOptions returns the options that were given to the function called by.
func newOptions(by string, opts []Option) options {
	o := options{success: bounds.Success.Default, window: bounds.Window.Default, bucket: int(bounds.Bucket.Default)}
	o.probe = bounds.ProbeInterval.Default
	for _, opt := range opts {
		if opt == nil {
			panic("sre: " + by + ": nil Option")
		}
		opt(&o)
	}
	if !o.requestSet {
		o.Request = bounds.Request.Default
		if o.classic {
			o.Request = bounds.ClassicRequest
		}
	}
	if !o.maxSet {
		o.maxProbe = o.probe
	}
	o.check()
	o.K = 1 / o.success
	return o
}

// usual are the settings of most breakers, which share them.
var usual = [...]settings{newOptions("", nil).settings, newOptions("", []Option{Classic()}).settings}

// shared returns the settings, the usual ones if they are the same.
func (o *options) shared() *settings {
	for i := range usual {
		if usual[i] == o.settings {
			return &usual[i]
		}
	}
	own := o.settings
	return &own
}

func (o *options) span() time.Duration { return o.window / time.Duration(o.bucket) }

// Classic makes the breaker decide as go-kratos/aegis does, bit for bit: by the
// formula of the SRE book, with the rejected calls among the requests. That
// opens later, recovers in 10 to 30 s instead of 1.5, turns the failure of a
// part into a total one, and protects no operation with fewer than 33 calls a
// second. It is for comparisons, and for whoever has to change one thing at a
// time.
func Classic() Option { return func(o *options) { o.classic = true } }

// WithSuccess sets the success ratio below which there is trouble. The range is
// [0.000001, 1], the default 0.6: aegis' default, with which one failure in three
// is no trouble yet. With [Classic], K is 1/ratio; there, with a ratio of 1, each
// failure costs some calls.
func WithSuccess(ratio float64) Option { return func(o *options) { o.success = ratio } }

// WithRequest sets the number of calls in the window below which a share of
// failures is no reason to reject any. The range is [1, 1e9], the default 20, or
// 100 with [Classic]. A smaller number lets chance decide more often. An outage
// is seen without it: see [WithProbeInterval].
func WithRequest(calls int64) Option {
	return func(o *options) { o.Request, o.requestSet = calls, true }
}

// WithProbeInterval sets how often a call is let through to a backend that is
// down, on average, in whole milliseconds. The range is [10ms, 1m], the default
// 900 ms: it finds a healed backend after 0.45 s on average. A large fleet of clients, each of
// which probes, may want a longer one. [Classic] has no use for it.
func WithProbeInterval(d time.Duration) Option { return func(o *options) { o.probe = d } }

// WithMaxProbeInterval makes the probes of a long outage rarer: once it has
// lasted for a minute, the time between two of them grows with its age, by the
// interval of [WithProbeInterval] per minute, up to d on average. Take it if backends may be
// dead for hours and each probe costs something: a page for somebody, or the time of a caller
// who waits for a timeout. What is lost is time once the backend is back: half of
// the time between two probes on average, d at most but for the 15 % by which it varies.
//
// d is in whole milliseconds. The range is [10ms, 1h], and d must not be shorter
// than the probe interval; the default is that interval, so that an outage of an hour is
// probed as often as one of a minute, and is over as soon. A client with so few calls
// that it waits longer anyway does not wait less. [Classic] has no use for it.
func WithMaxProbeInterval(d time.Duration) Option {
	return func(o *options) { o.maxProbe, o.maxSet = d, true }
}

// WithWindow sets the length of the rolling window. The range is [1µs, 24h],
// the default 3 s. A longer window decides from more calls, and both opens
// and recovers later.
func WithWindow(d time.Duration) Option { return func(o *options) { o.window = d } }

// WithBucket sets the number of buckets that the window is made of; the window
// advances by a bucket at a time. The range is [1, 100000], and a bucket must
// be at least 1 µs long; the default is 10. With fewer than 3, only outages are
// seen, unless the breaker is [Classic]. The length of a bucket is the
// window's divided by n, rounded down to a nanosecond. A bucket takes 24 bytes,
// and once per bucket a call reads them all, a few nanoseconds each.
func WithBucket(n int) Option { return func(o *options) { o.bucket = n } }

// WithUnmarkedRejections is for hosts that do not mark a failure after a call
// that Allow rejected, as the clients of Kratos v1 do not: such a rejection
// counts at once, and each MarkFailed is the failure of a call. With [Classic],
// rejections are then no part of the calls that are asked for, as in aegis and
// Kratos v1 where nobody marks them: the breaker recovers within a window, and
// an outage costs as many calls per window as [WithRequest] says.
func WithUnmarkedRejections() Option { return func(o *options) { o.Unmarked = true } }

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

// WithRandom sets where random numbers in [0, 1) come from, for simulations and
// tests that have to come out the same again. f is called from many goroutines
// at once, and must not call the breaker; the default is Float64 of
// math/rand/v2. WithRandom panics if f is nil.
func WithRandom(f func() float64) Option {
	if f == nil {
		panic("sre: WithRandom: the function is nil")
	}
	return func(o *options) { o.random = f }
}

func (o *options) check() {
	bounds.Success.Must(o.success)
	bounds.Request.Must(o.Request)
	bounds.Window.Must(o.window)
	bounds.Bucket.Must(int64(o.bucket))
	bounds.ProbeInterval.Must(o.probe)
	bounds.MaxProbeInterval.Must(o.maxProbe)
	if o.maxProbe < o.probe {
		panic(fmt.Sprintf("sre: WithMaxProbeInterval(%v): want at least the %v of WithProbeInterval", o.maxProbe, o.probe))
	}
	if room := bounds.BucketOf(o.window); !room.Has(int64(o.bucket)) {
		panic(fmt.Sprintf("sre: WithBucket(%d): want buckets of at least 1µs; WithWindow(%v) has room for %d",
			o.bucket, o.window, room.High))
	}
}
