package metrics

import (
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/kratos-breaker/breaker"
)

// The values of the attributes, in the order of the numbers.
var (
	states   = [...]string{breaker.Closed.String(), breaker.HalfOpen.String(), breaker.Open.String()}
	modes    = [...]string{breaker.Auto.String(), breaker.ForceOpen.String(), breaker.ForceClosed.String(), breaker.DryRun.String()}
	outcomes = [...]string{breaker.Ignored.String(), breaker.Success.String(), breaker.Failure.String()}
)

const allowed, rejected = 0, 1

var decisions = [...]string{allowed: "allowed", rejected: "rejected"}

// reading is what a collection says of a breaker, or of several.
type reading struct {
	// What only grows:
	requests    [len(decisions)]uint64
	calls       [len(outcomes)]uint64
	wouldReject uint64
	transitions breaker.Transitions
	// What comes and goes:
	inFlight    uint64
	state       [len(states)]int64
	mode        [len(modes)]int64
	window      [len(outcomes)]uint64
	rejectRatio float64
}

func (r *reading) add(other *reading) {
	addEach(r.requests[:], other.requests[:])
	addEach(r.calls[:], other.calls[:])
	r.wouldReject += other.wouldReject
	for from := range r.transitions {
		addEach(r.transitions[from][:], other.transitions[from][:])
	}
	r.inFlight += other.inFlight
	addEach(r.state[:], other.state[:])
	addEach(r.mode[:], other.mode[:])
	addEach(r.window[:], other.window[:])
	r.rejectRatio = max(r.rejectRatio, other.rejectRatio)
}

func addEach[N uint64 | int64](to, from []N) {
	for i, n := range from {
		to[i] += n
	}
}

// identity tells the breakers of a source apart.
type identity struct {
	key      string
	overflow bool
	breaker  breaker.Breaker
}

// watched is a breaker that was listed in the last collection.
type watched struct {
	series *series
	last   reading
	round  uint64
}

// watch returns what is known of a breaker. The attributes are asked for when it
// is met for the first time.
func (p *publisher) watch(l breaker.Listed) *watched {
	id := identity{l.Key, l.Overflow, l.Breaker}
	if !reflect.ValueOf(l.Breaker).Comparable() {
		id.breaker = nil // such a breaker can be no key of a map: its name must do
	}
	w := p.watched[id]
	if w == nil {
		w = &watched{series: p.seriesOf(l)}
		w.series.members++
		p.watched[id] = w
	}
	return w
}

// seriesOf returns the series of a breaker that was not listed before.
func (p *publisher) seriesOf(l breaker.Listed) *series {
	attributes := append(slices.Clone(p.options.common), nameKey.String(nameOf(l)))
	if p.attributes != nil {
		attributes = append(attributes, p.attributes(l)...)
	}
	set := attribute.NewSet(attributes...)
	s := p.series[set.Equivalent()]
	if s == nil && len(p.series) >= p.limit {
		set = attribute.NewSet(append(slices.Clone(p.options.common), nameKey.String(Other))...)
		s = p.series[set.Equivalent()]
	}
	if s == nil {
		s = newSeries(set)
		p.series[set.Equivalent()] = s
	}
	return s
}

