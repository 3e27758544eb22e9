package main

import (
	"fmt"
	"time"
)

// claim is something that the program says of the breakers, and whether this
// run bore it out.
type claim struct {
	text string
	held bool
}

func claimf(held bool, format string, args ...any) claim {
	return claim{text: fmt.Sprintf(format, args...), held: held}
}

// soon is when the breaker of this module has recovered, even on a busy machine:
// usually it is within a second or so.
const soon = 4 * time.Second

// claims are such that they hold on a slow machine and in a short run. How much
// sooner a breaker recovers than the other hangs on chance.
func claims(l *load) []claim {
	cs := []claim{accounted(l), agreed(l), calm(l), blind(l), sighted(l)}
	for _, transport := range []string{overHTTP, overGRPC} {
		cs = append(cs, spared(l, transport))
	}
	for _, transport := range []string{overHTTP, overGRPC} {
		cs = append(cs, back(l, transport))
	}
	for _, transport := range []string{overHTTP, overGRPC} {
		cs = append(cs, whole(l, transport))
	}
	return cs
}

func accounted(l *load) claim {
	held := true
	var sum counts
	for _, c := range l.clients {
		n := c.tally.in(everyPhase)
		held = held && n.offered > 0 && n.inFlight() == 0
		sum = sum.plus(n)
	}
	return claimf(held, "all %d calls are accounted for: %d allowed + %d rejected",
		sum.offered, sum.allowed(), sum.ended[rejected])
}

func agreed(l *load) claim {
	held := true
	for _, c := range l.clients {
		s, ok := c.snapshot()
		if !ok {
			continue
		}
		n, t := c.tally.in(everyPhase), s.Totals
		held = held && t.InFlight == 0 && t.Offered == n.offered && t.Allowed == n.allowed() &&
			t.Rejected == n.ended[rejected] && t.Success == n.ended[served]
	}
	return claimf(held, "breaker counted what its callers counted, and has no permit in flight")
}

func calm(l *load) claim {
	held := true
	for _, c := range l.clients {
		held = held && c.tally.of(healthy).ended[rejected] == 0
	}
	return claimf(held, "nobody rejects while the backend is healthy")
}

func blind(l *load) claim {
	n := l.client(overHTTP, kratos).tally.of(badGateway)
	return claimf(n.offered > 0 && n.allowed() == n.offered,
		"kratos takes an HTTP 502 for a success: it allows %d of %d calls", n.allowed(), n.offered)
}

func sighted(l *load) claim {
	n := l.client(overHTTP, ours).tally.of(badGateway)
	return claimf(2*n.allowed() < n.offered,
		"breaker does not: it allows %d of %d calls, less than half", n.allowed(), n.offered)
}

func spared(l *load, transport string) claim {
	with := l.client(transport, ours).tally.in(phase.outage).allowed()
	without := l.client(transport, none).tally.in(phase.outage).allowed()
	return claimf(3*with < without,
		"%s: breaker wastes less than a third of what none wastes, %d of %d",
		transport, with, without)
}

func back(l *load, transport string) claim {
	own, theirs := l.recovery(l.client(transport, ours)), l.recovery(l.client(transport, kratos))
	held := own.recovered && own.Duration <= soon
	if !l.plan.isStandard() { // kratos is not itself
		return claimf(held, "%s: breaker recovers within %v: %v", transport, soon, own)
	}
	return claimf(held && own.Duration < theirs.Duration,
		"%s: breaker recovers within %v and before kratos: %v, kratos %v", transport, soon, own, theirs)
}

// whole compares with a client that sends every call: half of them fail whoever sends them, so rejecting
// serves nobody. Usually breaker serves more than nine in ten.
func whole(l *load, transport string) claim {
	with := l.client(transport, ours).tally.of(partial).ended[served]
	without := l.client(transport, none).tally.of(partial).ended[served]
	return claimf(without > 0 && 5*with >= 4*without,
		"%s: breaker serves at least 80 %% of what none gets from the node that is left, %d of %d", transport, with, without)
}
