package breakertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kratos-breaker/breaker"
)

// Outcomes are all outcomes, and some that are none.
var Outcomes = []breaker.Outcome{breaker.Ignored, breaker.Success, breaker.Failure, breaker.Outcome(3), breaker.Outcome(255)}

var errBackend = errors.New("the backend is down")

// Slots is how many permits a ledger has room for in itself. The words of
// further ones come from a pool that all breakers share.
const Slots = 6

// Add returns the totals after one more call that ended with o.
func Add(to breaker.Totals, o breaker.Outcome) breaker.Totals {
	switch o {
	case breaker.Success:
		to.Success++
	case breaker.Ignored:
		to.Ignored++
	default:
		to.Failure++
	}
	return to
}

// RequireTotals requires want, of which Offered and Allowed are filled in.
func RequireTotals(t require.TestingT, b breaker.Breaker, want breaker.Totals) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	want.Allowed = want.Success + want.Failure + want.Ignored + want.InFlight
	want.Offered = want.Allowed + want.Rejected
	require.Equal(t, want, b.Snapshot().Totals)
}

// MustReject calls until the breaker rejects, which is at once or, for one that
// lets a few through, soon.
func MustReject(t *testing.T, call func() (rejected bool)) {
	t.Helper()
	for range 5000 {
		if call() {
			return
		}
	}
	t.Fatal("5000 calls, and the breaker rejected none")
}

// Acquire takes n permits.
func Acquire(t *testing.T, b breaker.Breaker, n int) []breaker.Permit {
	t.Helper()
	permits := make([]breaker.Permit, n)
	for i := range permits {
		var err error
		permits[i], err = b.Acquire()
		require.NoError(t, err)
	}
	return permits
}

// Canceled returns a context whose caller has given up.
func Canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// EndOf runs f in a goroutine of its own and tells how it ended: with a panic,
// by returning, or, if neither, with runtime.Goexit.
func EndOf(f func()) (panicked any, returned bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		f()
		returned = true
	}()
	<-done
	return panicked, returned
}

// call makes a call that ends with o, and reports whether it was allowed.
func call(b breaker.Breaker, o breaker.Outcome) bool {
	p, err := b.Acquire()
	if err != nil {
		return false
	}
	p.Done(o)
	return true
}

// trip is an outage: calls fail until the breaker rejects.
func (k Kind) trip(b breaker.Breaker) {
	for range k.Outage {
		call(b, breaker.Failure)
	}
}

// tripped returns a new breaker after an outage.
func (k Kind) tripped() breaker.Breaker {
	b := k.New("")
	k.trip(b)
	return b
}

// requireRejects makes calls, and requires that each is rejected or, for a kind
// that is not certain, nearly each.
func (k Kind) requireRejects(t *testing.T, b breaker.Breaker) {
	t.Helper()
	const calls = 200
	rejected := 0
	for range calls {
		if !call(b, breaker.Failure) {
			rejected++
		}
	}
	if k.Certain {
		require.Equal(t, calls, rejected, "rejected")
	}
	require.Greater(t, rejected, calls*9/10, "rejected")
}

// requireAllows makes calls that succeed, and requires that all are allowed.
func requireAllows(t *testing.T, b breaker.Breaker) {
	t.Helper()
	for range 200 {
		p, err := b.Acquire()
		require.NoError(t, err)
		p.Done(breaker.Success)
		require.NoError(t, b.Allow())
		b.MarkSuccess()
	}
}

// pace is the time between two calls of a hundred a second.
const pace = 10 * time.Millisecond

// recover makes calls that succeed until a hundred in a row were allowed and
// the breaker is closed, and requires that this is soon enough.
func (k Kind) recover(t *testing.T, b breaker.Breaker, call func() (allowed bool)) {
	t.Helper()
	const enough = 100
	began, row, closed := time.Now(), 0, false
	for row < enough || !closed {
		require.LessOrEqual(t, time.Since(began), k.Recovery+enough*pace, "the breaker goes on rejecting")
		time.Sleep(pace)
		row++
		closed = b.Snapshot().State == breaker.Closed // before the call, which meets it
		if !call() {
			row = 0
		}
	}
}
