package scoreboard

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"math/rand/v2"
	"time"

	"github.com/kratos-breaker/breaker"
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

// plotFrontier draws one panel per overload.
func (b board) plotFrontier(points map[string]point) []byte {
	const (
		width, height = 400.0, 330.0
		left, top     = 60.0, 110.0
		gap           = 120.0
	)
	var w bytes.Buffer
	totalWidth, totalHeight := 2*(left+width)+2*gap-20, top+height+50
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" `,
		totalWidth, totalHeight, totalWidth, totalHeight)
	fmt.Fprintf(&w, `font-family="system-ui, sans-serif" font-size="11" fill="#222222">`+"\n")
	fmt.Fprintf(&w, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", totalWidth, totalHeight)
	fmt.Fprintf(&w, `<text x="%.0f" y="20" font-size="13" font-weight="600">The frontier at 10 calls/s: shedding an overload, and sparing a backend of which half is broken</text>`+"\n", left)
	x := left
	for _, f := range b.families() {
		fmt.Fprintf(&w, `<circle cx="%.0f" cy="40" r="4" fill="%s"/><text x="%.0f" y="44">%s</text>`+"\n", x+4, f.colour, x+14, html.EscapeString(f.name))
		x += 150
	}
	fmt.Fprintf(&w, `<text x="%.0f" y="64">Shaded: what is to be reached. Better is up and to the left.</text>`+"\n", left)
	for i, panel := range []struct {
		title string
		last  float64 // of the axis
	}{{"the backend serves 50 % of the load", 2.2}, {"the backend serves 10 % of the load", 11}} {
		x0 := left + float64(i)*(width+gap+left-10)
		px := func(v float64) float64 { return x0 + v/panel.last*width }
		py := func(v float64) float64 { return top + height - v/1.05*height }
		fmt.Fprintf(&w, `<text x="%.0f" y="%.0f" font-weight="600">%s</text>`+"\n", x0, top-14, panel.title)
		fmt.Fprintf(&w, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#dff0df"/>`+"\n", x0, py(1.05), px(1.5)-x0, py(0.9)-py(1.05))
		for v := 0.0; v <= 1; v += 0.2 {
			fmt.Fprintf(&w, `<path d="M%.0f %.1fh%.0f" stroke="#d9d9d9" fill="none"/><text x="%.0f" y="%.1f" text-anchor="end">%.1f</text>`+"\n",
				x0, py(v), width, x0-6, py(v)+4, v)
		}
		step := gridStep(panel.last)
		for v := 0.0; v <= panel.last; v += step {
			fmt.Fprintf(&w, `<path d="M%.1f %.0fv%.0f" stroke="#d9d9d9" fill="none"/><text x="%.1f" y="%.0f" text-anchor="middle">%g</text>`+"\n",
				px(v), top, height, px(v), top+height+15, v)
		}
		fmt.Fprintf(&w, `<text x="%.0f" y="%.0f" text-anchor="middle">calls allowed ÷ capacity</text>`+"\n", x0+width/2, top+height+32)
		fmt.Fprintf(&w, `<text transform="translate(%.0f %.0f) rotate(-90)" text-anchor="middle">goodput ÷ goodput of no breaker, half broken</text>`+"\n", x0-36, top+height/2)
		var taken []float64 // lines of the labels, which stand to the right of all points
		for _, f := range b.families() {
			for _, p := range f.breakers {
				pt := points[f.name+"/"+p.name]
				cx, cy := px(pt.allowed[i]), py(pt.goodput)
				line := freeLine(taken, cy)
				taken = append(taken, line)
				fmt.Fprintf(&w, `<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" stroke-width="0.4"/>`, cx, cy, x0+width+4, line, f.colour)
				fmt.Fprintf(&w, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/><text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n",
					cx, cy, f.colour, x0+width+7, line+4, f.colour, html.EscapeString(p.name))
			}
		}
	}
	w.WriteString("</svg>\n")
	return w.Bytes()
}

// freeLine returns the height nearest to y at which no label stands yet.
func freeLine(taken []float64, y float64) float64 {
	const lineHeight = 13
	free := func(y float64) bool {
		for _, t := range taken {
			if math.Abs(t-y) < lineHeight {
				return false
			}
		}
		return true
	}
	for d := 0.0; ; d++ {
		for _, at := range []float64{y + d, y - d} {
			if free(at) {
				return at
			}
		}
	}
}
