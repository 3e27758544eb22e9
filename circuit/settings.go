package circuit

import (
	"fmt"
	"slices"
	"time"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit/internal/rule"
	"github.com/kratos-breaker/breaker/internal/bounds"
	"github.com/kratos-breaker/breaker/internal/option"
)

// Option configures a breaker in [NewBreaker] and [Breaker.Reconfigure]. A
// value out of its range, or options that contradict each other, make them
// panic. If an option is given twice, the last one counts; only [WithListener],
// [WithFailureRate], [WithFailurePercent] and [WithOpenWhen] add up.
type Option func(*options)

// options are the settings of a breaker. newOptions checks them and derives
// what is left open; from then on nothing changes them.
type options struct {
	name      string
	named     bool
	listeners []breaker.Listener
	unmarked  bool // the user of Allow marks no rejections

	rules     []rule.Spec
	threshold time.Duration // from which on a call is slow; 0 if none is
	slowOnly  bool          // slow calls alone open it

	probes     rule.Probes
	probesSet  bool
	probesAsIn bool // as the opening rule has it
	lease      time.Duration

	delays delays
}

// only returns the rules with s in the place of those of its kind: the last one of
// an option that is given twice counts.
func only[S rule.Spec](rules []rule.Spec, s S) []rule.Spec {
	rules = slices.DeleteFunc(rules, func(r rule.Spec) bool {
		_, same := r.(S)
		return same
	})
	return append(rules, s)
}

// newOptions returns the options that opts make of the defaults.
func newOptions(caller string, opts []Option) *options {
	o := &options{
		probes: rule.Probes{Successes: int(bounds.ProbeSuccesses.Default), Of: int(bounds.ProbesOf.Default)},
		lease:  bounds.ProbeLease.Default,
		delays: delays{first: bounds.Delay.Default},
	}
	option.Apply("circuit: "+caller, o, opts)
	o.complete()
	return o
}

// complete fills in what is left open, and panics if options contradict each
// other.
func (o *options) complete() {
	given := o.rules
	slowAlone := len(given) == 1 && o.threshold > 0
	if len(given) == 0 || slowAlone && !o.slowOnly {
		o.rules = append(slices.Clone(given), rule.Consecutive{Failures: int(bounds.ConsecutiveFailures.Default)})
	}
	if o.probesAsIn {
		if slowAlone {
			o.probesAsInClosed(given)
		} else {
			o.probesAsInClosed(o.rules)
		}
	}
	o.completeProbes()
	o.completeDelays()
}

func (o *options) completeProbes() {
	p := &o.probes
	if p.Limit == 0 {
		p.Limit = p.Of
	}
	if !bounds.ProbeLimitAmong(int64(p.Of)).Has(int64(p.Limit)) {
		bad("WithProbeLimit", list(p.Limit), fmt.Sprintf("at most %d, all probes of WithProbes(%d, %d)", p.Of, p.Successes, p.Of))
	}
	most := bounds.ProbeFailuresAmong(int64(p.Successes), int64(p.Of))
	if p.Failures == 0 {
		p.Failures = int(most.High)
	}
	if !most.Has(int64(p.Failures)) {
		bad("WithProbeFailures", list(p.Failures),
			fmt.Sprintf("at most %d, with which WithProbes(%d, %d) can no longer close", most.High, p.Successes, p.Of))
	}
}

func (o *options) completeDelays() {
	d := &o.delays
	if d.factor != 0 && (d.first == 0 || !bounds.LongestFrom(d.first).Has(d.longest)) {
		bad("WithBackoff", list(d.factor, d.longest), fmt.Sprintf("a delay above 0 and not above the longest: WithDelay(%v)", d.first))
	}
	if d.longest == 0 {
		d.factor, d.longest = 1, d.first
	}
}

// probesAsInClosed lets the only one of the rules judge the probes.
func (o *options) probesAsInClosed(rules []rule.Spec) {
	if o.probesSet {
		panic("circuit: WithProbesAsInClosed and WithProbes contradict each other")
	}
	p, problem := rule.ProbesOf(rules)
	if problem != "" {
		panic("circuit: WithProbesAsInClosed: " + problem)
	}
	if p.All && o.probes.Failures != 0 {
		panic("circuit: WithProbesAsInClosed of a rate and WithProbeFailures contradict each other")
	}
	p.Limit, p.Failures = o.probes.Limit, o.probes.Failures
	o.probes = p
}

func bad(option, value, want string) {
	panic(fmt.Sprintf("circuit: %s(%s): want %s", option, value, want))
}

func list(values ...any) string {
	s := ""
	for i, v := range values {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(v)
	}
	return s
}
