package main

import (
	"fmt"
	"time"
)

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
		for _, transport := range []string{overHTTP, overGRPC} {
			s.printf("%s: breaker recovered %s, kratos %s.\n", transport,
				s.recovered(s.load.client(transport, ours)), s.recovered(s.load.client(transport, kratos)))
		}
	}
	s.printf("\n")
	if s.load.reached() > partial {
		s.left()
	}
}

// left prints what was left of the backend while one of its nodes was.
func (s *screen) left() {
	s.printf("What each got while one of two nodes refused connections\n")
	s.printf("  %-4s %-8s %16s %8s %8s\n", "", "", "served", "", "rejected")
	for i, c := range s.load.clients {
		n := c.tally.of(partial)
		s.printf("  %-4s %-8s %16s %8s %8s\n", s.label(i), c.name,
			fmt.Sprintf("%d of %d", n.ended[served], n.offered), percent(n.ended[served], n.offered),
			percent(n.ended[rejected], n.offered))
	}
	s.printf("\n")
}

func (s *screen) recovered(c *client) string {
	if s.load.reached() < healed {
		return "-"
	}
	return s.load.recovery(c).String()
}

// recoveryTime is how long after the end of the outage 99 % of a client's calls
// were served again, or how long they were not.
type recoveryTime struct {
	time.Duration
	recovered bool
}

func (r recoveryTime) String() string {
	if r.recovered {
		return fmt.Sprintf("after %.1f s", r.Seconds())
	}
	return fmt.Sprintf("not within %.1f s", r.Seconds())
}

func (l *load) recovery(c *client) recoveryTime {
	length := l.plan.length(healed)
	if part, ok := c.tally.recovered(); ok {
		return recoveryTime{time.Duration(part * float64(length)), true}
	}
	return recoveryTime{max(0, min(length, l.elapsed()-l.plan.begin(healed))), false}
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
