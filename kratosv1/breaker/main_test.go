package breaker_test

import (
	"testing"

	"go.uber.org/goleak"

	root "github.com/kratos-breaker/breaker"
	"github.com/kratos-breaker/breaker/kratosv1/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mark marks so many calls.
func mark(b breaker.Breaker, success, failure int) {
	for range success {
		b.MarkSuccess()
	}
	for range failure {
		b.MarkFailed()
	}
}

// snapshot returns that of what a group returned.
func snapshot(b breaker.Breaker) root.Snapshot { return b.(root.Controller).Snapshot() }

// rejects returns how many of n calls are rejected, and marks none.
func rejects(b breaker.Breaker, n int) (rejected int) {
	for range n {
		if b.Allow() != nil {
			rejected++
		}
	}
	return rejected
}

// reinit makes a test leave the default group as it found it.
func reinit(t *testing.T) {
	t.Cleanup(func() { breaker.Init(&breaker.Config{}) })
}
