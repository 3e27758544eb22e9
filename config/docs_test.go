package config_test

// docs/config.md makes claims. This file reads them from there.

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	conf "github.com/kratos-breaker/breaker/api/breaker/conf/v1"
	"github.com/kratos-breaker/breaker/config"
)

func docs(t *testing.T) string { t.Helper(); return read(t, filepath.Join("..", "docs", "config.md")) }

// blocks returns the code blocks of a kind.
func blocks(t *testing.T, kind string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllStringSubmatch(docs(t), -1) {
		all = append(all, m[1])
	}
	require.NotEmpty(t, all, kind)
	return all
}

func TestDocs_TheWholeFileIsTheOneThatTheTestsLoad(t *testing.T) {
	require.Equal(t, []string{read(t, filepath.Join("testdata", "full.yaml"))}, blocks(t, "yaml"))
	set, err := config.File(filepath.Join("testdata", "full.yaml")).Section("circuitbreaker").Read()
	require.NoError(t, err)
	require.Empty(t, set.Warnings())
	for call, rule := range map[[2]string]string{
		{"http", "/pay.v1.Pay/Charge"}: "rules[0] /pay.v1.Pay/Charge (circuit)",
		{"grpc", "/pay.v1.Pay/Refund"}: "rules[1] /pay.v1.Pay/* grpc (sre)",
		{"http", "/pay.v1.Pay/Refund"}: "default (sre)",
		{"http", "/v1/users/{id}"}:     "rules[2] /v1/*/{id} (sre)",
		{"http", "/healthz"}:           "rules[3] /health* (off)",
	} {
		require.Equal(t, rule, set.Match(call[0], call[1]).Rule)
	}
	require.Contains(t, docs(t), "`rules[2] /v1/*/{id} (sre)`")
}

func TestDocs_TheFaultsOfTheInvalidFileAreThese(t *testing.T) {
	_, err := config.Parse([]byte(blocks(t, "yaml invalid")[0]), config.YAML)
	require.Equal(t, blocks(t, "text")[0], strings.Join(faultsOf(t, err), "\n")+"\n")
}

func TestDocs_TheSamplesAreCodeOfTheExamples(t *testing.T) {
	code := strings.ReplaceAll(read(t, "example_test.go"), "\t", "")
	for _, sample := range blocks(t, "go") {
		require.Contains(t, code, strings.ReplaceAll(sample, "\t", ""))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, docsFile(ctx, "", ""), "there is no such file")
	require.Error(t, docsKratos(ctx))
}

// TestDocs_EachFieldHasItsRangeAndDefault compares the tables with what the
// validation says, and with the fields of the message.
func TestDocs_EachFieldHasItsRangeAndDefault(t *testing.T) {
	rows := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| (`[a-z][^|]*`) \\|([^|]+)\\|([^|]*)\\|([^|]+)\\|$").FindAllStringSubmatch(docs(t), -1) {
		wanted, byDefault := strings.TrimSpace(m[3]), strings.TrimSpace(m[4])
		for name := range strings.SplitSeq(m[1], ", ") {
			name = strings.Trim(name, "`")
			rows[name] = true
			if wanted == "" {
				continue // as the rows before
			}
			_, err := config.Parse([]byte(textWith(name, "{a: b}")), config.YAML)
			if strings.HasSuffix(name, "http") || strings.HasSuffix(name, "grpc") || strings.HasSuffix(name, "reasons") {
				_, err = config.Parse([]byte(textWith(name, "[{a: b}]")), config.YAML)
			}
			if name == "rules[].match" {
				_, err = config.Parse([]byte(`{rules: [{}]}`), config.YAML)
			}
			require.ErrorContains(t, err, wanted, name)
			first, _, _ := strings.Cut(strings.Trim(byDefault, "`"), ",")
			if regexp.MustCompile(`^(\d.*|true|false|sre|auto|failure)$`).MatchString(first) {
				_, err := config.Parse([]byte(textWith(name, first)), config.YAML)
				if err != nil { // with its sisters missing
					require.NotContains(t, err.Error(), first, name)
				}
			}
		}
	}
	fields := fieldsOf("", (&conf.Rules{}).ProtoReflect().Descriptor())
	for _, f := range fields {
		require.True(t, rows[f], "%s is in no table", f)
	}
	require.Len(t, rows, len(fields))
}

// fieldsOf returns the names of all fields, without those of rules that the
// default has, too.
func fieldsOf(path string, m protoreflect.MessageDescriptor) (all []string) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		name := path + f.TextName()
		switch {
		case path == "" && name == "default":
			all = append(all, fieldsOf("", f.Message())...)
		case path == "" && name == "rules":
			all = append(all, "rules[].match", "rules[].transport")
		case f.Message() == nil || f.Message().FullName() == "google.protobuf.Duration":
			all = append(all, name)
		case f.IsList():
			all = append(all, fieldsOf(name+"[].", f.Message())...)
		default:
			all = append(all, fieldsOf(name+".", f.Message())...)
		}
	}
	return all
}

// textWith returns rules with a value in a field.
func textWith(name, value string) string {
	if !strings.HasPrefix(name, "keys.") && !strings.HasPrefix(name, "rules[]") {
		name = "default." + name
	}
	parts := strings.Split(name, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		key, isList := strings.CutSuffix(parts[i], "[]")
		if isList {
			value = "[" + value + "]"
		}
		value = fmt.Sprintf("{%s: %s}", key, value)
	}
	return value
}
