package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suite is the compiled benchmarks.
type suite struct {
	dir, binary string
	names       []string // as Closed/sre/breaker
}

func newSuite(ctx context.Context) (*suite, error) {
	dir, err := os.MkdirTemp("", "sidebyside")
	if err != nil {
		return nil, err
	}
	s := &suite{dir: dir, binary: filepath.Join(dir, "bench.test")}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.binary, ".")
	build.Env = append(os.Environ(), "GOWORK=off") // a workspace may have other versions
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		s.remove()
		return nil, fmt.Errorf("go test -c: %w", err)
	}
	list, err := exec.CommandContext(ctx, s.binary, "-contenders").Output()
	if err != nil {
		s.remove()
		return nil, err
	}
	s.names = strings.Fields(string(list))
	return s, nil
}

func (s *suite) remove() { _ = os.RemoveAll(s.dir) }

// check reports what the tables of this program and the benchmarks do not agree
// about.
func (s *suite) check() error {
	wanted := slices.Clone(unrejected)
	for _, g := range guarded {
		wanted = append(append(wanted, g.ours), g.than...)
	}
	for _, t := range targets {
		wanted = append(wanted, t.ours, t.than)
	}
	for name := range reasons {
		wanted = append(wanted, strings.TrimSuffix(name, atTwo))
	}
	for _, name := range wanted {
		if !slices.Contains(s.names, name) {
			return fmt.Errorf("there is no benchmark %s", name)
		}
	}
	for _, name := range s.names {
		if !slices.ContainsFunc(tables, func(t table) bool { return t.name == tableOf(name) }) {
			return fmt.Errorf("there is no description of the table of %s", name)
		}
	}
	return nil
}

// modules are what the benchmarks compare, by the names that the document uses.
var modules = map[string]string{
	"github.com/go-kratos/aegis":         "aegis",
	"github.com/go-kratos/kratos/v2":     "kratos",
	"github.com/sony/gobreaker/v2":       "gobreaker",
	"github.com/failsafe-go/failsafe-go": "failsafe-go",
	"github.com/greynewell/mist-go":      "mist-go",
	"github.com/zeromicro/go-zero":       "go-zero",
	"github.com/afex/hystrix-go":         "hystrix-go",
	"github.com/rubyist/circuitbreaker":  "rubyist",
	"google.golang.org/grpc":             "grpc-go",
}

// versions returns those that the benchmarks were built with.
func versions() (map[string]string, error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all")
	list.Env = append(os.Environ(), "GOWORK=off")
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m all: %w", err)
	}
	found := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	for l := range strings.Lines(string(out)) {
		path, version, _ := strings.Cut(strings.TrimSpace(l), " ")
		if name, ok := modules[path]; ok {
			found[name] = strings.TrimSuffix(version, "+incompatible")
		}
	}
	return found, nil
}

// slice is one run of the binary.
type slice struct {
	names  []string // as Closed/sre/breaker: one, or all of a row
	length string   // as -test.benchtime takes it
	cpu    string
	short  bool // windows need not be full
}

// sample is what a benchmark reported: by metric and number of processors, as
// ns/op@2.
type sample map[string]float64

// run runs the binary. Because a benchmark may find that it measured something
// else, as after a long pause, it tries a second time.
func (s *suite) run(ctx context.Context, sl slice) (map[string]sample, error) {
	found, err := s.try(ctx, sl)
	if err != nil && ctx.Err() == nil {
		found, err = s.try(ctx, sl)
	}
	return found, err
}

func (s *suite) try(ctx context.Context, sl slice) (map[string]sample, error) {
	pattern := strings.Split(sl.names[0], "/")
	if len(sl.names) > 1 {
		pattern = pattern[:2]
	}
	for i := range pattern {
		pattern[i] = "^" + regexp.QuoteMeta(pattern[i]) + "$"
	}
	pattern[0] = "^Benchmark" + pattern[0][1:]
	args := []string{
		"-test.run", "^$", "-test.bench", strings.Join(pattern, "/"),
		"-test.benchtime", sl.length, "-test.cpu", sl.cpu, "-test.timeout", "5m",
	}
	if sl.short {
		args = append(args, "-test.short")
	}
	var out, problems bytes.Buffer
	c := exec.CommandContext(ctx, s.binary, args...)
	c.Stdout, c.Stderr = &out, &problems
	err := c.Run()
	found := parse(out.String())
	if err == nil && len(found) != len(sl.names) {
		err = fmt.Errorf("%d results, want %d", len(found), len(sl.names))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", strings.Join(sl.names, ", "), err, out.String(), problems.String())
	}
	return found, nil
}

