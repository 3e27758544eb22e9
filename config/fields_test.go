package config_test

// From the code to the documents: a field or an option that one of them lacks is a
// fault. Package internal/bounds does the same for the README and the doc comments.

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"gopkg.in/yaml.v3"

	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	"github.com/kratos-breaker/breaker/config"
)

// paths returns the paths of all fields.
func paths() (all []string) {
	policy, other := config.Rows()
	for _, r := range slices.Concat(policy, other) {
		all = append(all, r.Path)
	}
	return all
}

// fieldFor returns the name of the field for an option: WithProbeLimit is probe_limit.
func fieldFor(option string) string {
	name := strings.TrimPrefix(option, "With")
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "${1}_$2"))
}

func TestFields_TheTablesOfTheDocumentAreThatOfTheCode(t *testing.T) {
	policy, other := config.Rows()
	for head, rows := range map[string][]config.Row{"field of the default and of a rule": policy, "field": other} {
		table := "| " + head + " | what | range | default |\n|---|---|---|---|\n"
		for _, r := range rows {
			line := fmt.Sprintf("| `%s` | %s | %s | %s |\n", r.Path, r.What, r.Values, r.ByDefault)
			table += regexp.MustCompile("`(sre|circuit)\\.((?:With|Classic)\\w*)`").ReplaceAllStringFunc(line, func(option string) string {
				pkg, name, _ := strings.Cut(strings.Trim(option, "`"), ".")
				return "`" + pkg + "." + fieldFor(name) + "`"
			})
		}
		require.True(t, strings.Contains(docs(t), "\n"+table+"\n"), "docs/config.md lacks the table\n%s", table)
	}
}

func TestFields_TheMessageHasEachOfThemWithItsType(t *testing.T) {
	rules := (&conf.Rules{}).ProtoReflect().Descriptor()
	require.ElementsMatch(t, paths(), fieldsOf("", rules))
	// A rule has what the default has.
	fields := rules.Fields()
	rule := fieldsOf("", fields.ByName("rules").Message())
	require.ElementsMatch(t, append(fieldsOf("", fields.ByName("default").Message()), "match", "transport"), rule)

	policy, other := config.Rows()
	for _, r := range slices.Concat(policy, other) {
		f := fieldAt(rules, r.Path)
		kind := f.Kind().String()
		if f.Message() != nil {
			kind = string(f.Message().FullName())
		}
		require.Equal(t, kindOf(t, r), kind, r.Path)
		require.Equal(t, r.List, f.IsList(), r.Path)
		require.True(t, f.HasPresence() || r.List || r.Path == "rules[].match", "%s: what is not set is not 0", r.Path)
	}
}

// fieldAt returns the field of the message at a path.
func fieldAt(m protoreflect.MessageDescriptor, path string) (f protoreflect.FieldDescriptor) {
	if !strings.HasPrefix(path, "rules[]") && !strings.HasPrefix(path, "keys.") {
		path = "default." + path
	}
	for name := range strings.SplitSeq(path, ".") {
		f = m.Fields().ByName(protoreflect.Name(strings.TrimSuffix(name, "[]")))
		m = f.Message()
	}
	return f
}

// kindOf returns the type of the field in the message.
func kindOf(t *testing.T, r config.Row) string {
	_, err := config.Parse([]byte(textWith(r.Path, "{}")), config.YAML)
	if r.List || r.Path == "rules[].match" {
		return "string"
	}
	for _, f := range faultsOf(t, err) {
		for want, kind := range map[string]string{
			"a whole number in": "int64", "a number in": "double", `, as "1.5s"`: "google.protobuf.Duration",
			"true or false": "bool", " or ": "string",
		} {
			if strings.Contains(f, want) && (kind != "string" || !strings.Contains(f, "true or false")) {
				return kind
			}
		}
	}
	return ""
}

func TestFields_TheWholeFileHasEachOfThem(t *testing.T) {
	var file map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, filepath.Join("testdata", "full.yaml"))), &file))
	used := make(map[string]bool)
	var collect func(path string, v any)
	collect = func(path string, v any) {
		used[path] = true
		switch v := v.(type) {
		case map[string]any:
			for name, child := range v {
				collect(strings.TrimPrefix(path+"."+name, "."), child)
			}
		case []any:
			for _, e := range v {
				collect(path+"[]", e)
			}
		}
	}
	collect("", file["circuitbreaker"])
	for _, path := range paths() {
		require.True(t, used[path] || used["default."+path] || used["rules[]."+path], "%s is not in full.yaml", path)
	}
}

// inCodeOnly are options that no file can have.
var inCodeOnly = map[string]string{
	"WithName": "it is the key", "WithListener": "a function: config.WithListener", "WithRandom": "a function",
	"WithOpenWhen": "a function", "WithDelayFunc": "a function", "WithFailurePercent": "failure_rate[].percent",
}

func TestFields_EachOptionOfABreakerAndOfAGroupHasOne(t *testing.T) {
	fields := paths()
	for pkg, section := range map[string]string{"sre": "sre", "circuit": "circuit", "group": "keys"} {
		files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
		require.NoError(t, err)
		options := 0
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			require.NoError(t, err)
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Recv != nil || !f.Name.IsExported() || strings.HasSuffix(name, "_test.go") || f.Type.Results.NumFields() != 1 {
					continue
				}
				result, ok := f.Type.Results.List[0].Type.(*ast.Ident)
				if !ok || result.Name != "Option" || inCodeOnly[f.Name.Name] != "" {
					continue
				}
				options++
				path := section + "." + fieldFor(f.Name.Name)
				require.True(t, slices.ContainsFunc(fields, func(field string) bool {
					return field == path || strings.HasPrefix(field, path+".") || strings.HasPrefix(field, path+"[].")
				}), "%s.%s has no field %s", pkg, f.Name.Name, path)
			}
		}
		require.NotZero(t, options, pkg)
	}
}
