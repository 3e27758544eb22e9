package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// pair is two benchmarks whose ratio is watched.
type pair struct{ ours, than string }

func (p pair) String() string { return p.ours + " : " + p.than }

// guarded are few, so that it takes no longer than a minute to look at them. Most
// are ratios to a floor of the same instructions as the call itself: these depend
// least on the machine.
var guarded = []pair{
	{"Closed/sre/breaker", "Floor/parts/clock-two-swaps"},
	{"Closed/sre/breaker", "Closed/sre/aegis"},
	{"Closed/consecutive/breaker", "Floor/parts/two-swaps"},
	{"Closed/count/breaker", "Floor/parts/two-swaps"},
	{"Closed/time/breaker", "Floor/parts/clock-two-swaps"},
	{"Run/consecutive/breaker", "Floor/parts/two-swaps"},
	{"Rejected/sre/breaker", "Floor/parts/clock-random-add"},
	{"Rejected/open/breaker", "Floor/parts/clock-add"},
	{"Mixed/sre-10/breaker", "Floor/parts/clock-two-swaps"},
	{"Middleware/healthy/breaker", "Floor/parts/clock-two-swaps"},
	{"Middleware/failing-10/breaker", "Middleware/failing-10/kratos"},
	{"Middleware/rejected/breaker", "Middleware/rejected/kratos"},
	{"Keyed/keys-1000/breaker", "Keyed/keys-1000/floor"},
	{"Growth/buckets-1000/breaker", "Growth/buckets-10/breaker"},
	{"Memory/sre/breaker", "Memory/sre/aegis"},
	{"Memory/consecutive/breaker", "Memory/consecutive/failsafe-go"},
}

const (
	guardRounds  = 7
	guardRetries = 2
	worst        = 1.25
	guardSlice   = "20ms"
)

// watched are the metrics that the guard looks at. A benchmark has one of them.
var watched = []string{"ns/op@1", "B/breaker@1"}

// ratios measures the pairs in turns. Besides, it returns the allocations of
// each of our benchmarks.
func (s *suite) ratios(ctx context.Context, pairs []pair, rounds int) (map[string]float64, error) {
	var names []string
	for _, p := range pairs {
		for _, name := range []string{p.ours, p.than} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	samples := map[string]map[string][]float64{}
	for round := range rounds {
		for i := range names {
			name := names[(i+round)%len(names)]
			sl := slice{names: []string{name}, length: guardSlice, cpu: "1", short: tableOf(name) != "Growth"}
			if tableOf(name) == "Memory" {
				if round > 0 {
					continue // it is the same each time
				}
				sl.short, sl.length = false, "1x"
			}
			found, err := s.run(ctx, sl)
			if err != nil {
				return nil, err
			}
			keep(samples, name, found[name])
		}
	}
	all := map[string]float64{}
	for _, p := range pairs {
		for _, metric := range watched {
			if a, b := samples[p.ours][metric], samples[p.than][metric]; len(a) > 0 && len(b) > 0 {
				all[p.String()] = ratio(a, b)
				break
			}
		}
		if a := samples[p.ours]["allocs/op@1"]; len(a) > 0 {
			all[allocationsOf+p.ours] = quantile(a, 0.5)
		}
	}
	return all, nil
}

const allocationsOf = "allocations of "

// worse returns the names of ratios that are more than 25 % above what they
// were, and of benchmarks that allocate more often.
func worse(was, is map[string]float64) (names []string) {
	for name, now := range is {
		before, known := was[name]
		switch {
		case !known:
			names = append(names, name)
		case strings.HasPrefix(name, allocationsOf):
			if now > before {
				names = append(names, name)
			}
		case now > worst*before:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// guard fails if a ratio is worse than it was, and remains so.
func (s *suite) guard(ctx context.Context, w io.Writer, was map[string]float64) error {
	best := map[string]float64{}
	pairs := guarded
	for try := range 1 + guardRetries {
		is, err := s.ratios(ctx, pairs, guardRounds)
		if err != nil {
			return err
		}
		for name, v := range is {
			if old, ok := best[name]; !ok || v < old {
				best[name] = v
			}
		}
		bad := worse(was, best)
		if len(bad) == 0 {
			break
		}
		fmt.Fprintf(os.Stderr, "measurement %d of at most %d: worse are %s\n", try+1, 1+guardRetries, strings.Join(bad, ", "))
		pairs = slices.DeleteFunc(slices.Clone(guarded), func(p pair) bool {
			return !slices.Contains(bad, p.String()) && !slices.Contains(bad, allocationsOf+p.ours)
		})
	}
	return verdict(w, was, best)
}

func verdict(w io.Writer, was, is map[string]float64) error {
	bad := worse(was, is)
	for _, p := range guarded {
		for _, name := range []string{p.String(), allocationsOf + p.ours} {
			now, ok := is[name]
			if !ok {
				continue
			}
			mark := "  "
			if slices.Contains(bad, name) {
				mark = "! "
			}
			before := "unknown"
			if v, ok := was[name]; ok {
				before = fmt.Sprintf("%.2f", v)
			}
			fmt.Fprintf(w, "%s%-75s %7.2f, was %s\n", mark, name, now, before)
		}
	}
	if len(bad) > 0 {
		return errors.New("worse than in docs/benchmarks/results.json, by more than 25 % or by an allocation: " +
			strings.Join(bad, ", ") + ". If that is meant, or there is a new pair, make bench writes it down")
	}
	return nil
}
