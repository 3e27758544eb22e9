package scoreboard

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"
)

var (
	policyNames = flag.String("policy", "", "the policies to measure, separated by commas")
	only        = flag.String("only", "", "the scenarios of the field to measure, separated by commas; L7 stands for L7a and L7b")
	seeds       = flag.Int("seeds", 0, "how many seeds to measure with, if not as many as usual")
	first       = flag.Uint64("first", 0, "the first seed, if not the usual one")
)

// chosen are the policies of the flag, or those of the names.
func chosen(t *testing.T, names ...string) (ps []policy) {
	if *policyNames != "" {
		names = strings.Split(*policyNames, ",")
	}
	for _, p := range policies {
		if slices.Contains(names, p.name) {
			ps = append(ps, p)
		}
	}
	require.Len(t, ps, len(names), "no such policy: %s", *policyNames)
	return ps
}

// asked reports whether somebody wants to see the field.
func asked() bool { return *policyNames != "" || *only != "" || *seeds > 0 }

// inField are the scenarios of the flag, or all, or a few if nobody asked.
func inField() []scenario {
	names := *only
	switch {
	case names == "" && !asked():
		names = "L1a,L3a,L8a,L16"
	case names == "":
		return field
	}
	var ss []scenario
	for _, s := range field {
		if slices.ContainsFunc(strings.Split(names, ","), func(n string) bool {
			return n == s.name || n == strings.TrimRight(s.name, "abc")
		}) {
			ss = append(ss, s)
		}
	}
	return ss
}

// TestField_IsMeasured prints what the policies do in the field. Nothing is
// asserted: see the reach in the document.
func TestField_IsMeasured(t *testing.T) {
	usual := 1
	if *seeds > 0 {
		usual = *seeds
	}
	for _, p := range chosen(t, "sre") {
		var jobs []job
		for _, s := range inField() {
			cs := s.columns
			if !asked() {
				cs = cs[:1]
			}
			for _, c := range cs {
				c.seeds = usual
				if *first > 0 {
					c.first = *first
				}
				jobs = append(jobs, job{scenario: s, policy: p, column: c})
			}
		}
		rs := bubbles(t).run(jobs)
		t.Log("\n" + fieldTable(p, jobs, rs))
	}
}

// fieldTable has a line per scenario, measure and column.
func fieldTable(p policy, jobs []job, rs results) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	met := map[bool]int{}
	fmt.Fprintf(w, "%s\tmeasure\tcolumn\tmedian\tworst\treach\n", p.name)
	for _, j := range jobs {
		for i, m := range j.scenario.measures {
			value := rs[j.key()].values[i]
			reach, verdict := "", ""
			if m.reach != nil {
				reach, verdict = m.reach.text, "MISSED"
				ok, said := m.reach.met(value, 1000)
				if ok {
					verdict = "met"
				}
				if said {
					met[ok]++
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.scenario.name, m.name, j.column.label,
				m.text(measure{}.combine(rs[j.key()].all[i])), m.text(value), reach, verdict)
		}
	}
	_ = w.Flush()
	return b.String() + fmt.Sprintf("%d cells met, %d missed", met[true], met[false])
}
