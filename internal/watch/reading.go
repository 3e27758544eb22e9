package watch

import "github.com/kratos-breaker/breaker"

// Reading is what is said of a breaker, or of several.
type Reading struct {
	// Counts has a number for each of [Lines], but for the reject ratio.
	Counts      [numLines]uint64
	RejectRatio float64
}

// Value returns the number of a line.
func (r *Reading) Value(line int) float64 {
	if line == rejectRatio {
		return r.RejectRatio
	}
	return float64(r.Counts[line])
}

// Shows reports whether a line is there. Those that say nothing of most breakers
// wait: transitions from and to half-open, for an adaptive breaker never is so;
// each mode but auto while it is not set; and would_reject until the first dry
// run.
func (r *Reading) Shows(line int) bool {
	switch Lines[line].Metric {
	case WouldReject:
		return r.Counts[line] > 0 || r.Counts[mode+int(breaker.DryRun)] > 0
	case WindowCalls:
		return line != windowCalls+int(breaker.Ignored) // which no window has
	case Mode:
		return line == mode+int(breaker.Auto) || r.Counts[line] > 0
	case Transitions:
		from, to := breaker.State((line-transitions)/states), breaker.State((line-transitions)%states)
		return from != to && (from != breaker.HalfOpen && to != breaker.HalfOpen || r.halfOpened())
	}
	return true
}

func (r *Reading) halfOpened() bool {
	changes := r.Counts[transitions : transitions+states*states]
	const open, halfOpen = int(breaker.Open) * states, int(breaker.HalfOpen) * states
	for _, n := range changes[halfOpen : halfOpen+states] {
		if n > 0 {
			return true
		}
	}
	return changes[open+int(breaker.HalfOpen)] > 0
}

func (r *Reading) add(other *Reading) {
	for line, n := range other.Counts {
		r.Counts[line] += n
	}
	r.RejectRatio = max(r.RejectRatio, other.RejectRatio)
}

// grows tells which lines are of counters.
var grows = func() (all [numLines]bool) {
	for i, line := range Lines {
		all[i] = Metrics[line.Metric].Kind == Counter
	}
	return all
}()

// read takes a snapshot in. A counter must not fall, or Prometheus takes it for
// a restart of the process, and all it ever counted for new. But a breaker may
// miss a call for a moment while it is being settled: that one is still in
// flight.
func (r *Reading) read(s breaker.Snapshot) {
	t := s.Totals
	now := Reading{RejectRatio: s.RejectRatio}
	n := &now.Counts
	n[requests], n[requests+1] = t.Allowed, t.Rejected
	n[calls+int(breaker.Success)], n[calls+int(breaker.Failure)], n[calls+int(breaker.Ignored)] = t.Success, t.Failure, t.Ignored
	n[wouldReject] = t.WouldReject
	for from := range s.Transitions {
		copy(n[transitions+from*states:], s.Transitions[from][:])
	}
	for line, last := range r.Counts {
		if grows[line] {
			n[line] = max(n[line], last)
		}
	}
	n[inFlight] = t.InFlight + n[requests] - t.Allowed
	n[windowCalls+int(breaker.Success)], n[windowCalls+int(breaker.Failure)] = s.Window.Success, s.Window.Failure
	if int(s.State) < states {
		n[state+int(s.State)] = 1
	}
	if int(s.Mode) < modes {
		n[mode+int(s.Mode)] = 1
	}
	*r = now
}

// left returns what stays of a breaker that is no longer listed: its counts. How
// the calls in flight ended, nobody will know.
func (r *Reading) left() Reading {
	var counts Reading
	for line, n := range r.Counts {
		if grows[line] {
			counts.Counts[line] = n
		}
	}
	counts.Counts[calls+int(breaker.Ignored)] += r.Counts[inFlight]
	return counts
}
