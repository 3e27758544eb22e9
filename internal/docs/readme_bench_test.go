package docs_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ratios in the README are those of the committed measurement. That they
// follow from it is tested where they are made, in bench/sidebyside.
func TestReadme_SaysHowMuchFasterAsItWasMeasured(t *testing.T) {
	b, err := os.ReadFile("docs/benchmarks/results.json")
	require.NoError(t, err)
	var results struct{ Headline string }
	require.NoError(t, json.Unmarshal(b, &results))
	require.NotEmpty(t, results.Headline)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	require.Contains(t, words(string(readme)), words(results.Headline), "make bench printed it")
}
