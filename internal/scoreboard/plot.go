package scoreboard

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// The plots are drawn by hand, with a background of their own: a page may be
// light or dark.
const (
	panelWidth  = 380.0 // of the area of the curves
	panelHeight = 110.0
	marginLeft  = 52.0
	marginTop   = 30.0
	cellWidth   = marginLeft + panelWidth + 18
	cellHeight  = marginTop + panelHeight + 30
	headHeight  = 62.0
	perRow      = 2
)

// curves are what is drawn of a run, the last one on top.
var curves = []struct {
	name, style string
	of          func(count) float64
}{
	{"offered", `stroke="#767676" stroke-width="1" stroke-dasharray="3 2"`, func(c count) float64 { return c.offered }},
	{"allowed", `stroke="#7fb3e6" stroke-width="4.5"`, allowed},
	{"failed", `stroke="#c9302c" stroke-width="1.3"`, func(c count) float64 { return c.failed }},
	{"served", `stroke="#2a9134" stroke-width="1.3"`, served},
}

// plot draws a panel per policy, from the runs with the first seed.
func (b board) plot(rs results, section int, sc scenario) []byte {
	c := sc.plotColumn()
	rows := (len(b.policies) + perRow - 1) / perRow
	width, height := perRow*cellWidth, headHeight+float64(rows)*cellHeight
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" `,
		width, height, width, height)
	fmt.Fprintf(&w, `font-family="system-ui, sans-serif" font-size="11" fill="#222222">`+"\n")
	fmt.Fprintf(&w, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", width, height)
	title(&w, sc, c)
	for i, p := range b.policies {
		x := float64(i%perRow)*cellWidth + marginLeft
		y := headHeight + float64(i/perRow)*cellHeight + marginTop
		curve := rs[key{section, sc.name, p.name, c.label}].curve
		panel(&w, x, y, p.name, sc, perSecond(curve, sc.length))
	}
	w.WriteString("</svg>\n")
	return w.Bytes()
}

func title(w *bytes.Buffer, sc scenario, c column) {
	fmt.Fprintf(w, `<text x="%.0f" y="20" font-size="13" font-weight="600">%s</text>`+"\n",
		marginLeft, html.EscapeString(fmt.Sprintf("%s: %s", strings.TrimRight(sc.name, "acd"), sc.title)))
	x := marginLeft
	for _, cu := range curves {
		fmt.Fprintf(w, `<path d="M%.0f 40h24" fill="none" %s/><text x="%.0f" y="44">%s</text>`+"\n", x, cu.style, x+30, cu.name)
		x += 100
	}
	fmt.Fprintf(w, `<text x="%.0f" y="44">calls per second, at %.0f/s; shaded: the backend fails</text>`+"\n", x, c.rate)
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

func panel(w *bytes.Buffer, x, y float64, name string, sc scenario, seconds []count) {
	top := 1.0
	for _, c := range seconds {
		top = max(top, c.offered, c.failed, c.served)
	}
	step := gridStep(top)
	top = math.Ceil(top/step) * step
	end := sc.length.Seconds()
	px := func(s float64) float64 { return x + s/end*panelWidth }
	py := func(calls float64) float64 { return y + panelHeight - calls/top*panelHeight }

	fmt.Fprintf(w, `<text x="%.0f" y="%.0f" font-weight="600">%s</text>`+"\n", x, y-8, html.EscapeString(name))
	for _, s := range sc.bad {
		fmt.Fprintf(w, `<rect x="%.1f" y="%.0f" width="%.1f" height="%.0f" fill="#f6e3d3"/>`+"\n",
			px(s.from.Seconds()), y, px(s.to.Seconds())-px(s.from.Seconds()), panelHeight)
	}
	for v := 0.0; v <= top; v += step {
		fmt.Fprintf(w, `<path d="M%.0f %.1fh%.0f" stroke="#d9d9d9" fill="none"/><text x="%.0f" y="%.1f" text-anchor="end">%.0f</text>`+"\n",
			x, py(v), panelWidth, x-6, py(v)+4, v)
	}
	for s := 0.0; s <= end; s += 20 {
		fmt.Fprintf(w, `<text x="%.1f" y="%.0f" text-anchor="middle">%.0f s</text>`+"\n", px(s), y+panelHeight+15, s)
	}
	for _, cu := range curves {
		fmt.Fprintf(w, `<path fill="none" stroke-linejoin="round" %s d="`, cu.style)
		for i, c := range seconds {
			letter := 'L'
			if i == 0 {
				letter = 'M'
			}
			fmt.Fprintf(w, "%c%.1f %.1f", letter, px(float64(i)+0.5), py(cu.of(c)))
		}
		w.WriteString("\"/>\n")
	}
}

// gridStep is 1, 2 or 5 times a power of ten, so that there are 2 to 5 lines.
func gridStep(top float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(top)))
	switch {
	case top/step < 2:
		return step / 2
	case top/step < 5:
		return step
	default:
		return step * 2
	}
}
