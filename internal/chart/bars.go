package chart

import (
	"math"
	"strings"
)

const (
	barsWidth  = 860.0
	barsLeft   = 150.0 // for the names
	barsRight  = 90.0  // right of the longest bar
	barHeight  = 8.0
	barGap     = 7.0 // between rows
	groupHead  = 24.0
	barsHead   = 66.0
	barsFoot   = 28.0
	barsMargin = 12.0
)

// Bars are bars on a log scale, which begins at a power of ten below the
// shortest one, so that each has a length.
type Bars struct {
	Title, Note string
	Unit        func(float64) string // writes a value
	Kinds       []Kind
	Groups      []Group
}

// Kind is a colour for rows, and what the legend says of it.
type Kind struct {
	Name    string
	Colours []string // by value of a row; all kinds have as many
}

// Group is rows under a heading.
type Group struct {
	Name string
	Rows []Row
}

// Row has a bar for each value above 0.
type Row struct {
	Name   string
	Kind   int // of the chart's
	Values []float64
}

// SVG draws the groups, one below the other.
func (b Bars) SVG() []byte {
	step := float64(len(b.Kinds[0].Colours))*barHeight + barGap
	height := barsHead + barsFoot
	for _, g := range b.Groups {
		height += groupHead + float64(len(g.Rows))*step
	}
	from, to := b.scale()
	px := func(v float64) float64 {
		return math.Log(v/from) / math.Log(to/from) * (barsWidth - barsLeft - barsRight)
	}
	c := newCanvas(barsWidth, height)
	b.legend(c)
	for v := from; v <= to*1.001; v *= 10 {
		c.put(`<path d="M%.1f %.0fV%.0f" stroke="#d9d9d9"/>`, barsLeft+px(v), barsHead-6, height-barsFoot)
		c.tick(barsLeft+px(v), height-barsFoot+16, strings.Replace(b.Unit(v), ".0", "", 1))
	}
	y := barsHead
	for _, g := range b.Groups {
		c.heading(barsMargin, y+14, g.Name)
		y += groupHead
		for _, row := range g.Rows {
			c.put(`<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n", barsLeft-8, y+step/2, row.Name)
			for i, v := range row.Values {
				if v > 0 {
					top := y + float64(i)*barHeight
					c.put(`<rect x="%.0f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
						barsLeft, top, px(v), barHeight-1, b.Kinds[row.Kind].Colours[i])
					c.put(`<text x="%.1f" y="%.1f" font-size="9">%s</text>`+"\n", barsLeft+px(v)+4, top+barHeight-1, b.Unit(v))
				}
			}
			y += step
		}
	}
	return c.end()
}

// scale returns the powers of ten that the axis begins and ends with.
func (b Bars) scale() (from, to float64) {
	least, most := math.Inf(1), 0.0
	for _, g := range b.Groups {
		for _, row := range g.Rows {
			for _, v := range row.Values {
				if v > 0 {
					least, most = min(least, v), max(most, v)
				}
			}
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	return math.Pow(10, math.Floor(math.Log10(least*0.8))), math.Pow(10, math.Ceil(math.Log10(most)))
}

func (b Bars) legend(c *canvas) {
	c.title(barsMargin, b.Title)
	x := barsMargin
	for _, kind := range b.Kinds {
		for _, colour := range kind.Colours {
			c.put(`<rect x="%.0f" y="34" width="14" height="10" fill="%s"/>`, x, colour)
			x += 15
		}
		c.note(x+4, 43, kind.Name)
		x += 100
	}
	c.note(x, 43, b.Note)
}
