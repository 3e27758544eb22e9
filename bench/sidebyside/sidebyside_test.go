package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const docs = "../../docs"

// committed returns the results that the documents were written from.
func committed(t *testing.T) *results {
	t.Helper()
	r, err := load(filepath.Join(docs, resultsFile))
	require.NoError(t, err)
	return r
}

func TestDocuments_AreWhatTheResultsSay(t *testing.T) {
	r := committed(t)
	written, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(document(r), written), "go run ./sidebyside -document writes it")
	for _, table := range tables {
		svg, err := os.ReadFile(filepath.Join(docs, table.chart()))
		require.NoError(t, err)
		require.True(t, bytes.Equal(draw(r, table), svg), "%s: go run ./sidebyside -document writes it", table.chart())
	}
	line, err := headline(r)
	require.NoError(t, err)
	require.Equal(t, line, r.Headline)
}

func TestDocuments_EachRowThatIsBehindHasAReason(t *testing.T) {
	require.NoError(t, unexplained(committed(t)))
}

func TestResults_AllThatIsGuardedWasMeasured(t *testing.T) {
	r := committed(t)
	for _, p := range allPairs() {
		require.Positive(t, r.Guard[p.String()], "%s", p)
	}
	require.GreaterOrEqual(t, r.Rounds, 6, "of a few rounds, no quartile means anything")
}

func names(ms []measured) map[string]map[string][]float64 {
	all := map[string]map[string][]float64{}
	for _, m := range ms {
		all[m.Name] = m.Samples
	}
	return all
}

// sample results, in which a rival is ahead on one processor.
func resultsOf(ours, theirs []float64) *results {
	allocs := []float64{0}
	return &results{
		Rounds: len(ours), Headline: "First line.\nSecond line.",
		Measured: []measured{
			{"Closed/sre/breaker", map[string][]float64{"ns/op@1": ours, "ns/op@2": ours, "allocs/op@1": allocs, "B/op@1": allocs}},
			{"Closed/sre/aegis", map[string][]float64{"ns/op@1": theirs, "ns/op@2": theirs}},
			{"Closed/sre/floor", map[string][]float64{"ns/op@1": {1}}},
			{"Memory/sre/breaker", map[string][]float64{"B/breaker@1": {496}}},
			{"Memory/sre/aegis", map[string][]float64{"B/breaker@1": {6120}}},
		},
		Guard: map[string]float64{"a : b": 1.5},
	}
}

func TestResults_AreReadAsTheyWereWritten(t *testing.T) {
	r := resultsOf([]float64{1, 2.125}, []float64{3, 4})
	name := filepath.Join(t.TempDir(), "results.json")
	require.NoError(t, os.WriteFile(name, r.encode(), 0o600))
	back, err := load(name)
	require.NoError(t, err)
	require.Equal(t, r, back)
	require.Len(t, regexp.MustCompile(`(?m)^\t\t\{"Name"`).FindAllString(string(r.encode()), -1), len(r.Measured), "a line for each")
}

func TestParse_ReadsEveryMetricOfEveryNumberOfProcessors(t *testing.T) {
	require.Equal(t, map[string]sample{
		"Closed/sre/go-zero": {
			"ns/op@1": 50.5, "cpu-ns/op@1": 43.25, "B/op@1": 24, "allocs/op@1": 1,
			"ns/op@2": 26, "B/op@2": 24, "allocs/op@2": 1,
		},
		"Memory/sre/breaker":      {"B/breaker@1": 512.4},
		"Growth/window-3s/aegis":  {"ns/op@16": 400},
		"Keyed/keys-1/sync.Map":   {"ns/op@1": 14},
		"EndToEnd/http-down/none": {"p50-ns@2": 79649, "calls/s@2": 32162},
	}, parse(`goos: linux
BenchmarkClosed/sre/go-zero         	 8347600	        50.5 ns/op	        43.25 cpu-ns/op	      24 B/op	       1 allocs/op
BenchmarkClosed/sre/go-zero-2       	 8347600	        26 ns/op	      24 B/op	       1 allocs/op
BenchmarkMemory/sre/breaker         	       1	       512.4 B/breaker
BenchmarkGrowth/window-3s/aegis-16  	       1	       400 ns/op
BenchmarkKeyed/keys-1/sync.Map      	       1	       14 ns/op
BenchmarkEndToEnd/http-down/none-2  	       1	     32162 calls/s	     79649 p50-ns
PASS
`))
}

func TestKeep_TakesTheTimeOnTheProcessor(t *testing.T) {
	samples := map[string]map[string][]float64{}
	keep(samples, "x", sample{"ns/op@1": 90, "cpu-ns/op@1": 40, "ns/op@2": 30})
	keep(samples, "x", sample{"ns/op@1": 95, "ns/op@2": 0})
	require.Equal(t, map[string][]float64{"ns/op@1": {40, 95}, "ns/op@2": {30}}, samples["x"])
}

