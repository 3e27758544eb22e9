package main

import "fmt"

// summary prints what the outage cost.
func (s *screen) summary() {
	s.printf("What the outage cost the callers, and how long after it 99 %% were served again\n")
	s.printf("  %-4s %-8s %25s %8s %8s  %s\n",
		"", "", "calls to the dead backend", "", "p99", "99 % served")
	for i, c := range s.load.clients {
		n := c.tally.in(phase.outage)
		s.printf("  %-4s %-8s %25s %8s %8s  %s\n", s.label(i), c.name,
			fmt.Sprintf("%d of %d", n.allowed(), n.offered), percent(n.allowed(), n.offered),
			millis(n.took.quantile(0.99)), s.recovered(c))
	}
	if s.load.reached() >= healed {
		s.printf("Both breakers recover by the same law, and by chance sooner or later.\n")
	}
	s.printf("\n")
}

func (s *screen) recovered(c *client) string {
	length := s.load.plan.length(healed)
	part, ok := c.tally.recovered()
	switch {
	case s.load.reached() < healed:
		return "-"
	case ok:
		return fmt.Sprintf("after %.1f s", part*length.Seconds())
	}
	length = min(length, s.load.elapsed()-s.load.plan.begin(healed))
	return fmt.Sprintf("not within %.1f s", max(0, length).Seconds())
}

func percent(n, of uint64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// check prints the claims and reports whether all of them held.
func (s *screen) check(claims []claim) bool {
	held := 0
	for _, c := range claims {
		verdict := "FAILED"
		if c.held {
			verdict = "ok"
			held++
		}
		s.printf("%-6s  %s\n", verdict, c.text)
	}
	s.printf("%d of %d claims held.\n", held, len(claims))
	return held == len(claims)
}
