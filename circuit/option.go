package circuit

import (
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
	"github.com/kratos-breaker/breaker/internal/bounds"
)

// WithName sets the name that snapshots, events and errors carry; the default
// is "".
func WithName(name string) Option {
	return func(o *options) { o.name, o.named = name, true }
}

// WithListener adds a listener. It panics if l is nil.
func WithListener(l breaker.Listener) Option {
	if l == nil {
		panic("circuit: WithListener: the listener is nil")
	}
	return func(o *options) { o.listeners = append(o.listeners, l) }
}

// WithUnmarkedRejections is for a host that asks with Allow and, unlike Kratos'
// middleware, does not call MarkFailed after a rejection. Without it, the next
// MarkFailed within a second of a rejection is taken for the rejection's.
// Permits, and so all adapters of this module, need neither.
func WithUnmarkedRejections() Option { return func(o *options) { o.unmarked = true } }

// WithConsecutiveFailures opens the breaker after n failures in a row, however
// slowly they come. The range is [1, 1e6]; without any opening rule, or with
// [WithSlowCallRate] alone, the breaker has this one with n = 5. A success ends the row, an ignored outcome does not.
func WithConsecutiveFailures(n int) Option {
	return func(o *options) {
		bounds.ConsecutiveFailures.Must(int64(n))
		o.rules = only(o.rules, rule.Consecutive{Failures: n})
	}
}

// WithFailureCount opens the breaker when m of the last n calls failed, even if
// there were not n calls yet. The range is 1 <= m <= n <= 1e6. It takes 8 bytes
// for each of m failures. What a call costs depends neither on m nor on n; a
// snapshot looks at all of them.
func WithFailureCount(m, n int) Option {
	return func(o *options) {
		check("WithFailureCount", list(m, n), bounds.FailureCountOf, int64(n))
		check("WithFailureCount", list(m, n), bounds.FailuresAmong(int64(n)), int64(m))
		o.rules = only(o.rules, rule.AmongLast{Failures: m, Calls: n})
	}
}

// WithFailuresInPeriod opens the breaker when m calls failed within any stretch
// of time of the given length, whatever succeeded in between. The ranges are
// [1, 1e6] for m and [10ms, 24h] for the period. It takes 8 bytes for each of m
// failures.
func WithFailuresInPeriod(m int, period time.Duration) Option {
	return func(o *options) {
		check("WithFailuresInPeriod", list(m, period), bounds.PeriodFailures, int64(m))
		check("WithFailuresInPeriod", list(m, period), bounds.Period, period)
		o.rules = only(o.rules, rule.InPeriod{Failures: m, Period: period})
	}
}

// WithFailureRate opens the breaker when the share of failures among the calls
// that ended within the period is at least ratio, and there were at least
// minCalls of them. It decides after each success and failure. The ranges are
// [0.000001, 1] for the ratio, [1, 1e9] for minCalls and [10ms, 24h] for the period.
// The window has ten buckets, so it covers between nine and ten tenths of the
// period. It may be given several times, e.g. for a short and a long period.
//
// The ratio is taken for the simplest fraction that it can mean, and compared
// exactly: with 0.5, 99 failures of 200 calls do not open the breaker.
func WithFailureRate(ratio float64, minCalls int, period time.Duration) Option {
	return func(o *options) {
		args := list(ratio, minCalls, period)
		checkRate("WithFailureRate", args, ratio, minCalls, period)
		o.rules = append(o.rules, rule.Rate{Ratio: rule.FractionOf(ratio), MinCalls: uint64(minCalls), Period: period})
	}
}

// WithFailurePercent is [WithFailureRate] with the ratio as a whole number of
// percent, in [1, 100].
func WithFailurePercent(percent, minCalls int, period time.Duration) Option {
	return func(o *options) {
		args := list(percent, minCalls, period)
		check("WithFailurePercent", args, bounds.FailurePercent, int64(percent))
		checkRate("WithFailurePercent", args, 1, minCalls, period)
		o.rules = append(o.rules, rule.Rate{Ratio: rule.Fraction{Num: uint64(percent), Den: 100}, MinCalls: uint64(minCalls), Period: period})
	}
}