func TestSlices_EachRoundRunsEachContenderOfARowOnceAndAnotherOneFirst(t *testing.T) {
	s := &suite{names: []string{
		"Closed/sre/breaker", "Closed/sre/aegis", "Closed/sre/floor", "Memory/sre/breaker", "EndToEnd/http/none", "EndToEnd/http/breaker",
	}}
	first := map[string]bool{}
	for round := range 3 {
		all := s.slices(regexp.MustCompile(""), round, 1)
		require.Len(t, all, 5)
		first[all[0].names[0]] = true
		seen := map[string]int{}
		for _, sl := range all {
			for _, name := range sl.names {
				seen[name]++
			}
		}
		for _, name := range s.names {
			require.Equal(t, 1, seen[name], name)
		}
		require.Equal(t, s.names[4:], all[4].names, "measured together")
	}
	require.Len(t, first, 3)
	require.Len(t, s.slices(regexp.MustCompile("aegis"), 0, 1), 1)
	require.Len(t, s.slices(regexp.MustCompile(""), memoryRounds, 1), 4, "bytes are measured in few rounds")
}

func TestQuantile_LiesBetweenTheValues(t *testing.T) {
	require.Zero(t, quantile(nil, 0.5))
	require.InDelta(t, 3, quantile([]float64{3}, 0.75), 0)
	require.InDelta(t, 2.5, quantile([]float64{4, 1, 3, 2}, 0.5), 1e-9)
	require.InDelta(t, 1.75, quantile([]float64{4, 1, 3, 2}, 0.25), 1e-9)
}

func TestRatio_IsTheMedianOfTheRatiosOfEachRound(t *testing.T) {
	// A slow second round hits both.
	require.InDelta(t, 2, ratio([]float64{20, 90, 22}, []float64{10, 45, 11}), 1e-9)
	require.Zero(t, ratio(nil, []float64{1}))
}

func TestTimesOf_NeverFlatters(t *testing.T) {
	for v, want := range map[float64]string{0: "", 0.199: "0.19", 1.99: "1.9", 9.99: "9.9", 10.9: "10", 503.9: "503"} {
		require.Equal(t, want, timesOf(v))
	}
}

func TestUnexplained_NamesARivalThatIsAheadWithoutAReason(t *testing.T) {
	require.NoError(t, unexplained(resultsOf([]float64{40, 41, 42}, []float64{80, 80, 80})))
	require.NoError(t, unexplained(resultsOf([]float64{40, 41, 42}, []float64{39, 40, 41})), "level")
	require.NoError(t, unexplained(resultsOf([]float64{40, 41, 42, 43}, []float64{30, 30, 50, 50})), "not in most rounds")

	r := resultsOf([]float64{40, 41, 42}, []float64{20, 20, 20})
	require.ErrorContains(t, unexplained(r), "Closed/sre/aegis is ahead")
	require.Contains(t, string(document(r)), "- sre/aegis has 0.48 of our cost @1, 0.48 of our cost @2. "+unknown)

	reasons["Closed/sre/aegis"] = "It does less."
	defer delete(reasons, "Closed/sre/aegis")
	require.NoError(t, unexplained(r))
	require.Contains(t, string(document(r)), "- sre/aegis has 0.48 of our cost @1, 0.48 of our cost @2. It does less.")
}

func TestUnexplained_NamesWhatIsSlowerOnTwoProcessorsWithoutAReason(t *testing.T) {
	r := resultsOf([]float64{40, 40, 40}, []float64{90, 90, 90})
	r.Measured[0].Samples["ns/op@2"] = []float64{60, 50, 55}
	require.ErrorContains(t, unexplained(r), "Closed/sre/breaker is 1.38 times as slow on two processors")
	require.Contains(t, string(document(r)), "- Closed/sre/breaker: 1.38 times as long. "+unknown)
}

func TestDocument_SaysAReasonOnceForAllThatHaveIt(t *testing.T) {
	r := resultsOf([]float64{40}, []float64{330})
	for name, v := range map[string]float64{"breaker": 1000, "mist-go": 100} {
		r.Measured = append(r.Measured, measured{"Memory/consecutive/" + name, map[string][]float64{"B/breaker@1": {v}}})
	}
	r.Measured = append(r.Measured, measured{"Memory/consecutive/gobreaker", map[string][]float64{"B/breaker@1": {250}}})
	doc := string(document(r))
	require.Contains(t, doc, "- consecutive/mist-go has 0.10 of our cost @1; consecutive/gobreaker has 0.25 of our cost @1. "+lines)
	require.Equal(t, 1, strings.Count(doc, lines))
}

func TestDocument_SaysWhatWasReached(t *testing.T) {
	doc := string(document(resultsOf([]float64{40}, []float64{330})))
	require.Contains(t, doc, "| `sre`: as fast as aegis | 8 | **8.2** | 10 | 8.2 |")
	require.Contains(t, doc, "| `sre`: as small as aegis | 10 | **12** | | |")
	require.Contains(t, doc, "| sre | **breaker** | 40.0 | 40.0 | 0 | 0 | 1.0 | 1.0 |")
	require.Contains(t, doc, "|  | aegis | 330 | 330 |  |  | 8.2 | 8.2 |")
	require.NotContains(t, doc, "## Over loopback", "of which nothing was measured")
}

