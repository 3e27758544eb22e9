package scoreboard

import "time"

// column is a circumstance that scenarios are run in.
type column struct {
	label   string
	rate    float64 // calls/s
	clients int
	workers int
	latency time.Duration // of a healthy backend; 0 means 10 ms
	regular bool
	first   uint64 // of the seeds
	seeds   int

	// world, if not nil, is the load and the backend. Its capacity, if it has
	// one, and when it is up and down are what measures need.
	world    *world
	capacity float64
	up, down []span
}

// rates are the columns of the scenarios.
var rates = []column{
	{label: "10", rate: 10, seeds: 5},
	{label: "100", rate: 100, seeds: 5},
	{label: "1000", rate: 1000, seeds: 5},
	{label: "10000", rate: 10000, seeds: 1},
}

// others are columns that no default was made for.
var others = []column{
	{label: "30", rate: 30, first: 1000, seeds: 5},
	{label: "300", rate: 300, first: 1000, seeds: 5},
	{label: "3000", rate: 3000, first: 1000, seeds: 1},
	{label: "100, 1 ms", rate: 100, latency: time.Millisecond, first: 1000, seeds: 5},
	{label: "100, 200 ms", rate: 100, latency: 200 * time.Millisecond, first: 1000, seeds: 5},
	{label: "1000, 200 ms", rate: 1000, latency: 200 * time.Millisecond, first: 1000, seeds: 1},
	{label: "100, regular", rate: 100, regular: true, first: 1000, seeds: 5},
	{label: "1000, regular", rate: 1000, regular: true, first: 1000, seeds: 1},
}

// otherFleets are those of scenario S8.
var otherFleets = []column{
	{label: "2000, other seeds", rate: fleetRate, clients: 100, first: 1000, seeds: 3},
	{label: "2000, 200 ms", rate: fleetRate, clients: 100, latency: 200 * time.Millisecond, first: 1000, seeds: 3},
	{label: "2000 of 20 clients", rate: fleetRate, clients: 20, first: 1000, seeds: 3},
}

// section is a chapter of the document.
type section struct {
	title, text string
	scenarios   []scenario
	columns     []column
}

var sections = []section{
	tuned: {
		title:     "The scenarios",
		scenarios: scenarios,
		columns:   rates,
	},
	{
		title: "Not tuned for: other rates, latencies, seeds and arrivals",
		text: "The same scenarios and measures in circumstances that nothing was tuned for: calls/s, and the mean latency of " +
			"a healthy backend where it is not 10 ms; regular arrivals come evenly spaced.",
		scenarios: elsewhere(),
		columns:   others,
	},
	{
		title:     "Not tuned for: other faults",
		text:      "Faults that are in no list of what a breaker should be good at.",
		scenarios: shapes,
		columns: []column{
			{label: "10", rate: 10, first: 2000, seeds: 5},
			{label: "100", rate: 100, first: 2000, seeds: 5},
			{label: "1000", rate: 1000, first: 2000, seeds: 3},
		},
	},
	afield: {
		title:     "The field",
		text:      fieldText,
		scenarios: field,
	},
}

// Places of sections among all.
const (
	tuned  = 0
	afield = 3
)

// inOrder are the sections in the order of the document.
var inOrder = []int{afield, tuned, 1, 2}

func elsewhere() (ss []scenario) {
	for _, s := range scenarios {
		if s.columns != nil {
			s.columns = otherFleets
		}
		s.plot = ""
		ss = append(ss, s)
	}
	return ss
}