var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-(\d+))?\s+\d+\s+(.*)$`)

// parse reads the lines of benchmarks.
func parse(out string) map[string]sample {
	found := map[string]sample{}
	for l := range strings.Lines(out) {
		m := line.FindStringSubmatch(strings.TrimSpace(l))
		if m == nil {
			continue
		}
		cpu := m[2]
		if cpu == "" {
			cpu = "1"
		}
		if found[m[1]] == nil {
			found[m[1]] = sample{}
		}
		fields := strings.Fields(m[3])
		for i := 0; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				found[m[1]][fields[i+1]+"@"+cpu] = v
			}
		}
	}
	return found
}

// rows returns the names by row, of the rows in which one is chosen.
func (s *suite) rows(chosen *regexp.Regexp) (rows [][]string) {
	for _, name := range s.names {
		if last := len(rows) - 1; last >= 0 && rowOf(rows[last][0]) == rowOf(name) {
			rows[last] = append(rows[last], name)
		} else {
			rows = append(rows, []string{name})
		}
	}
	return slices.DeleteFunc(rows, func(row []string) bool { return !slices.ContainsFunc(row, chosen.MatchString) })
}

// slices returns what is to be run in each round: the contenders of a row one
// after the other, each time another one first.
func (s *suite) slices(chosen *regexp.Regexp, round int, length time.Duration) (all []slice) {
	for _, row := range s.rows(chosen) {
		if tableOf(row[0]) == "EndToEnd" {
			all = append(all, slice{names: row, length: "1x", cpu: "2"})
			continue
		}
		for i := range row {
			name := row[(i+round)%len(row)]
			switch {
			case !chosen.MatchString(name):
			case tableOf(name) != "Memory":
				all = append(all, slice{names: []string{name}, length: length.String(), cpu: "1,2"})
			case round < memoryRounds:
				all = append(all, slice{names: []string{name}, length: "1x", cpu: "1"})
			}
		}
	}
	return all
}

// memoryRounds are few: bytes hardly vary.
const memoryRounds = 3

// measure runs all rounds.
func (s *suite) measure(ctx context.Context, chosen *regexp.Regexp, rounds int, length time.Duration) ([]measured, error) {
	began := time.Now()
	samples := map[string]map[string][]float64{}
	for round := range rounds {
		for _, sl := range s.slices(chosen, round, length) {
			found, err := s.run(ctx, sl)
			if err != nil {
				return nil, err
			}
			for name, sample := range found {
				if chosen.MatchString(name) {
					keep(samples, name, sample)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done after %v\n", round+1, rounds, time.Since(began).Round(time.Second))
	}
	var all []measured
	for _, name := range s.names {
		if samples[name] != nil {
			all = append(all, measured{name, samples[name]})
		}
	}
	return all, nil
}

// keep adds a sample to those of the rounds before. Of the time that a call takes
// on one processor, it keeps that on the processor: nothing else is in it then, if
// the machine has others to serve.
func keep(samples map[string]map[string][]float64, name string, sample sample) {
	if samples[name] == nil {
		samples[name] = map[string][]float64{}
	}
	if busy, ok := sample["cpu-ns/op@1"]; ok {
		sample["ns/op@1"] = busy
		delete(sample, "cpu-ns/op@1")
	}
	for metric, v := range sample {
		if strings.HasPrefix(metric, "ns/op@") && v == 0 {
			continue // the benchmark is about something else
		}
		samples[name][metric] = append(samples[name][metric], math.Round(v*1000)/1000)
	}
}
