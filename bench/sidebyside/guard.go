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

// watch is a benchmark of ours, and what it is compared with: a floor of the
// same instructions and a rival, where there are both. Another processor than
// that of the last results changes one ratio or the other, for it does some
// things faster than others; what makes our code slower changes both.
type watch struct {
	ours string
	than []string
}

func (w watch) pairs() (all []pair) {
	for _, than := range w.than {
		all = append(all, pair{w.ours, than})
	}
	return all
}

const (
	twoSwaps       = "Floor/parts/two-swaps"
	clockAdd       = "Floor/parts/clock-add"
	clockTwoSwaps  = "Floor/parts/clock-two-swaps"
	clockRandomAdd = "Floor/parts/clock-random-add"

	aMiddleware        = "Floor/parts/middleware"
	rejectedMiddleware = "Floor/parts/middleware-rejected"
)

// guarded are few, so that it takes half a minute to look at them.
var guarded = []watch{
	{"Closed/sre/breaker", []string{clockTwoSwaps, "Closed/sre/aegis"}},
	{"Closed/consecutive/breaker", []string{twoSwaps, "Closed/consecutive/failsafe-go"}},
	{"Closed/count/breaker", []string{twoSwaps, "Closed/count/failsafe-go"}},
	{"Closed/time/breaker", []string{clockTwoSwaps, "Closed/time/gobreaker"}},
	{"Run/consecutive/breaker", []string{twoSwaps, "Run/consecutive/mist-go"}},
	{"Rejected/sre/breaker", []string{clockRandomAdd, "Rejected/sre/aegis"}},
	{"Rejected/open/breaker", []string{clockAdd, "Rejected/open/mist-go"}},
	{"Mixed/sre-10/breaker", []string{clockTwoSwaps, "Mixed/sre-10/aegis"}},
	{"Mixed/time-10/breaker", []string{clockTwoSwaps, "Mixed/time-10/gobreaker"}},
	{"Middleware/healthy/breaker", []string{aMiddleware, "Middleware/healthy/kratos"}},
	{"Middleware/failing-10/breaker", []string{aMiddleware, "Middleware/failing-10/kratos"}},
	{"Middleware/rejected/breaker", []string{rejectedMiddleware, "Middleware/rejected/kratos"}},
	{"Keyed/keys-1000/breaker", []string{"Keyed/keys-1000/floor", "Keyed/keys-1000/sync.Map"}},
	{"Growth/buckets-1000/breaker", []string{"Growth/buckets-10/breaker"}},
	{"Memory/sre/breaker", []string{"Memory/sre/aegis"}},
	{"Memory/consecutive/breaker", []string{"Memory/consecutive/failsafe-go"}},
}

const (
	guardRounds  = 7
	guardRetries = 2
	worst        = 1.25
	tooFar       = 2.0 // for one ratio, whatever the other says
	guardSlice   = "20ms"
)

// watched are the metrics that the guard looks at. A benchmark has one of them.
var watched = []string{"ns/op@1", "B/breaker@1"}

