package bounds_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker/internal/bounds"
)

// This file goes from the code to the bounds: an option with a number that has
// none, and a doc comment that says another range or default, are faults.

// code is where the options are, by the name of the package in a bound.
var code = map[string]string{
	"sre": "sre", "circuit": "circuit", "group": "group", "selector": "selector", "errors": "errors", "config": "config",
	"metrics": "metrics", "prometheus": "contrib/prometheus", "transport/grpc": "transport/grpc",
	"transport/http": "transport/http", "middleware/endpoint": "middleware/endpoint", "middleware/circuitbreaker": "middleware/circuitbreaker",
	"logging": "logging", "tracing": "tracing", "dashboard": "dashboard", "kratosv1/breaker": "kratosv1/breaker", "breaker": "",
}

// option is an exported function that returns an Option.
type option struct {
	doc     string
	numbers int // arguments that are numbers
}

// options returns those of a package, by name.
func options(t *testing.T, dir string) map[string]option {
	t.Helper()
	found := make(map[string]option)
	files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results.NumFields() != 1 {
				continue
			}
			if result, ok := f.Type.Results.List[0].Type.(*ast.Ident); !ok || result.Name != "Option" {
				continue
			}
			o := option{doc: f.Doc.Text()}
			for _, p := range f.Type.Params.List {
				if isNumber(p.Type) {
					o.numbers += len(p.Names)
				}
			}
			found[f.Name.Name] = o
		}
	}
	require.NotEmpty(t, files, dir)
	return found
}

func isNumber(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return regexp.MustCompile(`^(u?int\d*|float\d+)$`).MatchString(e.Name)
	case *ast.SelectorExpr:
		return e.Sel.Name == "Duration"
	case *ast.Ellipsis:
		return isNumber(e.Elt)
	}
	return false
}

// byOption returns the bounds of each option.
func byOption() map[string][]bounds.Bound {
	all := make(map[string][]bounds.Bound)
	for _, b := range bounds.All() {
		name, _ := b.Describe()
		all[name] = append(all[name], b)
	}
	return all
}

func TestCode_EveryNumberOfAnOptionHasABoundAndEveryBoundAnOption(t *testing.T) {
	known := byOption()
	for pkg, dir := range code {
		for name, o := range options(t, dir) {
			full := pkg + "." + name
			require.Len(t, known[full], o.numbers, "%s: bounds for %d numbers", full, o.numbers)
			delete(known, full)
		}
	}
	for name := range known {
		require.Contains(t, name, ".Config.", "there is no such option")
	}
}

// TestCode_TheDocCommentOfAnOptionSaysItsRangeAndDefault also takes what a
// comment says by a link to another option.
func TestCode_TheDocCommentOfAnOptionSaysItsRangeAndDefault(t *testing.T) {
	for name, all := range byOption() {
		pkg, function, _ := strings.Cut(name, ".")
		if strings.HasPrefix(function, "Config.") {
			continue
		}
		of := options(t, code[pkg])
		doc := of[function].doc
		for _, link := range regexp.MustCompile(`\[(With\w+)\]`).FindAllStringSubmatch(doc, -1) {
			doc += of[link[1]].doc
		}
		ranges, defaults := said(doc)
		for _, b := range all {
			_, what := b.Describe()
			low, high, _ := strings.Cut(b.Range(), ", ")
			if !slices.Contains(ranges, low+", …]") && !slices.Contains(ranges, "[…, "+high) { // other options say one end
				require.Contains(t, ranges, b.Range(), "%s: %s\n%s", name, what, doc)
			}
			if first, _, _ := strings.Cut(b.ByDefault(), ","); regexp.MustCompile(`^\d`).MatchString(first) && first != "0" {
				require.Contains(t, defaults, first, "%s: %s\n%s", name, what, doc)
			}
		}
	}
}

// TestCode_TheFieldsOfKratosV1SayTheirRangesAndDefaults does the same for a struct.
func TestCode_TheFieldsOfKratosV1SayTheirRangesAndDefaults(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "kratosv1", "breaker", "config.go"))
	require.NoError(t, err)
	doc := strings.ReplaceAll(string(text), "\n\t//", "")
	for field, b := range map[string]bounds.Bound{"K": bounds.K, "Window": bounds.Window, "Bucket": bounds.Bucket, "Request": bounds.Request} {
		comment := regexp.MustCompile(` ` + field + ` is [^\n]*`).FindString(doc)
		ranges, defaults := said(comment)
		require.Equal(t, []string{b.Range()}, ranges, field)
		want := b.ByDefault()
		if field == "Request" {
			want = strconv.Itoa(bounds.ClassicRequest)
		}
		require.Equal(t, []string{want}, defaults, field)
	}
}

// said returns the ranges and the defaults that a text says, as a bound would say
// them.
func said(doc string) (ranges, defaults []string) {
	doc = strings.Join(strings.Fields(doc), " ")
	value := `(\d[\w.µ]*(?: (?:µs|ms|s|minutes)\b)?|the largest int)`
	for _, m := range regexp.MustCompile(`([\[(])`+value+`, `+value+`\]`).FindAllStringSubmatch(doc, -1) {
		ranges = append(ranges, m[1]+plain(m[2])+", "+plain(m[3])+"]")
	}
	// 1 <= m <= n <= 1e6, which is that of n and, with n, that of m.
	for _, m := range regexp.MustCompile(`\b`+value+` <= \w+ <= \w+ <= `+value).FindAllStringSubmatch(doc, -1) {
		ranges = append(ranges, "["+plain(m[1])+", "+plain(m[2])+"]")
	}
	for _, m := range regexp.MustCompile(`range is from `+value+` to the number`).FindAllStringSubmatch(doc, -1) {
		ranges = append(ranges, "["+plain(m[1])+", …]")
	}
	for _, m := range regexp.MustCompile(`from the \w+ to `+value+` for`).FindAllStringSubmatch(doc, -1) {
		ranges = append(ranges, "[…, "+plain(m[1])+"]")
	}
	for _, m := range regexp.MustCompile(`\bdefault (?:is )?(?:[a-z]+ )?`+value).FindAllStringSubmatch(doc, -1) {
		defaults = append(defaults, plain(m[1]))
	}
	for _, m := range regexp.MustCompile(`this one with n = (\d+)`).FindAllStringSubmatch(doc, -1) {
		defaults = append(defaults, m[1])
	}
	return ranges, defaults
}

// plain returns a value as a bound writes it.
func plain(value string) string {
	if value == "the largest int" {
		return "9223372036854775807"
	}
	value = strings.ReplaceAll(strings.ReplaceAll(value, " minutes", "m"), " ", "")
	value = strings.TrimRight(value, ".")
	if f, err := strconv.ParseFloat(value, 64); err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	if d, err := time.ParseDuration(value); err == nil {
		return bounds.Brief(d)
	}
	return value
}
