package scoreboard

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// trouble is what a user may meet, and one number about it.
type trouble struct {
	what     string
	section  int
	scenario string
	column   string
	measure  string
}

var troubles = []trouble{
	{"A backend goes down, at 100 calls/s: seconds until half of the calls are rejected", tuned, "S2", "100", nameHalf},
	{"It comes back after a minute: seconds until all calls are allowed", tuned, "S2", "100", nameRecovery},
	{"It hangs, and calls time out after 2 s: seconds until half are rejected", tuned, "S2b", "100", nameHalf},
	{"It comes back with half of its nodes: share of the good calls served in the first 15 s", afield, "L11", "300/s, half of its nodes", nameGoodput},
	{"One of two nodes refuses connections, the other takes 200 ms: share of the good calls served", afield, "L2", "300/s, 200ms", nameGoodput},
	{"60 % of the calls fail, whatever the load: share of the good calls served", tuned, "S3c", "100", nameGoodput},
	{"20 % fail at random: rejected, in %", tuned, "S1c", "100", nameRejected},
	{"Overload of a backend that does 10 of 100 calls/s and takes no bursts: served ÷ what it can do", afield, "L8a", "10 of 100/s", nameServed},
	{"Overload of a backend that lets calls queue: served ÷ what it can do", afield, "L10b", "400/s", nameServed},
	{"Our own process pauses for 2 s: seconds of good traffic rejected", afield, "L3a", "300/s of 200ms, 2s", nameRejectedTraffic},
}

// inTrouble is a table of what each policy does in ten typical troubles.
func (b board) inTrouble(w *bytes.Buffer, rs results) {
	w.WriteString("\n## Ten typical troubles\n\n| what happens |")
	for _, p := range b.policies {
		fmt.Fprintf(w, " %s |", p.name)
	}
	fmt.Fprintf(w, "\n|---%s|\n", strings.Repeat("|--:", len(b.policies)))
	for _, t := range troubles {
		sc := scenarioNamed(t.scenario)
		m := sc.measureAt(t.measure)
		fmt.Fprintf(w, "| %s |", t.what)
		best := b.best(rs, t.section, sc, m, t.column)
		for _, p := range b.policies {
			value := rs[key{t.section, sc.name, p.name, t.column}].values[m]
			text := sc.measures[m].text(value)
			fmt.Fprintf(w, " %s |", emphasize(text, p.name != none.name && text == sc.measures[m].text(best.value)))
		}
		w.WriteByte('\n')
	}
}

// measureAt is the place of a measure.
func (s scenario) measureAt(name string) int {
	for i, m := range s.measures {
		if m.name == name {
			return i
		}
	}
	panic("scoreboard: " + s.name + " has no measure " + name)
}

// direction is 1 if more is better, -1 if less is, and 0 if neither is.
func (r *reach) direction() float64 {
	switch {
	case r == nil:
		return 0
	case math.IsInf(r.to, 1):
		return 1
	case math.IsInf(r.from, -1):
		return -1
	}
	return 0
}

// leader is who is best at a measure in a column.
type leader struct {
	names []string
	value float64
}

func (b board) best(rs results, section int, sc scenario, m int, column string) (l leader) {
	measure := sc.measures[m]
	sign := measure.reach.direction()
	l.value = math.Inf(-int(sign))
	for _, p := range b.policies {
		value := rs[key{section, sc.name, p.name, column}].values[m]
		if p.name == none.name || math.IsNaN(value) {
			continue
		}
		if sign*value > sign*l.value {
			l.value = value
		}
	}
	for _, p := range b.policies {
		value := rs[key{section, sc.name, p.name, column}].values[m]
		if p.name != none.name && measure.text(value) == measure.text(l.value) {
			l.names = append(l.names, p.name)
		}
	}
	return l
}

// leaders is a table of who is best at each measure that has a better and a
// worse, where our policy is farthest behind.
func (b board) leaders(w *bytes.Buffer, rs results) {
	w.WriteString(leadersText)
	for _, i := range inOrder {
		for _, sc := range sections[i].scenarios {
			for m, measure := range sc.measures {
				if measure.reach.direction() != 0 {
					b.leader(w, rs, i, sc, m)
				}
			}
		}
	}
}

const leadersText = `
## Who is best

For each measure of which something is to be reached: the circumstance in which ` + "`sre`" + ` is farthest behind the best policy there
(*none* is out of competition, since it is best at all that a breaker can do wrong). Chapters as below: the field, what was tuned for, and what was not.

| chapter | measure | farthest behind | best there | sre | behind by |
|---|---|---|---|--:|--:|
`

func (b board) leader(w *bytes.Buffer, rs results, section int, sc scenario, m int) {
	measure := sc.measures[m]
	sign := measure.reach.direction()
	far, where := 0.0, ""
	var first, there leader
	for i, c := range sc.in(sections[section].columns) {
		l := b.best(rs, section, sc, m, c.label)
		if i == 0 {
			first = l
		}
		mine := rs[key{section, sc.name, ours.name, c.label}].values[m]
		if measure.text(mine) == measure.text(l.value) {
			continue
		}
		if d := sign * (l.value - mine); d > far {
			far, where, there = d, c.label, l
		}
	}
	column := where
	if where == "" {
		column, there = sc.in(sections[section].columns)[0].label, first
	}
	behind := "–"
	if where != "" {
		behind = measure.text(far)
	} else {
		where = "nowhere"
	}
	mine := rs[key{section, sc.name, ours.name, column}].values[m]
	fmt.Fprintf(w, "| %s | %s %s | %s | %s: %s | %s | %s |\n", chapters[section], sc.name, measure.name, where,
		there.who(), measure.text(there.value), measure.text(mine), behind)
}

var chapters = map[int]string{afield: "field", tuned: "tuned", 1: "rates", 2: "faults"}

// who names the leaders, if they are few.
func (l leader) who() string {
	if len(l.names) > 3 {
		return fmt.Sprintf("%s and %d more", l.names[0], len(l.names)-1)
	}
	return strings.Join(l.names, ", ")
}
