// Package circuit is the classic circuit breaker with three states. Closed, it lets
// every call through. When too many calls fail, it opens and rejects every call for some
// time. Then it is half-open: it lets a few probes through, whose results close or reopen
// it.
//
//	b := circuit.NewBreaker(
//		circuit.WithName("users"),
//		circuit.WithConsecutiveFailures(3),
//		circuit.WithDelay(30*time.Second),
//	)
//
// Take it if you need a fixed rule, say one that is part of a contract or of an old
// system: the options are those of sony/gobreaker, failsafe-go and mist-go together, and
// docs/migrate.md shows them side by side. If calls shall only fail fast while a backend
// is down, take package sre instead: it needs no numbers, and it does not turn off a
// backend of which only a part is broken.
//
// # Rules
//
// A closed breaker is opened by any of its rules:
//
//	WithConsecutiveFailures   n failures in a row
//	WithFailureCount          m of the last n calls failed
//	WithFailuresInPeriod      m failures within a period
//	WithFailureRate           a share of the calls within a period failed
//	WithSlowCallRate          a share of the calls within a period was slow
//	WithOpenWhen              a function says so
//
// Without a rule, five failures in a row open it. [WithDelay] says how long it stays
// open, and [WithProbes] which probes close it. The pattern is Michael Nygard's: Release
// It!, chapter "Stability Patterns".
//
// # Cost
//
// The breaker has no timer and no goroutine, and no cost grows with the numbers or the
// periods.
//
// While it is closed, a call that succeeds or is ignored allocates nothing, and reads
// the clock only if a rule has a period. It takes a lock only
//
//   - as the first call of a bucket;
//   - if it succeeds while enough calls have failed that only minCalls is not reached;
//   - if it is ignored and there is a rule of slow calls.
//
// A failure takes no lock either, and writes nothing that another processor writes,
// unless it could open the breaker, is the first call of a bucket, or there is a rule of
// failures among the last calls or within a period, of slow calls, or of WithOpenWhen.
//
// While the breaker is half-open, each call takes the lock when it asks and when it ends.
package circuit
