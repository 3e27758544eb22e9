package scoreboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/kratos-breaker/breaker/internal/chart"
)

// curves are what is drawn of a run, the last one on top.
var curves = []struct {
	style chart.Curve
	of    func(count) float64
}{
	{chart.Curve{Name: "offered", Colour: "#767676", Width: 1, Dashes: "3 2"}, func(c count) float64 { return c.offered }},
	{chart.Curve{Name: "allowed", Colour: "#7fb3e6", Width: 4.5}, allowed},
	{chart.Curve{Name: "failed", Colour: "#c9302c", Width: 1.3}, func(c count) float64 { return c.failed }},
	{chart.Curve{Name: "served", Colour: "#2a9134", Width: 1.3}, served},
}

// plot draws a panel per policy, from the runs with the first seed.
func (b board) plot(rs results, section int, sc scenario) []byte {
	c := sc.plotColumn()
	p := chart.Panels{
		Title:   fmt.Sprintf("%s: %s", strings.TrimRight(sc.name, "acd"), sc.title),
		Note:    fmt.Sprintf("calls per second, at %.0f/s; shaded: the backend fails", c.rate),
		Seconds: sc.length.Seconds(),
	}
	for _, s := range sc.bad {
		p.Shaded = append(p.Shaded, [2]float64{s.from.Seconds(), s.to.Seconds()})
	}
	for _, cu := range curves {
		p.Curves = append(p.Curves, cu.style)
	}
	for _, policy := range b.policies {
		panel := chart.Panel{Name: policy.name, Values: make([][]float64, len(curves))}
		for _, second := range perSecond(rs[key{section, sc.name, policy.name, c.label}].curve, sc.length) {
			for i, cu := range curves {
				panel.Values[i] = append(panel.Values[i], cu.of(second))
			}
		}
		p.Panels = append(p.Panels, panel)
	}
	return p.SVG()
}

// perSecond sums up bins to seconds.
func perSecond(bins []count, length time.Duration) []count {
	const n = int(second / bin)
	seconds := make([]count, int(length/second))
	for i := range seconds {
		for _, b := range bins[i*n : (i+1)*n] {
			seconds[i].add(b)
		}
	}
	return seconds
}
