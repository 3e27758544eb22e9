package scoreboard

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	cases    = flag.Int("cases", 10, "how many of the worst worlds the fuzzer prints")
	timeline = flag.Bool("timeline", false, "the fuzzer prints each second of each world")
	shrink   = flag.Int("shrink", 0, "how many of them the fuzzer makes smaller")
)

// TestFuzz_DrawsWorlds prints what policies do in worlds that are drawn by
// chance, and the worst of them.
func TestFuzz_DrawsWorlds(t *testing.T) {
	n, from := 4, uint64(1)
	if *seeds > 0 {
		n = *seeds
	}
	if *first > 0 {
		from = *first
	}
	most := make([][]count, n)
	bubbles(t)(n, func(i int) { most[i] = can(drawWorld(from+uint64(i)), from+uint64(i)) })
	for _, p := range chosen(t, "sre") {
		vs := make([]verdict, n)
		bubbles(t)(n, func(i int) { vs[i] = judge(drawWorld(from+uint64(i)), most[i], p, from+uint64(i)) })
		sum := sumUp(vs)
		t.Log("\n" + sum.report(p.name, *cases))
		if *timeline {
			for _, v := range vs {
				t.Log("\n" + seconds(v.world.runs(t, p, v.seed), v.world.length()))
			}
		}
		for _, v := range sum.worst[:min(*shrink, n)] {
			if !v.isBad() {
				break
			}
			small := v
			synctest.Test(t, func(*testing.T) { small = shrunk(v, p) })
			t.Log("shrunk: " + small.String())
		}
	}
}

// seconds has a line per second of a run.
func seconds(tr *trace, length time.Duration) string {
	var b strings.Builder
	b.WriteString("second offered allowed  served  failed ignored\n")
	for i, c := range perSecond(tr.bins, length) {
		fmt.Fprintf(&b, "%6d %7.0f %7.0f %7.0f %7.0f %7.0f\n", i, c.offered, c.allowed, c.served, c.failed, c.ignored)
	}
	return b.String()
}
