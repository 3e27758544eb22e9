package bounds

import "time"

// The options of adapters, of what reads rules and of what shows breakers.
var (
	HTTPStatus = add(Of[int64]{
		Option: "errors.WithHTTPStatus", What: "HTTP status that an outcome is set of",
		Unit: "a status", Low: 100, High: 599, Otherwise: "-",
	})
	StreamSuccessAfter = add(Of[time.Duration]{
		Option: "transport/grpc.WithStreamSuccessAfter", What: "time after which a stream that has received a message is a success",
		Unit: "a duration", Above: true, High: day, Otherwise: "never",
	})
	Interval = add(Of[time.Duration]{
		Option: "config.WithInterval", What: "time between two looks at the source of the rules",
		Unit: "a duration", Low: 10 * time.Millisecond, High: time.Hour, Default: time.Second,
	})
	SeriesLimit           = series("metrics.WithLimit")
	PrometheusSeriesLimit = series("prometheus.WithLimit")
)

// The metric with most lines has six per series, one for each change of the state. By
// default the SDK of OpenTelemetry keeps less than 2000, and 321 series have 1926.
func series(option string) *Of[int64] {
	return add(Of[int64]{
		Option: option, What: "breakers with series of their own",
		Unit: "a number", Low: 1, High: 1_000_000, Default: 320,
	})
}
