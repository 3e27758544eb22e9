// Package adaptive is the law by which package sre decides: plain data, without a
// clock, a lock or a goroutine. The breaker tells it what happens and when, and holds
// a lock meanwhile. Times are in ns.
//
//	             failures in a row,            nothing succeeds
//	+---------+  or a silence      +---------+ any more          +------+
//	|         |------------------->|         |------------------>|      |
//	|  calm   |                    | suspect |                   | down |
//	|         |<-------------------|         |<------------------|      |
//	+---------+  a call succeeds   +---------+ nobody called     +------+
//	  |     ^                           |      for a while         ^  |
//	  |     | nothing is rejected       | too many fail,           |  | a probe
//	  |     | any more, or fewer        | not all                  |  | succeeds
//	  |     | calls do not help         |                          |  |
//	  v     |                           v         nothing succeeds |  v
//	+------------------------------------------------------------------------+
//	| paced:    try -----------------> hold <----------------------> ramp    |
//	|           it is known what            more calls do not help,          |
//	|           becomes of all calls        or they do                       |
//	+------------------------------------------------------------------------+
//
// Any phase ends after a time without a call, for then nothing is known any more.
//
// Calm. Nothing is rejected, and calls that succeed do not meet the law. It is shown the
// window once per bucket, and told of failures in a row. The success ratio, the usual
// latency and the rates of calls and successes are learned here, and kept as what was
// before the trouble.
//
// Suspect. Nothing is rejected but in a stall. Each call is stamped with the [Cohort] that it began
// with, so that its outcome counts for the time at which it began. The first success of such
// a call ends the suspicion. Failures end it as an outage once they speak for one by 1 in a
// million: a sequential test as the CUSUM of Page
// (https://doi.org/10.1093/biomet/41.1-2.100), in which a success sets the sum to 0, and
// a call that is pending may yet succeed. Failures of calls that began before the suspicion
// count no faster than calls are made, for what breaks together is one event. If nothing
// happens to the law for a while, although calls should come, the own process stood still, and
// the suspicion begins anew. If the backend had been silent when calls failed, that is a stall:
// one call is tried and a bounded number is rejected, for either the backend hangs, or the own
// process stood still. If the tried call is overdue, it is an outage.
//
// Down. All calls are rejected but a probe. The wait between two probes grows as a
// retransmission timer backs off (RFC 6298), up to the interval of the options. A
// client with few calls probes more rarely, so that a fleet of such clients does not
// go on calling. A long outage is probed more rarely, if the options allow it. The first
// probe that succeeds begins the ramp.
//
// Paced. Calls go out in cohorts, each at the lower or the higher of two paces. A cohort is judged
// when its calls have ended or are overdue, and [odds] weighs two explanations of what became of
// the calls at both paces: the number of successes per time is the same, so the backend has too much
// to do; or the share of successes is the same, so a part of it is broken and fewer calls would not
// help. PCC compares two rates in the same way (Dong et al., NSDI 2015). A success ratio
// alone cannot tell one from the other. A cohort without a success decides nothing here, for it may
// be an outage.
//
//   - The try begins when too many calls fail in calm. It lets all calls through until it is
//     known what becomes of them. If too few succeed, they are the reference, and a hold begins.
//   - The hold keeps to the pace that the backend delivers at, evenly spaced. Its calls are compared
//     with the reference. If the same share of them succeeds, fewer calls do not help, and the law is
//     calm with a pardon, a time in which such failures are no trouble. Now and then there is a look: a
//     cohort at a higher pace, to find out whether more is possible, as BBR probes for bandwidth
//     (https://queue.acm.org/detail.cfm?id=3022184). A look makes at least one standard deviation
//     more calls. If looks do not help, they become rarer. If they help, the pace rises and the
//     gain grows, until it is a ramp.
//   - The ramp also follows an outage. Each cohort goes out at a higher pace than the one before,
//     set by what was delivered, as in TCP's slow start (RFC 5681). Its cohorts are short. It settles, as
//     a hold, where more calls do not help, or at the pace of before the trouble if that was a limit.
//
// Once nothing has been rejected for a while, the law is calm if enough calls succeed. If too few
// do, these calls are the new reference, and a hold begins.
//
// The latency is measured, one call at a time. Little's law is not used to estimate it:
// in a hang the calls in flight grow, and the estimate with them. What calls in flight are bounded by
// at the lower pace is some of BBR's products of bandwidth and latency.
package adaptive
