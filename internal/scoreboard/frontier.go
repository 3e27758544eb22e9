package scoreboard

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/internal/chart"
	"github.com/kratos-breaker/breaker/sre"
)

// The frontier is what can be had at 10 calls/s of two things that pull in
// opposite directions: to shed an overload, and to leave a backend alone of
// which half is broken. Each point is one breaker.

// frontierColumn has more seeds than others: with few calls, chance has a say.
var frontierColumn = column{label: "10", rate: 10, first: 4000, seeds: 15}

// family is a line of breakers that differ in one option.
type family struct {
	name, colour string
	breakers     []policy
}

func (b board) families() []family {
	with := func(label string, opts ...sre.Option) policy {
		return policy{name: label, make: func(r *rand.Rand) breaker.Acquirer {
			return sre.NewBreaker(append(opts, sre.WithRandom(r.Float64))...)
		}}
	}
	window := func(s int) policy {
		return with(fmt.Sprintf("%d s", s), sre.WithWindow(time.Duration(s)*second), sre.WithBucket(10*s/3))
	}
	var others []policy
	for _, p := range b.policies {
		if p.name != ours.name && p.name != none.name {
			others = append(others, p)
		}
	}
	return []family{
		{"sre, the default", "#2a9134", []policy{{name: "default", make: ours.make}}},
		{"sre, WithWindow", "#1f6fb4", []policy{window(1), window(6), window(12), window(30)}},
		{"sre, WithRequest", "#8a5cc2", []policy{with("10", sre.WithRequest(10)), with("40", sre.WithRequest(40)), with("100", sre.WithRequest(100))}},
		{"sre, WithSuccess", "#c77700", []policy{with("0.4", sre.WithSuccess(0.4)), with("0.8", sre.WithSuccess(0.8)), with("0.95", sre.WithSuccess(0.95))}},
		{"other policies", "#767676", others},
	}
}

// point is what a breaker gets of both.
type point struct {
	allowed [2]float64 // ÷ capacity, of 50 and of 10 %
	goodput float64    // ÷ that of no breaker, when half is broken
}

// frontier measures every point of the frontier, by family and breaker.
func (b board) frontier() map[string]point {
	var jobs []job
	for _, f := range b.families() {
		for _, p := range f.breakers {
			p.name = f.name + "/" + p.name
			for _, s := range []string{"S4a", "S4b", "S3b"} {
				jobs = append(jobs, job{scenario: scenarioNamed(s), policy: p, column: frontierColumn})
			}
		}
	}
	rs := b.bubbles.run(jobs)
	points := map[string]point{}
	for _, j := range jobs {
		pt, value := points[j.policy.name], rs[j.key()].values[0]
		switch j.scenario.name {
		case "S4a":
			pt.allowed[0] = value
		case "S4b":
			pt.allowed[1] = value
		default:
			pt.goodput = value
		}
		points[j.policy.name] = pt
	}
	return points
}

// plotFrontier draws one field per overload.
func (b board) plotFrontier(points map[string]point) []byte {
	s := chart.Scatter{
		Title:  "The frontier at 10 calls/s: shedding an overload, and sparing a backend of which half is broken",
		Note:   "Shaded: what is to be reached. Better is up and to the left.",
		Across: "calls allowed ÷ capacity",
		Up:     "goodput ÷ goodput of no breaker, half broken",
		Right:  1.5, Bottom: 0.9,
		Fields: []chart.Field{
			{Title: "the backend serves 50 % of the load", Last: 2.2},
			{Title: "the backend serves 10 % of the load", Last: 11},
		},
	}
	for _, f := range b.families() {
		series := chart.Series{Name: f.name, Colour: f.colour}
		for _, p := range f.breakers {
			pt := points[f.name+"/"+p.name]
			series.Points = append(series.Points, chart.Point{Name: p.name, Across: pt.allowed[:], Up: pt.goodput})
		}
		s.Series = append(s.Series, series)
	}
	return s.SVG()
}
