package scoreboard

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kratos-breaker/breaker"
)

// Rival is a policy that this package does not know.
type Rival struct {
	// Name is its name in the tables, About a line about it.
	Name, About string
	// Make returns a new breaker, which may draw from r.
	Make func(r *rand.Rand) breaker.Acquirer
}

// Bubbles calls f with 0 to n-1, each time in a bubble of testing/synctest of
// its own, and returns when all calls have. They may run beside each other.
type Bubbles func(n int, f func(i int))

// board is what measures policies.
type board struct {
	policies []policy
	bubbles  Bubbles
}

func newBoard(rivals []Rival, bubbles Bubbles) board {
	b := board{slices.Clone(policies), bubbles}
	last := len(b.policies) - 1 // no breaker stays the last one
	for i, r := range rivals {
		b.policies = slices.Insert(b.policies, last+i, policy{r.Name, r.About, r.Make})
	}
	return b
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
func (b board) jobs() (js []job) {
	for i, s := range sections {
		for _, sc := range s.scenarios {
			for _, c := range sc.in(s.columns) {
				for _, p := range b.policies {
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
		tr.column = c
		// Last, since a run should begin when the bubble does.
		tr.none = c.world.alone(c.first + uint64(seed))
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

// alones are runs without a breaker, with which many compare themselves.
var alones sync.Map // of *trace by alone

type alone struct {
	world *world
	seed  uint64
}

// alone runs the world without a breaker, unless it was run before.
func (w *world) alone(seed uint64) *trace {
	if tr, ok := alones.Load(alone{w, seed}); ok {
		return tr.(*trace)
	}
	full := w.run(none, seed)
	tr := &trace{load: full.load, bins: full.bins}
	alones.Store(alone{w, seed}, tr)
	return tr
}

// measured is what a run says about the measures of its scenario.
type measured struct {
	values []float64
	curve  []count // for the plot; nil if there is none
}

// measure runs a job with one seed, in a bubble.
func (j job) measure(seed int) (m measured) {
	tr := j.run(seed)
	for _, measure := range j.scenario.measures {
		m.values = append(m.values, measure.of(tr))
	}
	if seed == 0 && j.plotted() {
		m.curve = tr.bins
	}
	return m
}

// result is what a job measured.
type result struct {
	values []float64   // by measure of the scenario
	all    [][]float64 // by measure and seed
	curve  []count     // of the first seed, for the plot; nil if there is none
}

// combine makes a result of the runs with all seeds of a job.
func (j job) combine(runs []measured) (r result) {
	for i, m := range j.scenario.measures {
		var all []float64
		for _, run := range runs {
			all = append(all, run.values[i])
		}
		r.all = append(r.all, all)
		r.values = append(r.values, m.combine(all))
	}
	r.curve = runs[0].curve
	return r
}

// plotted reports whether the job is in the plot of its scenario.
func (j job) plotted() bool {
	return j.scenario.plot != "" && j.column.label == j.scenario.plotColumn().label
}

// plotColumn is what the plot shows: 100 calls/s, or a column of its
// own.
func (s scenario) plotColumn() column { return s.in(rates[1:])[s.shown] }

// results are those of all jobs.
type results map[key]result

// run runs jobs with all of their seeds.
func (b Bubbles) run(jobs []job) results {
	type run struct{ job, seed int }
	var runs []run
	all := make([][]measured, len(jobs))
	for i, j := range jobs {
		all[i] = make([]measured, j.column.seeds)
		for seed := range j.column.seeds {
			runs = append(runs, run{i, seed})
		}
	}
	b(len(runs), func(i int) {
		r := runs[i]
		all[r.job][r.seed] = jobs[r.job].measure(r.seed)
	})
	rs := results{}
	for i, j := range jobs {
		rs[j.key()] = j.combine(all[i])
	}
	return rs
}
