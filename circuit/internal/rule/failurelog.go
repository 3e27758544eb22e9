package rule

// failureLog holds when the last failures happened: the numbers of the calls, or
// the times. Successes leave no trace in it, and need not. All failures of the
// span are there, or a rule would hold.
type failureLog struct {
	failures int     // that close together make the rule hold
	span     int64   // calls, or nanoseconds
	size     int     // of the ring: the failures of the rule, or more
	at       []int64 // a ring of the last failures, once it is full
	next     int
}

func newFailureLog(failures int, span int64) failureLog {
	return failureLog{failures: failures, span: span, size: failures}
}

// add takes in one more failure.
func (l *failureLog) add(at int64) {
	if len(l.at) < l.size {
		l.at = append(l.at, at)
	} else {
		l.at[l.next] = at
	}
	l.next = (l.next + 1) % l.size
}

// holds reports whether the last failure and those before it lie so close
// together that the rule holds.
func (l *failureLog) holds() bool {
	if len(l.at) < l.failures {
		return false
	}
	last, first := l.at[(l.next-1+l.size)%l.size], l.at[(l.next-l.failures+l.size)%l.size]
	return last-first < l.span
}

// count returns the number of failures in the span that ends at now.
func (l *failureLog) count(now int64) (n uint64) {
	for _, at := range l.at {
		if now-at < l.span {
			n++
		}
	}
	return n
}

func (l *failureLog) clear() { l.size, l.at, l.next = l.failures, l.at[:0], 0 }

// carryOver takes over the failures of another log with the same span, at the
// number of a call or at a time.
func (l *failureLog) carryOver(from failureLog, now int64) {
	if from.failures == l.failures {
		*l = from
		return
	}
	oldest := 0
	if len(from.at) == from.size {
		oldest = from.next
	}
	for i := range from.at {
		if at := from.at[(oldest+i)%len(from.at)]; now-at < l.span {
			l.at = append(l.at, at)
		}
	}
	// If the rule holds already, the next failure opens, and is shown as well.
	l.next = len(l.at)
	l.size = max(l.failures, l.next+1)
}
