package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/circuit"
	"github.com/kratos-breaker/breaker/errors"
	"github.com/kratos-breaker/breaker/sre"
)

// policy is what the default or a rule says. What it does not say is nil: it
// takes the value of the default, and then that of the breaker.
type policy struct {
	Algorithm *string   `json:"algorithm,omitempty"`
	Mode      *string   `json:"mode,omitempty"`
	Sre       *adaptive `json:"sre,omitempty"`
	Circuit   *classic  `json:"circuit,omitempty"`
	Classify  *classify `json:"classify,omitempty"`
}

// adaptive holds the options of package sre.
type adaptive struct {
	Success          *float64 `json:"success,omitempty"`
	Request          *int64   `json:"request,omitempty"`
	Window           *span    `json:"window,omitempty"`
	Bucket           *int64   `json:"bucket,omitempty"`
	ProbeInterval    *span    `json:"probe_interval,omitempty"`
	MaxProbeInterval *span    `json:"max_probe_interval,omitempty"`
	Classic          *bool    `json:"classic,omitempty"`
}

// classic holds the options of package circuit.
type classic struct {
	ConsecutiveFailures *int64        `json:"consecutive_failures,omitempty"`
	FailureCount        *failureCount `json:"failure_count,omitempty"`
	FailuresInPeriod    *inPeriod     `json:"failures_in_period,omitempty"`
	FailureRate         []rate        `json:"failure_rate,omitempty"`
	SlowCallRate        *slowRate     `json:"slow_call_rate,omitempty"`
	Probes              *probes       `json:"probes,omitempty"`
	ProbeLimit          *int64        `json:"probe_limit,omitempty"`
	ProbeFailures       *int64        `json:"probe_failures,omitempty"`
	ProbeLease          *span         `json:"probe_lease,omitempty"`
	ProbesAsInClosed    *bool         `json:"probes_as_in_closed,omitempty"`
	Delay               *span         `json:"delay,omitempty"`
	Backoff             *backoff      `json:"backoff,omitempty"`
	Jitter              *float64      `json:"jitter,omitempty"`
	RetryAfter          *span         `json:"retry_after,omitempty"`
	UnmarkedRejections  *bool         `json:"unmarked_rejections,omitempty"`
}

type failureCount struct {
	Failures *int64 `json:"failures,omitempty"`
	Of       *int64 `json:"of,omitempty"`
}

type inPeriod struct {
	Failures *int64 `json:"failures,omitempty"`
	Period   *span  `json:"period,omitempty"`
}

type rate struct {
	Ratio    *float64 `json:"ratio,omitempty"`
	Percent  *int64   `json:"percent,omitempty"`
	MinCalls *int64   `json:"min_calls,omitempty"`
	Period   *span    `json:"period,omitempty"`
}

type slowRate struct {
	Threshold *span    `json:"threshold,omitempty"`
	Ratio     *float64 `json:"ratio,omitempty"`
	MinCalls  *int64   `json:"min_calls,omitempty"`
	Period    *span    `json:"period,omitempty"`
}

type probes struct {
	Successes *int64 `json:"successes,omitempty"`
	Of        *int64 `json:"of,omitempty"`
}

type backoff struct {
	Factor  *float64 `json:"factor,omitempty"`
	Longest *span    `json:"longest,omitempty"`
}

// classify holds what package errors makes a classifier of.
type classify struct {
	Overload *bool    `json:"overload,omitempty"`
	Other    *string  `json:"other,omitempty"`
	Success  *answers `json:"success,omitempty"`
	Failure  *answers `json:"failure,omitempty"`
	Ignored  *answers `json:"ignored,omitempty"`
}

type answers struct {
	HTTP    []statuses `json:"http,omitempty"`
	GRPC    []code     `json:"grpc,omitempty"`
	Reasons []string   `json:"reasons,omitempty"`
}

// statuses are HTTP statuses from the first to the last.
type statuses struct{ First, Last int }

// MarshalText returns "404" or "500-599".
func (s statuses) MarshalText() ([]byte, error) {
	if s.First == s.Last {
		return strconv.AppendInt(nil, int64(s.First), 10), nil
	}
	return fmt.Appendf(nil, "%d-%d", s.First, s.Last), nil
}

// code is a gRPC code.
type code codes.Code

// MarshalText returns the name.
func (c code) MarshalText() ([]byte, error) { return []byte(codes.Code(c).String()), nil }

// limits says how many keys there may be. They are those of the group.
type limits struct {
	Limit *int64 `json:"limit,omitempty"`
	Idle  *span  `json:"idle,omitempty"`
}

// inherit returns p with what it does not say taken from parent: objects field
// by field, lists as a whole.
func (p policy) inherit(parent policy) policy {
	return inherit(reflect.ValueOf(p), reflect.ValueOf(parent)).Interface().(policy)
}

func inherit(child, parent reflect.Value) reflect.Value {
	switch child.Kind() {
	case reflect.Struct:
		merged := reflect.New(child.Type()).Elem()
		for i := range child.NumField() {
			merged.Field(i).Set(inherit(child.Field(i), parent.Field(i)))
		}
		return merged
	case reflect.Pointer:
		if child.IsNil() {
			return parent
		}
		if !parent.IsNil() && child.Elem().Kind() == reflect.Struct {
			merged := reflect.New(child.Type().Elem())
			merged.Elem().Set(inherit(child.Elem(), parent.Elem()))
			return merged
		}
	case reflect.Slice:
		if child.IsNil() {
			return parent
		}
	}
	return child
}

