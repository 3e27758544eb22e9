package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// less reports whether a costs less than b: by 5 % or more in most rounds, and
// less at all in three quarters of them. Otherwise the two are level.
func less(as, bs []float64) bool {
	all := ratios(as, bs)
	return len(all) > 0 && quantile(all, 0.5) < 0.95 && quantile(all, 0.75) < 1
}

func nanoseconds(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func plain(v float64) string   { return fmt.Sprintf("%.0f", v) }
func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func duration(v float64) string {
	d := time.Duration(v)
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.2f µs", v/1e3)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", v/1e3)
	}
	return fmt.Sprintf("%.2f ms", v/1e6)
}

// timesOf writes a ratio, rounded down.
func timesOf(ratio float64) string {
	switch {
	case ratio == 0:
		return ""
	case ratio < 1:
		return fmt.Sprintf("%.2f", math.Floor(ratio*100)/100)
	case ratio < 10:
		return fmt.Sprintf("%.1f", math.Floor(ratio*10)/10)
	}
	return fmt.Sprintf("%.0f", math.Floor(ratio))
}

// headline is the sentence of the README.
func headline(r *results) (string, error) {
	for _, name := range []string{"Closed/sre/breaker", "Middleware/healthy/breaker", "Closed/consecutive/breaker"} {
		if allocs := r.of(name, "allocs/op@1"); len(allocs) == 0 || slices.Max(allocs) > 0 {
			return "", fmt.Errorf("%s is not known to allocate nothing: %v", name, allocs)
		}
	}
	of := func(row, rival string) (one, two string) {
		ours, theirs := row+"/breaker", row+"/"+rival
		return timesOf(r.ratio(theirs, ours, "ns/op@1")), timesOf(r.ratio(theirs, ours, "ns/op@2"))
	}
	m1, m2 := of("Middleware/healthy", "kratos")
	s1, s2 := of("Closed/sre", "aegis")
	c1, c2 := of("Closed/consecutive", "gobreaker")
	return fmt.Sprintf(`A healthy call through the middleware is %s times as fast as through Kratos' own on one processor, and %s times on two.
A call of `+"`sre`"+` is %s and %s times as fast as one of aegis, a call of `+"`circuit`"+` %s and %s times as fast as one of gobreaker.
None of ours allocates. A breaker of `+"`sre`"+` takes %s bytes, one of aegis %s times as many.`,
		m1, m2, s1, s2, c1, c2,
		plain(quantile(r.of("Memory/sre/breaker", "B/breaker@1"), 0.5)),
		timesOf(r.ratio("Memory/sre/aegis", "Memory/sre/breaker", "B/breaker@1"))), nil
}

// document returns docs/benchmarks.md.
func document(r *results) []byte {
	var w bytes.Buffer
	m := r.Machine
	fmt.Fprintf(&w, `# Benchmarks

This module beside every rival. `+"`make bench`"+` runs all of it on your machine and writes this page; it takes ten minutes, and nothing
else should run meanwhile. It was written on %s, on %s, %d processors, %s/%s %s, with a load average of %s before.

%s

## How it was measured

- The contenders of a row take turns: each is run for %s on one processor and on two, in a process of its own, then the next one, and
  that in %d rounds, each time with another one first. So what the machine does besides hits all of them.
- A value is the median of the rounds, with the quartiles in brackets. `+"`@1` and `@2`"+` are the numbers of processors. All of them share
  one breaker. ns @1 is the time that a call keeps the processor busy. ns @2 is the time that passes per call of both together, so half
  of ns @1 is the best that there can be.
- A ratio is the median of the ratios of each round: **how many times the cost of ours** a contender has. Above 1, we are ahead. Where a
  cache line is shared, times on two processors vary by a factor of 2 from run to run, and the ratios with them. Two are called level if
  they differ by less than 5 %%, or not in the same direction in three quarters of the rounds.
- Windows have the default number of buckets, 10, and a tenth of the default length, 300 ms, and all buckets hold calls.
  The windows of 10 s of go-zero and hystrix-go cannot be set. They are not full, which flatters the two.
- The breakers are set alike: 5 failures in a row, or half of at least 100 calls in the window, open them. All else is as by default.
- Each benchmark counts the calls that did not end as its row says, and fails if there were many.
- Ratios carry over to other machines better than times.

`, m.Date, m.Processor, m.Processors, m.OS, m.Arch, m.Kernel, m.Load, r.Headline, r.Slice, r.Rounds)
	w.WriteString("| what | version |\n|---|---|\n")
	for _, name := range slices.SortedFunc(maps.Keys(r.Versions), func(a, b string) int {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	}) {
		fmt.Fprintf(&w, "| %s | %s |\n", name, r.Versions[name])
	}
	goals(&w, r)
	scaling(&w, r)
	for _, t := range tables {
		if len(r.in(t)) > 0 {
			section(&w, r, t)
		}
	}
	return w.Bytes()
}

