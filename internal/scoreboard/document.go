package scoreboard

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// document writes the tables.
func (b board) document(rs results, fuzz []tallyOf) []byte {
	var w bytes.Buffer
	w.WriteString(intro)
	b.inTrouble(&w, rs)
	w.WriteString(conditions)
	for _, p := range b.policies {
		fmt.Fprintf(&w, "- **%s**: %s\n", p.name, p.about)
	}
	for _, i := range inOrder {
		s := sections[i]
		if i == tuned {
			b.leaders(&w, rs)
			b.summary(&w, rs)
			w.WriteString(frontierText)
		}
		fmt.Fprintf(&w, "\n## %s\n", s.title)
		if s.text != "" {
			fmt.Fprintf(&w, "\n%s\n", s.text)
		}
		for _, sc := range s.scenarios {
			b.chapter(&w, rs, i, sc)
		}
		if i == afield {
			b.fuzzTable(&w, fuzz)
		}
	}
	return w.Bytes()
}

// chapter is about a scenario.
func (b board) chapter(w *bytes.Buffer, rs results, section int, sc scenario) {
	fmt.Fprintf(w, "\n### %s: %s\n", sc.name, sc.title)
	if sc.plot != "" {
		fmt.Fprintf(w, "\n![Calls per second over time under each policy](%s.svg)\n", sc.plot)
	}
	for m := range sc.measures {
		b.table(w, rs, section, sc, m, sc.in(sections[section].columns))
	}
}

const intro = `# Scoreboard

What breakers do to the calls of a client whose backend fails in some way. ` + "`make scoreboard`" + ` writes this page and its
plots; nothing on it depends on the machine. First, what each policy does in ten typical troubles, in one number each; the best is
**bold** (*none* does not compete). Values of the field (L2 to L11 below) are the worst of 3 runs, others the median of 5.
`

const conditions = `
## How it is measured

A simulator of one process offers calls to a breaker, as a Poisson process unless a table says otherwise, and settles the
allowed ones after their latency, in virtual time. A healthy call takes 10 ms on average, half of it fixed and half
exponential. All policies meet the same calls. A value is the median of 5 runs with different seeds, or of 3 or 1 where there
are many calls; the smallest gap is that of all runs.

- The time to reject half ends in the middle of the first bin of 100 ms (500 ms below 50 calls/s) of which half of the calls
  are rejected.
- The time until fewer than 1 % are rejected ends with the last bin of 500 ms of which 1 % or more are. It is "never" if the
  last bin of the run is one of these, and 0 for a breaker that never rejects.
- A second of traffic is as many calls as are offered in a second.
- Probes are the calls that are allowed from 20 s after the beginning of the outage to its end.
- The capacity of an overloaded backend is a token bucket that holds 5 calls, or those of a quarter of a second if that is
  more; so over a minute of few calls it serves a little more than its capacity.

The column "reach" is what a breaker should reach with its defaults, at every rate at once. A value within reach is **bold**.
Not every number flatters who deserves it: a breaker that never opens loses nothing after an outage, and one with a delay of
60 s looks quick after an outage of exactly 60 s.

## Policies

`

const frontierText = `
## What cannot be had at once

At 10 calls/s, the default breaker allows more of an overload (S4) than it should. With so few calls, an overload of half
looks like a backend of which half is broken (S3), for 20 s and more, and whoever sheds the one sheds the other, too. Each point
below is a breaker, measured in 15 runs: with other options, or another policy. None reaches both.

![Calls allowed in an overload, and goodput with half of the backend broken, for breakers with different options](frontier.svg)

A client of a hundredth of the load cannot tell an overload from a broken part at all: whatever it does, the same share of its calls
succeeds. After an outage from which a backend returns with 30 % of its capacity (S8), a fleet of such clients sends about twice what it
can do, and needs some seconds to send all again; a breaker that takes each failure after an outage for overload sends less, and serves
next to nothing where half of the nodes return (L11).
`

// summary is a table of all measures that have a reach.
func (b board) summary(w *bytes.Buffer, rs results) {
	fmt.Fprintf(w, "\n## Summary\n\nThe range over all rates for which something is to be reached.\n\n| measure |")
	for _, p := range b.policies {
		fmt.Fprintf(w, " %s |", p.name)
	}
	fmt.Fprintf(w, " reach |\n|---%s|\n", strings.Repeat("|--:", len(b.policies)+1))
	for _, sc := range scenarios {
		for m, measure := range sc.measures {
			if measure.reach == nil {
				continue
			}
			fmt.Fprintf(w, "| %s %s |", sc.name, measure.name)
			for _, p := range b.policies {
				fmt.Fprintf(w, " %s |", overall(rs, sc, m, p))
			}
			fmt.Fprintf(w, " %s |\n", measure.reach.text)
		}
	}
}

// overall is the range of a measure over the columns of its scenario.
func overall(rs results, sc scenario, m int, p policy) string {
	measure := sc.measures[m]
	least, most, all := math.Inf(1), math.Inf(-1), true
	for _, c := range sc.in(rates) {
		value := rs[key{tuned, sc.name, p.name, c.label}].values[m]
		met, said := measure.reach.met(value, c.rate)
		if said {
			least, most, all = min(least, value), max(most, value), all && met
		}
	}
	text := measure.text(least)
	if to := measure.text(most); to != text {
		text += " to " + to
	}
	return emphasize(text, all)
}

func emphasize(text string, bold bool) string {
	if bold {
		return "**" + text + "**"
	}
	return text
}

// table is the table of one measure: a row per policy.
func (b board) table(w *bytes.Buffer, rs results, section int, sc scenario, m int, columns []column) {
	measure := sc.measures[m]
	fmt.Fprintf(w, "\n| %s |", measure.name)
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.heading())
	}
	rule := strings.Repeat("|--:", len(columns))
	if measure.reach != nil {
		w.WriteString(" reach |")
		rule += "|--:"
	}
	fmt.Fprintf(w, "\n|---%s|\n", rule)
	for _, p := range b.policies {
		fmt.Fprintf(w, "| %s |", p.name)
		for _, c := range columns {
			value := rs[key{section, sc.name, p.name, c.label}].values[m]
			met, _ := measure.reach.met(value, c.rate)
			fmt.Fprintf(w, " %s |", emphasize(measure.text(value), met))
		}
		if measure.reach != nil {
			fmt.Fprintf(w, " %s |", measure.reach.text)
		}
		w.WriteByte('\n')
	}
}

// heading is the label with its unit.
func (c column) heading() string {
	rate := fmt.Sprint(c.rate)
	if rest, ok := strings.CutPrefix(c.label, rate); ok && c.workers == 0 && c.world == nil {
		return rate + "/s" + rest
	}
	return c.label
}
