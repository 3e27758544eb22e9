// Package breakertest holds what every breaker of this module has to do,
// whatever it decides by, as one suite of tests; and the fakes that the tests of
// several packages need. Only tests import it.
package breakertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kratos-breaker/breaker"
)

// Kind is one kind of breaker, and what the suite has to know of it.
type Kind struct {
	// Name is that of the subtests.
	Name string
	// New makes a closed breaker. A kind that is not Named gets no name, and one
	// that does not Listen no listeners. A probe must not be lost before a day
	// has passed: the suite holds permits for long.
	New func(name string, listeners ...breaker.Listener) breaker.Breaker
	// Outage is how many calls in a row have to fail, all at one instant, until
	// the next one is rejected: for certain, or all but one in a hundred.
	Outage int
	// Certain says which of the two it is.
	Certain bool
	// Recovery is how long the breaker may go on rejecting after an outage, at a
	// hundred calls a second that would all succeed.
	Recovery time.Duration

	// Named, Listens, Controlled and Idles say what the kind can do beyond
	// breaker.Breaker; the last two are those of breaker.Controller and of a
	// group's value.
	Named, Listens, Controlled, Idles bool
	// Allocates says that calls and rejections may allocate.
	Allocates bool
}

// Run runs the suite over a kind of breaker.
func Run(t *testing.T, k Kind) {
	t.Run(k.Name, func(t *testing.T) {
		others := goleak.IgnoreCurrent()
		k.runSuite(t)
		goleak.VerifyNone(t, others)
	})
}

func (k Kind) runSuite(t *testing.T) {
	_, controlled := k.New("").(breaker.Controller)
	require.Equal(t, k.Controlled, controlled, "Kind.Controlled is out of date")
	_, idles := k.New("").(idler)
	require.Equal(t, k.Idles, idles, "Kind.Idles is out of date")

	bubble := func(name string, check func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, check) })
	}
	k.permits(bubble)
	k.rejections(bubble)
	k.accounting(bubble)
	k.endings(bubble)
	k.recovery(bubble)
	k.snapshots(bubble)
	if k.Listens {
		k.listeners(bubble)
	}
	if k.Controlled {
		k.modes(bubble)
	}
	if k.Idles {
		k.idling(bubble)
	}
	k.costs(t)
}

// in runs a check as a subtest in a bubble of synctest. So time is the test's
// own, and a goroutine that a breaker leaves behind is a deadlock.
type in func(name string, check func(*testing.T))

type idler interface{ Idle() bool }