// text returns v as JSON, which tells two of them apart.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("config: " + err.Error()) // none of the types can fail
	}
	return string(b)
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// kind is an algorithm. A classic breaker of package sre is one of its own,
// since no other can become one.
type kind uint8

const (
	kindSRE kind = iota
	kindClassic
	kindCircuit
	kindOff
	kinds
)

func (k kind) String() string {
	return [...]string{"sre", "classic sre", "circuit", "off"}[k]
}

func (p policy) kind() kind {
	switch or(p.Algorithm, "sre") {
	case "circuit":
		return kindCircuit
	case "off":
		return kindOff
	}
	if p.Sre != nil && or(p.Sre.Classic, false) {
		return kindClassic
	}
	return kindSRE
}

func (p policy) mode() breaker.Mode {
	for _, m := range modes {
		if m.String() == or(p.Mode, "") {
			return m
		}
	}
	return breaker.Auto
}

var modes = []breaker.Mode{breaker.Auto, breaker.ForceOpen, breaker.ForceClosed, breaker.DryRun}

// options returns what package sre makes a breaker of.
func (a *adaptive) options() (opts []sre.Option) {
	if a == nil {
		return nil
	}
	if or(a.Classic, false) {
		opts = append(opts, sre.Classic())
	}
	opts = give(opts, a.Success, sre.WithSuccess)
	opts = give(opts, a.Request, sre.WithRequest)
	opts = give(opts, a.Window, func(d span) sre.Option { return sre.WithWindow(time.Duration(d)) })
	opts = give(opts, a.Bucket, func(n int64) sre.Option { return sre.WithBucket(int(n)) })
	opts = give(opts, a.ProbeInterval, func(d span) sre.Option { return sre.WithProbeInterval(time.Duration(d)) })
	return give(opts, a.MaxProbeInterval, func(d span) sre.Option { return sre.WithMaxProbeInterval(time.Duration(d)) })
}

// give appends the option of a value that is there.
func give[V, O any](opts []O, v *V, option func(V) O) []O {
	if v == nil {
		return opts
	}
	return append(opts, option(*v))
}

// options returns what package circuit makes a breaker of.
func (c *classic) options() (opts []circuit.Option) {
	if c == nil {
		return nil
	}
	type option = circuit.Option
	opts = give(opts, c.ConsecutiveFailures, func(n int64) option { return circuit.WithConsecutiveFailures(int(n)) })
	opts = give(opts, c.FailureCount, func(f failureCount) option {
		return circuit.WithFailureCount(int(*f.Failures), int(*f.Of))
	})
	opts = give(opts, c.FailuresInPeriod, func(f inPeriod) option {
		return circuit.WithFailuresInPeriod(int(*f.Failures), time.Duration(*f.Period))
	})
	for _, r := range c.FailureRate {
		opts = append(opts, r.option())
	}
	opts = give(opts, c.SlowCallRate, func(s slowRate) option {
		return circuit.WithSlowCallRate(time.Duration(*s.Threshold), *s.Ratio, int(*s.MinCalls), time.Duration(*s.Period))
	})
	opts = give(opts, c.Probes, func(p probes) option { return circuit.WithProbes(int(*p.Successes), int(*p.Of)) })
	opts = give(opts, c.ProbeLimit, func(n int64) option { return circuit.WithProbeLimit(int(n)) })
	opts = give(opts, c.ProbeFailures, func(n int64) option { return circuit.WithProbeFailures(int(n)) })
	opts = give(opts, c.ProbeLease, func(d span) option { return circuit.WithProbeLease(time.Duration(d)) })
	if or(c.ProbesAsInClosed, false) {
		opts = append(opts, circuit.WithProbesAsInClosed())
	}
	opts = give(opts, c.Delay, func(d span) option { return circuit.WithDelay(time.Duration(d)) })
	opts = give(opts, c.Backoff, func(b backoff) option { return circuit.WithBackoff(*b.Factor, time.Duration(*b.Longest)) })
	opts = give(opts, c.Jitter, circuit.WithJitter)
	opts = give(opts, c.RetryAfter, func(d span) option {
		return circuit.WithRetryAfter(time.Duration(d), errors.RetryAfter)
	})
	if or(c.UnmarkedRejections, false) {
		opts = append(opts, circuit.WithUnmarkedRejections())
	}
	return opts
}

func (r rate) option() circuit.Option {
	if r.Percent != nil {
		return circuit.WithFailurePercent(int(*r.Percent), int(*r.MinCalls), time.Duration(*r.Period))
	}
	return circuit.WithFailureRate(*r.Ratio, int(*r.MinCalls), time.Duration(*r.Period))
}

// classifier returns nil if nothing is said about errors.
func (c *classify) classifier() breaker.Classifier {
	if c == nil {
		return nil
	}
	var opts []errors.Option
	if or(c.Overload, false) {
		opts = append(opts, errors.WithOverload())
	}
	for _, o := range outcomes {
		if o.String() == or(c.Other, "") {
			opts = append(opts, errors.WithOther(o))
		}
		a := c.answers(o)
		if a == nil {
			continue
		}
		for _, s := range a.HTTP {
			for status := s.First; status <= s.Last; status++ {
				opts = append(opts, errors.WithHTTPStatus(o, status))
			}
		}
		for _, c := range a.GRPC {
			opts = append(opts, errors.WithGRPCCode(o, codes.Code(c)))
		}
		opts = append(opts, errors.WithReason(o, a.Reasons...))
	}
	return errors.NewClassifier(opts...)
}

var outcomes = []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored}

func (c *classify) answers(o breaker.Outcome) *answers {
	switch o {
	case breaker.Success:
		return c.Success
	case breaker.Failure:
		return c.Failure
	}
	return c.Ignored
}
