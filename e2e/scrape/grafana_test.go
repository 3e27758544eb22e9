package scrape_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/config"
	"github.com/kratos-breaker/breaker/group"
)

// ofPrometheus are the labels that Prometheus adds to what it scrapes.
var ofPrometheus = []string{"job", "instance"}

// everything is a scrape in which every series is that there can be.
func everything(t *testing.T) lines {
	t.Helper()
	g := group.NewKeyed(func(key string) *circuit.Breaker {
		return circuit.NewBreaker(circuit.WithName(key), circuit.WithConsecutiveFailures(1), circuit.WithDelay(time.Millisecond))
	}, group.WithLimit(4))
	for i, mode := range []breaker.Mode{breaker.Auto, breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun, breaker.Auto} {
		g.Get(fmt.Sprint(i)).SetMode(mode)
	}
	b := g.Get("0")
	p, err := b.Acquire()
	require.NoError(t, err)
	p.Done(breaker.Failure)
	require.Eventually(t, func() bool { return b.Snapshot().State == breaker.HalfOpen }, 10*time.Second, time.Millisecond)
	target := newTarget(t)
	rules, err := config.Parse([]byte("{}"), config.JSON)
	require.NoError(t, err)
	target.publish(t, breaker.Sources(breaker.SourceOf(g), config.New(rules)))
	return target.scrape(t)
}

// query is a PromQL expression, and where it stands.
type query struct{ where, promQL string }

var (
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	legendLabel = regexp.MustCompile(`{{\s*(?:\$labels\.)?(\w+)\s*}}`)
)

// dashboard returns the queries of breakers.json and the labels that its texts
// name.
func dashboard(t *testing.T) (queries []query, labels []string) {
	t.Helper()
	var root any
	require.NoError(t, json.Unmarshal(read(t, "breakers.json"), &root))
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if title, ok := v["title"].(string); ok {
				where = title
			}
			for k, v := range v {
				walk(where+"."+k, v)
			}
		case []any:
			for _, v := range v {
				walk(where, v)
			}
		case string:
			switch m := labelValues.FindStringSubmatch(v); {
			case m != nil:
				queries = append(queries, query{where, m[1]})
				labels = append(labels, m[2])
			case strings.HasSuffix(where, ".expr"):
				queries = append(queries, query{where, v})
			default:
				labels = append(labels, labelsIn(v)...)
			}
		}
	}
	walk("", root)
	return queries, labels
}

// alerts returns the queries of alerts.yaml and the labels that its texts name.
func alerts(t *testing.T) (queries []query, labels []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				For                 time.Duration
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(read(t, "alerts.yaml"))))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			queries = append(queries, query{r.Alert, r.Expr})
			require.NotEmpty(t, r.Labels["severity"])
			for _, text := range r.Annotations {
				labels = append(labels, labelsIn(text)...)
			}
		}
	}
	return queries, labels
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grafana", file))
	require.NoError(t, err)
	return b
}

func labelsIn(text string) (all []string) {
	for _, m := range legendLabel.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestDeployed_AllThatTheyAskForIsInAScrape: whatever is renamed in package
// metrics must be renamed in the dashboard and the alerts.
func TestDeployed_AllThatTheyAskForIsInAScrape(t *testing.T) {
	scraped := everything(t)
	hasLabel := func(label string) bool {
		return slices.Contains(ofPrometheus, label) ||
			slices.ContainsFunc(scraped, func(s sample) bool { _, ok := s.labels[label]; return ok })
	}
	asked := map[string]bool{}
	for file, of := range map[string]func(*testing.T) ([]query, []string){"breakers.json": dashboard, "alerts.yaml": alerts} {
		queries, labels := of(t)
		require.Greater(t, len(queries), 4, file)
		for _, q := range queries {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(withoutVariables(q.promQL))
			require.NoError(t, err, "%s: %s", file, q)
			parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
				switch n := n.(type) {
				case *parser.VectorSelector:
					asked[n.Name] = true
					require.True(t, slices.ContainsFunc(scraped, func(s sample) bool { return s.answers(n) }),
						"%s: %s: nothing in a scrape answers %s", file, q.where, n)
				case *parser.AggregateExpr:
					labels = append(labels, n.Grouping...)
				case *parser.BinaryExpr:
					if n.VectorMatching != nil {
						labels = append(labels, n.VectorMatching.MatchingLabels...)
					}
				}
				return nil
			})
		}
		for _, label := range labels {
			require.True(t, hasLabel(label), "%s: no line of a scrape has the label %q", file, label)
		}
	}
	for _, s := range scraped {
		require.True(t, asked[s.name], "neither the dashboard nor an alert shows %s", s.name)
	}
}

// answers reports whether a query for v would find s in Prometheus.
func (s sample) answers(v *parser.VectorSelector) bool {
	for _, m := range v.LabelMatchers {
		value, ok := s.labels[m.Name]
		switch {
		case m.Name == "__name__":
			value = s.name
		case slices.Contains(ofPrometheus, m.Name):
			value = "any"
		case !ok:
			return false
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}

// withoutVariables puts something in the place of Grafana's variables, as
// Grafana does before it asks.
func withoutVariables(promQL string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*", "$name", ".*").Replace(promQL)
}

func TestAlerts_FireWhenTheyShould(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		const reason = "no promtool here: it comes with Prometheus"
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	out, err := exec.Command(promtool, "test", "rules", filepath.Join("..", "..", "deploy", "grafana", "alerts_test.yaml")).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