func goals(w *bytes.Buffer, r *results) {
	w.WriteString("\n## What was to be reached\n\n| what, how many times | to reach @1 | measured | to reach @2 | measured |\n|---|--:|--:|--:|--:|\n")
	for _, t := range targets {
		if r.ratio(t.than, t.ours, t.metric+"@1") == 0 {
			continue // not measured
		}
		fmt.Fprintf(w, "| %s |", t.text)
		for i, least := range t.atLeast {
			got := r.ratio(t.than, t.ours, fmt.Sprintf("%s@%d", t.metric, i+1))
			switch {
			case got == 0:
				w.WriteString(" | |")
			case least == 0:
				fmt.Fprintf(w, " | %s |", timesOf(got))
			case got >= least:
				fmt.Fprintf(w, " %v | **%s** |", least, timesOf(got))
			default:
				fmt.Fprintf(w, " %v | %s |", least, timesOf(got))
			}
		}
		w.WriteByte('\n')
	}
	w.WriteString("\nWhat was reached is bold. " + permits + "\n")
}

// slower are our benchmarks that take longer on two processors than on one, and
// how many times as long.
func slower(r *results) (names []string, by map[string]float64, of int) {
	by = map[string]float64{}
	for _, m := range r.Measured {
		one, two := m.Samples["ns/op@1"], m.Samples["ns/op@2"]
		if !isOurs(m.Name) || len(one) == 0 || len(two) == 0 {
			continue
		}
		of++
		if less(one, two) {
			names = append(names, m.Name)
			by[m.Name] = ratio(two, one)
		}
	}
	return names, by, of
}

func scaling(w *bytes.Buffer, r *results) {
	names, by, of := slower(r)
	w.WriteString("\n## Two processors\n\n")
	const longer = "longer per call on two processors than on one, where all calls share a breaker"
	if len(names) == 0 {
		fmt.Fprintf(w, "None of our %d benchmarks takes %s.\n", of, longer)
		return
	}
	fmt.Fprintf(w, "Of our %d benchmarks, those that take %s: %d.\n", of, longer, len(names))
	list(w, names, func(name string) string { return fmt.Sprintf("%s: %.2f times as long", name, by[name]) },
		func(name string) string { return reason(name + atTwo) })
}

// list writes what is said of each name, and the reasons. Names with the same
// reason are in one point.
func list(w *bytes.Buffer, names []string, said, why func(name string) string) {
	var order []string
	points := map[string][]string{}
	for _, name := range names {
		because := why(name)
		if points[because] == nil {
			order = append(order, because)
		}
		points[because] = append(points[because], said(name))
	}
	if len(order) > 0 {
		w.WriteByte('\n')
	}
	for _, because := range order {
		fmt.Fprintf(w, "- %s. %s\n", strings.Join(points[because], "; "), because)
	}
}

