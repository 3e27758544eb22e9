package chart

import (
	"fmt"
	"math"
)

const (
	panelWidth  = 380.0 // of the area of the curves
	panelHeight = 110.0
	panelLeft   = 52.0
	panelTop    = 30.0
	cellWidth   = panelLeft + panelWidth + 18
	cellHeight  = panelTop + panelHeight + 30
	panelsHead  = 62.0
	perRow      = 2
)

// Panels are plots of the same curves over the same time, with one legend.
type Panels struct {
	Title, Note string
	Seconds     float64      // the length of the horizontal axis, which is labelled each 20 s
	Shaded      [][2]float64 // from and to, in seconds
	Curves      []Curve      // the last one is drawn on top
	Panels      []Panel
}

// Curve is how a curve looks in each panel.
type Curve struct {
	Name, Colour string
	Width        float64
	Dashes       string // as stroke-dasharray of SVG has them; "" for none
}

// Panel has its own vertical axis.
type Panel struct {
	Name   string
	Values [][]float64 // of each second, by curve; none is negative
}

// SVG draws the panels, two in a row.
func (p Panels) SVG() []byte {
	rows := (len(p.Panels) + perRow - 1) / perRow
	c := newCanvas(perRow*cellWidth, panelsHead+float64(rows)*cellHeight)
	c.title(panelLeft, p.Title)
	x := panelLeft
	for _, curve := range p.Curves {
		c.put(`<path d="M%.0f 40h24" fill="none" `, x)
		curve.stroke(c)
		c.put(`/>`)
		c.note(x+30, 44, curve.Name)
		x += 100
	}
	c.note(x, 44, p.Note)
	for i, panel := range p.Panels {
		p.draw(c, panel, area{
			x: float64(i%perRow)*cellWidth + panelLeft, y: panelsHead + float64(i/perRow)*cellHeight + panelTop,
			width: panelWidth, height: panelHeight, right: p.Seconds,
		})
	}
	return c.end()
}

func (p Panels) draw(c *canvas, panel Panel, a area) {
	most := 1.0
	for _, values := range panel.Values {
		for _, v := range values {
			most = max(most, v)
		}
	}
	step := gridStep(most)
	a.top = math.Ceil(most/step) * step
	c.heading(a.x, a.y-8, panel.Name)
	for _, s := range p.Shaded {
		c.put(`<rect x="%.1f" y="%.0f" width="%.1f" height="%.0f" fill="#f6e3d3"/>`+"\n",
			a.px(s[0]), a.y, a.px(s[1])-a.px(s[0]), a.height)
	}
	for v := 0.0; v <= a.top; v += step {
		a.level(c, v, fmt.Sprintf("%.0f", v))
	}
	for s := 0.0; s <= p.Seconds; s += 20 {
		c.tick(a.px(s), a.y+a.height+15, fmt.Sprintf("%.0f s", s))
	}
	for i, curve := range p.Curves {
		c.put(`<path fill="none" stroke-linejoin="round" `)
		curve.stroke(c)
		c.put(` d="`)
		letter := 'M'
		for second, v := range panel.Values[i] {
			c.put("%c%.1f %.1f", letter, a.px(float64(second)+0.5), a.py(v))
			letter = 'L'
		}
		c.put(`"/>` + "\n")
	}
}

func (curve Curve) stroke(c *canvas) {
	c.put(`stroke="%s" stroke-width="%g"`, curve.Colour, curve.Width)
	if curve.Dashes != "" {
		c.put(` stroke-dasharray="%s"`, curve.Dashes)
	}
}