// WithSlowCallRate opens the breaker when the share of slow calls within the
// period is at least ratio, and there were at least minCalls. A call is slow if
// it takes threshold or longer, however it ends; one that is still in flight
// counts as soon as it has taken so long, so that a backend that hangs opens
// the breaker before its first answer. Also one that its caller cancels after so
// long is slow, but not one that never left the process. A probe that is slow has
// failed, as soon as it is, and what it says later is not heard.
//
// What counts is the time that the caller waits for the backend: of a call over the
// transports of this module to the header or the first message, and not the life of a
// stream; see breaker.Permit.Pause.
//
// The rule adds to the others. Without any other opening rule the breaker has that
// of [WithConsecutiveFailures], too, unless [WithSlowCallsOnly] is given: a backend
// that is down fails fast.
//
// The ranges are (0, 24h] for the threshold and otherwise those of
// [WithFailureRate]. Only calls with a permit are timed. The option costs a
// clock read at the beginning of each call, memory for as many calls as ever were
// in flight at once, and with each failed or slow call a look at all of them.
func WithSlowCallRate(threshold time.Duration, ratio float64, minCalls int, period time.Duration) Option {
	return func(o *options) {
		args := list(threshold, ratio, minCalls, period)
		check("WithSlowCallRate", args, bounds.SlowThreshold, threshold)
		checkRate("WithSlowCallRate", args, ratio, minCalls, period)
		o.threshold = threshold
		rate := rule.Rate{Ratio: rule.FractionOf(ratio), MinCalls: uint64(minCalls), Period: period}
		o.rules = only(o.rules, rule.Slow{Rate: rate, Threshold: threshold})
	}
}

// WithSlowCallsOnly is for a breaker that [WithSlowCallRate] alone may open: it leaves
// out the rule of failures that this one would have beside it by default. Otherwise it
// changes nothing.
func WithSlowCallsOnly() Option { return func(o *options) { o.slowOnly = true } }

// WithOpenWhen opens the breaker when f returns true. It is called after each
// failure of a closed breaker that no other rule opens, with the counts of the
// period, or since the breaker closed if the period is 0. No lock is held: f
// may look at the breaker, and may be called from several goroutines at once. If
// it panics, the breaker stays as it is and the panic goes on. The range of the
// period is 0 or [10ms, 24h]. WithOpenWhen panics if f is nil.
func WithOpenWhen(period time.Duration, f func(Counts) bool) Option {
	if f == nil {
		panic("circuit: WithOpenWhen: the function is nil")
	}
	return func(o *options) {
		if period != 0 {
			check("WithOpenWhen", list(period, "func"), bounds.OpenWhenPeriod, period)
		}
		o.rules = append(o.rules, rule.UserCall{Period: period, Opens: func(c rule.Counts) bool { return f(Counts(c)) }})
	}
}

// Counts is what a function of [WithOpenWhen] decides from.
type Counts struct {
	// Success and Failure count the calls that ended, within the period or
	// since the breaker closed.
	Success, Failure uint64
	// InFlight counts the permits that are not settled yet.
	InFlight uint64
	// ConsecutiveSuccesses and ConsecutiveFailures count since the last failure
	// and the last success, whatever the period. One of them is 0.
	ConsecutiveSuccesses, ConsecutiveFailures uint64
}

// WithProbes sets what closes a half-open breaker: that many successes among
// at most that many probes. It reopens as soon as that can no longer be, see
// [WithProbeFailures]. The range is 1 <= successes <= of <= 1e6, the default 1
// of 1. An ignored outcome is no result: another probe takes its place.
func WithProbes(successes, of int) Option {
	return func(o *options) {
		check("WithProbes", list(successes, of), bounds.ProbesOf, int64(of))
		check("WithProbes", list(successes, of), bounds.SuccessesAmong(int64(of)), int64(successes))
		o.probes.Successes, o.probes.Of, o.probesSet = successes, of, true
	}
}

// WithProbeLimit sets how many probes of a half-open state may run at once. One
// that hangs when its state ends is not among those of the next. The range is
// from 1 to the number of probes of [WithProbes], which is the default.
func WithProbeLimit(n int) Option {
	return func(o *options) {
		if n < 1 {
			bad("WithProbeLimit", list(n), "a number of probes of at least 1")
		}
		o.probes.Limit = n
	}
}

