package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results are all that was measured.
type results struct {
	Machine  machine
	Versions map[string]string
	Rounds   int
	Slice    string
	Headline string
	Measured []measured
	Guard    map[string]float64 // ratios by name
}

// measured is a benchmark, with a value per round for each metric, as ns/op@2.
type measured struct {
	Name    string
	Samples map[string][]float64
}

type machine struct {
	Processor  string
	Processors int
	OS, Arch   string
	Kernel     string
	Load       string // average of the minute before
	Date       string
}

func thisMachine() machine {
	m := machine{
		Processors: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Processor: "unknown", Date: time.Now().UTC().Format(time.DateOnly),
	}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(cpuinfo)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	load, _ := os.ReadFile("/proc/loadavg")
	m.Load, _, _ = strings.Cut(string(load), " ")
	return m
}

// encode returns the results as JSON, with a line for each benchmark.
func (r *results) encode() []byte {
	head := *r
	head.Measured = nil
	b, err := json.MarshalIndent(head, "", "\t")
	if err != nil {
		panic(err) // no value of it can fail
	}
	var lines bytes.Buffer
	for i, m := range r.Measured {
		line, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			lines.WriteString(",")
		}
		fmt.Fprintf(&lines, "\n\t\t%s", line)
	}
	const none = `"Measured": null`
	return append(bytes.Replace(b, []byte(none), fmt.Appendf(nil, `"Measured": [%s%s]`, lines.Bytes(), "\n\t"), 1), '\n')
}

func load(name string) (*results, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := new(results)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return r, nil
}

func tableOf(name string) string {
	table, _, _ := strings.Cut(name, "/")
	return table
}

// rowOf returns the part of a name before the contender.
func rowOf(name string) string { return name[:strings.LastIndexByte(name, '/')] }

func contenderOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// isOurs reports whether the benchmark is one of this module.
func isOurs(name string) bool { return strings.HasPrefix(contenderOf(name), "breaker") }

// isRival reports whether the benchmark is one of another breaker or group.
func isRival(name string) bool {
	switch contenderOf(name) {
	case "floor", "none":
		return false
	}
	return !isOurs(name) && tableOf(name) != "Floor"
}

// oursIn returns the contender that the others of a row are compared with.
func oursIn(name string) string { return rowOf(name) + "/breaker" }

// in returns what was measured for a table.
func (r *results) in(t table) (ms []measured) {
	for _, m := range r.Measured {
		if tableOf(m.Name) == t.name {
			ms = append(ms, m)
		}
	}
	return ms
}

// of returns the values of a metric, one per round.
func (r *results) of(name, metric string) []float64 {
	for _, m := range r.Measured {
		if m.Name == name {
			return m.Samples[metric]
		}
	}
	return nil
}

// ratio returns by how much a is more than b: the median of the ratios of each
// round. It is 0 if one of the two was not measured.
func (r *results) ratio(a, b, metric string) float64 {
	return ratio(r.of(a, metric), r.of(b, metric))
}

func ratio(as, bs []float64) float64 { return quantile(ratios(as, bs), 0.5) }

func ratios(as, bs []float64) (all []float64) {
	for i := range min(len(as), len(bs)) {
		if bs[i] > 0 {
			all = append(all, as[i]/bs[i])
		}
	}
	return all
}

// quantile returns the q-th part of the values, between two of them if need be;
// 0 if there is none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
