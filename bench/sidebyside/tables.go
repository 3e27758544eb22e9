package main

import "strings"

// table says what a table of the document is about.
type table struct {
	name, title, text string
	metrics           []metric // the first one is drawn, and compared
}

// metric is a column of a table, by the name that the benchmark reports.
type metric struct {
	key, title string
	unit       func(v float64) string
}

func (t table) chart() string { return "benchmarks/" + strings.ToLower(t.name) + ".svg" }

var (
	times = []metric{
		{"ns/op@1", "ns @1", nanoseconds},
		{"ns/op@2", "ns @2", nanoseconds},
		{"allocs/op@1", "allocations", plain},
		{"B/op@1", "bytes", plain},
	}
	mixes = append(times[:len(times):len(times)], metric{"rejected/op@1", "rejected", percent})
)

var tables = []table{
	{"Floor", "Floors", "What the parts cost that a breaker is made of, a chain of one middleware that does nothing, and the least that a middleware can do for a call.", times},
	{"Closed", "A call that succeeds", "The breaker allows the call and is told of its success, in the cheapest way that it offers: with a " +
		"permit, or with aegis' three methods where it says `breaker-allow`. The floor is made of what the breaker cannot do without: " +
		"a clock read and an addition if there is a window of time, two compare-and-swaps if not.", times},
	{"Run", "A function that is run", "`breaker.Do`, `breaker.Run` and what others have like it, around a function that does nothing.", times},
	{"Rejected", "A call that is rejected", "Adaptive breakers are asked while every call fails: they allow a few of very many. The others are " +
		"open. What Kratos' middleware does after a rejection, a mark, belongs to aegis and to `breaker-allow`.", times},
	{"Mixed", "Calls of which some fail", "The row names the kind of the breaker and the percentage of failures, in no order. The three-state " +
		"breakers open at 50 %, for 10 ms: so opening, probing and reopening is in it.", mixes},
	{"Middleware", "The middleware for Kratos", "A whole call through the middleware, around a handler that does nothing: the lookup of the " +
		"breaker by the operation, the breaker, the classification of the error. In `healthy`, all is as by default, and the window of 3 s is " +
		"full. In `failing-10`, a tenth of the calls fail with a Kratos error 503.", times},
	{"Keyed", "The breaker of a key", "The lookup of a key that is there, of 1, 1 000 or 100 000. `kratos` is a copy of the group in Kratos, " +
		"which nobody else can import; the floor is a plain map, which is not safe for concurrent use.", times},
	{"Growth", "More buckets, longer windows", "A call that succeeds, with windows of more and more buckets, of more and more time, and counts of " +
		"more and more calls. They are full.", times},
	{
		"Memory", "Bytes per breaker", "The heap and the stacks of 2 000 breakers that had calls in each bucket.",
		[]metric{{"B/breaker@1", "bytes", plain}},
	},
	{
		"EndToEnd", "Over loopback", "Calls of 4 goroutines through a Kratos client to a Kratos server in the same process, on 2 processors: " +
			"without a breaker, with Kratos' own, with this one. Down means that nobody listens on the port. The three take turns of 20 ms. " +
			"In the healthy rows, differences of a few percent are noise: no breaker makes a call faster.",
		[]metric{{"p50-ns@2", "p50", duration}, {"p99-ns@2", "p99", duration}, {"calls/s@2", "calls/s", plain}},
	},
}

// permits says why the calls with permits cost more than those without.
const permits = "A permit takes two compare-and-swaps, where `Allow` and `MarkSuccess`, all that aegis has, take one. For that, each " +
	"result counts once, and for the call that it belongs to. The floor of a permit does nothing but that and read the clock."

// target is what the project set out to reach.
type target struct {
	text    string
	ours    string
	than    string
	atLeast [2]float64 // on one processor and on two; 0 for no target
	metric  string     // without the processors
}