// WithProbeFailures sets how many failed probes reopen a half-open breaker. The
// range is from 1 to the number that makes closing impossible, which is the
// default: with WithProbes(3, 5) that is 3.
func WithProbeFailures(n int) Option {
	return func(o *options) {
		if n < 1 {
			bad("WithProbeFailures", list(n), "a number of probes of at least 1")
		}
		o.probes.Failures = n
	}
}

// WithProbeLease sets how long a probe may take. One that is not settled by
// then is lost: it counts as failed, and what it says later is not heard. The
// range is [1ms, 24h], the default 30 s.
func WithProbeLease(d time.Duration) Option {
	return func(o *options) {
		bounds.ProbeLease.Must(d)
		o.lease = d
	}
}

// WithProbesAsInClosed judges probes by the opening rule, as failsafe-go does
// without a success threshold. There must be exactly one, and no
// [WithProbes]:
//
//	WithConsecutiveFailures(n), WithFailuresInPeriod(n, …): 1 success of n probes
//	    closes the breaker, n failures reopen it
//	WithFailureCount(m, n): n-m+1 successes of n probes close it, m failures
//	    reopen it
//	WithFailureRate(r, n, …), WithSlowCallRate(…, r, n, …): the verdict comes
//	    after n probes, and reopens it if the share of failures is at least r
func WithProbesAsInClosed() Option { return func(o *options) { o.probesAsIn = true } }

// WithDelay sets how long an open breaker rejects all calls before it lets the
// first probe through. The range is [0, 24h], the default 30 s.
func WithDelay(d time.Duration) Option {
	return func(o *options) {
		bounds.Delay.Must(d)
		o.delays.first = d
	}
}

// WithBackoff multiplies the delay by factor with each opening since the
// breaker was last closed, up to longest. The ranges are [1, 100] for the
// factor and from the delay to 24h for longest.
func WithBackoff(factor float64, longest time.Duration) Option {
	return func(o *options) {
		check("WithBackoff", list(factor, longest), bounds.BackoffFactor, factor)
		check("WithBackoff", list(factor, longest), bounds.BackoffLongest, longest)
		o.delays.factor, o.delays.longest = factor, longest
	}
}

// WithJitter shortens each delay by a random share of up to ratio, so that many
// clients do not probe at once. The range is [0, 1], the default 0. It applies
// to [WithDelay] and [WithBackoff], and not to a time that the backend or a
// [WithDelayFunc] asked for.
func WithJitter(ratio float64) Option {
	return func(o *options) {
		bounds.Jitter.Must(ratio)
		o.delays.jitter = ratio
	}
}

// WithDelayFunc sets the delay of an opening by its result. A negative delay
// means Opening.Delay; one of more than 24h means 24h. The breaker is open, and
// no lock is held, while f runs. It is not called for a lost or slow probe, or an
// opening by hand or by Reconfigure, and not if [WithRetryAfter] knows a time. If
// it panics, the delay is Opening.Delay and the panic goes on. WithDelayFunc
// panics if f is nil.
func WithDelayFunc(f func(Opening) time.Duration) Option {
	if f == nil {
		panic("circuit: WithDelayFunc: the function is nil")
	}
	return func(o *options) { o.delays.byUser = f }
}

// WithRetryAfter takes the time that the backend asked for, with the result
// that opened the breaker, for the delay; but at most longest, of which the
// range is (0, 24h]. The time is Result.RetryAfter of breaker.Permit.DoneWith or,
// if that is 0 and of is not nil, what of finds in the error of the call: for
// Kratos and gRPC, pass RetryAfter of package errors. Without such a time, the
// delay is what it is without this option. While of runs, the breaker is open,
// and no lock is held; if it panics, the panic goes on.
func WithRetryAfter(longest time.Duration, of func(error) (time.Duration, bool)) Option {
	return func(o *options) {
		check("WithRetryAfter", list(longest, "func"), bounds.RetryAfter, longest)
		o.delays.retryAfter, o.delays.retryAfterOf = longest, of
	}
}

// check panics if v is out of its range.
func check[T bounds.Number](option, args string, b *bounds.Of[T], v T) {
	if !b.Has(v) {
		bad(option, args, b.Want())
	}
}

func checkRate(option, args string, ratio float64, minCalls int, period time.Duration) {
	check(option, args, bounds.FailureRatio, ratio)
	check(option, args, bounds.FailureMinCalls, int64(minCalls))
	check(option, args, bounds.FailurePeriod, period)
}
