package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// The charts are drawn by hand, with a background of their own: a page may be
// light or dark.
const (
	chartWidth = 860.0
	labelWidth = 150.0 // left of the bars
	valueWidth = 90.0  // right of the longest bar
	barHeight  = 8.0
	gap        = 7.0 // between contenders
	rowHead    = 24.0
	chartHead  = 66.0
	chartFoot  = 28.0
)

// colours of a bar, of the first metric and of the second.
var colours = map[string][2]string{
	"ours":  {"#1f6fb4", "#8fbce0"},
	"rival": {"#8a5a44", "#cdb0a3"},
	"floor": {"#767676", "#bdbdbd"},
}

func colourOf(name string) [2]string {
	switch {
	case isOurs(name):
		return colours["ours"]
	case isRival(name):
		return colours["rival"]
	}
	return colours["floor"]
}

// chart draws a bar for each contender of a table and each number of processors,
// on a log scale.
func chart(r *results, t table) []byte {
	drawn := t.compared()
	all := r.in(t)
	least, most := math.Inf(1), 0.0
	rows := map[string]bool{}
	for _, m := range all {
		rows[rowOf(m.Name)] = true
		for _, metric := range drawn {
			if v := quantile(m.Samples[metric.key], 0.5); v > 0 {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	// From the power of ten below the shortest bar, so that it has a length.
	from := math.Pow(10, math.Floor(math.Log10(least*0.8)))
	to := math.Pow(10, math.Ceil(math.Log10(most)))
	span := chartWidth - labelWidth - valueWidth
	px := func(v float64) float64 { return math.Log(v/from) / math.Log(to/from) * span }

	step := float64(len(drawn))*barHeight + gap
	height := chartHead + float64(len(rows))*rowHead + float64(len(all))*step + chartFoot
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" `,
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&w, `font-family="system-ui, sans-serif" font-size="11" fill="#222222">`+"\n")
	fmt.Fprintf(&w, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", chartWidth, height)
	legend(&w, t, drawn)
	for v := from; v <= to*1.001; v *= 10 {
		fmt.Fprintf(&w, `<path d="M%.1f %.0fV%.0f" stroke="#d9d9d9"/><text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n",
			labelWidth+px(v), chartHead-6, height-chartFoot, labelWidth+px(v), height-chartFoot+16, html.EscapeString(strings.Replace(t.metrics[0].unit(v), ".0", "", 1)))
	}
	y, last := chartHead, ""
	for _, m := range all {
		if row := rowOf(m.Name); row != last {
			last = row
			fmt.Fprintf(&w, `<text x="12" y="%.0f" font-weight="600">%s</text>`+"\n",
				y+14, html.EscapeString(strings.TrimPrefix(row, t.name+"/")))
			y += rowHead
		}
		fmt.Fprintf(&w, `<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n",
			labelWidth-8, y+step/2, html.EscapeString(contenderOf(m.Name)))
		for i, metric := range drawn {
			if v := quantile(m.Samples[metric.key], 0.5); v > 0 {
				top := y + float64(i)*barHeight
				fmt.Fprintf(&w, `<rect x="%.0f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
					labelWidth, top, px(v), barHeight-1, colourOf(m.Name)[i])
				fmt.Fprintf(&w, `<text x="%.1f" y="%.1f" font-size="9">%s</text>`+"\n",
					labelWidth+px(v)+4, top+barHeight-1, html.EscapeString(metric.unit(v)))
			}
		}
		y += step
	}
	w.WriteString("</svg>\n")
	return w.Bytes()
}

func legend(w *bytes.Buffer, t table, drawn []metric) {
	fmt.Fprintf(w, `<text x="12" y="20" font-size="13" font-weight="600">%s</text>`+"\n", html.EscapeString(t.title))
	x := 12.0
	for _, kind := range []struct{ key, text string }{{"ours", "this module"}, {"rival", "others"}, {"floor", "floor, or none"}} {
		for i := range drawn {
			fmt.Fprintf(w, `<rect x="%.0f" y="34" width="14" height="10" fill="%s"/>`, x, colours[kind.key][i])
			x += 15
		}
		fmt.Fprintf(w, `<text x="%.0f" y="43">%s</text>`+"\n", x+4, kind.text)
		x += 100
	}
	text := t.metrics[0].title + ", log scale; shorter is better"
	if len(drawn) == 2 {
		text = "dark: one processor, light: two; ns, log scale; shorter is better"
	}
	fmt.Fprintf(w, `<text x="%.0f" y="43">%s</text>`+"\n", x, text)
}
