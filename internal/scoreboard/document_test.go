package scoreboard

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// blank are results in which nothing was measured.
func blank(b board) results {
	rs := results{}
	for _, j := range b.jobs() {
		r := result{values: slices.Repeat([]float64{math.NaN()}, len(j.scenario.measures))}
		if j.plotted() {
			r.curve = make([]count, j.scenario.length/bin+1)
		}
		rs[j.key()] = r
	}
	return rs
}

func TestDocument_HasATableForEachMeasureAndARowForEachPolicy(t *testing.T) {
	b := newBoard([]Rival{{Name: "a rival"}}, nil)
	text := string(b.document(blank(b), make([]tallyOf, len(b.policies))))
	tables := 0
	for _, s := range sections {
		for _, sc := range s.scenarios {
			require.Contains(t, text, "\n### "+sc.name+": "+sc.title+"\n")
			tables += len(sc.measures)
		}
	}
	// Besides, there are the troubles, the leaders, the summary and L17.
	require.Equal(t, tables+4, strings.Count(text, "\n|---|"))
	for _, p := range b.policies {
		require.Equal(t, tables+1, strings.Count(text, "\n| "+p.name+" |"))
	}
}

func TestDocument_EmphasizesWhatIsWithinReach(t *testing.T) {
	half := outageMeasures(0, 1, 2)[0]
	for _, c := range []struct {
		value, rate float64
		met         bool
	}{{0.5, 100, true}, {0.51, 100, false}, {0.51, 10, true}, {2.1, 10, false}, {math.Inf(1), 100, false}} {
		met, said := half.reach.met(c.value, c.rate)
		require.True(t, said)
		require.Equal(t, c.met, met)
	}
	_, said := outageMeasures(0, 1, 2)[1].reach.met(5, 10)
	require.False(t, said, "below 50 calls/s nothing is said about the leak")
	met, _ := within(0.5, 2).met(0.4, 100)
	require.False(t, met)
	met, _ = atLeast(0.9).met(0.9, 100)
	require.True(t, met)
}

func TestDocument_CombinesSeedsByTheirMedianAndGapsByTheSmallest(t *testing.T) {
	require.InDelta(t, 3, measure{}.combine([]float64{9, 1, 3, 2, 4}), 0)
	require.InDelta(t, 1, measure{pooled: true}.combine([]float64{9, 1, 3}), 0)
	require.Equal(t, "never", measure{format: "%.1f"}.text(math.Inf(1)))
	require.Equal(t, "1.5", measure{format: "%.1f"}.text(1.52))
}

func TestPlot_IsWellFormedAndShowsEachPolicy(t *testing.T) {
	b := newBoard(nil, nil)
	rs := blank(b)
	for _, sc := range slices.Concat(scenarios, field) {
		if sc.plot == "" {
			continue
		}
		section := tuned
		if sc.columns != nil && sc.columns[0].world != nil {
			section = afield
		}
		text := b.plot(rs, section, sc)
		for _, p := range b.policies {
			require.Contains(t, string(text), ">"+p.name+"</text>")
		}
		d := xml.NewDecoder(bytes.NewReader(text))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, sc.name)
		}
	}
}

// The document is written by hand, that is by make; it must not be of another
// time than the code. Only what runs alike each time can be compared.
func TestScoreboard_TheDocumentSaysWhatIsMeasured(t *testing.T) {
	const path = "../../docs/scoreboard/README.md"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, name := range []string{"S2", "S3b", "S4b", "S5", "S7"} {
		s := scenarioNamed(name)
		_, chapter, found := strings.Cut(string(text), "\n### "+name+": ")
		require.True(t, found)
		for _, p := range []string{"sre", "aegis", "rate"} {
			r := resultOf(t, job{scenario: s, policy: policyNamed(p), column: rates[1]})
			for i, m := range s.measures {
				require.Equal(t, m.text(r.values[i]), cell(t, chapter, m.name, p, "100/s"),
					"%s of %s in %s: run make scoreboard", m.name, p, name)
			}
		}
	}
}

func TestScoreboard_TheDocumentSaysWhatIsMeasuredInTheField(t *testing.T) {
	text, err := os.ReadFile("../../docs/scoreboard/README.md")
	require.NoError(t, err)
	for _, name := range []string{"L8a", "L14", "L16"} {
		s := scenarioNamed(name)
		_, chapter, found := strings.Cut(string(text), "\n### "+name+": ")
		require.True(t, found)
		for _, p := range []string{"sre", "aegis"} {
			r := resultOf(t, job{scenario: s, policy: policyNamed(p), column: s.columns[0]})
			for i, m := range s.measures {
				require.Equal(t, m.text(r.values[i]), cell(t, chapter, m.name, p, s.columns[0].heading()),
					"%s of %s in %s: run make scoreboard", m.name, p, name)
			}
		}
	}
}

// cell returns what the first table of a measure says about a policy.
func cell(t *testing.T, chapter, measure, policy, column string) string {
	_, table, found := strings.Cut(chapter, "\n| "+measure+" |")
	require.True(t, found, measure)
	head, rows, _ := strings.Cut(table, "\n")
	i := slices.Index(strings.Split(strings.TrimSpace(head), " | "), column)
	require.GreaterOrEqual(t, i, 0, column)
	_, row, found := strings.Cut(rows, "\n| "+policy+" | ")
	require.True(t, found, policy)
	row, _, _ = strings.Cut(row, "\n")
	return strings.Trim(strings.Split(row, " | ")[i], "* ")
}
