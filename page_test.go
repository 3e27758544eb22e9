package breaker_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pages are the packages that a program of a user imports to guard its calls.
var pages = []string{
	".", "circuit", "errors", "group",
	"middleware/circuitbreaker", "middleware/endpoint", "transport/grpc", "transport/http",
}

func TestPages_SayWhenToTakeThePackageAndSpeakOfCostsAndLocksLast(t *testing.T) {
	ofCost := regexp.MustCompile(`\b(locks?|goroutines?|allocat\w+)\b`)
	for _, dir := range pages {
		page, cost, _ := strings.Cut(pageOf(t, dir), "\n# Cost\n")
		require.Regexp(t, `\bTake `, page, dir)
		require.NotRegexp(t, ofCost, page, dir)
		require.NotContains(t, cost, "\n# ", "%s: the cost is the last section", dir)
	}
}

func TestPages_ShowSamplesThatAreCodeOfAnExample(t *testing.T) {
	shown := 0
	for _, dir := range pages {
		code := ""
		names, err := filepath.Glob(filepath.Join(dir, "example*_test.go"))
		require.NoError(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			code += string(text)
		}
		for _, sample := range regexp.MustCompile(`(?m)(^\t.*\n|^\n)+`).FindAllString(pageOf(t, dir), -1) {
			if strings.TrimSpace(sample) == "" || !isCode(sample) {
				continue
			}
			shown++
			for line := range strings.Lines(sample) {
				line, _, _ = strings.Cut(strings.TrimSpace(line), " //")
				require.Contains(t, code, line, dir)
			}
		}
	}
	require.GreaterOrEqual(t, shown, len(pages)-2, "only those of errors and endpoint have none")
}

// isCode reports whether a block of a page is statements, and no table.
func isCode(block string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() {\n"+block+"\n}", parser.SkipObjectResolution)
	return err == nil
}

func TestExamples_ImportThisModuleAndKratosUnderOneSetOfNames(t *testing.T) {
	under := map[string]map[string]string{} // by path and name, a file
	require.NoError(t, filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		isExample, _ := filepath.Match("example*_test.go", filepath.Base(name))
		if err != nil || !isExample || strings.HasPrefix(name, "kratosv1") { // under the names of Kratos v1
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			if under[path] == nil {
				under[path] = map[string]string{}
			}
			under[path][nameOf(i)] = name
		}
		return nil
	}))
	require.Contains(t, under, "github.com/kratos-breaker/breaker/transport/http")
	for path, names := range under {
		require.Len(t, names, 1, path)
	}
}

func nameOf(i *ast.ImportSpec) string {
	if i.Name == nil {
		return ""
	}
	return i.Name.Name
}

// pageOf returns the documentation of a package, without the marks of a comment.
func pageOf(t *testing.T, dir string) string {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		if file.Doc != nil {
			return file.Doc.Text()
		}
	}
	require.Fail(t, "there is no page", dir)
	return ""
}