// section is one table, with its chart, and the rows in which a rival is ahead.
func section(w *bytes.Buffer, r *results, t table) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n![%s: bars on a log scale](%s)\n\n| row | contender |", t.title, t.text, t.title, t.chart())
	compared := t.compared()
	for _, m := range t.metrics {
		fmt.Fprintf(w, " %s |", m.title)
	}
	if t.name == "Floor" {
		compared = nil
	}
	for _, m := range compared {
		fmt.Fprintf(w, " ratio %s |", m.suffix())
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("--:|", len(t.metrics)+len(compared)))
	last := ""
	for _, m := range r.in(t) {
		row := strings.TrimPrefix(rowOf(m.Name), t.name+"/")
		if row == last {
			row = ""
		} else {
			last = row
		}
		name := contenderOf(m.Name)
		if isOurs(m.Name) {
			name = "**" + name + "**"
		}
		fmt.Fprintf(w, "| %s | %s |", row, name)
		for _, metric := range t.metrics {
			fmt.Fprintf(w, " %s |", value(metric, m.Samples[metric.key]))
		}
		for _, metric := range compared {
			fmt.Fprintf(w, " %s |", timesOf(r.ratio(m.Name, oursIn(m.Name), metric.key)))
		}
		w.WriteByte('\n')
	}
	behind(w, r, t)
}

// compared are the metrics of which there is a ratio.
func (t table) compared() (ms []metric) {
	for _, m := range t.metrics {
		if base, _, _ := strings.Cut(m.key, "@"); base == "ns/op" || m.key == t.metrics[0].key {
			ms = append(ms, m)
		}
	}
	return ms
}

func (m metric) suffix() string {
	_, cpu, _ := strings.Cut(m.key, "@")
	return "@" + cpu
}

// value is a median, with the quartiles if they differ from it.
func value(m metric, samples []float64) string {
	if len(samples) == 0 {
		return "" // not measured
	}
	mid, low, high := m.unit(quantile(samples, 0.5)), m.unit(quantile(samples, 0.25)), m.unit(quantile(samples, 0.75))
	if low == mid && high == mid {
		return mid
	}
	return fmt.Sprintf("%s [%s..%s]", mid, low, high)
}

// losses are the rivals in a table that are ahead of us, and how.
func losses(r *results, t table) (names []string, how map[string]string) {
	how = map[string]string{}
	for _, m := range r.in(t) {
		if !isRival(m.Name) {
			continue
		}
		var parts []string
		for _, metric := range t.compared() {
			if theirs, ours := m.Samples[metric.key], r.of(oursIn(m.Name), metric.key); less(theirs, ours) {
				parts = append(parts, fmt.Sprintf("%s of our cost %s", timesOf(ratio(theirs, ours)), metric.suffix()))
			}
		}
		if len(parts) > 0 {
			names = append(names, m.Name)
			how[m.Name] = strings.Join(parts, ", ")
		}
	}
	return names, how
}

func behind(w *bytes.Buffer, r *results, t table) {
	names, how := losses(r, t)
	if len(names) > 0 {
		w.WriteString("\nWho is ahead of us, and why:\n")
	}
	list(w, names, func(name string) string { return strings.TrimPrefix(name, t.name+"/") + " has " + how[name] }, reason)
}

const unknown = "**Nobody knows why.**"

func reason(name string) string {
	if why, ok := reasons[name]; ok {
		return why
	}
	return unknown
}

// unexplained is an error if we are behind somewhere without a reason.
func unexplained(r *results) error {
	var errs []error
	for _, t := range tables {
		names, how := losses(r, t)
		for _, name := range names {
			if reason(name) == unknown {
				errs = append(errs, fmt.Errorf("%s is ahead (%s), and tables.go has no reason", name, how[name]))
			}
		}
	}
	names, by, _ := slower(r)
	for _, name := range names {
		if reason(name+atTwo) == unknown {
			errs = append(errs, fmt.Errorf("%s is %.2f times as slow on two processors, and tables.go has no reason", name, by[name]))
		}
	}
	return errors.Join(errs...)
}
