package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// awkward is a name that is no XML.
const awkward = `a<b & "c"`

func bars(values ...float64) Bars {
	b := Bars{
		Title: awkward, Note: awkward, Unit: func(v float64) string { return fmt.Sprintf("<%.1f", v) },
		Kinds:  []Kind{{Name: awkward, Colours: []string{"#111111"}}, {Name: "others", Colours: []string{"#222222"}}},
		Groups: []Group{{Name: awkward}},
	}
	for _, v := range values {
		b.Groups[0].Rows = append(b.Groups[0].Rows, Row{Name: awkward, Kind: 1, Values: []float64{v}})
	}
	return b
}

func panels(values ...[]float64) Panels {
	p := Panels{
		Title: awkward, Note: awkward, Seconds: 60, Shaded: [][2]float64{{15, 30}},
		Curves: []Curve{{Name: awkward, Colour: "#111111", Width: 1.5, Dashes: "3 2"}},
	}
	for _, v := range values {
		p.Panels = append(p.Panels, Panel{Name: awkward, Values: [][]float64{v}})
	}
	return p
}

func scatter(points ...Point) Scatter {
	return Scatter{
		Title: awkward, Note: awkward, Across: awkward, Up: awkward, Right: 1.5, Bottom: 0.9,
		Fields: []Field{{Title: awkward, Last: 2}, {Title: "another", Last: 10}},
		Series: []Series{{Name: awkward, Colour: "#111111", Points: points}},
	}
}

// all returns what a pattern captures first, of all matches.
func all(svg []byte, pattern string) (found []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(svg, -1) {
		found = append(found, string(m[1]))
	}
	return found
}

func TestSVG_IsXMLWithABackgroundOfItsOwnWhateverTheNames(t *testing.T) {
	for name, svg := range map[string][]byte{
		"bars":    bars(0, 3, 2e7).SVG(),
		"no bars": bars().SVG(),
		"panels":  panels([]float64{1, 2, 3}, []float64{0, 0}, nil).SVG(),
		"scatter": scatter(Point{awkward, []float64{1, 2}, 0.5}).SVG(),
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(svg), `fill="#ffffff"`)
			require.NotRegexp(t, `NaN|Inf|%!`, string(svg))
			texts := 0
			for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
				token, err := d.Token()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				if text, ok := token.(xml.CharData); ok && string(text) == awkward {
					texts++
				}
			}
			require.Greater(t, texts, 2)
		})
	}
}

func TestBars_AreAsLongAsTheLogarithmFromThePowerOfTenBelowTheShortest(t *testing.T) {
	svg := bars(1, 10, 0, 100).SVG()
	require.Equal(t, []string{"206.7", "413.3", "620.0"}, all(svg, `<rect x="150" y="[\d.]+" width="([\d.]+)" height="7.0" fill="#222222"/>`))
	require.Equal(t, []string{"&lt;0.1", "&lt;1", "&lt;10", "&lt;100"}, all(svg, `text-anchor="middle">(.*?)</text>`), "of the axis")
	require.Equal(t, []string{"&lt;1.0", "&lt;10.0", "&lt;100.0"}, all(svg, `font-size="9">(.*?)</text>`))
}

func TestPanels_EachHasAnAxisOfItsOwnUpToARoundNumber(t *testing.T) {
	svg := panels([]float64{0, 8, 4}, []float64{0, 0, 430}).SVG()
	require.Equal(t, []string{"0", "2", "4", "6", "8", "0", "100", "200", "300", "400", "500"}, all(svg, `text-anchor="end">(\d+)</text>`))
	require.Equal(t, []string{
		"M55.2 202.0L61.5 92.0L67.8 147.0", // from the foot of the panel to its head
		"M505.2 202.0L511.5 202.0L517.8 107.4",
	}, all(svg, `stroke-dasharray="3 2" d="(.*?)"`))
	require.Equal(t, []string{"147.0", "597.0"}, all(svg, `<rect x="([\d.]+)" y="92" width="95.0" height="110" fill="#f6e3d3"/>`))
}

func TestScatter_EachPointIsInEachFieldAndNoTwoNamesOverlap(t *testing.T) {
	same := slices.Repeat([]Point{{"same", []float64{1, 5}, 0.5}}, 9)
	svg := scatter(same...).SVG()
	require.Equal(t, slices.Concat(slices.Repeat([]string{"260.0"}, 9), slices.Repeat([]string{"830.0"}, 9)),
		all(svg, `<circle cx="([\d.]+)" cy="282.9" `))
	lines := all(svg, `y="([\d.]+)" fill="#111111">same<`)
	require.Len(t, lines, 18)
	var first []float64
	for _, line := range lines[:9] {
		y, err := strconv.ParseFloat(line, 64)
		require.NoError(t, err)
		first = append(first, y)
	}
	slices.Sort(first)
	for i := range first[1:] {
		require.GreaterOrEqual(t, first[i+1]-first[i], 12.9)
	}
	require.Equal(t, lines[:9], lines[9:])
}

func TestAxis_ChoosesRoundSteps(t *testing.T) {
	for top, step := range map[float64]float64{120: 50, 200: 100, 499: 100, 600: 200, 2100: 1000, 10: 5} {
		require.InDelta(t, step, gridStep(top), 1e-9, top)
	}
}
