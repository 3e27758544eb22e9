package bounds

// What package kratosv1/breaker takes. In its Config, 0 stands for the default; the
// other fields are options of package sre, and so are their ranges.
var (
	KratosV1Limit = add(Of[int64]{
		Option: "kratosv1/breaker.WithLimit", What: GroupLimit.What,
		Unit: GroupLimit.Unit, Low: GroupLimit.Low, High: GroupLimit.High, Default: GroupLimit.Default,
	})
	K = add(Of[float64]{
		Option: "kratosv1/breaker.Config.K", What: "calls that are allowed per success",
		Unit: "a number", Low: 1, High: 1 / minRatio, Default: 1.5,
	})
)
