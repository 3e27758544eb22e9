// Package circuit is the classic circuit breaker with three states, for whoever
// wants a fixed rule: "open after five failures in a row", "open if half of the last
// 100 calls failed". Closed, the breaker lets every call through. Once too many fail,
// it is open and rejects every call, for some time. Then it is half-open: it lets a
// few probes through, whose results close or reopen it.
//
// Take it if the rule is part of a contract or of an old system: the options are
// those of sony/gobreaker, failsafe-go and mist-go together, and docs/migrate.md shows
// them side by side. If you only want calls to fail fast while a backend is down,
// take package sre instead: it needs no numbers, and it does not turn off a backend
// of which only a part is broken.
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
// Without any, five failures in a row open it. [WithDelay] says how long it stays
// open, [WithProbes] which probes close it. The pattern is Michael Nygard's: Release
// It!, chapter "Stability Patterns".
//
// # Cost
//
// The breaker has no timer and no goroutine. While it is closed, a call that succeeds
// or is ignored allocates nothing, and reads the clock only if there is a rule with a
// period. It takes no lock, but for one call in each bucket, for successes while so
// many calls have failed that only minCalls is not reached, and for ignored ones if
// there is a rule of slow calls. None of it grows with numbers or periods.
//
// A failure takes no lock either, and writes nothing that another processor writes,
// unless it could open the breaker, is the first call of a bucket, or there is a rule
// of failures among the last calls or within a period, of slow calls, or of
// WithOpenWhen. Each call that asks or ends while the breaker is half-open takes the
// lock.
package circuit
