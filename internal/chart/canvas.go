// Package chart draws what this module measures as SVG: bars, curves over time
// and points between two axes. The scoreboard and the side-by-side draw their
// pictures with it. A chart is data; its SVG method draws it, the same bytes for
// the same data. Names may hold any text.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// canvas is an SVG document that is being written.
type canvas struct{ bytes.Buffer }

// newCanvas begins a document with a background of its own, since the page
// around it may be light or dark.
func newCanvas(width, height float64) *canvas {
	c := new(canvas)
	c.put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" `, width, height, width, height)
	c.put(`font-family="system-ui, sans-serif" font-size="11" fill="#222222">` + "\n")
	c.put(`<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", width, height)
	return c
}

func (c *canvas) end() []byte {
	c.put("</svg>\n")
	return c.Bytes()
}

// put escapes each argument that is a string.
func (c *canvas) put(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = html.EscapeString(text)
		}
	}
	fmt.Fprintf(c, format, args...)
}

func (c *canvas) title(x float64, text string) {
	c.put(`<text x="%.0f" y="20" font-size="13" font-weight="600">%s</text>`+"\n", x, text)
}

func (c *canvas) heading(x, y float64, text string) {
	c.put(`<text x="%.0f" y="%.0f" font-weight="600">%s</text>`+"\n", x, y, text)
}

func (c *canvas) note(x, y float64, text string) {
	c.put(`<text x="%.0f" y="%.0f">%s</text>`+"\n", x, y, text)
}

// tick labels a place on the horizontal axis.
func (c *canvas) tick(x, y float64, text string) {
	c.put(`<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n", x, y, text)
}

// area is where data is drawn. Its axes are linear, from 0 to right and to top.
type area struct{ x, y, width, height, right, top float64 }

func (a area) px(v float64) float64 { return a.x + v/a.right*a.width }

func (a area) py(v float64) float64 { return a.y + a.height - v/a.top*a.height }

// level draws the line of a value on the vertical axis, and its label.
func (a area) level(c *canvas, v float64, text string) {
	c.put(`<path d="M%.0f %.1fh%.0f" stroke="#d9d9d9" fill="none"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n",
		a.x, a.py(v), a.width, a.x-6, a.py(v)+4, text)
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
