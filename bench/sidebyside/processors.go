package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// processes are how many measure a call on one and on two processors: what
// depends on the addresses of their stacks is another draw in each.
const processes = 20

// twice is what was measured of one call: the ns on one and on two processors, of
// breakers that rejected nothing.
type twice struct {
	one, two []float64
	ratios   []float64 // of each breaker on two, to the median on one in its process
	breakers int       // on two processors, that rejected or not
}

// processors measures in fresh processes, and prints the result.
func (s *suite) processors(ctx context.Context, w io.Writer) error {
	all := map[string]*twice{}
	var order []string
	for range processes {
		out, err := exec.CommandContext(ctx, s.binary, "-processors").Output()
		if err != nil {
			return fmt.Errorf("-processors: %w", err)
		}
		names, err := addProcess(all, out)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.Contains(order, name) {
				order = append(order, name)
			}
		}
	}
	printProcessors(w, all, order)
	return nil
}

// addProcess adds what one process printed, and returns the names in its order.
func addProcess(all map[string]*twice, out []byte) (names []string, err error) {
	one, two := map[string][]float64{}, map[string][]float64{}
	for l := range strings.Lines(string(out)) {
		if !strings.HasPrefix(l, "processors ") {
			continue // of a rival that is linked in
		}
		var name string
		var n, rejected int
		var ns float64
		if _, err := fmt.Sscanf(l, "processors %s %d %g %d", &name, &n, &ns, &rejected); err != nil {
			return nil, fmt.Errorf("%q: %w", l, err)
		}
		if all[name] == nil {
			all[name] = &twice{}
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if n == 2 {
			all[name].breakers++
		}
		switch {
		case rejected > 0:
		case n == 1:
			one[name] = append(one[name], ns)
		default:
			two[name] = append(two[name], ns)
		}
	}
	for _, name := range names {
		t := all[name]
		t.one, t.two = append(t.one, one[name]...), append(t.two, two[name]...)
		if base := quantile(one[name], 0.5); base > 0 {
			for _, ns := range two[name] {
				t.ratios = append(t.ratios, ns/base)
			}
		}
	}
	return names, nil
}

func printProcessors(w io.Writer, all map[string]*twice, order []string) {
	fmt.Fprintf(w, `A call of sre by as many goroutines as processors, in %d processes: the ns that pass per call of all together, and the ratio within
a process. Breakers that rejected a call are left out. add is the floor: an addition to a word that all share.

%-8s %10s %8s %8s %8s %8s %8s %8s
`, processes, "failing", "breakers", "ns @1", "ns @2", "p90", "@2 : @1", "p90", ": add")
	floor := quantile(twos(all["add"]), 0.5)
	for _, name := range order {
		t := all[name]
		title := name
		if _, err := strconv.Atoi(name); err == nil {
			title += " %"
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-8s %10s %8.1f %8.1f %8.1f %8.2f %8.2f %8.2f",
			title, fmt.Sprintf("%d of %d", len(t.two), t.breakers), quantile(t.one, 0.5), quantile(t.two, 0.5), quantile(t.two, 0.9),
			quantile(t.ratios, 0.5), quantile(t.ratios, 0.9), over(quantile(t.two, 0.5), floor)), " "))
	}
}

func twos(t *twice) []float64 {
	if t == nil {
		return nil
	}
	return t.two
}

func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
