package breaker

import (
	"fmt"
	"time"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// Config configures the breakers of a [Group]. A field that is zero takes its
// default. A Config is copied wherever it is passed, and never written to.
type Config struct {
	// SwitchOff switches the breakers off: every call is allowed, and still
	// counted.
	SwitchOff bool
	// K is how many calls are allowed per success: 2 allows failures of a half,
	// 1.5 of a third. The range is [1, 1e6], the default 1.5.
	K float64
	// Window is the length of the rolling window. The range is [1µs, 24h], the
	// default 3 s.
	Window Duration
	// Bucket is the number of buckets that the window is made of, each at least
	// 1 µs long. The range is [1, 100000], the default 10.
	Bucket int
	// Request is the number of calls in the window below which none is rejected.
	// The range is [1, 1e9], the default 100.
	Request int64
}

// filled returns a copy with its defaults. It panics if a field is out of its
// range.
func (c *Config) filled() *Config {
	f := Config{
		K: bounds.K.Default, Window: Duration(bounds.Window.Default), Bucket: int(bounds.Bucket.Default), Request: bounds.ClassicRequest,
	}
	if c != nil {
		f.SwitchOff = c.SwitchOff
		f.K = orDefault(c.K, f.K)
		f.Window = orDefault(c.Window, f.Window)
		f.Bucket = orDefault(c.Bucket, f.Bucket)
		f.Request = orDefault(c.Request, f.Request)
	}
	f.check()
	return &f
}

func orDefault[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}

func (c *Config) check() {
	check("K", bounds.K, c.K, bounds.K.Default)
	check("Window", bounds.Window, time.Duration(c.Window), bounds.Window.Default)
	check("Bucket", bounds.Bucket, int64(c.Bucket), bounds.Bucket.Default)
	check("Request", bounds.Request, c.Request, bounds.ClassicRequest)
	if room := bounds.BucketOf(time.Duration(c.Window)); !room.Has(int64(c.Bucket)) {
		bad("Bucket", c.Bucket, fmt.Sprintf("buckets of at least 1µs; Window(%v) has room for %d", c.Window, room.High))
	}
}

func check[T bounds.Number](field string, b *bounds.Of[T], value, byDefault T) {
	if !b.Has(value) {
		bad(field, value, fmt.Sprintf("%s, or 0 for %v", b.Want(), byDefault))
	}
}

func bad(field string, value any, want string) {
	panic(fmt.Sprintf("kratosv1/breaker: Config.%s(%v): want %s", field, value, want))
}

// Duration is Kratos v1's time.Duration: one that files spell "3s" or "500ms", in
// JSON, TOML and YAML alike.
type Duration time.Duration

// UnmarshalText takes what time.ParseDuration takes. After an error, the duration
// is what it was.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil {
		*d = Duration(parsed)
	}
	return err
}

// MarshalText returns the text of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the text of time.Duration, as "3s".
func (d Duration) String() string { return time.Duration(d).String() }