func TestHeadline_IsNotWrittenIfACallAllocates(t *testing.T) {
	r := resultsOf([]float64{40}, []float64{330})
	for _, name := range []string{"Middleware/healthy/", "Closed/consecutive/"} {
		for _, contender := range []string{"breaker", "kratos", "gobreaker"} {
			r.Measured = append(r.Measured, measured{name + contender, map[string][]float64{"ns/op@1": {50}, "ns/op@2": {50}, "allocs/op@1": {0}}})
		}
	}
	line, err := headline(r)
	require.NoError(t, err)
	require.Contains(t, line, "A call of `sre` is 8.2 and 8.2 times as fast as one of aegis")
	require.Contains(t, line, "takes 496 bytes, one of aegis 12 times as many.")
	names(r.Measured)["Middleware/healthy/breaker"]["allocs/op@1"][0] = 1
	_, err = headline(r)
	require.ErrorContains(t, err, "Middleware/healthy/breaker")
}

func TestChart_IsXMLWithABackgroundOfItsOwn(t *testing.T) {
	r := resultsOf([]float64{0.4, 0.5}, []float64{330, 2e7})
	for _, table := range tables {
		svg := draw(r, table)
		require.Contains(t, string(svg), `fill="#ffffff"`)
		d := xml.NewDecoder(bytes.NewReader(svg))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
				for _, a := range e.Attr {
					require.NotContains(t, a.Value, "-", "no bar of a negative length")
					require.NotContains(t, a.Value, "N", "nor of none")
				}
			}
		}
	}
}

func allPairs() (all []pair) {
	for _, w := range guarded {
		all = append(all, w.pairs()...)
	}
	return all
}

func TestGuard_SaysWhichRatioBecameWorse(t *testing.T) {
	was := map[string]float64{}
	for _, p := range allPairs() {
		was[p.String()] = 1.2
		was[allocationsOf+p.ours] = 0
	}
	floor, rival := guarded[0].pairs()[0], guarded[0].pairs()[1]
	var out strings.Builder
	is := maps.Clone(was)
	is[floor.String()], is[rival.String()] = 1.49, 1.49
	require.NoError(t, verdict(&out, was, is), "up to 25 % more")

	is[floor.String()] = 2.3
	require.NoError(t, verdict(&out, was, is), "the floor is faster on this machine, for the rival is not")

	is[rival.String()] = 1.51
	err := verdict(&out, was, is)
	require.ErrorContains(t, err, floor.String())
	require.ErrorContains(t, err, rival.String())
	require.NotContains(t, err.Error(), guarded[1].ours)
	require.Contains(t, out.String(), "! "+floor.String())

	is = maps.Clone(was)
	is[rival.String()] = 2.5
	require.ErrorContains(t, verdict(&out, was, is), rival.String(), "whatever the other one says")
	delete(is, rival.String())
	require.ErrorContains(t, verdict(&out, was, is), rival.String(), "it was not measured")

	is = maps.Clone(was)
	is[allocationsOf+floor.ours] = 1
	require.ErrorContains(t, verdict(&out, was, is), allocationsOf+floor.ours)

	delete(was, rival.String())
	require.ErrorContains(t, verdict(&out, was, was), rival.String(), "it was never written down")
}

func TestGuard_SaysWhatRejectedACallAndOnHowManyProcessors(t *testing.T) {
	var out strings.Builder
	require.Empty(t, sample{"@1": 0, "@2": 0}.rejected(&out, "a"))
	require.Equal(t, []string{"b @2"}, sample{"@1": 0, "@2": 1e-9}.rejected(&out, "b"))
	require.Contains(t, out.String(), "! b @2")
	require.Equal(t, 1, strings.Count(out.String(), "!"))
}

func TestProcessors_OnlyBreakersThatRejectedNothingAreCompared(t *testing.T) {
	all := map[string]*twice{}
	for _, out := range []string{`processors add 1 6 0
processors add 2 15 0
{"content": "a line of a rival"}
processors 10 1 50 0
processors 10 1 90 3
processors 10 2 60 0
processors 10 2 20 700
`, `processors add 1 8 0
processors add 2 16 0
processors 10 1 40 0
processors 10 1 60 0
processors 10 2 75 0
processors 60 1 99 0
`} {
		names, err := addProcess(all, []byte(out))
		require.NoError(t, err)
		require.Equal(t, []string{"add", "10", "60"}[:len(names)], names)
	}
	require.Equal(t, &twice{one: []float64{50, 40, 60}, two: []float64{60, 75}, ratios: []float64{1.2, 1.5}, breakers: 3}, all["10"])
	var out strings.Builder
	printProcessors(&out, all, []string{"add", "10", "60"})
	require.Regexp(t, `(?m)^10 % +2 of 3 +50\.0 +67\.5 +73\.5 +1\.35 +1\.47 +4\.35$`, out.String())
	require.Regexp(t, `(?m)^60 % +0 of 0 +99\.0 `, out.String())

	_, err := addProcess(all, []byte("processors 10 two"))
	require.Error(t, err)
}
