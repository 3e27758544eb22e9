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
	{
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
}

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

// job is a scenario, a policy and a column.
type job struct {
	section  int
	scenario scenario
	policy   policy
	column   column
}

func (j job) name() string { return j.scenario.name + "/" + j.policy.name + "/" + j.column.label }

func (j job) key() key { return key{j.section, j.scenario.name, j.policy.name, j.column.label} }

type key struct {
	section                  int
	scenario, policy, column string
}

// jobs are all runs of the document.
func jobs() (js []job) {
	for i, s := range sections {
		for _, sc := range s.scenarios {
			for _, c := range sc.in(s.columns) {
				for _, p := range policies {
					js = append(js, job{i, sc, p, c})
				}
			}
		}
	}
	return js
}

// in returns the columns that the scenario is run in.
func (s scenario) in(columns []column) []column {
	if s.columns != nil {
		return s.columns
	}
	return columns
}

// run runs a job with one seed, in a bubble.
func (j job) run(seed int) *trace {
	c := j.column
	if c.world != nil {
		tr := c.world.run(j.policy, c.first+uint64(seed))
		tr.none = tr
		if j.policy.name != none.name {
			tr.none = c.world.run(none, c.first+uint64(seed))
		}
		tr.column = c
		return tr
	}
	latency := c.latency
	if latency == 0 {
		latency = 10 * time.Millisecond
	}
	l := load{
		rate: c.rate, clients: c.clients, regular: c.regular,
		workers: c.workers, think: 10 * time.Millisecond, asks: j.scenario.asks,
	}
	return simulate(j.policy, l, j.scenario.backend(c.rate, latency), j.scenario.length, c.first+uint64(seed))
}

// result is what a job measured.
type result struct {
	values []float64   // by measure of the scenario
	all    [][]float64 // by measure and seed
	curve  []count     // of the first seed, for the plot; nil if there is none
}

// result combines the measurements of all seeds of a job.
func (j job) result(run func(seed int) *trace) result {
	var r result
	all := make([][]float64, len(j.scenario.measures))
	for seed := range j.column.seeds {
		tr := run(seed)
		for i, m := range j.scenario.measures {
			all[i] = append(all[i], m.of(tr))
		}
		if seed == 0 && j.plotted() {
			r.curve = tr.bins
		}
	}
	r.all = all
	for i, m := range j.scenario.measures {
		r.values = append(r.values, m.combine(all[i]))
	}
	return r
}

// plotted reports whether the job is in the plot of its scenario.
func (j job) plotted() bool {
	return j.scenario.plot != "" && j.column.label == j.scenario.plotColumn().label
}

// plotColumn is what the plot shows: 100 calls/s, or the first column of its
// own.
func (s scenario) plotColumn() column { return s.in(rates[1:])[0] }