// ratios measures what is compared in turns. Besides, it returns the allocations
// of each of our benchmarks.
func (s *suite) ratios(ctx context.Context, watches []watch, rounds int) (map[string]float64, error) {
	var names []string
	for _, w := range watches {
		for _, name := range append([]string{w.ours}, w.than...) {
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
	for _, w := range watches {
		for _, p := range w.pairs() {
			for _, metric := range watched {
				if a, b := samples[p.ours][metric], samples[p.than][metric]; len(a) > 0 && len(b) > 0 {
					all[p.String()] = ratio(a, b)
					break
				}
			}
		}
		if a := samples[w.ours]["allocs/op@1"]; len(a) > 0 {
			all[allocationsOf+w.ours] = quantile(a, 0.5)
		}
	}
	return all, nil
}

const allocationsOf = "allocations of "

// worse returns what became worse of a benchmark: its ratios, if all of them are
// more than 25 % above what they were, or one is more than twice that; and its
// allocations, if there are more. What was not measured is worse, then or now.
func (w watch) worse(was, is map[string]float64) (names []string) {
	all := true
	for _, p := range w.pairs() {
		name := p.String()
		before, known := was[name]
		now, measured := is[name]
		if !known || !measured || now > tooFar*before {
			return []string{name}
		}
		all = all && now > worst*before
		names = append(names, name)
	}
	if !all {
		names = nil
	}
	if name := allocationsOf + w.ours; is[name] > was[name] {
		names = append(names, name)
	}
	return names
}

// unrejected are benchmarks of ours that must not reject a call, on one processor
// or on two.
var unrejected = []string{
	"Mixed/sre-0/breaker",
	"Mixed/sre-1/breaker",
	"Mixed/sre-10/breaker",
	"Mixed/time-0/breaker",
	"Mixed/time-1/breaker",
	"Mixed/time-10/breaker",
	"Middleware/failing-10/breaker",
}

const (
	rejectedShare  = "rejected/op"
	rejectedRounds = 3
	rejectedSlice  = "60ms"
)

// rejections looks at what must not reject, on one and on two processors, and
// returns what did so nevertheless. There is no second try: no noise of the machine
// excuses it.
func (s *suite) rejections(ctx context.Context, w io.Writer) (bad []string, err error) {
	for _, name := range unrejected {
		most := sample{}
		for range rejectedRounds {
			found, err := s.run(ctx, slice{names: []string{name}, length: rejectedSlice, cpu: "1,2", short: true})
			if err != nil {
				return nil, err
			}
			for _, at := range []string{"@1", atTwo} {
				v, ok := found[name][rejectedShare+at]
				if !ok {
					return nil, fmt.Errorf("%s does not say what share of its calls was rejected %s", name, at)
				}
				most[at] = max(most[at], v)
			}
		}
		bad = append(bad, most.rejected(w, name)...)
	}
	return bad, nil
}

// rejected prints the shares that were rejected of a benchmark, by the number of
// processors, and returns where there were any.
func (most sample) rejected(w io.Writer, name string) (bad []string) {
	for _, at := range []string{"@1", atTwo} {
		mark := "  "
		if most[at] > 0 {
			mark = "! "
			bad = append(bad, name+" "+at)
		}
		fmt.Fprintf(w, "%s%-75s %7.2g of the calls rejected\n", mark, name+" "+at, most[at])
	}
	return bad
}

// guard fails if a benchmark is worse than it was, and remains so, or rejects calls
// that it must not reject.
func (s *suite) guard(ctx context.Context, w io.Writer, was map[string]float64) error {
	rejecting, err := s.rejections(ctx, w)
	if err != nil {
		return err
	}
	best, err := s.best(ctx, was)
	if err != nil {
		return err
	}
	err = verdict(w, was, best)
	if len(rejecting) > 0 {
		err = errors.Join(errors.New("rejected must be no call of "+strings.Join(rejecting, ", ")), err)
	}
	return err
}

// best measures the ratios, those that are worse than they were up to three times.
func (s *suite) best(ctx context.Context, was map[string]float64) (map[string]float64, error) {
	best := map[string]float64{}
	suspects := guarded
	for try := range 1 + guardRetries {
		is, err := s.ratios(ctx, suspects, guardRounds)
		if err != nil {
			return nil, err
		}
		for name, v := range is {
			if old, ok := best[name]; !ok || v < old {
				best[name] = v
			}
		}
		var names []string
		suspects = nil
		for _, g := range guarded {
			if bad := g.worse(was, best); len(bad) > 0 {
				suspects, names = append(suspects, g), append(names, bad...)
			}
		}
		if len(suspects) == 0 {
			break
		}
		fmt.Fprintf(os.Stderr, "measurement %d of at most %d: worse are %s\n", try+1, 1+guardRetries, strings.Join(names, ", "))
	}
	return best, nil
}

func verdict(w io.Writer, was, is map[string]float64) error {
	var all []string
	for _, g := range guarded {
		bad := g.worse(was, is)
		all = append(all, bad...)
		var names []string
		for _, p := range g.pairs() {
			names = append(names, p.String())
		}
		for _, name := range append(names, allocationsOf+g.ours) {
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
	if len(all) > 0 {
		return errors.New("worse than in docs/benchmarks/results.json, by more than 25 % beside the floor and beside the rival, by 100 % " +
			"beside one of them, or by an allocation: " + strings.Join(all, ", ") + ". If that is meant, or there is a new pair, make bench writes it down")
	}
	return nil
}
