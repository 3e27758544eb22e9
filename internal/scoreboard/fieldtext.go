package scoreboard

import (
	"bytes"
	"fmt"
)

const fieldText = `What clients meet: failures that are quicker than successes, pauses of their own process, backends that take no bursts,
connections that break with all of their calls. Latencies of successes and failures are apart; "~200ms" is a mean, of which half
is fixed and half exponential. A call fails after 2 s unless a scenario says otherwise; in L3, calls of 20 ms
fail after 250 ms, and calls of 200 ms after 500 ms. Goodput is that of the calls that begin in the
time in question. Much here goes well or badly by chance, so a value is **the worst of 3 runs**. L5 is about goroutines, which
a simulator does not have; the stress tests of package sre are about it.`

// fuzzed is L17: how many worlds, from which seed on.
const (
	fuzzedWorlds = 60
	fuzzedFirst  = 5000
)

// fuzz judges worlds drawn by chance, under each policy.
func (b board) fuzz(n int, first uint64) (sums []tallyOf) {
	most := make([][]count, n)
	b.bubbles(n, func(i int) { most[i] = can(drawWorld(first+uint64(i)), first+uint64(i)) })
	vs := make([]verdict, n*len(b.policies))
	b.bubbles(len(vs), func(i int) {
		seed := first + uint64(i%n)
		vs[i] = judge(drawWorld(seed), most[i%n], b.policies[i/n], seed)
	})
	for i := range b.policies {
		sums = append(sums, sumUp(vs[i*n:(i+1)*n]))
	}
	return sums
}

// fuzzTable is L17 of the document.
func (b board) fuzzTable(w *bytes.Buffer, sums []tallyOf) {
	fmt.Fprintf(w, fuzzText, fuzzedWorlds)
	for i, p := range b.policies {
		s := sums[i]
		fmt.Fprintf(w, "| %s | %s | %s | %s | %d | %s |\n", p.name,
			emphasize(fmt.Sprintf("%.3f", s.mean), s.mean >= 0.94),
			emphasize(fmt.Sprint(s.poor), s.poor*100 <= 6*s.scenarios),
			emphasize(after(s.slowest), s.slowest <= 20), s.slow, emphasize(fmt.Sprint(s.late), s.late == 0))
	}
}

const fuzzText = `
### L17: worlds drawn by chance

%d worlds: rates from 2 to 3000/s, arrivals, closed loops, fleets, retries, latencies of successes and failures apart, and one to three faults
in phases. The score of a phase is what is served of what can be served; where nothing can, the share of the calls that are not
sent. To be reached: a mean of 0.94, at most 6 phases below 0.4 in 100 worlds, 20 s, and nothing rejected 30 s after healing.

| policy | mean score | phases below 0.4 | slowest recovery | recoveries above 8 s | worlds in which calls are rejected 30 s after healing |
|---|--:|--:|--:|--:|--:|
`

// Fuzz reports what each policy does in n worlds drawn by chance, from a seed
// on, with rivals beside them.
func Fuzz(n int, first uint64, rivals []Rival, bubbles Bubbles) (reports []string) {
	b := newBoard(rivals, bubbles)
	for i, s := range b.fuzz(n, first) {
		reports = append(reports, s.report(b.policies[i].name, 3))
	}
	return reports
}
