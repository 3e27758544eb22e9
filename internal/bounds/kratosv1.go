package bounds

// The fields of Config of package kratosv1/breaker, of which 0 stands for the
// default. Its other fields are options of package sre, and so are their ranges.
var (
	K = add(Of[float64]{
		Option: "breaker.Config.K", What: "calls that are allowed per success",
		Unit: "a number", Low: 1, High: 1 / minRatio, Default: 1.5,
	})
)