var targets = []target{
	{text: "`sre`: as fast as aegis", ours: "Closed/sre/breaker", than: "Closed/sre/aegis", atLeast: [2]float64{8, 10}, metric: "ns/op"},
	{text: "`sre`: as fast as gobreaker", ours: "Closed/sre/breaker", than: "Closed/consecutive/gobreaker", atLeast: [2]float64{4, 4}, metric: "ns/op"},
	{text: "`sre`: as fast as failsafe-go's time window", ours: "Closed/sre/breaker", than: "Closed/time/failsafe-go", atLeast: [2]float64{2.5, 2.5}, metric: "ns/op"},
	{text: "the floor of a permit, `clock-two-swaps`: as fast as gobreaker", ours: "Floor/parts/clock-two-swaps", than: "Closed/consecutive/gobreaker", metric: "ns/op"},
	{text: "the same floor: as fast as failsafe-go's time window", ours: "Floor/parts/clock-two-swaps", than: "Closed/time/failsafe-go", metric: "ns/op"},
	{text: "`sre` with `Allow` and `MarkSuccess`: as fast as aegis", ours: "Closed/sre/breaker-allow", than: "Closed/sre/aegis", atLeast: [2]float64{8, 10}, metric: "ns/op"},
	{text: "the same: as fast as gobreaker", ours: "Closed/sre/breaker-allow", than: "Closed/consecutive/gobreaker", atLeast: [2]float64{4, 4}, metric: "ns/op"},
	{text: "the same: as fast as failsafe-go's time window", ours: "Closed/sre/breaker-allow", than: "Closed/time/failsafe-go", atLeast: [2]float64{2.5, 2.5}, metric: "ns/op"},
	{text: "`circuit`, consecutive: as fast as gobreaker", ours: "Closed/consecutive/breaker", than: "Closed/consecutive/gobreaker", atLeast: [2]float64{5, 5}, metric: "ns/op"},
	{text: "`circuit`, consecutive: as fast as failsafe-go", ours: "Closed/consecutive/breaker", than: "Closed/consecutive/failsafe-go", atLeast: [2]float64{1, 1}, metric: "ns/op"},
	{text: "`circuit`, consecutive: as fast as mist-go", ours: "Closed/consecutive/breaker", than: "Closed/consecutive/mist-go", atLeast: [2]float64{1, 1}, metric: "ns/op"},
	{text: "middleware: as fast as Kratos' own", ours: "Middleware/healthy/breaker", than: "Middleware/healthy/kratos", atLeast: [2]float64{6, 6}, metric: "ns/op"},
	{text: "`sre`: as small as aegis", ours: "Memory/sre/breaker", than: "Memory/sre/aegis", atLeast: [2]float64{10, 0}, metric: "B/breaker"},
	{text: "1000 buckets: as fast as 10", ours: "Growth/buckets-1000/breaker", than: "Growth/buckets-10/breaker", atLeast: [2]float64{0.87, 0.87}, metric: "ns/op"},
	{text: "a window of 3 s: as fast as one of 30 ms", ours: "Growth/window-3s/breaker", than: "Growth/window-30ms/breaker", atLeast: [2]float64{0.87, 0.87}, metric: "ns/op"},
	{text: "a count over 100 000 calls: as fast as over 100", ours: "Growth/count-100000/breaker", than: "Growth/count-100/breaker", atLeast: [2]float64{0.87, 0.87}, metric: "ns/op"},
}

// atTwo ends the name of a row of ours that is slower on two processors than on
// one.
const atTwo = "@2"

// reasons say why a rival is ahead of us, by its name; or, by the name of a
// benchmark of ours and @2, why two processors are slower than one. A row that is
// behind and has no reason is an error.
var reasons = map[string]string{
	"Keyed/keys-1/kratos":            lookup,
	"Keyed/keys-1/sync.Map":          lookup,
	"Keyed/keys-1/go-zero":           lookup,
	"Keyed/keys-1/hystrix-go":        lookup,
	"Keyed/keys-1000/kratos":         lookup,
	"Keyed/keys-1000/sync.Map":       lookup,
	"Keyed/keys-1000/go-zero":        lookup,
	"Keyed/keys-1000/hystrix-go":     lookup,
	"Keyed/keys-100000/kratos":       lookup,
	"Keyed/keys-100000/sync.Map":     lookup,
	"Keyed/keys-100000/go-zero":      lookup,
	"Memory/consecutive/gobreaker":   lines,
	"Memory/consecutive/failsafe-go": lines,
	"Memory/consecutive/mist-go":     lines,
	"Memory/consecutive/rubyist":     lines,
	"Memory/time/gobreaker":          lines,
	"Memory/time/failsafe-go":        lines,
	"Memory/time/rubyist":            lines,
	"Mixed/time-40/gobreaker":        locks,
	"Mixed/time-40/failsafe-go":      locks,

	"Mixed/sre-1/breaker" + atTwo:           failures,
	"Mixed/sre-10/breaker" + atTwo:          failures,
	"Mixed/sre-40/breaker" + atTwo:          failures,
	"Mixed/sre-60/breaker" + atTwo:          failures,
	"Mixed/time-1/breaker" + atTwo:          locks,
	"Mixed/time-10/breaker" + atTwo:         locks,
	"Mixed/time-40/breaker" + atTwo:         locks,
	"Middleware/failing-10/breaker" + atTwo: failures,
}

const (
	lookup = "Between a key and its value, our group has an entry that knows whether somebody asked of late, and a copy of the key: more to " +
		"read, and with many keys more to miss in the cache. In return it has a limit, 256 keys by default, and evicts. The others keep every " +
		"key for ever. Ours takes no lock, which tells on two processors."
	lines = "A breaker of `circuit` has a cache line of its own for what each call writes, and a second set of counts for probes and late " +
		"calls; its options can be replaced. So 256 of them take 0.4 MB."
	locks = "A failure writes three words that all processors share: the lock that failures hold together, their number, and how many " +
		"there were in a row. With millions of them a second, two processors take these from each other."
	failures = "Failures are counted in words that all processors share, for a few in a row may decide. Only successes and rejections are " +
		"counted by each processor for itself."
)
