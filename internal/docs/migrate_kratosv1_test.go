package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/kratosv1/breaker"
)

// migrateKratosV1Section returns what docs/migrate.md says of Kratos v1.
func migrateKratosV1Section(t *testing.T) string {
	_, section, found := strings.Cut(migrateText(t), "**v1** (")
	require.True(t, found)
	section, _, found = strings.Cut(section, "\n## ")
	require.True(t, found)
	return section
}

func TestMigrateKratosV1_EachRowHasATestWithItsNumber(t *testing.T) {
	code, err := os.ReadFile("kratosv1/breaker/kratos_test.go")
	require.NoError(t, err)
	var ids []string
	for _, row := range regexp.MustCompile(`(?m)^\| K-(\d\d) \|`).FindAllStringSubmatch(migrateKratosV1Section(t), -1) {
		require.NotContains(t, ids, row[1], "twice")
		ids = append(ids, row[1])
		require.Contains(t, string(code), "func TestK"+row[1]+"_")
	}
	require.Len(t, ids, 13)
}

func TestMigrateKratosV1_TheImportLineIsThatOfThePackage(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^\+import "github.com/kratos-breaker/breaker/(.*)"$`).
		FindStringSubmatch(migrateKratosV1Section(t))
	require.Len(t, lines, 2)
	require.Contains(t, exportedNames(t, filepath.FromSlash(lines[1])), "NewGroup")
	require.Equal(t, []int32{0, 1, 2}, []int32{breaker.StateOpen, breaker.StateClosed, breaker.StateHalfopen},
		"as the table of states says")
	require.Contains(t, migrateText(t), "\n| Kratos v1 | 1 | 2 | 0 |\n")
}

func TestMigrateKratosV1_EveryNameAndOptionOfThePackageIsThere(t *testing.T) {
	section := migrateKratosV1Section(t)
	for _, name := range exportedNames(t, "kratosv1/breaker") {
		if strings.HasPrefix(name, "With") || slices.Contains([]string{"Default", "Init", "Go", "NewGroup", "Config", "Duration"}, name) {
			require.Regexp(t, "`[^`]*\\b"+name+"\\b", section)
		}
	}
}
