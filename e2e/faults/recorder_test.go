package faults_test

import (
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// recorder is a breaker that allows every call and writes down how its permit
// was settled, as often as it was. Its aegis methods panic: who has permits does
// not need them.
type recorder struct {
	mu    sync.Mutex
	calls [][]breaker.Outcome // by permit
}

func (r *recorder) Acquire() (breaker.Permit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, nil)
	return breaker.NewPermit(r, breaker.Ticket{Serial: uint64(len(r.calls) - 1)}), nil
}

func (r *recorder) Settle(t breaker.Ticket, o breaker.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[t.Serial] = append(r.calls[t.Serial], o)
}

// settled reports whether every permit was.
func (r *recorder) settled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.ContainsFunc(r.calls, func(marks []breaker.Outcome) bool { return len(marks) == 0 })
}

// outcomes returns the outcome of each call, and requires that it has one.
func (r *recorder) outcomes(t require.TestingT) (all []breaker.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, marks := range r.calls {
		require.Len(t, marks, 1, "marks of call %d of %d", i+1, len(r.calls))
		all = append(all, marks[0])
	}
	return all
}

func (*recorder) Allow() error { panic("Allow was called") }
func (*recorder) MarkSuccess() { panic("MarkSuccess was called") }
func (*recorder) MarkFailed()  { panic("MarkFailed was called") }
