package bounds

import (
	"math"
	"time"
)

// The options of package group.
var (
	GroupLimit = add(Of[int64]{
		Option: "group.WithLimit", What: "keys with a breaker of their own",
		Unit: "a number", Low: 1, High: math.MaxInt, Default: 256,
	})
	GroupIdle = add(Of[time.Duration]{
		Option: "group.WithIdle", What: "time without a call until a breaker may be evicted",
		Unit: "a duration", Low: time.Millisecond, High: 8760 * time.Hour, Default: 10 * time.Minute,
	})
)

// The options of package selector.
var (
	MaxEjected = add(Of[float64]{
		Option: "selector.WithMaxEjected", What: "share of the nodes that is taken out of a choice at most",
		Unit: "a share", High: 1, Default: 0.5,
	})
	Forget = add(Of[time.Duration]{
		Option: "selector.WithForget", What: "time until a node that is gone is forgotten",
		Unit: "a duration", Low: minPeriod, High: day, Default: 10 * time.Second,
	})
	NodeLimit = add(Of[int64]{
		Option: "selector.WithLimit", What: "nodes with a breaker of their own",
		Unit: "a number", Low: 1, High: math.MaxInt, Default: 1024,
	})
)
