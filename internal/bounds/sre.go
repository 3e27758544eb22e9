package bounds

import "time"

// They keep every product of the arithmetic far from overflow.
const (
	day       = 24 * time.Hour
	minRatio  = 1e-6
	maxCalls  = 1_000_000_000
	minBucket = time.Microsecond
)

// The options of package sre.
var (
	Success = add(Of[float64]{
		Option: "sre.WithSuccess", What: "success ratio below which there is trouble",
		Unit: "a ratio", Low: minRatio, High: 1, Default: 0.6,
	})
	Request = add(Of[int64]{
		Option: "sre.WithRequest", What: "calls per window below which a share of failures means nothing",
		Unit: "a number of calls", Low: 1, High: maxCalls, Default: 20, Otherwise: ", or 100 with `sre.Classic`",
	})
	ProbeInterval = add(Of[time.Duration]{
		Option: "sre.WithProbeInterval", What: "time between two probes while the backend is down, in whole milliseconds",
		Unit: "whole milliseconds", Low: 10 * time.Millisecond, High: time.Minute, Multiple: time.Millisecond, Default: 900 * time.Millisecond,
	})
	MaxProbeInterval = add(Of[time.Duration]{
		Option: "sre.WithMaxProbeInterval", What: "what it grows to in an outage of many minutes, in whole milliseconds, at least `sre.WithProbeInterval`",
		Unit: "whole milliseconds", Low: 10 * time.Millisecond, High: time.Hour, Multiple: time.Millisecond, Otherwise: "as `sre.WithProbeInterval`",
	})
	Window = add(Of[time.Duration]{
		Option: "sre.WithWindow", What: "length of the window",
		Unit: "a duration", Low: minBucket, High: day, Default: 3 * time.Second,
	})
	Bucket = add(Of[int64]{
		Option: "sre.WithBucket", What: "buckets per window, each at least 1µs long",
		Unit: "a number", Low: 1, High: 100_000, Default: 10,
	})
)

// ClassicRequest is the default of [Request] with Classic.
const ClassicRequest = 100

// BucketOf is what is left of [Bucket] in a window of the given length.
func BucketOf(window time.Duration) *Of[int64] {
	return Bucket.UpTo(min(int64(window/minBucket), Bucket.High))
}
