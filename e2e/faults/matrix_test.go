package faults_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// table is by fault and line.
type table map[[2]string]string

func TestMatrix_EveryFaultEndsAsItIsDocumented(t *testing.T) {
	want := documented(t)
	got := table{}
	var mu sync.Mutex
	t.Run("cells", func(t *testing.T) {
		for _, f := range faults {
			for _, l := range lines {
				if f.onlyGRPC && !l.grpc {
					continue
				}
				t.Run(f.name+"/"+l.name, func(t *testing.T) {
					t.Parallel()
					cell := play(t, f, l)
					mu.Lock()
					got[[2]string{f.name, l.name}] = cell
					mu.Unlock()
					require.Equal(t, want[[2]string{f.name, l.name}], cell)
				})
			}
		}
	})
	t.Logf("\n%s\n%s", got.markdown(lines[:6]), got.markdown(lines[6:]))
	require.Len(t, want, len(got), "a row or a column of the document is unknown here")
}

// play returns what a cell says: the outcome of each call and what the caller
// saw.
func play(t *testing.T, f fault, l *line) string {
	for soon := 200 * time.Millisecond; ; soon *= 4 {
		s := newScene(t, l, soon)
		saw := f.play(s)
		s.end()
		if s.late && soon < patience {
			continue
		}
		require.False(t, s.late, "the scene was never set in time")
		outcomes := s.b.outcomes(t)
		require.Len(t, outcomes, len(saw), "calls that asked the breaker: %v", saw)
		return tell(outcomes, saw)
	}
}

// tell writes equal calls in a row as one.
func tell(outcomes []breaker.Outcome, saw []string) string {
	var calls []string
	for i := 0; i < len(saw); {
		n := 1
		for i+n < len(saw) && saw[i+n] == saw[i] && outcomes[i+n] == outcomes[i] {
			n++
		}
		call := fmt.Sprintf("%s: %s", outcomes[i], saw[i])
		if n > 1 {
			call = fmt.Sprintf("%d × %s", n, call)
		}
		calls = append(calls, call)
		i += n
	}
	return strings.Join(calls, "; ")
}

// markdown writes the columns of some lines as in the document.
func (t table) markdown(ls []*line) string {
	var b strings.Builder
	row := func(first string, cell func(*line) string) {
		b.WriteString("| " + first)
		for _, l := range ls {
			b.WriteString(" | " + cell(l))
		}
		b.WriteString(" |\n")
	}
	row("fault", func(l *line) string { return l.name })
	row("---", func(*line) string { return "---" })
	for _, f := range faults {
		if f.onlyGRPC && !ls[0].grpc {
			continue
		}
		row(f.name, func(l *line) string { return t[[2]string{f.name, l.name}] })
	}
	return b.String()
}

// documented reads the tables of the document.
func documented(t *testing.T) table {
	text, err := os.ReadFile("../../docs/faults.md")
	require.NoError(t, err)
	all := table{}
	var columns []string
	for _, l := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(l, "| ") {
			columns = nil
			continue
		}
		cells := strings.Split(strings.Trim(l, "| "), " | ")
		switch {
		case columns == nil:
			columns = cells
		case strings.HasPrefix(cells[0], "---"):
		case columns[0] == "fault":
			require.Len(t, cells, len(columns), l)
			for i, cell := range cells[1:] {
				all[[2]string{cells[0], columns[i+1]}] = cell
			}
		}
	}
	return all
}
