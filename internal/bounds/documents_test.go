package bounds_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// This file goes from the bounds to the documents. docs/config.md is compared by
// package config, which knows the names of the fields.

func document(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, path...)...))
	require.NoError(t, err)
	return string(text)
}

func TestDocuments_TheREADMEHasARowForEachOptionOfSREAndOfGroup(t *testing.T) {
	readme := document(t, "README.md")
	for _, b := range bounds.All() {
		option, what := b.Describe()
		if pkg, _, _ := strings.Cut(option, "."); pkg != "sre" && pkg != "group" {
			continue
		}
		values := strings.ReplaceAll(strings.Trim(b.Range(), "[]"), ", ", " to ")
		values = strings.ReplaceAll(values, "9223372036854775807", "the largest int")
		row := "| `" + option + "` | " + what + " | " + values + " | " + b.ByDefault() + " |"
		require.True(t, strings.Contains(readme, "\n"+row+"\n"), "README.md lacks the row\n%s", row)
	}
}

func TestDocuments_TheKnobsOfTheAlgorithmAreTheOptionsOfSRE(t *testing.T) {
	algorithm := document(t, "docs", "algorithm.md")
	for _, b := range bounds.All() {
		option, _ := b.Describe()
		name, ok := strings.CutPrefix(option, "sre.")
		if !ok {
			continue
		}
		_, row, ok := strings.Cut(algorithm, "\n| `"+name+"` | ")
		require.True(t, ok, "%s has no row", name)
		row, _, _ = strings.Cut(row, "\n")
		ranges, _ := said(row)
		require.Contains(t, ranges, b.Range(), name)
		cells := strings.Split(row, " | ")
		byDefault, _, _ := strings.Cut(b.ByDefault(), ",")
		byDefault = strings.ReplaceAll(strings.TrimPrefix(byDefault, "as "), "sre.", "")
		require.Equal(t, byDefault, plain(strings.Split(cells[1], ",")[0]), name)
	}
}
