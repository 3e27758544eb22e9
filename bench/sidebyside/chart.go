package main

import (
	"strings"

	"github.com/kratos-breaker/breaker/internal/chart"
)

// kinds of contenders, each with a colour for the first metric and the second.
var kinds = []chart.Kind{
	{Name: "this module", Colours: []string{"#1f6fb4", "#8fbce0"}},
	{Name: "others", Colours: []string{"#8a5a44", "#cdb0a3"}},
	{Name: "floor, or none", Colours: []string{"#767676", "#bdbdbd"}},
}

// kindOf returns an index of kinds.
func kindOf(name string) int {
	switch {
	case isOurs(name):
		return 0
	case isRival(name):
		return 1
	}
	return 2
}

// draw draws a bar for each contender of a table and each number of processors.
func draw(r *results, t table) []byte {
	drawn := t.compared()
	b := chart.Bars{Title: t.title, Note: t.metrics[0].title + ", log scale; shorter is better", Unit: t.metrics[0].unit}
	if len(drawn) == 2 {
		b.Note = "dark: one processor, light: two; ns, log scale; shorter is better"
	}
	for _, k := range kinds {
		b.Kinds = append(b.Kinds, chart.Kind{Name: k.Name, Colours: k.Colours[:len(drawn)]})
	}
	last := ""
	for _, m := range r.in(t) {
		if row := rowOf(m.Name); row != last {
			last = row
			b.Groups = append(b.Groups, chart.Group{Name: strings.TrimPrefix(row, t.name+"/")})
		}
		row := chart.Row{Name: contenderOf(m.Name), Kind: kindOf(m.Name)}
		for _, metric := range drawn {
			row.Values = append(row.Values, quantile(m.Samples[metric.key], 0.5))
		}
		group := &b.Groups[len(b.Groups)-1]
		group.Rows = append(group.Rows, row)
	}
	return b.SVG()
}