func nameOf(l breaker.Listed) string {
	name := l.Key
	switch {
	case l.Overflow:
		name = Other
	case name == "":
		name = l.Breaker.Snapshot().Name
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// read takes a snapshot in. A counter must not fall, or Prometheus takes it for
// a restart of the process, and all it ever counted for new. But a breaker may
// miss a call for a moment while it is being settled: that one is still in
// flight.
func (w *watched) read(s breaker.Snapshot) {
	t, last := s.Totals, &w.last
	now := reading{
		requests:    [...]uint64{allowed: t.Allowed, rejected: t.Rejected},
		calls:       [...]uint64{breaker.Ignored: t.Ignored, breaker.Success: t.Success, breaker.Failure: t.Failure},
		wouldReject: max(t.WouldReject, last.wouldReject),
		window:      [...]uint64{breaker.Success: s.Window.Success, breaker.Failure: s.Window.Failure},
		rejectRatio: s.RejectRatio,
	}
	riseEach(now.requests[:], last.requests[:])
	riseEach(now.calls[:], last.calls[:])
	for from := range now.transitions {
		now.transitions[from] = s.Transitions[from]
		riseEach(now.transitions[from][:], last.transitions[from][:])
	}
	now.inFlight = t.InFlight + now.requests[allowed] - t.Allowed
	if int(s.State) < len(states) {
		now.state[s.State] = 1
	}
	if int(s.Mode) < len(modes) {
		now.mode[s.Mode] = 1
	}
	*last = now
}

func riseEach(now, last []uint64) {
	for i := range now {
		now[i] = max(now[i], last[i])
	}
}

// forget drops the breakers that are no longer listed, and the series that no
// breaker is left of. In one that several share, their counts stay.
func (p *publisher) forget() {
	for id, w := range p.watched {
		if w.round == p.round {
			continue
		}
		delete(p.watched, id)
		w.series.members--
		counts := reading{
			requests: w.last.requests, calls: w.last.calls,
			wouldReject: w.last.wouldReject, transitions: w.last.transitions,
		}
		counts.calls[breaker.Ignored] += w.last.inFlight // nobody will know how they ended
		w.series.gone.add(&counts)
		w.series.now.add(&counts)
	}
	for set, s := range p.series {
		if s.members == 0 {
			delete(p.series, set)
		}
	}
}

// series are what is published under one set of attributes. The set of each
// single series is made when it is first needed, and kept.
type series struct {
	members   int
	gone, now reading

	attributes  attribute.Set
	plain       with
	requests    [len(decisions)]with
	calls       [len(outcomes)]with
	state       [len(states)]with
	mode        [len(modes)]with
	transitions [len(states)][len(states)]with
}

// with is a set of attributes as an observer takes it.
type with []metric.ObserveOption

func newSeries(attributes attribute.Set) *series {
	return &series{attributes: attributes, plain: with{metric.WithAttributeSet(attributes)}}
}

// and returns what is in w, or puts the attributes of s and the given ones there.
func (s *series) and(w *with, more ...attribute.KeyValue) with {
	if *w == nil {
		*w = with{metric.WithAttributeSet(attribute.NewSet(append(s.attributes.ToSlice(), more...)...))}
	}
	return *w
}

func (s *series) observe(o metric.Observer, i *instruments) {
	now := &s.now
	for d, n := range now.requests {
		o.ObserveInt64(i.requests, int64(n), s.and(&s.requests[d], decisionKey.String(decisions[d]))...)
	}
	if now.wouldReject > 0 || now.mode[breaker.DryRun] > 0 {
		o.ObserveInt64(i.wouldReject, int64(now.wouldReject), s.plain...)
	}
	for outcome, n := range now.calls {
		attributes := s.and(&s.calls[outcome], outcomeKey.String(outcomes[outcome]))
		o.ObserveInt64(i.calls, int64(n), attributes...)
		if outcome != int(breaker.Ignored) { // which no window has
			o.ObserveInt64(i.window, int64(now.window[outcome]), attributes...)
		}
	}
	o.ObserveInt64(i.inFlight, int64(now.inFlight), s.plain...)
	for state, n := range now.state {
		o.ObserveInt64(i.state, n, s.and(&s.state[state], stateKey.String(states[state]))...)
	}
	for mode, n := range now.mode {
		if n > 0 || mode == int(breaker.Auto) {
			o.ObserveInt64(i.mode, n, s.and(&s.mode[mode], modeKey.String(modes[mode]))...)
		}
	}
	s.observeTransitions(o, i)
	o.ObserveFloat64(i.rejectRatio, now.rejectRatio, s.plain...)
}

// observeTransitions leaves half-open out until the breaker has been so: an
// adaptive one never is.
func (s *series) observeTransitions(o metric.Observer, i *instruments) {
	changes := &s.now.transitions
	halfOpens := changes[breaker.Open][breaker.HalfOpen] > 0 || changes[breaker.HalfOpen] != [len(states)]uint64{}
	for from := range changes {
		for to, n := range changes[from] {
			if from == to || !halfOpens && (from == int(breaker.HalfOpen) || to == int(breaker.HalfOpen)) {
				continue
			}
			attributes := s.and(&s.transitions[from][to], fromKey.String(states[from]), toKey.String(states[to]))
			o.ObserveInt64(i.transitions, int64(n), attributes...)
		}
	}
}
