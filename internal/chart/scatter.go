package chart

import (
	"fmt"
	"math"
)

const (
	fieldWidth, fieldHeight = 400.0, 330.0
	fieldLeft, fieldTop     = 60.0, 110.0
	fieldGap                = 120.0 // right of a field, for the names of its points
	fieldsMost              = 1.05  // of the vertical axis
)

// Scatter draws points in fields side by side. The fields share the vertical
// axis, of shares from 0 to 1, and each point is in all of them.
type Scatter struct {
	Title, Note string
	Across, Up  string // what the axes are
	// The area that is to be reached is shaded: at most Right, at least Bottom.
	Right, Bottom float64
	Fields        []Field
	Series        []Series
}

// Field is one horizontal axis.
type Field struct {
	Title string
	Last  float64 // of the axis, which begins at 0
}

// Series are points of one colour.
type Series struct {
	Name, Colour string
	Points       []Point
}

// Point stands at another place in each field.
type Point struct {
	Name   string
	Across []float64 // by field
	Up     float64
}

// SVG draws the fields.
func (s Scatter) SVG() []byte {
	c := newCanvas(float64(len(s.Fields))*(fieldLeft+fieldWidth+fieldGap)-20, fieldTop+fieldHeight+50)
	c.title(fieldLeft, s.Title)
	x := fieldLeft
	for _, series := range s.Series {
		c.put(`<circle cx="%.0f" cy="40" r="4" fill="%s"/>`, x+4, series.Colour)
		c.note(x+14, 44, series.Name)
		x += 150
	}
	c.note(fieldLeft, 64, s.Note)
	for i, field := range s.Fields {
		a := area{
			x: fieldLeft + float64(i)*(fieldWidth+fieldGap+fieldLeft-10), y: fieldTop,
			width: fieldWidth, height: fieldHeight, right: field.Last, top: fieldsMost,
		}
		s.axes(c, field, a)
		s.points(c, i, a)
	}
	return c.end()
}

func (s Scatter) axes(c *canvas, field Field, a area) {
	c.heading(a.x, a.y-14, field.Title)
	c.put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#dff0df"/>`+"\n",
		a.x, a.py(a.top), a.px(s.Right)-a.x, a.py(s.Bottom)-a.py(a.top))
	for v := 0.0; v <= 1; v += 0.2 {
		a.level(c, v, fmt.Sprintf("%.1f", v))
	}
	step := gridStep(a.right)
	for v := 0.0; v <= a.right; v += step {
		c.put(`<path d="M%.1f %.0fv%.0f" stroke="#d9d9d9" fill="none"/>`, a.px(v), a.y, a.height)
		c.tick(a.px(v), a.y+a.height+15, fmt.Sprintf("%g", v))
	}
	c.put(`<text x="%.0f" y="%.0f" text-anchor="middle">%s</text>`+"\n", a.x+a.width/2, a.y+a.height+32, s.Across)
	c.put(`<text transform="translate(%.0f %.0f) rotate(-90)" text-anchor="middle">%s</text>`+"\n", a.x-36, a.y+a.height/2, s.Up)
}

func (s Scatter) points(c *canvas, field int, a area) {
	var taken []float64 // lines of the names, which stand to the right of all points
	for _, series := range s.Series {
		for _, p := range series.Points {
			x, y := a.px(p.Across[field]), a.py(p.Up)
			line := freeLine(taken, y)
			taken = append(taken, line)
			c.put(`<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" stroke-width="0.4"/>`, x, y, a.x+a.width+4, line, series.Colour)
			c.put(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/><text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n",
				x, y, series.Colour, a.x+a.width+7, line+4, series.Colour, p.Name)
		}
	}
}

// freeLine returns the height nearest to y at which no name stands yet.
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
